"""MLLP push: an answer belongs to the message whose id it names, order is kept per key, and one recipient slows no other."""

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from uuid import UUID

import pytest
from psycopg import AsyncConnection

from adapters.dialects.render import as_hl7
from adapters.formats.hl7v2 import parse
from adapters.formats.mllp import Decoder, Frame, encode
from adapters.inbound.received import Received
from adapters.inbound.translate import translate
from adapters.outbound.item import control_id
from adapters.outbound.mailbox import make_days, put, read_delivery
from adapters.outbound.mllp_push import (
    Link,
    Target,
    acknowledgement,
)
from adapters.outbound.push import Push, Unanswered
from adapters.outbound.receipts import Teller
from adapters.outbound.targets import channel_to
from adapters.outbound.wakes import Wakes
from hub.contract.events import Keyring, new_id, now
from hub.store.database import async_pool
from tests.adapters.inbound.conftest import oru
from tests.adapters.outbound.serving import serving
from tests.adapters.outbound.test_inbox_api import api, fill, outbox
from tests.made import unique

LIMIT_S = 60


def run(work):
    return asyncio.run(asyncio.wait_for(work, LIMIT_S))


def ack(code, control, terminator=b"\r"):
    return encode(
        b"MSH|^~\\&|LIS|01940|HIE||20260302||ACK|A1|P|2.3.1" + terminator + f"MSA|{code}|{control}".encode() + terminator
    )


class Recipient:
    """A real listener. answers: what to write for each message it gets, given its number and control id; None closes the link."""

    def __init__(self, answers):
        self.answers = answers
        self.got = []
        self.bodies = []
        self.links = 0

    async def serve(self, reader, writer):
        self.links += 1
        decoder = Decoder()
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                for frame in decoder.feed(data):
                    if isinstance(frame, Frame):
                        control = frame.body.replace(b"\n", b"\r").split(b"\r")[0].split(b"|")[9].decode()
                        self.got.append(control)
                        self.bodies.append(frame.body)
                        answer = self.answers(len(self.got), control)
                        if answer is None:
                            writer.close()
                            return
                        writer.write(answer)
        writer.close()


@asynccontextmanager
async def listening(answers, port=0):
    recipient = Recipient(answers)
    async with serving(recipient.serve, port) as taken:
        recipient.target = Target(host="127.0.0.1", port=taken)
        yield recipient


@asynccontextmanager
async def pushing(settings, wire, targets, producer=None):
    """One push a recipient, until left."""
    url = settings.database_url.get_secret_value()
    async with async_pool(url) as pool:
        wakes = Wakes(url)
        teller = Teller(pool, wire, producer)
        work = [
            wakes.run(),
            *(
                Push(settings, box, channel_to(target, box, wire, settings), wakes, teller).run()
                for box, target in targets.items()
            ),
        ]
        tasks = [asyncio.create_task(one) for one in work]
        try:
            yield
        finally:
            for task in tasks:
                assert not task.done(), task.result()
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def until(what):
    while not what():  # noqa: ASYNC110  # what is waited for lies in the database
        await asyncio.sleep(0.02)


def ids(sent):
    return [one["meta"]["event_id"] for one in sent]


def controls(sent):
    return [control_id(UUID(one)) for one in ids(sent)]


# --- pure -------------------------------------------------------------------------------------------------------------


def test_the_control_id_is_of_the_delivery_and_fits_msh_10():
    made = {control_id(UUID(new_id("x", str(number)))) for number in range(2000)}
    assert len(made) == 2000
    assert {len(one) for one in made} == {20}
    assert all(one.isalnum() for one in made)
    assert control_id(UUID(int=7)) == control_id(UUID(int=7))


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"MSH|^~\\&|A\rMSA|AA|ID1\r", ("AA", "ID1")),
        (b"MSH|^~\\&|A\nMSA|ae|ID1|text\n", ("AE", "ID1")),
        (b"MSH#*~\\&#A\r\nMSA#CA#ID1*x#\r\n", ("CA", "ID1")),
        (b"MSH|^~\\&|A\rMSA|AA\r", ("AA", "")),
        (b"MSH|^~\\&|A\rERR|x\r", ("", "")),
        (b"MSA|AA|ID1", ("", "")),
        (b"", ("", "")),
        ("MSH|^~\\&|Ệ\rMSA|AR|ID1|Lỗi".encode("utf-16"), ("", "")),
    ],
)
def test_an_acknowledgement_says_what_and_to_which(body, found):
    assert acknowledgement(body) == found


# --- the link ---------------------------------------------------------------------------------------------------------


