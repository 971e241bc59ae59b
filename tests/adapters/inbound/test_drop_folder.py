"""The drop folder: every file ends somewhere, with an answer beside it, and only when the brokers hold it."""

import asyncio
import errno
import fcntl
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager

import orjson
import pytest

from adapters.formats.hl7v2 import parse, split_messages
from adapters.inbound import drop_folder
from adapters.inbound.drop_folder import DropFolder, Inbox
from hub.access.credentials import LOCAL, Credentials
from hub.access.quota import Quotas
from hub.contract.errors import HubError
from hub.contract.events import now
from hub.contract.settings import read_settings
from tests.adapters.inbound.conftest import oru
from tests.adapters.inbound.large_worker import envelope
from tests.adapters.inbound.offline import eventually, offline_gate


@pytest.fixture
def drop(tmp_path):
    folder = tmp_path / "drop"
    folder.mkdir()
    return folder


@asynccontextmanager
async def watching(drop, credentials=None, **changes):
    """A folder that is watched, and the brokers behind it."""
    settings = read_settings(data_dir=drop.parent / "data", drop_dir=drop, drop_settle_s=0.05, **changes)
    gate, brokers = offline_gate(drop.parent)
    folder = DropFolder(settings, gate, credentials or Credentials.open(None), Quotas())
    await folder.start()
    try:
        yield brokers
    finally:
        await folder.stop(10)
        gate.close()


async def until(path):
    await eventually(path.exists)
    return path.read_bytes()


def run(work):
    return asyncio.run(work)


def test_a_file_ends_in_done_with_its_acknowledgement_beside_it(drop):
    async def drop_one():
        (drop / "result.hl7").write_bytes(oru("F1"))
        async with watching(drop) as brokers:
            ack = parse((await until(drop / "done/result.hl7.ack")).decode())
            assert (ack.get("MSA", 1), ack.get("MSA", 2)) == ("AA", "F1")
            [message] = brokers.messages()
            assert (message["transport"], message["sender"], message["verdict"]) == ("folder", "local", "translated")
        assert (drop / "done/result.hl7").read_bytes() == message["raw"]
        assert not (drop / "result.hl7").exists() and not list((drop / ".taking").iterdir())

    run(drop_one())


def test_a_refused_file_ends_in_refused_and_xml_is_answered_in_json(drop):
    async def drop_two():
        (drop / "a.hl7").write_bytes(oru("F2").replace(b"ORU^R01^ORU_R01", b"ADT^A99"))
        (drop / "b.xml").write_bytes(b"<GIAMDINHHS><broken>")
        (drop / "empty").write_bytes(b"")
        async with watching(drop):
            assert parse((await until(drop / "refused/a.hl7.ack")).decode()).get("MSA", 1) == "AR"
            answer = orjson.loads(await until(drop / "refused/b.xml.ack"))
            assert (answer["verdict"], answer["problems"][0]["code"]) == ("quarantined", "XML_MALFORMED")
            await until(drop / "refused/empty.ack")
        assert (drop / "refused/b.xml").read_bytes() == b"<GIAMDINHHS><broken>"

    run(drop_two())


def test_a_batch_in_a_file_is_answered_in_one_batch(drop):
    async def drop_batch():
        (drop / "day.hl7").write_bytes(b"BHS|^~\\&|LIS|01004|HIE|HUB|2026||||B7\r" + oru("F3") + oru("F4") + b"BTS|2\r")
        async with watching(drop) as brokers:
            ack = (await until(drop / "done/day.hl7.ack")).decode()
        assert ack.startswith("BHS|^~\\&|HIE|HUB|LIS|01004|") and ack.split("\r")[0].endswith("|B7") and ack.endswith("BTS|2\r")
        assert [parse(one).get("MSA", 2) for one in split_messages(ack)] == ["F3", "F4"]
        assert b"".join(message["raw"] for message in brokers.messages()) == (drop / "done/day.hl7").read_bytes()

    run(drop_batch())


