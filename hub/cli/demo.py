"""`hie demo`: one patient's story through a real hub, step by step, each with what proves it; then the books.

The demo has a hub of its own, in a folder that is thrown away and on free ports, so it disturbs nobody.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from rich.table import Table

from hub.cli.messages import media_type, read_ack, send_http, send_mllp
from hub.cli.own_hub import own_hub
from hub.cli.running import terminal
from hub.contract.directory import facilities
from hub.contract.errors import HubError
from hub.contract.places import shipped
from hub.contract.settings import Settings
from hub.services import Services, address

PROVINCE, DISTRICT, COMMUNE, LABORATORY = "01004", "01021", "01731", "01940"
out = terminal()

Delivery = dict[str, Any]


def sample(number: str) -> Path:
    """The demo's message of that number: `seeds/demo/NN-….hl7` or `.xml`."""
    [path] = shipped("seeds/demo").glob(f"{number}-*")
    return path


@dataclass
class Town:
    """The people of the demo: they send as facilities send, and read as facilities read.

    settings: of the running hub.
    """

    settings: Settings
    _after: dict[str, int] = field(default_factory=dict)

    def send(self, raw: bytes) -> dict[str, Any]:
        """Send one message the way its format goes, MLLP or HTTP; what the hub answered, and how long it took (`ms`)."""
        began = time.perf_counter()
        if media_type(raw) != "application/hl7-v2":
            _, answer = send_http(address(self.settings, "gate", "http_port"), raw)
        else:
            answer = read_ack(send_mllp(address(self.settings, "gate", "mllp_port"), raw))
        return {**answer, "ms": (time.perf_counter() - began) * 1000}

    def inbox(
        self, recipient: str, *, after: int = 0, wait_s: float = 0, form: str = "json", test: bool = False
    ) -> list[Delivery]:
        """The deliveries behind a cursor."""
        host, port = address(self.settings, "mailbox", "inbox_port")
        asked: dict[str, str | float] = {"after": after, "wait": wait_s, "format": form, "limit": 500, "test": str(test).lower()}
        answer = httpx.get(f"http://{host}:{port}/v1/inbox/{recipient}", params=asked, timeout=60)
        answer.raise_for_status()
        return list(answer.json()["deliveries"])

    def acknowledge(self, recipient: str, deliveries: list[Delivery], *, test: bool = False) -> None:
        """The recipient's own word that it has them."""
        host, port = address(self.settings, "mailbox", "inbox_port")
        said = [{"delivery_id": row["delivery_id"], "state": "ACKNOWLEDGED"} for row in deliveries]
        place = f"http://{host}:{port}/v1/inbox/{recipient}/receipts"
        httpx.post(place, json=said, params={"test": str(test).lower()}, timeout=60).raise_for_status()

    def expect(self, recipient: str, wanted: Callable[[Delivery], bool], *, within_s: float = 60, test: bool = False) -> Delivery:
        """The first new delivery that fits; it is acknowledged.

        Raises: HubError(RECIPIENT_UNREACHABLE) when none comes in time.
        """
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            for row in self.inbox(recipient, after=self._after.get(recipient, 0), wait_s=2, test=test):
                if row["state"] in ("QUEUED", "SENT") and wanted(row):
                    self.acknowledge(recipient, [row], test=test)
                    return row
        raise HubError("RECIPIENT_UNREACHABLE", f"nothing that fits came to {recipient} within {within_s:.0f} s")

    def heard(self, payer: str, slip: str, last: str, *, within_s: float = 60) -> list[str]:
        """The actions in a payer's topic of slips that are about this one, once the last of them is there.

        Raises: HubError(RECIPIENT_UNREACHABLE) when it does not come in time.
        """
        from hub.bus import Wire, consumer

        wire, said = Wire(self.settings.registry_url), list[str]()
        reader = consumer(self.settings.kafka, f"demo-{payer}", [f"payer.{payer}.referral.v1"])
        try:
            deadline = time.monotonic() + within_s
            while time.monotonic() < deadline:
                for message in reader.consume(100, 1):
                    event = wire.unpack(message.value())[1]
                    said += [event["action"]] if event["slip"] == slip else []
                if last in said:
                    return said
        finally:
            reader.close()
        raise HubError("RECIPIENT_UNREACHABLE", f"no {last} came to payer {payer} within {within_s:.0f} s")


