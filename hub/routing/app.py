"""The routing service: the table of streams, and the Faust agents that drive them in batches.

Faust owns the consumer group: who reads which partition, and what is acknowledged. What a batch leads to is in `batch`.
"""

import asyncio
import gc
import signal
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import faust
from faust import streams as faust_streams
from faust.auth import Credentials, SASLCredentials, SSLCredentials

from hub.bus import LARGEST_BYTES, Producer, Wire
from hub.contract import telemetry
from hub.contract.directory import payers
from hub.contract.errors import HubError
from hub.contract.events import Keyring, now
from hub.contract.kafka import Address, read_address
from hub.contract.settings import Settings
from hub.routing import cases, claims, deadlines, decisions, encounters, follow_ups, lab_orders, lab_results, referrals
from hub.routing.assembly import PARTS, part_of_claims
from hub.routing.batch import Router
from hub.routing.chunks import Transport
from hub.routing.recall import Recaller
from hub.routing.record import Record
from hub.routing.recorded import recorded
from hub.routing.stream import Stream
from hub.store.database import available, pool

GROUP: Final = "routing"
_DUE_EVERY_S: Final = 1.0
_CLEAN_EVERY_S: Final = 60.0
_DRAIN_S: Final = 10.0  # what is under way may end before a worker stops
_GC_THRESHOLD: Final = 200_000  # a batch is a million small objects in no cycles; looking for cycles took a tenth of the time

Route = Callable[[Stream, Sequence[Record]], Awaitable[None]]


def streams() -> list[Stream]:
    """The table of streams, one row a topic."""
    of_payers = [
        Stream(
            f"payer.{code}.decision.v1",
            "hie.ClaimDecision",
            partial(decisions.check, code),
            partial(decisions.counted, payer),
            partial(decisions.sent_before, payer),
            adds=True,
        )
        for code, payer in payers().items()
    ]
    rows = [
        Stream("referral.v1", "hie.Referral", referrals.decide, referrals.facts, referrals.lookups, referrals.side),
        Stream("lab-order.v1", "hie.LabOrder", lab_orders.decide, lab_orders.facts, lab_orders.lookups),
        Stream(
            "lab-result.v1",
            "hie.LabResult",
            lab_results.decide,
            lab_results.facts,
            lab_results.lookups,
            lab_results.side,
            rows=lab_results.READ,
        ),
        Stream("encounter.v1", "hie.Encounter", encounters.decide, encounters.facts, encounters.lookups),
        Stream("follow-up.v1", "hie.FollowUp", follow_ups.decide, follow_ups.facts, follow_ups.lookups),
        recorded("person.v1", "hie.Registration", "person"),
        recorded("charge.v1", "hie.Charge", "charge", adds=True),
        recorded("prescription.v1", "hie.Prescription", "prescription"),
        recorded("document.v1", "hie.Document", "document"),
        recorded("catalogue-change.v1", "hie.CatalogueChange", "catalogue"),
        recorded("resource-report.v1", "hie.ResourceReport", "resource"),
        Stream("claim.v1", "hie.Claim", claims.decide, claims.facts, claims.lookups, repeat_rule="T05"),
        *of_payers,
        Stream(
            "claim-decision.v1",
            "hie.ClaimDecision",
            decisions.decide,
            decisions.facts,
            decisions.lookups,
            decisions.side,
            adds=True,  # two payments may be equal
        ),
    ]
    return [part_of_claims(row) if row.record in PARTS else row for row in rows]


class Worker:
    """Hands batches on, and sees to it that only what was routed is acknowledged.

    route: of `Router`.
    """

    def __init__(self, route: Route) -> None:
        self._route = route
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def take(self, stream: Stream, records: Sequence[Record]) -> None:
        """Route one batch. Returns only when it may be acknowledged."""
        if not self._closing:
            self._under_way += 1
            self._idle.clear()
            try:
                return await self._route(stream, records)
            except asyncio.CancelledError:
                if not self._closing:  # Faust would hand out the next batch, and acknowledge past this one
                    self.fail(RuntimeError("a batch was cancelled"))
                raise
            except Exception as broken:  # whatever it was, `ended` raises it
                self.fail(broken)
            finally:
                self._under_way -= 1
                if not self._under_way:
                    self._idle.set()
        return await asyncio.Future()  # until Faust cancels us: nothing new is begun

    async def drain(self) -> None:
        """Begin nothing new, and give what is under way a moment to end."""
        self._closing = True
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), _DRAIN_S)

    def fail(self, reason: Exception) -> None:
        """This worker must not go on: no batch behind the one that failed may be acknowledged."""
        self._closing = True
        if not self.ended.done():
            self.ended.set_exception(reason)

    def end(self) -> None:
        """Somebody asks this worker to stop."""
        if not self.ended.done():
            self.ended.set_result(None)