def test_only_its_own_answer_counts_however_it_comes():
    """Answers to others, junk and a cut in the middle of the frame come first."""

    async def ask():
        async with listening(lambda _n, control: ack("AE", "ANOTHER") + b"junk" + ack("AA", control, b"\n")) as recipient:
            link = Link(recipient.target, LIMIT_S)
            answers = [await link.ask(b"MSH|^~\\&|HIE||||1||REF^I12|%s|P|2.5.1\r" % one, one.decode()) for one in (b"M1", b"M2")]
            await link.close()
            return answers, recipient.links

    assert run(ask()) == (["AA", "AA"], 1)


@pytest.mark.parametrize("end", [b"1\x1c\r", b"1\r\x1c"])
def test_an_answer_that_lacks_a_carriage_return_is_an_answer(end):
    async def ask():
        async with listening(lambda *_: ack("AA", "M1")[:-4] + end) as recipient:
            link = Link(recipient.target, LIMIT_S)
            answer = await link.ask(b"MSH|^~\\&|HIE||||1||REF^I12|M1|P|2.5.1\r", "M1")
            await link.close()
            return answer

    assert run(ask()) == "AA"


def test_a_late_answer_is_never_anothers():
    """The first message is answered only when the second comes: the link it went over is closed by then."""

    async def ask():
        late = {}

        def answers(number, control):
            late[number] = control
            return b"" if number == 1 else ack("AR", late[1]) + ack("AA", control)

        async with listening(answers) as recipient:
            link = Link(recipient.target, 0.3)
            with pytest.raises(Unanswered) as raised:
                await link.ask(b"MSH|^~\\&|HIE||||1||REF^I12|M1|P|2.5.1\r", "M1")
            second = await link.ask(b"MSH|^~\\&|HIE||||1||REF^I12|M2|P|2.5.1\r", "M2")
            await link.close()
            return raised.value, second, recipient.links

    silent, second, links = run(ask())
    assert silent.place == "answer"
    assert (second, links) == ("AA", 2)


def test_a_recipient_that_is_not_there_is_told_apart_from_a_silent_one():
    async def ask():
        async with listening(lambda *_: b"") as recipient:
            target = recipient.target
        with pytest.raises(Unanswered) as raised:
            await Link(target, LIMIT_S).ask(b"MSH|^~\\&|HIE||||1||REF^I12|M1|P|2.5.1\r", "M1")
        return raised.value.place

    assert run(ask()) == "connect"


# --- whole ------------------------------------------------------------------------------------------------------------


def test_deliveries_go_in_order_and_the_answer_is_the_receipt(database, own_settings, wire):
    async def push():
        box = unique("P")
        codes = ["AA", "CA", "AE", "AR"]
        before = await fill(own_settings, wire, box, 2)
        async with listening(lambda number, control: ack(codes[number - 1], control)) as recipient:
            async with pushing(own_settings, wire, {box: recipient.target}):
                await until(lambda: len(outbox(database, box)) == 2)
                sent = before + await fill(own_settings, wire, box, 2)
                await until(lambda: len(outbox(database, box)) == 4)
            return box, sent, recipient.got

    box, sent, got = run(push())
    assert got == controls(sent)
    states = [("ACKNOWLEDGED", ""), ("ACKNOWLEDGED", ""), ("REFUSED", "RECIPIENT_REFUSED"), ("REFUSED", "RECIPIENT_REFUSED")]
    assert outbox(database, box) == [(one, *state, "mllp") for one, state in zip(ids(sent), states, strict=True)]


def test_an_application_answer_is_pushed_as_an_ack_and_shown_as_json_until_its_commit_answer(database, own_settings, wire):
    def answer_to(control, box):
        raw = oru(control).replace(b"|P|2.5.1", b"|P|2.5.1|||AL|AL")
        sent, body = translate(Received(raw, now(), "mllp"), Keyring(b"a secret of tests only")).deferred
        return sent | {"recipient": box, "body": wire.pack("message-received.v1", body)}

    async def push():
        box, bodies = unique("P"), []
        letters = [read_delivery(wire, wire.pack("delivery.v1", answer_to(f"E{n}", box)))[0] for n in (1, 2)]
        assert len({letter.subject_key for letter in letters}) == 2, "one that is never answered holds up no other"
        async with await AsyncConnection.connect(own_settings.database_url.get_secret_value()) as connection:
            await make_days(connection, now().date() - timedelta(days=1), 3)
            async with connection.transaction():
                await put(connection, letters, now())
        async with api(own_settings, wire) as served:
            shown = (await served.client.get(f"/v1/inbox/{box}")).json()["deliveries"]
        async with listening(lambda _n, control: ack("CA", control)) as recipient:
            recipient.bodies = bodies
            async with pushing(own_settings, wire, {box: recipient.target}):
                await until(lambda: len([row for row in outbox(database, box) if row[1] == "ACKNOWLEDGED"]) == 2)
        return shown, [parse(body.decode()) for body in bodies]

    shown, pushed = run(push())
    assert [(row["record"], row["body"]["ack"], row["body"]["control_id"]) for row in shown] == [
        ("hie.MessageReceived", "AA", "E1"),
        ("hie.MessageReceived", "AA", "E2"),
    ]
    assert [(one.type, one.get("MSA", 1), one.get("MSA", 2), one.header.get(15)) for one in pushed] == [
        ("ACK", "AA", "E1", "AL"),
        ("ACK", "AA", "E2", "AL"),
    ]