def is_a(record: str, action: str = "", **parts: str) -> Callable[[Delivery], bool]:
    """A test for `expect`: a delivery of that record, with that action or status, and those fields."""

    def fits(row: Delivery) -> bool:
        body = row["body"]
        said = body.get("action") or body.get("status") or body.get("verdict") or ""
        return (
            row["record"] == f"hie.{record}"
            and action in ("", said)
            and all(body.get(name) == value for name, value in parts.items())
        )

    return fits


class Story:
    """The steps. Each one acts, waits for the proof in somebody's mailbox, and says what was seen."""

    def __init__(self, town: Town, say: Callable[[str, str], None]) -> None:
        self.town = town
        self.say = say

    def tell(self) -> None:
        """Raises: AssertionError or HubError at the first step whose proof does not come."""
        self.care()
        self.claims()
        self.refused()
        self.test_traffic()

    def care(self) -> None:
        visit = self._accepted("01")
        self._accepted("00")
        self.say("check-in", f"the district hospital and a commune station registered their patients: AA in {visit['ms']:.0f} ms")
        self._accepted("02")
        order = self.town.expect(LABORATORY, is_a("LabOrder"))
        self.say(
            "order", f"the laboratory's mailbox holds order {order['body']['placer']} for {_names(order['body']['services'])}"
        )
        self._accepted("03")
        result = self.town.expect(DISTRICT, is_a("LabResult"))
        rows = result["body"]["observations"]
        high = next(row for row in rows if set(row.get("flags", [])) & {"H", "HH"})
        value = f"{high['code']['display']} {high['gia_tri']} {high['don_vi_do']} ({'/'.join(high['flags'])})"
        self.say("result", f"HL7 2.3.1 in TCVN3 came to the orderer as {len(rows)} clean rows, {value}")
        self._accepted("04")
        slip = self.town.expect(PROVINCE, is_a("Referral", "ISSUED"))["body"]["slip"]
        self.town.expect(PROVINCE, is_a("LabResult"))
        self.say("referral", f"slip {slip} reached the provincial hospital, and the laboratory result with it: no test twice")
        self._accepted("05")
        self.town.expect(DISTRICT, is_a("Referral", "ACCEPTED", slip=slip))
        self.say("acceptance", f"the district hospital knows that slip {slip} is accepted")
        self._accepted("06")
        self.town.expect(DISTRICT, is_a("Referral", "ARRIVED", slip=slip))
        self.say("arrival", "check-in at the receiver closed the loop: the issuer sees that the patient arrived")
        heard = ", ".join(self.town.heard("vss", slip, "ARRIVED"))
        self.say("payer", f"VSS, whose card the patient has, heard of slip {slip} on its own topic: {heard}")
        self._accepted("08")
        appointment = self.town.expect("portal", is_a("FollowUp"))
        self.say(
            "follow-up", f"slip {appointment['body']['slip']} waits for the insurance portal, which hands it to the citizen's app"
        )

    def claims(self) -> None:
        for number, sender, what in (
            ("10", COMMUNE, "commune station, XML envelope"),
            ("11", DISTRICT, "district hospital, XML envelope"),
            ("12", PROVINCE, "provincial hospital, HL7 EHC^E01"),
            ("13", LABORATORY, "laboratory, XML envelope"),
        ):
            self._accepted(number)
            decision = self.town.expect(sender, is_a("ClaimDecision", "ACCEPTED"))["body"]
            self.say("claim", f"{what}: VSS accepted {decision['ma_lk']}, fund pays {_money(decision['t_bhtt_gd'])} VND")
        self._accepted("14")
        rejected = self.town.expect(DISTRICT, is_a("ClaimDecision", "REJECTED"))["body"]
        rules = ", ".join(sorted({row["rule"] for row in rejected["findings"] if row["severity"] == "E"}))
        self.say("wrong claim", f"{rejected['ma_lk']} has a wrong total: rejected by rule {rules}, and the hospital knows why")
        self._accepted("15")
        corrected = self.town.expect(DISTRICT, is_a("ClaimDecision", "ACCEPTED", ma_lk=rejected["ma_lk"]))["body"]
        self.say(
            "correction",
            f"{corrected['ma_lk']} corrected: a new revision, accepted, fund pays {_money(corrected['t_bhtt_gd'])} VND",
        )
        self._accepted("10")
        self.say("resend", "the commune station sent its claim again: taken, recognised as the same event, without effect")

    def refused(self) -> None:
        answer = self.town.send(sample("90").read_bytes())
        assert answer["ack"] == "AR", "the message that must be refused was not"
        problem = answer["problems"][0]
        self.say(
            "refusal",
            f"a message of a type that the hub does not know: AR with {problem['code']} at {problem['path']}; its bytes are kept",
        )

    def test_traffic(self) -> None:
        trial = re.sub(rb"\|P\|2\.", b"|T|2.", sample("02").read_bytes(), count=1)
        assert trial != sample("02").read_bytes()
        assert self.town.send(trial)["ack"] == "AA"
        self.town.expect(LABORATORY, is_a("LabOrder"), test=True)
        self.say("test traffic", "the same order with MSH-11 T went to the laboratory's test mailbox only")

    def _accepted(self, number: str) -> dict[str, Any]:
        answer = self.town.send(sample(number).read_bytes())
        assert answer["ack"] == "AA", (
            f"{sample(number).name} was answered {answer['ack'] or 'with silence'}: {answer['problems']}"
        )
        return answer