def test_the_next_file_of_the_same_name_does_not_overwrite_the_first(drop):
    async def drop_again():
        async with watching(drop):
            (drop / "r.hl7").write_bytes(oru("F5"))
            await until(drop / "done/r.hl7.ack")
            (drop / "r.hl7").write_bytes(second := oru("F6"))
            await eventually(lambda: len(list(drop.glob("done/*.ack"))) == 2)
        [other] = drop.glob("done/*-r.hl7")
        assert other.read_bytes() == second and b"F6" in other.with_name(other.name + ".ack").read_bytes()
        assert b"F5" in (drop / "done/r.hl7").read_bytes()

    run(drop_again())


def test_a_file_is_not_taken_while_it_is_written_locked_or_named_as_unfinished(drop):
    async def drop_slowly():
        names = (".hidden", "a.tmp", "b.part", "c.PART")
        for name in names:
            (drop / name).write_bytes(oru("F7"))
        (drop / "folder").mkdir()
        with (drop / "locked.hl7").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(oru("F8"))
            file.flush()
            async with watching(drop) as brokers:
                (drop / "witness.hl7").write_bytes(oru("F9"))
                await until(drop / "done/witness.hl7.ack")  # older ones would have been taken before
                assert [message["control_id"] for message in brokers.messages()] == ["F9"]
                fcntl.flock(file, fcntl.LOCK_UN)
                await until(drop / "done/locked.hl7.ack")
        assert all((drop / name).exists() for name in (*names, "folder"))

    run(drop_slowly())


def test_a_link_or_a_pipe_is_refused_and_never_read(drop):
    async def drop_links():
        secret = drop.parent / "secret"
        secret.write_bytes(oru("F10"))
        (drop / "link.hl7").symlink_to(secret)
        os.mkfifo(drop / "pipe.hl7")
        async with watching(drop) as brokers:
            await eventually(lambda: len(list(drop.glob("refused/*.ack"))) == 2)
            found = list(drop.glob("refused/*.ack"))
            assert brokers.held == []
        assert {orjson.loads(path.read_bytes())["code"] for path in found} == {"FILE_NOT_PLAIN"}
        assert secret.read_bytes() and not (drop / "link.hl7").is_symlink()

    run(drop_links())


def test_brokers_that_are_away_leave_the_file_and_its_ids_stay_the_same(drop, monkeypatch):
    monkeypatch.setattr(drop_folder, "_AGAIN_S", 0.0)

    async def drop_early():
        (drop / "a.hl7").write_bytes(oru("F11") + oru("F12") + oru("F13"))
        async with watching(drop) as brokers:
            brokers.fail_after = 2  # the first message and its event
            await eventually(lambda: len(brokers.held) == 2)
            first, first_event = brokers.messages()[0]["message_id"], brokers.events()[0]
            await asyncio.sleep(0.1)
            assert not list((drop / "done").iterdir())
            brokers.fail_after = None
            await until(drop / "done/a.hl7.ack")
            again = brokers.messages()[-3:]
            assert [message["control_id"] for message in again] == ["F11", "F12", "F13"]
            assert again[0]["message_id"] == first and brokers.events()[-3] == first_event

    run(drop_early())


def test_a_folder_is_left_alone_longer_after_each_failure_up_to_a_limit(drop):
    inbox = Inbox(drop, LOCAL, 0.1)
    waits = []
    for _ in range(10):
        inbox.put_off(100.0)
        waits.append(inbox.not_before - 100.0)
    assert waits == [2, 4, 8, 16, 30, 30, 30, 30, 30, 30]


def test_files_that_keep_failing_alone_hold_up_no_other_and_are_kept(drop, monkeypatch):
    monkeypatch.setattr(drop_folder, "_AGAIN_S", 0.001)
    handle, healthy, tried = DropFolder._handle, [], []

    async def failing(self, inbox, taken):
        tried.append(taken.name)
        if taken.name.startswith("bad") and not healthy:
            raise HubError("OVERLOADED", "signature")
        await handle(self, inbox, taken)

    monkeypatch.setattr(DropFolder, "_handle", failing)

    async def drop_some():
        for at, name in enumerate(("bad1", "bad2", "good1", "good2")):
            (drop / f"{name}.hl7").write_bytes(oru(name))
            os.utime(drop / f"{name}.hl7", (1_000 + at, 1_000 + at))
        async with watching(drop) as brokers:
            await until(drop / "done/good2.hl7.ack")
            assert [one["control_id"] for one in brokers.messages()] == ["good1", "good2"]
            assert tried[: tried.index("good1.hl7")].count("bad1.hl7") >= 3  # in order for as long as it may pass
            assert len(list((drop / ".taking").iterdir())) == 2
            healthy.append(True)
            await until(drop / "done/bad1.hl7.ack")
            await until(drop / "done/bad2.hl7.ack")

    run(drop_some())


