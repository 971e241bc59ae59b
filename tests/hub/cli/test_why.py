"""`hie why --offline`: where each event of a file would go, by which rule, in both languages."""

import json
import os

from typer.testing import CliRunner

from adapters.dialects.profile import use_vendors
from hub.cli.main import app
from hub.contract.places import shipped

SLIP = "seeds/demo/04-referral-to-province.hl7"


def why(*arguments):
    done = CliRunner().invoke(app, ["why", "--offline", *map(str, arguments)])
    return done.exit_code, done.stdout


def test_recipient_and_rule_are_told_in_words():
    code, text = why(shipped(SLIP))
    assert code == 0
    assert "deliver 01004 (referral-to-receiver)" in text
    assert "A slip goes to the facility it names as receiver. · Giấy chuyển được gửi đến cơ sở nhận ghi trên giấy." in text


def test_one_json_line_a_message_without_anything_of_the_person():
    code, text = why("--json", shipped(SLIP))
    [row] = map(json.loads, text.splitlines())
    assert code == 0
    [event] = row["events"]
    assert set(event) == {"record", "key", "event_id", "test", "again", "outcomes", "parked"}
    assert [(one["kind"], one["to"], one["lane"]) for one in event["outcomes"]] == [
        ("deliver", "01004", "routine"),
        ("deliver", "portal", "routine"),
        ("due", "referral.v1", ""),
        ("deliver", "vss", "routine"),
        ("publish", "payer.vss.referral.v1", ""),
    ]


def test_what_would_wait_says_what_helps_and_ends_with_1(tmp_path):
    file = tmp_path / "unknown.hl7"
    file.write_bytes(shipped(SLIP).read_bytes().replace(b"01004^FI", b"09999^FI"))
    code, text = why(file)
    assert code == 1
    assert "would wait: RECEIVER_UNKNOWN" in text
    assert "hie parked edit" in text


def test_what_is_not_translated_ends_with_1():
    code, text = why(shipped("seeds/demo/90-refused.hl7"))
    assert code == 1
    assert "TYPE_UNSUPPORTED" in text


def test_where_no_hub_runs_it_answers_without_one_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("HIE_DATA_DIR", str(tmp_path))
    done = CliRunner().invoke(app, ["why", str(shipped(SLIP))])
    assert done.exit_code == 0
    assert done.stderr.startswith("no hub runs on this data folder: nothing is known but what the file says, as with --offline")
    assert done.stdout == why(shipped(SLIP))[1]


def test_profiles_edited_since_the_hub_was_started_are_told(tmp_path, monkeypatch):
    own = tmp_path / "own"
    own.mkdir()
    (own / "minhtam_his.toml").write_text('extends = "_standard"\nversion = "1"\nabout = "Invented."\n', "utf-8")
    started = 4_000_000_000
    monkeypatch.setattr("hub.cli.messages.connected", lambda settings: settings)
    monkeypatch.setattr("hub.cli.messages._sent", lambda *_: [])
    os.utime(own / "minhtam_his.toml", (started + 1, started + 1))
    monkeypatch.setenv("HIE_VENDORS_DIR", str(own))
    try:
        for since, told in ((started, True), (started + 2, False)):
            monkeypatch.setattr("hub.stack.running_since", lambda _settings, since=since: since)
            for command in (["why", "--offline"], ["send"]):
                done = CliRunner().invoke(app, [*command, str(shipped(SLIP))])
                assert (
                    "edited since the hub was started, which reads by the older ones until it is started again: minhtam_his"
                    in done.stderr
                ) is told
                assert done.exit_code == 0
    finally:
        use_vendors(None)
