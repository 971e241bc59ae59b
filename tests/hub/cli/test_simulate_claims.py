"""Claims for a payer's topic: as many as asked, the same whoever makes them."""

from typer.testing import CliRunner

from hub.cli.main import app
from hub.cli.simulate_claims import BATCH, batches
from hub.contract.events import Keyring, decode
from hub.insurer.catalogues import COLUMNS, read_catalogues

RING = Keyring(b"the secret of a hub")


def test_claims_are_as_many_as_asked_and_each_is_another_one():
    made = [one for batch in batches(BATCH + 10, 1, 0.0, RING, test=True, workers=1) for one in batch]
    assert len(made) == BATCH + 10
    events = [decode("hie.Claim", body) for _, body in made]
    assert len({event["meta"]["event_id"] for event in events}) == len(events)
    assert all(event["meta"]["key"] == key for event, (key, _) in zip(events, made, strict=True))
    assert all(
        key == RING.key(event["ma_cskcb"], event["ma_lk"], test=True) for event, (key, _) in zip(events, made, strict=True)
    )
    assert all(event["meta"]["test"] for event in events)


def test_claims_are_the_same_whoever_makes_them():
    alone, together = (list(batches(BATCH + 20, 2, 0.1, RING, test=False, workers=workers)) for workers in (1, 2))
    assert alone == together
    assert not decode("hie.Claim", alone[0][0][1])["meta"]["test"]


def test_an_example_of_catalogues_is_a_folder_that_the_insurer_reads(tmp_path):
    done = CliRunner().invoke(app, ["simulate", "catalogues", str(tmp_path / "new"), "--seed", "2"], catch_exceptions=False)
    assert done.exit_code == 0
    assert set(read_catalogues(tmp_path / "new")) == set(COLUMNS)


def test_claims_of_another_month_are_others():
    november, october = (
        [key for key, _ in next(batches(20, 1, 0.0, RING, test=True, workers=1, month=month))] for month in (11, 10)
    )
    assert not set(november) & set(october)
