"""Webhooks: signed, to approved addresses only, and an answer counts for no more than it says."""

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import json
import ssl
import time
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import pytest

from adapters.outbound.push import Answer, Push, Unanswered
from adapters.outbound.receipts import Teller
from adapters.outbound.wakes import Wakes
from adapters.outbound.webhook import Hook, Webhook, may_reach, own_word, pause_s, signature
from hub.bus import Producer, consumer, take
from hub.contract.errors import HubError
from hub.store.database import async_pool
from tests.adapters.inbound.certificates import Authority
from tests.adapters.outbound.serving import serving
from tests.adapters.outbound.test_inbox_api import api, fill, outbox, run
from tests.adapters.outbound.test_mllp_push import ids, pushing, until
from tests.made import unique

NEAR = ("127.0.0.0/8", "::1/128")


class Taker:
    """A real https server. answers: status, headers and body for each request, given its number and its item."""

    def __init__(self, answers):
        self.answers = answers
        self.items = []
        self.heads = []

    async def serve(self, reader, writer):
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                head = {line.partition(":")[0].lower(): line.partition(": ")[2] for line in lines[1:] if line}
                body = await reader.readexactly(int(head["content-length"]))
                self.heads.append(head | {"body": body})
                self.items.append(json.loads(body))
                status, headers, said = self.answers(len(self.items), self.items[-1])
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(said)}\r\n{headers}\r\n".encode() + said)
        writer.close()


@asynccontextmanager
async def taking(folder, answers, networks=NEAR, keys=(b"a" * 32,)):
    """A server on this machine, and the hook to it."""
    authority = Authority(folder, "ca")
    pair = authority.sign("hook")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    files = [folder / f"secret{number}" for number in range(len(keys))]
    for file, key in zip(files, keys, strict=True):
        file.write_text("whsec_" + base64.b64encode(key).decode())
    taker = Taker(answers)
    async with serving(taker.serve, ssl=context) as port:
        url = f"https://localhost:{port}/hook"
        taker.hook = Hook(url=url, secrets=tuple(files), networks=networks, ca=authority.certificate)
        yield taker


def taken(*_):
    return 204, "", b""


def acknowledged(_number, item):
    return 200, "", json.dumps({"delivery_id": item["delivery_id"], "state": "ACKNOWLEDGED"}).encode()


# --- pure -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "reached"),
    [
        ("1.1.1.1", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:1.1.1.1", True),
        ("64:ff9b::a00:1", False),
        ("2002:7f00:1::", False),
        ("::127.0.0.1", False),
        ("::ffff:0:127.0.0.1", False),
        ("fec0::1", False),
        ("10.8.0.7", True),
        ("::ffff:10.8.0.7", True),
    ],
)
def test_only_public_addresses_and_approved_networks_are_reached(address, reached):
    assert may_reach(ipaddress.ip_address(address), [ipaddress.ip_network("10.8.0.0/16")]) is reached


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [("", 0), ("7", 7), ("86400", 300), ("1e12", 300), ("inf", 0), ("nan", 0), ("-5", 0), ("Fri, 27 Nov 2026 08:00:00 GMT", 0)],
)
def test_what_retry_after_asks_for_is_kept_up_to_five_minutes_and_never_a_fault_of_ours(asked, seconds):
    assert pause_s(asked) == seconds