def test_a_silent_message_is_tried_again_others_go_on_and_its_key_waits(database, own_settings, wire):
    """Two of one key and one of another; the recipient closes the link on the first message, twice."""

    async def push():
        box = unique("P")
        slip = unique("S")
        sent = [
            *await fill(own_settings, wire, box, 1, slip=slip),
            *await fill(own_settings, wire, box, 1, slip=slip, name="TRẦN VĂN AN"),
        ]
        sent += await fill(own_settings, wire, box, 1)
        head = controls(sent)[0]
        async with listening(
            lambda _n, control: None if control == head and recipient.got.count(head) < 3 else ack("AA", control)
        ) as recipient:
            async with pushing(own_settings, wire, {box: recipient.target}):
                await until(lambda: len(outbox(database, box)) == 3)
            tries = database.execute("select tries from mailbox where recipient = %s order by seq", (box,)).fetchall()
            return controls(sent), recipient.got, tries

    (first, second, third), got, tries = run(push())
    assert got == [first, third, first, first, second]
    assert tries == [(2,), (0,), (0,)]


def test_more_than_a_window_that_wait_for_their_next_try_hide_nothing_new(database, own_settings, wire, monkeypatch):
    monkeypatch.setattr("adapters.outbound.push._WINDOW", 2)

    async def push():
        box = unique("P")
        sent = await fill(own_settings, wire, box, 5)
        in_vain = "update mailbox set tries = 9, next_try_at = now() + interval '1 hour' where recipient = %s and seq <= 4"
        database.execute(in_vain, (box,))
        async with listening(lambda _n, control: ack("AA", control)) as recipient:
            async with pushing(own_settings, wire, {box: recipient.target}):
                await until(lambda: len(outbox(database, box)) == 1)
                database.execute("update recipient set paused_at = now() where code = %s", (box,))  # both come in one look
                database.execute("update mailbox set next_try_at = now() where recipient = %s and seq = 3", (box,))
                await fill(own_settings, wire, box, 1)
                database.execute("update recipient set paused_at = null where code = %s", (box,))
                await until(lambda: len(outbox(database, box)) == 3)
            return controls(sent), recipient.got

    sent, got = run(push())
    assert (got[0], got[2], len(got)) == (sent[4], sent[2], 3)  # the new one before the one to try again


def test_what_is_new_ends_a_long_pause(database, own_settings, wire, monkeypatch):
    for module in ("retry", "push"):
        monkeypatch.setattr(f"adapters.outbound.{module}.backoff_s", lambda *_: 3600.0)

    async def push():
        box = unique("P")
        await fill(own_settings, wire, box, 1)
        async with listening(lambda number, control: ack("AA", control) if number > 1 else None) as recipient:
            async with pushing(own_settings, wire, {box: recipient.target}):
                await until(lambda: recipient.got)
                new = await fill(own_settings, wire, box, 1)
                await until(lambda: outbox(database, box))
            return controls(new), recipient.got[1:]

    new, got = run(push())
    assert got == new


def wrong_id(_number, _control):
    return ack("AA", "ANOTHER")


def garbage(_number, _control):
    return b"\x0bnothing of HL7\x1c\r" + b"\xff\x0b" * 50


def late(_number, control, known={}):  # noqa: B006  # what came before
    """Nothing in time; with the next message the refusal of the one before."""
    before = known.get("before")
    known["before"] = control
    return ack("AR", before) + ack("AA", control) if before and before != control else b""


def slow(_number, _control):
    return b""


def gone(_number, _control):
    return None


@pytest.mark.parametrize("fault", [wrong_id, garbage, late, slow, gone])
def test_whatever_the_recipient_does_nothing_is_lost_or_twice_and_keys_keep_their_order(database, own_settings, wire, fault):
    """It fails four times, among two keys of two deliveries each; then it answers as it should."""
    settings = own_settings.model_copy(update={"push_timeout_s": 0.4})

    async def push():
        box, slips = unique("P"), [unique("S"), unique("S")]
        sent = []
        for name in ("NGUYỄN THỊ SEN", "TRẦN VĂN AN"):
            for slip in slips:
                sent += await fill(settings, wire, box, 1, slip=slip, name=name)

        def answers(number, control):
            return fault(number, control) if number <= 4 else ack("AA", control)

        async with listening(answers) as recipient, pushing(settings, wire, {box: recipient.target}):
            await until(lambda: len(outbox(database, box)) == 4)
        return box, sent, recipient.got

    box, sent, got = run(push())
    assert sorted(outbox(database, box)) == sorted((one, "ACKNOWLEDGED", "", "mllp") for one in ids(sent))
    first_of_one, first_of_other, second_of_one, second_of_other = controls(sent)
    last = {control: number for number, control in enumerate(got)}
    assert last[first_of_one] < got.index(second_of_one)
    assert last[first_of_other] < got.index(second_of_other)
    left = database.execute("select count(*) from mailbox where recipient = %s and state <> 'ACKNOWLEDGED'", (box,)).fetchone()
    assert left == (0,)


