"""`hie why --offline`: where each event of a file would go, by which rule, in both languages."""

import json

from typer.testing import CliRunner

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