def test_the_signature_is_the_one_of_standard_webhooks():
    """The example of the specification's own reference implementation."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    made = signature([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signature([key, b"k" * 24], "m", 1, body).count("v1,") == 2


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"", Answer("SENT")),
        (b"ok", Answer("SENT")),
        (b"[]", Answer("SENT")),
        (b'{"delivery_id": "other", "state": "ACKNOWLEDGED"}', Answer("SENT")),
        (b'{"state": "ACKNOWLEDGED"}', Answer("SENT")),
        (b'{"delivery_id": "mine", "state": "DONE"}', Answer("SENT")),
        (b'{"delivery_id": "mine", "state": "ACKNOWLEDGED"}', Answer("ACKNOWLEDGED")),
        (b'{"delivery_id": "mine", "state": "REFUSED", "code": "CODE_UNKNOWN"}', Answer("REFUSED", "CODE_UNKNOWN")),
        (b'{"delivery_id": "mine", "state": "REFUSED", "code": [1]}', Answer("REFUSED", "RECIPIENT_REFUSED")),
    ],
)
def test_only_a_receipt_of_this_delivery_is_the_recipients_word(said, answer):
    assert own_word(said, "mine") == answer


# --- whole ------------------------------------------------------------------------------------------------------------


def test_each_delivery_is_the_item_of_the_api_signed_by_every_secret(database, own_settings, wire, tmp_path):
    keys = (b"n" * 32, b"o" * 32)

    async def push():
        box = unique("W")
        sent = await fill(own_settings, wire, box, 2)
        async with taking(tmp_path, acknowledged, keys=keys) as taker, pushing(own_settings, wire, {box: taker.hook}):
            await until(lambda: len(outbox(database, box)) == 2)
        async with api(own_settings, wire) as served:
            shown = (await served.client.get(f"/v1/inbox/{box}")).json()["deliveries"]
        return box, sent, taker, shown

    box, sent, taker, shown = run(push())
    assert outbox(database, box) == [(one, "ACKNOWLEDGED", "", "webhook") for one in ids(sent)]
    assert [{"facility": box, **one, "state": "QUEUED"} for one in shown] == taker.items
    for head in taker.heads:
        assert head["host"] == taker.hook.url.split("/")[2]
        assert head["webhook-id"] == json.loads(head["body"])["delivery_id"]
        signed = f"{head['webhook-id']}.{head['webhook-timestamp']}.".encode() + head["body"]
        made = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys]
        assert head["webhook-signature"] == f"v1,{made[0]} v1,{made[1]}"


def test_what_is_only_taken_is_sent_and_not_sent_again_until_the_recipients_word(database, own_settings, wire, tmp_path):
    async def push():
        box = unique("W")
        [one] = ids(await fill(own_settings, wire, box, 1))
        async with taking(tmp_path, taken) as taker, pushing(own_settings, wire, {box: taker.hook}):
            await until(lambda: outbox(database, box))
            await fill(own_settings, wire, box, 1)
            await until(lambda: len(taker.items) == 2)
        async with api(own_settings, wire) as served:
            await served.client.post(f"/v1/inbox/{box}/receipts", json=[{"delivery_id": one, "state": "ACKNOWLEDGED"}])
        return one, [row for row in outbox(database, box) if row[0] == one], taker

    one, told, taker = run(push())
    assert told == [(one, "SENT", "", "webhook"), (one, "ACKNOWLEDGED", "", "pull")]
    assert [item["delivery_id"] for item in taker.items].count(one) == 1


def test_what_fails_is_tried_again_under_the_same_id_and_its_key_waits(database, own_settings, wire, tmp_path):
    """Errors, a redirect, and an answer for another delivery: none of them ends a delivery as acknowledged or refused."""
    failing = {1: (500, "", b"no"), 2: (302, "Location: https://localhost/elsewhere\r\n", b""), 3: (400, "", b"")}

    def answers(number, item):
        return failing.get(number) or acknowledged(number, item)

    async def push():
        box, slip = unique("W"), unique("S")
        sent = [
            *await fill(own_settings, wire, box, 1, slip=slip),
            *await fill(own_settings, wire, box, 1, slip=slip, name="TRẦN VĂN AN"),
        ]
        async with taking(tmp_path, answers) as taker, pushing(own_settings, wire, {box: taker.hook}):
            await until(lambda: len(outbox(database, box)) == 2)
        return box, ids(sent), taker

    box, (first, second), taker = run(push())
    assert [head["webhook-id"] for head in taker.heads] == [first, first, first, first, second]
    assert outbox(database, box) == [(one, "ACKNOWLEDGED", "", "webhook") for one in (first, second)]
    tries = database.execute("select tries from mailbox where recipient = %s order by seq", (box,)).fetchall()
    assert tries == [(3,), (0,)]


def test_an_address_that_is_not_approved_gets_no_byte(wire, tmp_path):
    """The name leads to this machine, which only an approved network may name."""

    async def ask():
        async with taking(tmp_path, taken, networks=("10.0.0.0/8",)) as taker:
            hook = Webhook(taker.hook, "01021", wire, 30)
            with pytest.raises(Unanswered) as raised:
                await hook.ask(Item(), b"{}")
            await hook.close()
            return raised.value.place, taker.items

    assert run(ask()) == ("connect", [])


def test_a_name_is_resolved_for_every_delivery_and_the_connection_goes_where_that_led(wire, tmp_path, monkeypatch):
    """A name that leads to an approved address first and elsewhere later (DNS rebinding) is refused later."""

    async def ask():
        async with taking(tmp_path, taken) as taker:
            hook = Webhook(taker.hook, "01021", wire, 30)
            first = await hook.ask(Item(), b"{}")
            loop = asyncio.get_running_loop()

            async def elsewhere(*_, **__):
                return [(2, 1, 6, "", ("127.0.0.1", 0)), (2, 1, 6, "", ("169.254.169.254", 0))]

            monkeypatch.setattr(loop, "getaddrinfo", elsewhere, raising=False)
            with pytest.raises(Unanswered) as raised:
                await hook.ask(Item(), b"{}")
            await hook.close()
            return first, raised.value.place, len(taker.items)

    assert run(ask()) == (Answer("SENT"), "connect", 1)


def test_a_certificate_of_another_name_or_authority_is_refused(wire, tmp_path):
    async def ask():
        async with taking(tmp_path, taken) as taker:
            stranger = taker.hook.model_copy(update={"ca": None})
            hook = Webhook(stranger, "01021", wire, 30)
            with pytest.raises(Unanswered):
                await hook.ask(Item(), b"{}")
            await hook.close()
            return taker.items

    assert run(ask()) == []


def test_who_is_gone_is_paused_which_is_audited_and_nothing_is_lost(database, own_settings, wire, tmp_path):
    producer = Producer(own_settings.kafka, wait_s=30)

    async def push():
        box = unique("W")
        await fill(own_settings, wire, box, 2)
        gone = "select paused_by from recipient where code = %s and paused_at is not null"
        targets = taking(tmp_path, lambda *_: (410, "", b""))
        async with targets as taker, pushing(own_settings, wire, {box: taker.hook}, producer):
            await until(lambda: database.execute(gone, (box,)).fetchone() == ("hub",))
        return box, taker

    box, taker = run(push())
    assert len(taker.items) == 1
    rows = database.execute("select state, tries from mailbox where recipient = %s", (box,)).fetchall()
    assert rows == [("QUEUED", 0), ("QUEUED", 0)]
    producer.close()
    reader = consumer(own_settings.kafka, unique("test-audit-"), ["audit.v1"])
    found, deadline = [], time.monotonic() + 20
    while not found and time.monotonic() < deadline:
        told = [wire.unpack(message.value())[1] for message in take(reader, 1000, 0.5)]
        found = [(one["action"], one["by"], one["outcome"]) for one in told if one["target"] == box]
    reader.close()
    assert found == [("recipient-pause", "hub", "done")]


def test_who_is_gone_is_not_paused_while_no_broker_takes_the_audit_event(database, own_settings, wire, tmp_path):
    class Away:
        async def publish(self, _records):
            raise HubError("BROKER_UNAVAILABLE", "test")

    async def push():
        box = unique("W")
        await fill(own_settings, wire, box, 1)
        async with taking(tmp_path, lambda *_: (410, "", b"")) as taker, async_pool(url_of(own_settings)) as pool:
            channel = Webhook(taker.hook, box, wire, 30)
            with pytest.raises(HubError, match="BROKER_UNAVAILABLE"):
                await Push(own_settings, box, channel, Wakes(url_of(own_settings)), Teller(pool, wire, Away())).run()
        return box

    box = run(push())
    assert database.execute("select paused_at from recipient where code = %s and paused_at is not null", (box,)).fetchall() == []


def url_of(settings):
    return settings.database_url.get_secret_value()


class Item:
    """What a channel needs to know of a delivery."""

    delivery_id = UUID(int=7)