def test_while_brokers_are_away_the_order_is_kept(drop, monkeypatch):
    monkeypatch.setattr(drop_folder, "_AGAIN_S", 0.001)

    async def drop_many():
        names = [f"o{number}" for number in range(8)]
        for at, name in enumerate(names):
            (drop / f"{name}.hl7").write_bytes(oru(name))
            os.utime(drop / f"{name}.hl7", (1_000 + at, 1_000 + at))
        async with watching(drop) as brokers:
            sent, send = [], brokers.send

            def unsteady(records, done):
                sent.append(records)
                brokers.fail_after = None if len(sent) % (drop_folder._TRIES_IN_ORDER + 2) == 0 else 0
                send(records, done)

            brokers.send = unsteady
            await until(drop / f"done/{names[-1]}.hl7.ack")
            assert [one["control_id"] for one in brokers.messages()] == names

    run(drop_many())


def test_a_disk_too_full_for_the_acknowledgement_means_another_try(drop, monkeypatch):
    monkeypatch.setattr(drop_folder, "_AGAIN_S", 0.0)
    write, full = drop_folder._write, [True]

    def no_room(path, data):
        if full:
            full.pop()
            path.write_bytes(data[:10])
            raise OSError(errno.ENOSPC, "no room")
        write(path, data)

    monkeypatch.setattr(drop_folder, "_write", no_room)

    async def drop_one():
        (drop / "a.hl7").write_bytes(oru("F14"))
        async with watching(drop) as brokers:
            ack = await until(drop / "done/a.hl7.ack")
            assert parse(ack.decode()).get("MSA", 2) == "F14"
            assert len({message["message_id"] for message in brokers.messages()}) == 1 and len(brokers.messages()) == 2
        assert not list((drop / ".taking").iterdir())

    run(drop_one())


def test_a_file_over_the_limit_is_refused_and_kept_whole(drop):
    async def drop_large():
        (drop / "a.hl7").write_bytes(whole := oru("F15") + b"x" * 5000)
        async with watching(drop, message_bytes_max=2048) as brokers:
            await until(drop / "refused/a.hl7.ack")
            [message] = brokers.messages()
            assert message["raw_size"] == len(whole) and message["problems"][0]["code"] == "FRAME_TOO_LARGE"
        assert (drop / "refused/a.hl7").read_bytes() == whole

    run(drop_large())


LIMITS = {"message_bytes_max": 20_000, "envelope_bytes_max": 200_000}


def test_an_envelope_over_the_limit_of_a_message_goes_through_the_disk(drop):
    async def drop_large():
        raw = envelope(1, 2, 3)
        assert 20_000 < len(raw) < 200_000
        files = {
            "good.xml": raw,
            "broken.xml": raw[:-100],
            "other.hl7": b"MSH|" + b"x" * 30_000,
            "huge.xml": raw + b" " * 200_000,
        }
        for name, content in files.items():
            (drop / name).write_bytes(content)
        async with watching(drop, **LIMITS) as brokers:
            answer = orjson.loads(await until(drop / "done/good.xml.ack"))
            broken, other, huge = [orjson.loads(await until(drop / f"refused/{name}.ack")) for name in list(files)[1:]]
            assert (answer["verdict"], len(answer["events"])) == ("translated", 3)
            assert [event_id for _, event_id in brokers.events()] == [made["event_id"] for made in answer["events"]]
            assert (broken["verdict"], broken["problems"][-1]["code"]) == ("quarantined", "XML_MALFORMED")
            assert {one["problems"][0]["code"] for one in (other, huge)} == {"FRAME_TOO_LARGE"}
            assert sorted(one["raw_size"] for one in brokers.messages()) == sorted(map(len, files.values()))
            assert {one["transport"] for one in brokers.messages()} == {"folder"}
        assert (drop / "done/good.xml").read_bytes() == raw and not list((drop / ".taking").iterdir())

    run(drop_large())


