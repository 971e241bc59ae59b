"""Results and referral slips as HL7 v2 messages, for load and benches."""

import random
from collections.abc import Iterator

from hub.simulate.people import FAMILIES, GIVEN, ILLNESSES, MIDDLES
from hub.simulate.rows import INDICES, tenths


def results(seed: int, n: int, *, lines: int = 14, reporter: str = "01021", orderer: str = "01004") -> Iterator[bytes]:
    """`n` messages ORU^R01 (v2.5.1, UTF-8, segments ended by CR) from one facility to another, each of `lines` OBX."""
    chance = random.Random(seed)  # noqa: S311  # repeatable, nothing secret
    for number in range(n):
        order = f"{seed}{number:08d}"
        observations = [
            f"OBX|{at}|NM|{code}^{name}^QD1227^{loinc}^{name}^LN||{tenths(chance.randint(low, high))}|{unit}|{usual}|"
            f"{chance.choice('NHL')}|||F|||20261123091500||000789^Lê^Hạnh|AU480^HS.1.AU480"
            for at in range(1, lines + 1)
            for code, name, unit, loinc, usual, low, high, _ in (INDICES[(at - 1) % len(INDICES)],)
        ]
        yield "\r".join(
            (
                _header(chance, reporter, orderer, "ORU^R01^ORU_R01", f"SIMR{order}"),
                _patient(chance, seed, number),
                f"PV1|1|O|K01||||||||||||||||SIM{seed}.{number:08d}",
                f"ORC|RE|SIMO{order}^{orderer}|SIMF{order}",
                f"OBR|1|SIMO{order}^{orderer}|SIMF{order}|22.0121.1369^Tổng phân tích tế bào máu ngoại vi^VN-DVKT"
                "|||20261123082000||||||||||||||||||F|||||||000789&Lê&Hạnh",
                *observations,
                "",
            )
        ).encode()


def referrals(seed: int, n: int, *, issuer: str = "01731", receiver: str = "01021") -> Iterator[bytes]:
    """`n` messages REF^I12 (v2.5.1, UTF-8, segments ended by CR), each a slip of its own."""
    chance = random.Random(seed)  # noqa: S311  # repeatable, nothing secret
    for number in range(n):
        illness, text, _ = chance.choice(ILLNESSES)
        slip = f"SIM{seed}.{number:08d}"
        yield "\r".join(
            (
                _header(chance, issuer, receiver, "REF^I12^REF_I12", f"SIMG{seed}{number:08d}"),
                f"RF1|P|R||||{slip}|20261123|20261207||1",
                f"PRD|RP||||||{issuer}^BYT-384^FI",
                f"PRD|RT||||||{receiver}^BYT-384^FI",
                _patient(chance, seed, number),
                f"DG1|1||{illness}^{text}^ICD-10|||F|||||||||1",
                f"PV1|1|O|K01||||||||||||||||SIM{seed}.{number:08d}",
                "",
            )
        ).encode()


def _header(chance: random.Random, sender: str, receiver: str, kind: str, control_id: str) -> str:
    second = f"{chance.randint(0, 3599) // 60:02d}{chance.randint(0, 59):02d}"
    return f"MSH|^~\\&|SIM|{sender}|HIE|{receiver}|2026112309{second}||{kind}|{control_id}|P|2.5.1||||||UNICODE UTF-8"


def _patient(chance: random.Random, seed: int, number: int) -> str:
    person = f"{(seed * 100_003 + number) % 10**9:09d}"  # each seed has people of its own
    born = f"{chance.randint(1940, 2008)}{chance.randint(1, 12):02d}{chance.randint(1, 28):02d}"
    name = f"{chance.choice(FAMILIES)}^{chance.choice(GIVEN)}^{chance.choice(MIDDLES)}"
    numbers = f"BN{person}^^^VN-CSKCB-01004^MR~001{person}^^^BCA^NI~GD401{int(person):010d}^^^VSS^HC"
    return f"PID|1||{numbers}||{name}||{born}|{chance.choice('MF')}"
