"""Who waits for nothing is listed, too, with the last word that was heard of it."""

from types import SimpleNamespace

from pydantic import SecretStr

from hub.console.pages.recipients import look
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
