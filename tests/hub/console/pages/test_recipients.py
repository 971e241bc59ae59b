"""Who waits for nothing is listed, too, with the last word that was heard of it; a change is foreseen for whoever it is, and for nobody else."""

from threading import Event as Stop
from types import SimpleNamespace

from pydantic import SecretStr

from hub.console.pages.recipients import look, work
from hub.contract.events import now
from hub.store.database import connect
from tests.own_database import own_database

_ANSWERED = """
insert into journal_delivery (delivery_id, subject_event_id, recipient, rule, record, lane, test, recorded_at, state, state_at)
values (gen_random_uuid(), gen_random_uuid(), '01021', 'referral-to-receiver', 'hie.Referral', 'routine', false, %(at)s, %(state)s, %(at)s)
"""


def test_a_recipient_that_answered_everything_shows_when(settings):
    at = now()
    with own_database(settings.database_url.get_secret_value()) as url:
        with connect(url, autocommit=True) as database:
            database.execute("insert into recipient (code) values ('01021'), ('01004')")
            database.execute(_ANSWERED, {"at": at, "state": "ACKNOWLEDGED"})
        rows = {
            row["code"]: row
            for row in look(SimpleNamespace(settings=settings.model_copy(update={"database_url": SecretStr(url)})))
        }
    assert rows["01021"]["heard"] == at
    assert (rows["01021"]["waiting"], rows["01004"]["heard"]) == (0, None)


def test_what_is_paused_is_foreseen_of_any_mailbox_and_of_no_mistyped_one(settings):
    person = SimpleNamespace(name="lan", language="en")
    with own_database(settings.database_url.get_secret_value()) as url:
        console = SimpleNamespace(settings=settings.model_copy(update={"database_url": SecretStr(url)}))
        at = now()
        with connect(url, autocommit=True) as database:
            for number in range(201):  # more than the list has
                database.execute("insert into recipient (code, paused_at) values (%s, %s)", (f"X{number:03}", at))
            database.execute(_ANSWERED, {"at": at, "state": "ACKNOWLEDGED"})
            for _ in range(3):
                database.execute(_ANSWERED, {"at": at, "state": "QUEUED"})
            for _ in range(201):  # and more waits than is looked through for the last word
                database.execute(_ANSWERED.replace("'01021'", "'X000'"), {"at": now(), "state": "QUEUED"})
            database.execute(_ANSWERED.replace("'01021'", "'X000'"), {"at": at, "state": "REFUSED"})
        pause, said = work(console, person, "pause"), []
        for code in ("01021", "X200", "01004", "O1021"):
            told = pause((code, False), False, "moved", Stop(), said.append)
        assert [row["heard"] for row in look(console) if row["code"] == "X000"] == [at]
    assert said == [
        "01021: 3 deliveries wait; it gets its deliveries.",
        "X200: 0 deliveries wait; it is paused.",
        "01004: 0 deliveries wait; it gets its deliveries.",
    ]
    assert told.startswith("The hub knows no facility")
