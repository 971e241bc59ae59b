"""The doctor as a whole: it answers in time whatever hangs or fails, and exits with 1 only for what must be mended."""

import json
import threading
import time

import pytest
from typer.testing import CliRunner

from hub.cli.main import app
from hub.contract.errors import HubError
from hub.contract.events import now
from hub.contract.settings import read_settings
from hub.keep import doctor
from hub.keep.finding import Examined, Seen, ok


@pytest.fixture
def checks(tmp_path, monkeypatch):
    """Checks of the test's own, on a data folder that no hub runs on."""
    for name in ("KAFKA_BOOTSTRAP", "REGISTRY_URL", "DATABASE_URL"):
        monkeypatch.delenv(f"HIE_{name}", raising=False)
    monkeypatch.setenv("HIE_DATA_DIR", str(tmp_path))
    mine: dict[str, doctor.Check] = {"fine": lambda _hub: ok("all of it")}
    monkeypatch.setattr(doctor, "LOCAL", mine)
    return mine


def run(*words):
    done = CliRunner().invoke(app, ["doctor", *words])
    return done.exit_code, done.stdout


def test_one_that_hangs_holds_up_nobody(checks):
    released = threading.Event()

    def hangs(_hub: Examined) -> Seen:
        released.wait(60)
        return ok("at last")

    checks["hangs"] = hangs
    began = time.monotonic()
    found = {one.id: one for one in doctor.examine(read_settings(), now(), within_s=0.5)}
    released.set()
    assert time.monotonic() - began < 30
    assert (found["hangs"].state, found["fine"].state) == ("bad", "ok")
    assert not doctor.sound(found.values())


def test_one_that_fails_says_so_without_the_words_of_its_error(checks):
    def fails(_hub: Examined) -> Seen:
        raise ValueError("NGUYEN VAN A")

    checks["fails"] = fails
    code, said = run()
    assert code == 1
    assert "ValueError" in said and "NGUYEN" not in said


def test_a_hub_that_is_down_is_bad_unless_it_is_meant_to_be(checks, tmp_path):
    assert run()[0] == 0, "nothing was ever here"
    (tmp_path / "kafka.json").write_text("{}")
    code, said = run()
    assert code == 1
    assert "no hub runs on this data folder" in said and "`hie up`" in said
    assert run("--down")[0] == 0


def test_what_is_bad_ends_with_1_and_says_what_to_do_in_both_languages(checks):
    checks["broken"] = lambda _hub: Seen("bad", "3 of 3", "Mend it.", "Hãy sửa.")
    code, said = run()
    assert code == 1
    assert "3 of 3" in said and "Mend it." in said and "Hãy sửa." in said
    code, said = run("--json")
    told = json.loads(said)
    assert code == 1 and told["sound"] is False
    assert {"id": "broken", "state": "bad", "seen": "3 of 3", "en": "Mend it.", "vi": "Hãy sửa."} in told["checks"]


def test_a_warning_ends_with_0(checks):
    checks["soon"] = lambda _hub: Seen("warn", "in 20 days", "Renew it.", "Hãy gia hạn.")
    assert run()[0] == 0


def test_an_error_of_ours_is_bad_unless_it_is_another_servers_silence(checks):
    def raising(code: str) -> doctor.Check:
        def check(_hub: Examined) -> Seen:
            raise HubError(code, "there")

        return check

    checks |= {
        "archive": raising("ARCHIVE_UNAVAILABLE"),
        "journal": raising("BROKER_UNAVAILABLE"),
        "broker": raising("BROKER_UNAVAILABLE"),
    }
    found = {one.id: one.state for one in doctor.examine(read_settings(), now())}
    assert (found["archive"], found["journal"], found["broker"]) == ("bad", "unknown", "bad")