def _names(services: list[dict[str, Any]]) -> str:
    return ", ".join(row.get("display") or row["code"] for row in services)


def _money(amount: object) -> str:
    return f"{Decimal(str(amount)):,.0f}"


def run_demo(settings: Settings, *, keep: bool = False) -> int:
    """Tell the story on a hub of its own. Returns: 0 when every step was proved and the books close."""
    began = time.monotonic()
    say = lambda line: out.print(f"[dim]  · {line}[/]")  # noqa: E731  # a progress line, and nothing else
    out.print("[bold]hie-hub demo[/]: a commune station, a district and a provincial hospital, a laboratory, and VSS")
    story_directory = {"directory_dir": shipped("seeds")}  # the story's people are in the hub's own directory
    with own_hub(settings, say, arrange=lambda _folder: story_directory, name="demo") as (here, services, servers):
        out.print()
        proved = _tell(Town(here))
        closed = _summary(here)
        if keep:
            _keep(here, services, servers)
    out.print(f"books close: {'yes' if closed else 'no'}  ({time.monotonic() - began:.0f} s in all; nothing was left running)")
    return 0 if proved and closed else 1


def _tell(town: Town) -> bool:
    number = 0

    def say(step: str, proof: str) -> None:
        nonlocal number
        number += 1
        out.print(f"[green]✓[/] {number:2} [bold]{step:12}[/] {proof}")

    try:
        Story(town, say).tell()
    except (AssertionError, HubError) as missing:
        out.print(f"[red]✗[/]    {missing}")
        return False
    return True


def _summary(settings: Settings) -> bool:
    from hub.cli.ledger import ledger_totals
    from hub.cli.operate import books_of, facility_rows

    books = books_of(settings, wait_s=60)
    table = Table(
        "facility", "name", "taken", "refused", "events", "delivered to it", "acknowledged", title="\nWho sent and got what"
    )
    for row in facility_rows(settings):
        known = facilities().get(row["facility"])
        name = (
            known.name_en
            if known
            else {"portal": "insurance portal, for the citizen's app", "vss": "Vietnam Social Security"}.get(row["facility"], "")
        )
        counts = (str(row[part]) for part in ("taken", "refused", "events", "delivered", "acknowledged"))
        table.add_row(row["facility"], name, *counts)
    out.print(table)
    totals = ledger_totals(settings)
    out.print(
        f"VSS ledger: {totals['claims']} claims in force, {totals['lines']} lines, findings {totals['findings']}; "
        f"cost {_money(totals['t_tongchi_bv'])} VND, claimed {_money(totals['t_bhtt'])} VND, granted {_money(totals['t_bhtt_gd'])} VND"
    )
    out.print(books.text(out.width))
    out.print("To look further: `hie demo --keep` or `hie up`, then `hie trace 01021/<slip>`, `hie inbox 01021`, `hie status`.")
    return books.close


def _keep(settings: Settings, services: Services, servers: Any) -> None:
    out.print(f"The hub stays up until Ctrl-C. In another terminal: export HIE_DATA_DIR={settings.data_dir}")
    try:
        while True:
            servers.check()
            services.watch()
            time.sleep(0.5)
    except KeyboardInterrupt:
        out.print("stopping …")
