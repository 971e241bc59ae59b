"""What a backup holds, refuses and finds out, on a folder with the look of a hub's."""

import os
import shutil
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub.contract.errors import HubError
from hub.contract.settings import Settings, read_settings
from hub.keep import backup as module
from hub.keep.backup import backup, newest, restore, verify
from hub.keep.manifest import read_manifest
from hub.stack import standing_still

AT = datetime(2026, 11, 29, 20, tzinfo=UTC)
LATER = AT + timedelta(days=1)
SEGMENT = "kafka-1/claim.v1-0/00000000000000000000.log"


def nothing_said(_line: str) -> None: ...


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A data folder with topics, a database, a secret, and what only holds while a hub runs; its archive lies elsewhere."""
    for name in ("KAFKA_BOOTSTRAP", "REGISTRY_URL", "DATABASE_URL", "STACK"):
        monkeypatch.delenv(f"HIE_{name}", raising=False)
    data, archive = tmp_path / "data", tmp_path / "elsewhere" / "archive"
    texts = {
        "kafka.json": "{}", "key.secret": "0" * 64, SEGMENT: "records" * 500, "postgres/PG_VERSION": "18",
        "logs/gate.log": "noise", "run/gate.json": "{}", "stack.json": "{}", "postgres.fresh/half": "made",
    }  # fmt: skip
    for name, text in texts.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(text)
    (data / "postgres/pg_tblspc").mkdir()
    (data / "postgres").chmod(0o700)
    (data / "key.secret").chmod(0o600)
    archive.mkdir(parents=True)
    (archive / "part-1.parquet").write_bytes(b"PAR1")
    return read_settings(data_dir=data, archive_dir=archive)


def take(hub: Settings, tmp_path: Path, at: datetime = AT, *, full: bool = False) -> Path:
    return backup(hub, tmp_path / "backups", at, nothing_said, full=full)


def lose(hub: Settings) -> None:
    shutil.rmtree(hub.data_dir)
    shutil.rmtree(hub.archive)


def test_what_comes_back_is_what_was_there_with_modes_times_and_empty_folders(hub: Settings, tmp_path: Path) -> None:
    kept = take(hub, tmp_path)
    secret, changed = hub.data_dir / "key.secret", (hub.data_dir / SEGMENT).stat().st_mtime_ns
    lose(hub)
    restore(hub, kept, nothing_said)
    assert (hub.data_dir / SEGMENT).read_text() == "records" * 500
    assert (hub.data_dir / SEGMENT).stat().st_mtime_ns == changed
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE((hub.data_dir / "postgres").stat().st_mode) == 0o700
    assert (hub.data_dir / "postgres/pg_tblspc").is_dir()
    assert (hub.archive / "part-1.parquet").read_bytes() == b"PAR1"
    assert {path.name for path in hub.data_dir.iterdir()} == {"kafka.json", "key.secret", "kafka-1", "postgres"}


def test_a_backup_is_for_its_owner_alone(hub: Settings, tmp_path: Path) -> None:
    kept = take(hub, tmp_path)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (kept, kept.parent)} == {0o700}


def test_the_next_backup_costs_what_has_changed(hub: Settings, tmp_path: Path) -> None:
    first = take(hub, tmp_path)
    with (hub.data_dir / SEGMENT).open("a") as segment:
        segment.write("one more")
    second = take(hub, tmp_path, LATER)
    assert (second / "data/key.secret").samefile(first / "data/key.secret")
    assert (first / "data" / SEGMENT).read_text() == "records" * 500, "what was backed up never changes"
    assert (second / "data" / SEGMENT).read_text().endswith("one more")
    third = take(hub, tmp_path, LATER + timedelta(days=1), full=True)
    assert not (third / "data/key.secret").samefile(second / "data/key.secret")
    shutil.rmtree(first)
    assert verify(second).parts == ["archive_dir", "data"], "each stands by itself"


def test_no_backup_while_a_hub_runs_nor_the_other_way_round(
    hub: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with standing_still(hub), pytest.raises(HubError, match="ALREADY_RUNNING"):
        take(hub, tmp_path)

    def a_hub_starts(*_: object) -> None:
        with standing_still(hub):
            raise AssertionError("a hub started in the middle of a backup")

    monkeypatch.setattr(module, "_take", a_hub_starts)
    with pytest.raises(HubError, match="ALREADY_RUNNING"):
        take(hub, tmp_path)


@pytest.mark.parametrize("left", ["processes.json", "postgres/postmaster.pid"])
def test_no_backup_after_an_unclean_end(hub: Settings, tmp_path: Path, left: str) -> None:
    (hub.data_dir / left).write_text("1")
    with pytest.raises(HubError, match="ALREADY_RUNNING"):
        take(hub, tmp_path)


def test_servers_elsewhere_are_not_said_to_be_backed_up(hub: Settings, tmp_path: Path) -> None:
    with pytest.raises(HubError, match="SETTING_WRONG") as raised:
        take(hub.model_copy(update={"registry_url": "http://elsewhere:8081"}), tmp_path)
    assert "HIE_REGISTRY_URL" in raised.value.where
    with pytest.raises(HubError, match="SETTING_WRONG"):
        take(hub.model_copy(update={"stack": "docker"}), tmp_path)


def test_a_link_in_the_data_is_refused_and_not_left_out(hub: Settings, tmp_path: Path) -> None:
    (hub.data_dir / "elsewhere").symlink_to(tmp_path)
    with pytest.raises(HubError, match="FILE_NOT_PLAIN"):
        take(hub, tmp_path)
    assert list((tmp_path / "backups").iterdir()) == []


def test_a_backup_that_was_cut_off_is_none(hub: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = take(hub, tmp_path)

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(module.Manifest, "write", cut)
        take(hub, tmp_path, LATER)
    assert [path.name for path in first.parent.iterdir()] == [first.name]
    killed = first.parent / "2026-12-01T030000.unfinished"
    shutil.copytree(first, killed)
    assert newest(first.parent) == first
    take(hub, tmp_path, LATER)
    assert not killed.exists()


def bit_flipped(kept: Path) -> None:
    path = kept / "data" / SEGMENT
    raw, seen = bytearray(path.read_bytes()), path.stat()
    raw[7] ^= 1
    path.write_bytes(raw)
    os.utime(path, ns=(seen.st_mtime_ns, seen.st_mtime_ns))


def manifest_edited(kept: Path) -> None:
    path = kept / "manifest.json"
    path.write_text(path.read_text().replace('"size_bytes": 3500', '"size_bytes": 3501'))


SPOILS: dict[str, Callable[[Path], object]] = {
    "a flipped bit": bit_flipped,
    "a lost file": lambda kept: (kept / "data/key.secret").unlink(),
    "a lost empty folder": lambda kept: (kept / "data/postgres/pg_tblspc").rmdir(),
    "a file too many": lambda kept: (kept / "data/kafka-1/stranger").touch(),
    "an edited manifest": manifest_edited,
    "no checksum of the manifest": lambda kept: (kept / "manifest.sha256").write_text(""),
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_a_damaged_backup_is_found_and_nothing_is_touched(hub: Settings, tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    kept = take(hub, tmp_path)
    lose(hub)
    spoil(kept)
    with pytest.raises(HubError, match="BACKUP_DAMAGED"):
        verify(kept)
    with pytest.raises(HubError, match="BACKUP_DAMAGED"):
        restore(hub, kept, nothing_said)
    assert not hub.data_dir.exists() and not hub.archive.exists()


def test_nothing_is_overwritten(hub: Settings, tmp_path: Path) -> None:
    kept = take(hub, tmp_path)
    shutil.rmtree(hub.data_dir)
    with pytest.raises(HubError, match="TARGET_NOT_EMPTY") as raised:
        restore(hub, kept, nothing_said)
    assert str(hub.archive) in raised.value.where
    assert not hub.data_dir.exists()
    lose_archive = hub.archive / "part-1.parquet"
    lose_archive.unlink()
    restore(hub, kept, nothing_said)
    assert lose_archive.exists(), "an empty folder may be there"


def test_a_part_without_a_place_is_asked_for(hub: Settings, tmp_path: Path) -> None:
    kept = take(hub, tmp_path)
    lose(hub)
    with pytest.raises(HubError, match="SETTING_WRONG") as raised:
        restore(hub.model_copy(update={"archive_dir": None}), kept, nothing_said)
    assert "HIE_ARCHIVE_DIR" in raised.value.where


def test_a_backup_of_a_newer_release_is_left_to_that(hub: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(module, "newest_migration", lambda: "9999")
        kept = take(hub, tmp_path)
    lose(hub)
    assert read_manifest(kept).migration == "9999"
    with pytest.raises(HubError, match="SETTING_WRONG"):
        restore(hub, kept, nothing_said)
    assert not hub.data_dir.exists()


def test_a_backup_cannot_lie_in_what_it_backs_up(hub: Settings) -> None:
    with pytest.raises(HubError, match="SETTING_WRONG"):
        backup(hub, hub.data_dir / "backups", AT, nothing_said)