def test_one_recipient_that_hangs_slows_no_other(database, own_settings, wire):
    async def push():
        slow, fast = unique("P"), unique("Q")
        await fill(own_settings, wire, slow, 3)
        sent = await fill(own_settings, wire, fast, 30)
        async with listening(lambda *_: b"") as hanging, listening(lambda _n, control: ack("AA", control)) as recipient:
            async with pushing(own_settings, wire, {slow: hanging.target, fast: recipient.target}):
                await until(lambda: len(outbox(database, fast)) == 30)
            return slow, controls(sent), recipient.got

    slow, wanted, got = run(push())
    assert got == wanted
    assert outbox(database, slow) == []


def test_a_recipient_that_comes_late_gets_everything(database, own_settings, wire):
    async def push():
        box = unique("P")
        sent = await fill(own_settings, wire, box, 3)
        async with listening(lambda *_: b"") as recipient:
            target = recipient.target
        async with pushing(own_settings, wire, {box: target}):
            await asyncio.sleep(0.3)
            async with listening(lambda _n, control: ack("AA", control), target.port) as recipient:
                await until(lambda: len(outbox(database, box)) == 3)
        return controls(sent), recipient.got

    wanted, got = run(push())
    assert got == wanted


def test_two_processes_push_one_mailbox_once(database, own_settings, wire):
    async def push():
        box = unique("P")
        async with listening(lambda _n, control: ack("AA", control)) as recipient:
            targets = {box: recipient.target}
            async with pushing(own_settings, wire, targets), pushing(own_settings, wire, targets):
                sent = await fill(own_settings, wire, box, 10)
                await until(lambda: len(outbox(database, box)) == 10)
            return controls(sent), recipient.got

    wanted, got = run(push())
    assert got == wanted


def test_what_cannot_be_written_is_held_and_the_rest_goes_on(database, own_settings, wire):
    async def push():
        box = unique("P")
        await fill(own_settings, wire, box, 2)
        database.execute("update mailbox set body = '\\x0000' where recipient = %s and seq = 1", (box,))
        async with (
            listening(lambda _n, control: ack("AA", control)) as recipient,
            pushing(own_settings, wire, {box: recipient.target}),
        ):
            await until(lambda: len(outbox(database, box)) == 2)
        return box

    box = run(push())
    assert [(row[1], row[2]) for row in outbox(database, box)] == [("HELD", "BODY_UNDECODABLE"), ("ACKNOWLEDGED", "")]


def test_what_a_fault_of_ours_keeps_from_being_written_is_held_and_the_rest_goes_on(database, own_settings, wire, monkeypatch):
    made = []

    def faulty(record, event, *arguments, **more):
        made.append(event["meta"]["event_id"])
        if event["meta"]["event_id"] == made[0]:
            raise KeyError(event["person"]["ho_ten"])
        return as_hl7(record, event, *arguments, **more)

    async def push():
        box = unique("P")
        await fill(own_settings, wire, box, 2)
        async with (
            listening(lambda _n, control: ack("AA", control)) as recipient,
            pushing(own_settings, wire, {box: recipient.target}),
        ):
            await until(lambda: len(outbox(database, box)) == 2)
        return box

    monkeypatch.setattr("adapters.outbound.mllp_push.as_hl7", faulty)
    box = run(push())
    assert [(row[1], row[2]) for row in outbox(database, box)] == [("HELD", "TRANSLATION_FAILED"), ("ACKNOWLEDGED", "")]


def test_what_was_read_over_the_api_is_still_pushed_until_the_recipients_word(database, own_settings, wire):
    async def push():
        box = unique("P")
        await fill(own_settings, wire, box, 1)
        database.execute("update mailbox set state = 'SENT', changed_at = %s where recipient = %s", (now(), box))
        async with (
            listening(lambda _n, control: ack("AA", control)) as recipient,
            pushing(own_settings, wire, {box: recipient.target}),
        ):
            await until(lambda: len(outbox(database, box)) == 1)
        return box

    box = run(push())
    assert outbox(database, box)[0][1] == "ACKNOWLEDGED"
