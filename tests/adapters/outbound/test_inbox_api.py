"""The inbox API: a recipient reads what is its own, in order, from a cursor, and says what became of it."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace
from uuid import UUID

import httpx
import pytest
from psycopg import AsyncConnection

from adapters.dialects.render import as_json
from adapters.outbound.inbox_api import Inbox, build_api
from adapters.outbound.inbox_document import Fault, Item, Page, Said
from adapters.outbound.item import control_id
from adapters.outbound.mailbox import make_days, put, read_delivery
from adapters.outbound.receipts import Teller
from adapters.outbound.wakes import Wakes
from hub.access.credentials import Credentials, make_token
from hub.contract.events import new_id, now
from hub.store.database import async_pool
from tests.made import delivery, received, referral, unique

LIMIT_S = 30


@asynccontextmanager
async def api(settings, wire, credentials=None, address="127.0.0.1"):
    """The application over the tables, with its listener for wake-ups; receipts stay in the outbox."""
    url = settings.database_url.get_secret_value()
    async with async_pool(url) as pool:
        wakes = Wakes(url)
        inbox = Inbox(settings, pool, wire, wakes, Teller(pool, wire, None))

        async def ready():
            return True

        app = build_api(inbox, Credentials.open(credentials), ready)
        listening = asyncio.create_task(wakes.run())
        transport = httpx.ASGITransport(app, client=(address, 40000))
        async with httpx.AsyncClient(transport=transport, base_url="http://inbox", timeout=LIMIT_S) as client:
            yield SimpleNamespace(client=client, inbox=inbox, wakes=wakes, app=app)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def fill(settings, wire, box, count, *, test=False, **more):
    """So many referrals into a mailbox; returns the deliveries."""
    sent = [delivery(wire, "hie.Referral", referral(received(test=test), **more), box) for _ in range(count)]
    letters = [read_delivery(wire, wire.pack("delivery.v1", one))[0] for one in sent]
    async with await AsyncConnection.connect(settings.database_url.get_secret_value()) as connection:
        await make_days(connection, now().date() - timedelta(days=1), 3)
        async with connection.transaction():
            await put(connection, letters, now())
    return sent


def outbox(database, box):
    return database.execute(
        "select delivery_id::text, state, code, channel from receipt_outbox where recipient = %s and state <> 'QUEUED' order by id",
        (box,),
    ).fetchall()


async def waited_for(served):
    """Until somebody waits for a mailbox."""
    while not served.wakes._waiting:  # noqa: ASYNC110  # a waiter tells nobody
        await asyncio.sleep(0.01)


def run(work):
    return asyncio.run(asyncio.wait_for(work, LIMIT_S * 2))


# --- reading ----------------------------------------------------------------------------------------------------------


def test_pages_follow_the_cursor_and_reading_again_gives_the_same(database, own_settings, wire):
    async def read():
        box = unique("A")
        sent = await fill(own_settings, wire, box, 7)
        async with api(own_settings, wire) as served:
            pages, cursor = [], 0
            while True:
                page = (await served.client.get(f"/v1/inbox/{box}", params={"after": cursor, "limit": 3})).json()
                if not page["deliveries"]:
                    break
                pages.append(page["deliveries"])
                cursor = page["cursor"]
            again = (await served.client.get(f"/v1/inbox/{box}", params={"after": 3, "limit": 3})).json()["deliveries"]
        return sent, pages, cursor, again

    sent, pages, cursor, again = run(read())
    assert [len(page) for page in pages] == [3, 3, 1]
    assert cursor == 7
    rows = [row for page in pages for row in page]
    assert [row["delivery_id"] for row in rows] == [one["meta"]["event_id"] for one in sent]
    assert [row["cursor"] for row in rows] == list(range(1, 8))
    assert {row["state"] for row in rows} == {"SENT"}
    assert again == pages[1]
    first = rows[0]
    assert (first["record"], first["rule"], first["lane"]) == ("hie.Referral", "referral-to-receiver", "routine")
    assert first["body"]["person"]["ho_ten"] == "NGUYỄN THỊ SEN"
    assert first["event_id"] == first["body"]["meta"]["event_id"]


def test_a_clock_that_was_put_back_hides_nothing_from_a_cursor(database, own_settings, wire):
    """The days of partitions only narrow the search: a later number with an earlier day is found all the same."""

    async def read():
        box = unique("A")
        await fill(own_settings, wire, box, 3)
        async with api(own_settings, wire) as served:
            await served.client.get(f"/v1/inbox/{box}")
            sent = await fill(own_settings, wire, box, 2)
            earlier = (now() - timedelta(days=4)).date()
            async with await AsyncConnection.connect(own_settings.database_url.get_secret_value()) as connection:
                await make_days(connection, earlier)
            database.execute("update mailbox set day = %s where recipient = %s and seq = 4", (earlier, box))
            rows = (await served.client.get(f"/v1/inbox/{box}", params={"after": 3})).json()["deliveries"]
        return [one["meta"]["event_id"] for one in sent], [one["delivery_id"] for one in rows]

    sent, got = run(read())
    assert got == sent


def test_the_first_reading_hands_over_once(database, own_settings, wire):
    async def read():
        box = unique("A")
        sent = await fill(own_settings, wire, box, 2)
        async with api(own_settings, wire) as served:
            for _ in range(3):
                await served.client.get(f"/v1/inbox/{box}")
        return box, sent

    box, sent = run(read())
    assert outbox(database, box) == [(one["meta"]["event_id"], "SENT", "", "pull") for one in sent]


@pytest.mark.parametrize(("facility", "version"), [("01021", "2.5.1"), ("01004", "2.5.1"), ("01940", "2.3.1")])
def test_hl7_is_in_the_recipients_dialect_with_an_id_of_the_delivery(database, own_settings, wire, facility, version):
    async def read():
        [sent] = await fill(own_settings, wire, facility, 1)
        async with api(own_settings, wire) as served:
            page = (await served.client.get(f"/v1/inbox/{facility}", params={"format": "hl7"})).json()
        return sent, page["deliveries"][0]["body"]

    sent, body = run(read())
    fields = body.replace("\n", "\r").split("\r")[0].split("|")
    assert fields[8].startswith("REF^I12")
    assert fields[9] == control_id(UUID(sent["meta"]["event_id"]))
    assert fields[11].startswith(version)
    assert "SEN" in body


def test_xml_is_the_insurance_table_where_there_is_one(database, own_settings, wire):
    async def read():
        box = unique("A")
        event = referral(received()) | {"xml13": {"ma_lk": "01731.7"}}
        sent = [delivery(wire, "hie.Referral", one, box) for one in (event, referral(received()))]
        letters = [read_delivery(wire, wire.pack("delivery.v1", one))[0] for one in sent]
        async with await AsyncConnection.connect(own_settings.database_url.get_secret_value()) as connection:
            await make_days(connection, now().date() - timedelta(days=1), 3)
            async with connection.transaction():
                await put(connection, letters, now())
        async with api(own_settings, wire) as served:
            return (await served.client.get(f"/v1/inbox/{box}", params={"format": "xml"})).json()["deliveries"]

    with_table, without = run(read())
    assert "<LOAIHOSO>XML13</LOAIHOSO>" in with_table["body"]
    assert (without["body"], without["problem"]["code"]) == (None, "TYPE_UNSUPPORTED")


def test_the_document_says_what_is_answered(database, own_settings, wire):
    """Every call of /v1 is in it, with its parameters; real answers are what the models say."""

    async def read():
        box = unique("A")
        await fill(own_settings, wire, box, 2)
        database.execute("update mailbox set body = '\\x0000' where recipient = %s and seq = 2", (box,))
        async with api(own_settings, wire) as served:
            page = await served.client.get(f"/v1/inbox/{box}")
            one = page.json()["deliveries"][0]["delivery_id"]
            single = await served.client.get(f"/v1/inbox/{box}/{one}", params={"format": "hl7"})
            word = [{"delivery_id": one, "state": "ACKNOWLEDGED"}]
            said = await served.client.post(f"/v1/inbox/{box}/receipts", json=word)
            faults = [await served.client.get(path) for path in (f"/v1/inbox/{box}?after=x", f"/v1/inbox/{box}/{new_id('x')}")]
            return page, single, said, faults, (await served.client.get("/openapi.json")).json(), served.app

    page, single, said, faults, document, app = run(read())
    assert [one.problem is None for one in Page.model_validate_json(page.content).deliveries] == [True, False]
    Item.model_validate_json(single.content)
    [Said.model_validate(one) for one in said.json()]
    calls = {
        (route.path, method.lower()): route for route in app.routes if route.path.startswith("/v1/") for method in route.methods
    }
    told = {(path, method): call for path, calls in document["paths"].items() for method, call in calls.items()}
    assert set(told) == set(calls)
    for fault in faults:
        Fault.model_validate_json(fault.content)
    assert [
        str(fault.status_code) in told[path, "get"]["responses"]
        for fault, path in zip(faults, sorted(path for path, method in told if method == "get"), strict=True)
    ] == [True, True]
    assert all("422" not in call["responses"] and "503" in call["responses"] for call in told.values())
    names = {parameter["name"] for parameter in told["/v1/inbox/{facility}", "get"]["parameters"]}
    assert names == {"facility", "after", "limit", "wait", "format", "test"}


def test_one_delivery_by_its_id(database, own_settings, wire):
    async def read():
        box = unique("A")
        [sent] = await fill(own_settings, wire, box, 1)
        identity = sent["meta"]["event_id"]
        async with api(own_settings, wire) as served:
            own = await served.client.get(f"/v1/inbox/{box}/{identity}")
            others = await served.client.get(f"/v1/inbox/{unique('B')}/{identity}")
        return identity, own, others

    identity, own, others = run(read())
    assert (own.json()["delivery_id"], own.json()["state"]) == (identity, "SENT")
    assert (others.status_code, others.json()["code"]) == (404, "NOT_FOUND")


def test_a_long_poll_answers_as_soon_as_something_comes(database, own_settings, wire):
    """The page is asked for first and the delivery comes later, from another connection, as from another process."""

    async def read():
        box = unique("A")
        async with api(own_settings, wire) as served:
            asked = asyncio.create_task(served.client.get(f"/v1/inbox/{box}", params={"wait": LIMIT_S}))
            await waited_for(served)
            assert not asked.done()
            sent = await fill(own_settings, wire, box, 1)
            return sent, (await asked).json()["deliveries"]

    sent, rows = run(read())
    assert [row["delivery_id"] for row in rows] == [one["meta"]["event_id"] for one in sent]


def test_who_waits_again_at_the_end_of_a_mailbox_gets_what_comes_and_nothing_is_read_meanwhile(
    database, own_settings, wire, monkeypatch
):
    reads = []
    read_page = Inbox._read
    monkeypatch.setattr(Inbox, "_read", lambda inbox, *asked: reads.append(asked) or read_page(inbox, *asked))

    async def read():
        box = unique("A")
        async with api(own_settings, wire) as served:
            await fill(own_settings, wire, box, 2)
            first = (await served.client.get(f"/v1/inbox/{box}", params={"wait": LIMIT_S})).json()
            await served.client.get(f"/v1/inbox/{box}", params={"after": 2, "wait": 0.3})  # a wake-up may have been on its way
            before = len(reads)
            asked = asyncio.create_task(served.client.get(f"/v1/inbox/{box}", params={"after": 2, "wait": LIMIT_S}))
            await waited_for(served)
            quiet = len(reads) - before
            sent = await fill(own_settings, wire, box, 1)
            return first, quiet, sent, (await asked).json()["deliveries"]

    first, quiet, sent, rows = run(read())
    assert (first["cursor"], quiet) == (2, 0)
    assert [row["delivery_id"] for row in rows] == [one["meta"]["event_id"] for one in sent]


def test_a_long_poll_without_anything_ends_empty_and_one_at_the_end_of_the_service_at_once(database, own_settings, wire):
    async def read():
        box = unique("A")
        async with api(own_settings, wire) as served:
            empty = (await served.client.get(f"/v1/inbox/{box}", params={"wait": 0.2, "after": 5})).json()
            asked = asyncio.create_task(served.client.get(f"/v1/inbox/{box}", params={"wait": LIMIT_S}))
            await waited_for(served)
            served.inbox.stop()
            return empty, await asyncio.wait_for(asked, LIMIT_S / 2)

    empty, ended = run(read())
    assert (empty["deliveries"], empty["cursor"]) == ([], 5)
    assert ended.json()["deliveries"] == []


def test_test_traffic_is_read_apart(database, own_settings, wire):
    async def read():
        box = unique("A")
        real, tested = await fill(own_settings, wire, box, 1), await fill(own_settings, wire, box, 2, test=True)
        async with api(own_settings, wire) as served:
            pages = [(await served.client.get(f"/v1/inbox/{box}", params={"test": test})).json() for test in ("false", "true")]
        return real, tested, pages

    real, tested, (real_page, test_page) = run(read())
    assert [row["delivery_id"] for row in real_page["deliveries"]] == [one["meta"]["event_id"] for one in real]
    assert [row["delivery_id"] for row in test_page["deliveries"]] == [one["meta"]["event_id"] for one in tested]
    assert [row["cursor"] for row in test_page["deliveries"]] == [1, 2]


def test_a_body_that_cannot_be_shown_is_told_and_holds_up_nothing(database, own_settings, wire):
    async def read():
        box = unique("A")
        sent = await fill(own_settings, wire, box, 2)
        database.execute("update mailbox set body = '\\x0000' where recipient = %s and seq = 1", (box,))
        async with api(own_settings, wire) as served:
            return sent, (await served.client.get(f"/v1/inbox/{box}")).json()["deliveries"]

    sent, (broken, good) = run(read())
    assert (broken["body"], broken["problem"]["code"]) == (None, "BODY_UNDECODABLE")
    assert good["body"]["meta"]["event_id"] == sent[1]["meta"]["causes"][0]


def test_a_body_that_a_fault_of_ours_keeps_from_being_shown_holds_up_nothing(database, own_settings, wire, monkeypatch, capsys):
    def faulty(record, event):
        if event["meta"]["event_id"] == broken_id:
            raise KeyError(event["person"]["ho_ten"])
        return as_json(record, event)

    async def read():
        box = unique("A")
        sent = await fill(own_settings, wire, box, 2)
        return sent, await page(box, sent[0]["meta"]["causes"][0])

    async def page(box, first):
        nonlocal broken_id
        broken_id = first
        async with api(own_settings, wire) as served:
            return (await served.client.get(f"/v1/inbox/{box}")).json()["deliveries"]

    broken_id = ""
    monkeypatch.setattr("adapters.outbound.item.as_json", faulty)
    sent, (broken, good) = run(read())
    assert (broken["body"], broken["problem"]["code"]) == (None, "TRANSLATION_FAILED")
    assert good["body"]["meta"]["event_id"] == sent[1]["meta"]["causes"][0]
    assert "KeyError" in (told := "".join(capsys.readouterr())) and "SEN" not in told


def test_a_page_is_bounded_in_bytes_but_never_empty(database, own_settings, wire):
    async def read():
        box = unique("A")
        await fill(own_settings, wire, box, 4)
        database.execute("update mailbox set body = repeat('x', 9 * 1024 * 1024)::bytea where recipient = %s and seq < 4", (box,))
        async with api(own_settings, wire) as served:
            sizes, cursor = [], 0
            while cursor < 4:
                page = (await served.client.get(f"/v1/inbox/{box}", params={"after": cursor})).json()
                sizes.append(len(page["deliveries"]))
                cursor = page["cursor"]
            return sizes

    assert run(read()) == [2, 2]


# --- the recipient's word ---------------------------------------------------------------------------------------------


def test_the_first_word_stands_and_repeats_change_nothing(database, own_settings, wire):
    async def answer():
        box = unique("A")
        sent = [one["meta"]["event_id"] for one in await fill(own_settings, wire, box, 2)]
        said = [
            {"delivery_id": sent[0], "state": "ACKNOWLEDGED"},
            {"delivery_id": sent[1], "state": "REFUSED", "code": "CODE_UNKNOWN"},
        ]
        async with api(own_settings, wire) as served:
            answers = [(await served.client.post(f"/v1/inbox/{box}/receipts", json=said)).json() for _ in range(2)]
            said[0]["state"] = "REFUSED"
            answers.append((await served.client.post(f"/v1/inbox/{box}/receipts", json=said[:1])).json())
        return box, sent, answers

    box, sent, answers = run(answer())
    states = [{"delivery_id": sent[0], "state": "ACKNOWLEDGED"}, {"delivery_id": sent[1], "state": "REFUSED"}]
    assert answers == [states, states, states[:1]]
    assert outbox(database, box) == [(sent[0], "ACKNOWLEDGED", "", "pull"), (sent[1], "REFUSED", "CODE_UNKNOWN", "pull")]


@pytest.mark.parametrize("position", [0, 1])
def test_a_word_on_anothers_delivery_is_not_found_and_nothing_is_taken(database, own_settings, wire, position):
    async def answer():
        box, other = unique("A"), unique("B")
        own, foreign = await fill(own_settings, wire, box, 1), await fill(own_settings, wire, other, 1)
        said = [{"delivery_id": one["meta"]["event_id"], "state": "ACKNOWLEDGED"} for one in own]
        said.insert(position, {"delivery_id": foreign[0]["meta"]["event_id"], "state": "ACKNOWLEDGED"})
        async with api(own_settings, wire) as served:
            return box, other, await served.client.post(f"/v1/inbox/{box}/receipts", json=said)

    box, other, answer = run(answer())
    assert answer.status_code == 404
    assert (answer.json()["code"], answer.json()["where"]) == ("NOT_FOUND", f"[{position}].delivery_id")
    assert outbox(database, box) == outbox(database, other) == []


# --- who, and how it is said ------------------------------------------------------------------------------------------


def test_a_credential_reads_its_own_facilities_only(database, own_settings, wire, tmp_path):
    token, digest = make_token()
    test_token, test_digest = make_token()
    file = tmp_path / "credentials.toml"
    file.write_text(
        f'[sender.one]\nfacilities = ["01021"]\ntoken_blake2b = "{digest}"\n'
        f'[sender.trial]\nfacilities = ["01021"]\ntoken_blake2b = "{test_digest}"\ntest = true\n'
    )

    async def ask():
        async with api(own_settings, wire, file) as served:
            asked = [
                ("01021", {}, ""),
                ("01021", {}, "wrong"),
                ("01004", {}, token),
                ("01021", {}, token),
                ("01021", {}, test_token),
                ("01021", {"test": "true"}, test_token),
            ]
            return [
                await served.client.get(
                    f"/v1/inbox/{facility}", params=params, headers={"Authorization": f"Bearer {word}"} if word else {}
                )
                for facility, params, word in asked
            ]

    answers = run(ask())
    assert [answer.status_code for answer in answers] == [401, 401, 403, 200, 403, 200]
    assert [answer.json()["code"] for answer in answers[:3]] == ["CREDENTIAL_WRONG", "CREDENTIAL_WRONG", "FACILITY_NOT_ENTITLED"]


def test_without_credentials_only_this_machine_is_let_in(own_settings, wire):
    async def ask():
        async with api(own_settings, wire, address="10.0.0.7") as served:
            return await served.client.get("/v1/inbox/01021")

    assert run(ask()).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "where"),
    [
        ("GET", "/v1/inbox/01021?after=x", None, 400, "query.after"),
        ("GET", "/v1/inbox/01021?after=-1", None, 400, "query.after"),
        ("GET", "/v1/inbox/01021?format=pdf", None, 400, "query.format"),
        ("GET", "/v1/inbox/01021!test", None, 400, "path.facility"),
        ("GET", "/v1/inbox/01021/no-id", None, 400, "path.delivery_id"),
        ("POST", "/v1/inbox/01021/receipts", [{"delivery_id": "x", "state": "ACKNOWLEDGED"}], 400, "body.0.delivery_id"),
        (
            "POST",
            "/v1/inbox/01021/receipts",
            [{"delivery_id": "5f0c6f3e-0000-5000-8000-000000000001", "state": "SENT"}],
            400,
            "body.0.state",
        ),
        ("GET", "/v2/anything", None, 404, "path"),
    ],
)
def test_every_error_says_what_where_and_in_both_languages(own_settings, wire, method, path, content, status, where):
    async def ask():
        async with api(own_settings, wire) as served:
            return await served.client.request(method, path, json=content)

    answer = run(ask())
    assert answer.status_code == status
    assert sorted(answer.json()) == ["code", "text", "text_vi", "where"]
    assert answer.json()["where"] == where


def test_receipts_are_read_of_a_caller_that_is_known_and_only_so_far(own_settings, wire):
    """Nobody fills the memory, known or not."""
    came = []

    async def body(pieces):
        for _ in range(pieces):
            came.append(64 * 1024)
            yield b" " * 64 * 1024

    async def ask(pieces, address):
        async with api(own_settings, wire, address=address) as served:
            answer = await served.client.post("/v1/inbox/01021/receipts", content=body(pieces))
            return answer.status_code, answer.json()["where"]

    assert run(ask(100, "10.0.0.7")) == (401, "Authorization") and not came
    assert run(ask(100, "127.0.0.1")) == (413, "body") and sum(came) < 2 * 1024 * 1024
    assert run(ask(1, "127.0.0.1")) == (400, "body")


def test_a_database_that_is_away_is_a_503_to_try_again(own_settings, wire):
    gone = own_settings.model_copy(
        update={"database_url": type(own_settings.database_url)("postgresql://nobody@127.0.0.1:1/none")}
    )

    async def ask():
        async with async_pool("postgresql://nobody@127.0.0.1:1/none") as pool:
            pool.timeout = 0.5

            async def never():
                return False

            app = build_api(Inbox(gone, pool, wire, Wakes(""), Teller(pool, wire, None)), Credentials.open(None), never)
            transport = httpx.ASGITransport(app, client=("127.0.0.1", 40000))
            async with httpx.AsyncClient(transport=transport, base_url="http://inbox") as client:
                return [await client.get(path) for path in ("/v1/inbox/01021", "/ready", "/health", "/metrics")]

    inbox, ready, health, metrics = run(ask())
    assert (inbox.status_code, inbox.json()["code"]) == (503, "DATABASE_UNAVAILABLE")
    assert inbox.headers["Retry-After"]
    assert (ready.status_code, health.status_code, metrics.status_code) == (503, 200, 200)
    assert b"hie_deliveries_queued" in metrics.content
