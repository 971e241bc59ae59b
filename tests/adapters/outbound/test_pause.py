"""A recipient that is paused gets nothing, loses nothing, and goes on where it stopped."""

import asyncio

from adapters.outbound.pause import pause, paused, resume
from hub.bus import Producer, Wire, consumer, take
from tests.adapters.outbound.test_inbox_api import api, fill, outbox, run
from tests.adapters.outbound.test_mllp_push import ack, controls, ids, listening, pushing, until
from tests.made import unique

WHY = "wrong system connected"


class Held:
    """Brokers that take an audit event."""

    def __init__(self):
        self.records = []

    def publish_blocking(self, records):
        self.records += records


def test_reading_answers_503_and_goes_on_behind_the_cursor_and_receipts_are_taken(database, own_settings, wire: Wire):
    async def story():
        box = unique("Z")
        sent = ids(await fill(own_settings, wire, box, 2))
        async with api(own_settings, wire) as served:
            page = f"/v1/inbox/{box}"
            await served.client.get(page, params={"limit": 1})
            waiting = asyncio.create_task(served.client.get(page, params={"after": 2, "wait": 20}))
            await until(lambda: served.wakes._waiting)
            changed = pause(database, Held(), wire, box, "an operator", WHY)
            answers = [await waiting, await served.client.get(page), await served.client.get(f"{page}/{sent[1]}")]
            word = [{"delivery_id": sent[0], "state": "ACKNOWLEDGED"}]
            taken = await served.client.post(f"{page}/receipts", json=word)
            shown = [(row["code"], row["paused_by"], row["paused_reason"], row["waiting"]) for row in paused(database)]
            resumed = resume(database, Held(), wire, box, "an operator", "mended")
            rest = (await served.client.get(page, params={"after": 1})).json()["deliveries"]
        return box, sent, changed, answers, taken, shown, resumed, rest

    box, sent, changed, answers, taken, shown, resumed, rest = run(story())
    assert changed and resumed
    assert [(one.status_code, one.json()["code"]) for one in answers] == [(503, "RECIPIENT_PAUSED")] * 3
    assert answers[0].headers["Retry-After"]
    assert taken.json() == [{"delivery_id": sent[0], "state": "ACKNOWLEDGED"}]
    assert shown == [(box, "an operator", WHY, 1)]
    assert [one["delivery_id"] for one in rest] == sent[1:]


def test_push_stops_before_the_next_delivery_and_a_new_process_keeps_to_it(database, own_settings, wire: Wire):
    async def story():
        box = unique("Z")
        sent = controls(await fill(own_settings, wire, box, 3))

        def answers(number, control):
            if number == 1:
                pause(database, Held(), wire, box, "an operator", WHY)
            return ack("AA", control)

        async with listening(answers) as recipient:
            async with pushing(own_settings, wire, {box: recipient.target}):
                await until(lambda: outbox(database, box))
                await asyncio.sleep(0.3)
            async with pushing(own_settings, wire, {box: recipient.target}):
                await asyncio.sleep(0.3)
                before = list(recipient.got)
                resume(database, Held(), wire, box, "an operator", "mended")
                await until(lambda: len(outbox(database, box)) == 3)
            return sent, before, recipient.got

    sent, before, got = run(story())
    assert before == sent[:1]
    assert got == sent


def test_who_paused_what_and_why_is_in_the_audit_topic(database, own_settings, wire: Wire):
    box, by = unique("Z"), unique("operator")
    producer = Producer(own_settings.kafka, wait_s=30)
    assert pause(database, producer, wire, box, by, WHY)
    assert not pause(database, producer, wire, box, by, "again")
    assert resume(database, producer, wire, box, by, "mended")
    producer.close()
    reader = consumer(own_settings.kafka, unique("test-audit-"), ["audit.v1"])
    found = {}
    while len(found) < 3:
        events = [wire.unpack(message.value())[1] for message in take(reader, 1000, 0.5)]
        found |= {one["id"]: one for one in events if one["by"] == by}
    reader.close()
    told = [
        (one["action"], one["target"], one["reason"], one["outcome"]) for one in sorted(found.values(), key=lambda e: e["at"])
    ]
    assert told == [
        ("recipient-pause", box, WHY, "done"),
        ("recipient-pause", box, "again", "refused"),
        ("recipient-resume", box, "mended", "done"),
    ]