def test_brokers_that_go_away_amid_a_large_envelope_leave_it_and_its_ids_stay_the_same(drop, monkeypatch):
    monkeypatch.setattr(drop_folder, "_AGAIN_S", 0.0)

    async def drop_large():
        (drop / "a.xml").write_bytes(envelope(4, 5, 6))
        async with watching(drop, **LIMITS) as brokers:
            brokers.fail_after = 1  # the message, and none of its events
            await eventually(lambda: bool(brokers.refused))
            assert brokers.held and not list((drop / "done").iterdir())
            brokers.fail_after = None
            named = orjson.loads(await until(drop / "done/a.xml.ack"))
            first, *_, last = brokers.messages()
            assert first["message_id"] == last["message_id"] == named["message_id"] and len(named["events"]) == 3

    run(drop_large())


def test_a_file_that_is_replaced_while_it_is_taken_is_not_taken_for_the_one_before(drop, monkeypatch):
    lock, new = drop_folder._locked, [oru("NEW")]

    def locked_and_replaced(path):
        descriptor = lock(path)
        if new and descriptor is not None:
            (drop / ".new").write_bytes(new.pop())
            (drop / ".new").rename(path)
        return descriptor

    monkeypatch.setattr(drop_folder, "_locked", locked_and_replaced)

    async def drop_twice():
        (drop / "a.hl7").write_bytes(oru("OLD"))
        async with watching(drop) as brokers:
            assert parse((await until(drop / "done/a.hl7.ack")).decode()).get("MSA", 2) == "NEW"
            assert [one["control_id"] for one in brokers.messages()] == ["NEW"]  # its writer took back the old one

    run(drop_twice())


def test_files_that_are_never_finished_hide_no_other(drop, monkeypatch):
    monkeypatch.setattr(drop_folder, "_LISTED_MAX", 2)
    for number in range(50):
        (drop / f"{number}.tmp").write_bytes(b"")
    (drop / "a.hl7").write_bytes(b"")
    inbox = Inbox(drop, LOCAL, 0.0)
    assert inbox.look(0.0) == ([], ["a.hl7"])


def test_a_link_in_the_place_of_an_acknowledgement_is_not_followed(drop):
    victim = drop.parent / "victim"
    victim.write_text("untouched")
    (drop / "a.hl7").write_bytes(oru("F19"))
    inbox = Inbox(drop, LOCAL, 0.0)
    inbox.look(0.0)
    taken = inbox.take("a.hl7", now())
    taken.path.with_name(taken.path.name + ".ack").symlink_to(victim)
    inbox.finish(taken, "done", b"MSA")
    taken.release()
    assert victim.read_text() == "untouched" and (drop / "done/a.hl7.ack").read_bytes() == b"MSA"


def test_a_credential_named_local_is_one_of_many(drop, tmp_path):
    file = tmp_path / "credentials.toml"
    file.write_text('[sender.local]\nfacilities = ["01940"]\n[sender.his]\nfacilities = ["01004"]\n')
    (drop / "his").mkdir()
    (drop / "his/r.hl7").write_bytes(oru("F20"))

    async def drop_one():
        async with watching(drop, Credentials.open(file)) as brokers:
            await until(drop / "his/done/r.hl7.ack")
            assert [one["sender"] for one in brokers.messages()] == ["his"]

    run(drop_one())


def test_each_sender_has_a_folder_and_speaks_for_its_own_facilities(drop, tmp_path):
    file = tmp_path / "credentials.toml"
    file.write_text('[sender.lab]\nfacilities = ["01940"]\n[sender.his]\nfacilities = ["01004"]\ntest = true\n')
    for name in ("lab", "his", "nobody"):
        (drop / name).mkdir()
        (drop / name / "r.hl7").write_bytes(oru(f"S-{name}"))

    async def drop_three():
        async with watching(drop, Credentials.open(file)) as brokers:
            assert b"FACILITY_NOT_ENTITLED" in await until(drop / "lab/refused/r.hl7.ack")
            await until(drop / "his/done/r.hl7.ack")
            assert {(message["sender"], message["test"]) for message in brokers.messages()} == {("lab", False), ("his", True)}
        assert (drop / "nobody/r.hl7").exists()

    run(drop_three())