def build_app(settings: Settings, worker: Worker, group: str = GROUP) -> faust.App:
    """The Faust application of one worker; nothing runs yet.  group: of consumers. Raises: HubError(SETTING_WRONG)."""
    # In pure Python, Faust acknowledges what it skips when partitions move.
    if getattr(faust_streams, "_CStreamIterator", None) is None:
        raise HubError("SETTING_WRONG", "faust-streaming is installed without its extension: install its wheel, unset NO_CYTHON")
    kafka, datadir = read_address(settings.kafka), settings.data_dir / "faust" / group
    datadir.mkdir(parents=True, exist_ok=True)
    app = faust.App(
        group,
        broker=f"aiokafka://{kafka.brokers.replace(',', ';aiokafka://')}",
        broker_credentials=_credentials(kafka),
        datadir=str(datadir),
        store="memory://",
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        broker_session_timeout=6.0,
        broker_heartbeat_interval=2.0,
        broker_rebalance_timeout=10.0,
        broker_max_poll_interval=86_400.0,  # while the brokers or the database are away, a stream waits and polls nothing
        broker_commit_interval=1.0,
        broker_max_poll_records=settings.routing_batch,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=LARGEST_BYTES,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
    )
    app.transport = Transport(app.conf.broker_consumer, app)
    for stream in streams():
        topic = app.topic(stream.topic, key_serializer="raw", value_serializer="raw")
        app.agent(topic, name=f"{group}-{stream.topic}", concurrency=1)(_agent(stream, worker))
    return app


def _credentials(kafka: Address) -> Credentials | None:
    tls = ssl.create_default_context(cafile=kafka.ca or None) if kafka.tls else None
    if kafka.user:
        return SASLCredentials(username=kafka.user, password=kafka.password, mechanism=kafka.mechanism, ssl_context=tls)
    return SSLCredentials(tls) if tls else None


def _agent(stream: Stream, worker: Worker) -> Callable[[Any], Awaitable[None]]:
    async def agent(incoming: Any) -> None:
        incoming.enable_acks = False  # by itself it would acknowledge when this ends, what nobody routed too
        async for event in incoming.events():
            await worker.take(stream, event.value.records)
            await incoming.ack(event)

    return agent


# --- the service ------------------------------------------------------------------------------------------------------


def run(settings: Settings, ready: Callable[[dict[str, object]], None], group: str = GROUP) -> None:
    """Route until SIGTERM or SIGINT.

    settings: with addresses and secret filled in.
    ready:    called once this worker has its partitions.
    Raises:   what no rule expects: whoever supervises starts the worker anew.
    """
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)
    asyncio.run(_serve(settings, ready, group))


async def _serve(settings: Settings, ready: Callable[[dict[str, object]], None], group: str) -> None:
    wire = Wire(settings.registry_url)
    keyring = Keyring(settings.key_secret.get_secret_value().encode())
    producer = Producer(settings.kafka, wait_s=settings.ack_wait_s, client_id=group)
    recaller = Recaller(settings.kafka)
    database = pool(settings.database_url.get_secret_value(), size=4)
    database.open()
    worker = Worker(Router(wire, keyring, database, producer, recaller, fact_days=settings.claim_days).route)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.end)
    app = build_app(settings, worker, group)
    assigned = asyncio.Event()
    app.on_partitions_assigned.connect(partial(_assigned, assigned), weak=False)
    chores = [
        asyncio.create_task(_every(_DUE_EVERY_S, lambda: _fire(database, producer, wire))),
        asyncio.create_task(_every(_CLEAN_EVERY_S, lambda: _clean(database, settings.seen_days))),
        asyncio.create_task(_announce(assigned, ready)),
        asyncio.create_task(_watch(app, worker)),
    ]
    try:
        await app.start()
        await worker.ended
    finally:
        telemetry.service_stopping(GROUP)
        for chore in chores:
            chore.cancel()
        await worker.drain()
        await app.stop()
        await asyncio.gather(*chores, return_exceptions=True)
        producer.close()
        recaller.close()
        database.close()


async def _assigned(assigned: asyncio.Event, *_args: Any, **_more: Any) -> None:
    assigned.set()


async def _announce(assigned: asyncio.Event, ready: Callable[[dict[str, object]], None]) -> None:
    await assigned.wait()
    telemetry.service_ready(GROUP)
    ready({})


async def _watch(app: faust.App, worker: Worker) -> None:
    """End the worker when Faust breaks down inside, which it would outlive without reading on."""
    while not app.crashed:  # noqa: ASYNC110  # Faust's own event is private, and made anew when it likes
        await asyncio.sleep(0.2)
    reason = app.crash_reason
    worker.fail(reason if isinstance(reason, Exception) else RuntimeError("faust crashed"))


async def _every(seconds: float, work: Callable[[], None]) -> None:
    """Do something in a thread, again and again; a fault is waited out."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await asyncio.to_thread(work)
        except HubError as error:
            telemetry.fault(GROUP, error.code, error.where)


def _fire(database: Any, producer: Producer, wire: Wire) -> None:
    with available(), database.connection() as connection:
        deadlines.fire(connection, producer, wire, now())


def _clean(database: Any, seen_days: int) -> None:
    with available(), database.connection() as connection:
        cases.clean(connection, now(), seen_days)
