"""`hie simulate claims`: a payer's topic of a running hub filled with claims; `hie simulate catalogues`: what they are checked against."""

import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from hub.cli.running import connected, keyring, terminal
from hub.contract.directory import payers
from hub.contract.errors import HubError
from hub.contract.events import Keyring, encode
from hub.contract.settings import read_settings

out = terminal()
BATCH: Final = 2_000
Encoded = list[tuple[str, bytes]]
"""Key and body of claims."""


def claims(
    count: Annotated[int, typer.Argument(min=1, help="How many, with those that are sent again.")] = 10_000,
    payer_code: Annotated[str, typer.Option("--payer", help="Whose topic; that of `test` when omitted.")] = "test",
    seed: Annotated[int, typer.Option(help="The same seed sends the same claims.")] = 1,
    faults: Annotated[float, typer.Option(min=0, max=1, help="Share of claims with a fault of one of the rules.")] = 0.0,
    month: Annotated[
        Literal["2026-07", "2026-08", "2026-09", "2026-10", "2026-11", "2026-12"], typer.Option(help="In which the visits end.")
    ] = "2026-11",
    workers: Annotated[int, typer.Option(min=1, help="Processes that make claims; one a core when omitted.")] = os.cpu_count()
    or 1,
) -> None:
    """Fill the topic of a payer with claims in the shape of the nation's: short visits, long stays, a quarter sent again.

    In another month they are others, so that a month that is over can be closed (hie ledger close).

    They come from nowhere: no hospital is answered, and the books leave them out. For a payer other than `test` they are real
    traffic. They have the keys of this hub, so that an envelope of the same MA_CSKCB and MA_LK corrects one (hie send --test).

    Example: hie simulate claims 2000 --month 2026-10
    """
    from hub.bus import Out, Producer, Wire

    if payer_code not in payers():
        raise HubError("NOT_FOUND", f"payer {payer_code}")
    here, topic = connected(read_settings()), f"payer.{payer_code}.claim.v1"
    producer = Producer(here.kafka, wait_s=60, linger_ms=20)
    prefix = Wire(here.registry_url).prefix(topic)
    made = batches(count, seed, faults, keyring(here), test=payer_code == "test", workers=workers, month=int(month[5:]))
    began, size = time.monotonic(), 0
    try:
        for batch in made:
            producer.publish_blocking([Out(topic, key, prefix + body) for key, body in batch])
            size += sum(len(body) for _, body in batch)
    finally:
        producer.close()
    seconds = max(time.monotonic() - began, 0.001)
    out.print(
        f"{count:,} claims ({size / count:,.0f} bytes on the mean) in {topic} after {seconds:,.0f} s: {count / seconds:,.0f} a second"
    )


def catalogues(
    folder: Annotated[
        Path, typer.Argument(file_okay=False, help="Where the CSV files go; those of these names are written over.")
    ],
    seed: Annotated[int, typer.Option(help="The same seed writes the same files.")] = 1,
) -> None:
    """Write dated catalogues that fit simulated claims, for HIE_CATALOGUE_DIR: an example to begin from.

    Example: hie simulate catalogues catalogues
    """
    from hub.simulate import write_catalogues

    write_catalogues(folder, seed)


def batches(
    count: int, seed: int, faults: float, keyring: Keyring, *, test: bool, workers: int, month: int = 11
) -> Iterator[Encoded]:
    """So many claims, made and encoded by several processes; the same whatever their number, in the same order."""
    first = seed * 1_000_000 + (0 if month == 11 else month * 10**12)  # other months have other claims, not the same ones moved
    asked = [
        (first + place, min(BATCH, count - start), faults, test, month, keyring)
        for place, start in enumerate(range(0, count, BATCH))
    ]
    if workers == 1 or len(asked) == 1:
        yield from map(_encoded, asked)
        return
    with multiprocessing.get_context("spawn").Pool(min(workers, len(asked))) as pool:
        yield from pool.imap(_encoded, asked)


def _encoded(asked: tuple[int, int, float, bool, int, Keyring]) -> Encoded:
    from hub.simulate import FAULTS, nation

    seed, count, faults, test, month, keyring = asked
    rates = dict.fromkeys(FAULTS, faults / len(FAULTS)) if faults else None
    made = nation(seed, count, rates, test=test, month=month, keyring=keyring)
    return [(one.event["meta"]["key"], encode("hie.Claim", one.event)) for one in made]