def test_a_folder_is_tended_while_its_credential_is_there(drop, tmp_path):
    file = tmp_path / "credentials.toml"
    here, gone = '[sender.his]\nfacilities = ["01004"]\n', "[sender.lab]\n"
    file.write_text(here)
    credentials = Credentials.open(file)
    (drop / "his").mkdir()

    def change(text):
        file.write_text(text)
        credentials.look()
        credentials.look()

    async def drop_three():
        async with watching(drop, credentials) as brokers:
            (drop / "his/1.hl7").write_bytes(oru("G1"))
            await until(drop / "his/done/1.hl7.ack")
            change(gone)
            await asyncio.sleep(0.2)  # the round that was under way
            (drop / "his/2.hl7").write_bytes(oru("G2"))
            await asyncio.sleep(0.5)
            assert [message["control_id"] for message in brokers.messages()] == ["G1"]
            change(here)
            await until(drop / "his/done/2.hl7.ack")

    run(drop_three())


def test_odd_names_are_taken_like_others(drop):
    names = [b"b\xe1\xbb\x87nh nh\xc3\xa2n.hl7", b"\xff\xfe.hl7", b"new\nline", b"-rf", b"n" * 250]
    for name in names:
        with open(os.path.join(os.fsencode(drop), name), "wb") as file:  # noqa: PTH123, PTH118  # names that are no text
            file.write(oru("F16"))

    async def drop_all():
        async with watching(drop) as brokers:
            await eventually(lambda: len(list(drop.glob("done/*"))) == 2 * len(names) and not list(drop.glob(".taking/*")))
            assert len(brokers.messages()) == len(names)
        left = {os.fsencode(path.name) for path in (drop / "done").iterdir()}
        assert {*names[:-1], *(name + b".ack" for name in names[:-1])} <= left and len(left) == 2 * len(names)

    run(drop_all())


PROCESS = """
import asyncio, sys
from pathlib import Path
from tests.adapters.inbound.test_drop_folder import watching

async def main():
    async with watching(Path(sys.argv[1])) as brokers:
        if sys.argv[2] == "hang":
            brokers.send = lambda records, done: print("taken", flush=True)
        print("watching", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def test_a_killed_process_leaves_its_file_to_the_next_under_the_same_time(drop):
    (drop / "a.hl7").write_bytes(oru("F17"))
    with subprocess.Popen([sys.executable, "-c", PROCESS, str(drop), "hang"], stdout=subprocess.PIPE, text=True) as first:
        try:
            assert [first.stdout.readline() for _ in range(2)] == ["watching\n", "taken\n"]
            [left] = (drop / ".taking").iterdir()

            async def take_up():
                async with watching(drop) as brokers:
                    (drop / "witness.hl7").write_bytes(oru("F18"))
                    await until(drop / "done/witness.hl7.ack")
                    assert left.exists() and [one["control_id"] for one in brokers.messages()] == ["F18"]  # not from the living
                    first.send_signal(signal.SIGKILL)
                    await asyncio.to_thread(first.wait)
                    await until(drop / "done/a.hl7.ack")
                    micros = int(left.name.partition("-")[0])
                    assert brokers.messages()[-1]["received_at"].timestamp() * 1e6 == pytest.approx(micros, abs=1)

            run(take_up())
        finally:
            first.kill()


def test_several_processes_share_a_folder_and_take_each_file_once(drop):
    async def share():
        async with watching(drop) as one, watching(drop) as two:
            for number in range(40):
                (drop / f"{number}.part").write_bytes(oru(f"M{number}"))
                (drop / f"{number}.part").rename(drop / f"{number}.hl7")
            await eventually(lambda: len(list(drop.glob("done/*.ack"))) == 40 and not list(drop.glob(".taking/*")))
            taken = [message["control_id"] for message in one.messages() + two.messages()]
            assert sorted(taken) == sorted(f"M{number}" for number in range(40))

    run(share())


def test_a_setting_that_names_no_folder_is_refused(drop):
    async def start():
        async with watching(drop / "none"):
            pass

    with pytest.raises(HubError, match="SETTING_WRONG"):
        run(start())
