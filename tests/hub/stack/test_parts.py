"""Fetching: once, checked, whole; against a repository of our own on loopback, through jgo as in real use."""

import gc
import hashlib
import io
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

pytest.importorskip("jgo", reason="unverified: the extra `local` is not installed")

from hub.contract.errors import HubError
from hub.stack import parts, specification

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def _answers_of_jgo_collected() -> Iterator[None]:
    """jgo does not close the answers that it refuses: let the collector say so here, where it may."""
    yield
    gc.collect()


class Repository(ThreadingHTTPServer):
    """A Maven repository: what it holds by path, and what it was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Repository

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        if name.endswith(".sha1"):
            self.send_error(404)
            return
        self.server.asked.append(name)
        body = self.server.files.get(name)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


JARS = {f"part-{letter}-1.0.jar": letter.encode() * 50_000 for letter in "abcd"}
ARCHIVE = "registry-2.0-all.tar.gz"


def tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    """Serves four jars and an archive, which stand in the table of versions for the time of a test."""
    server = Repository()
    archive = tar_of({"app-runner.jar": b"runner" * 1000, "lib/one.jar": b"one" * 1000})
    server.files = {**JARS, ARCHIVE: archive}
    rows = [
        ["org.example", name.rsplit("-", 1)[0], "1.0", len(body), hashlib.sha256(body).hexdigest()] for name, body in JARS.items()
    ]
    registry = {"group": "org.example", "artifact": "registry", "version": "2.0", "classifier": "all", "packaging": "tar.gz"}
    sums = {"size_bytes": len(archive), "sha256": hashlib.sha256(archive).hexdigest()}
    table: dict[str, Any] = {"kafka": {"jars": rows}, "registry": {**registry, **sums}}
    monkeypatch.setattr(parts, "versions", lambda: table)
    config = tmp_path / "jgo.conf"
    config.write_text(f"[repositories]\nours = http://127.0.0.1:{server.server_port}\n")
    monkeypatch.setenv("JGO_CONFIG_FILE", str(config))
    monkeypatch.setenv("PATH", str(tmp_path))  # neither Java nor Maven is there
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_everything_is_fetched_with_progress_and_is_whole(repository: Repository, tmp_path: Path) -> None:
    lines: list[str] = []
    provided = parts.provide(tmp_path / "cache", lines.append)
    assert {path.name: path.read_bytes() for path in provided.kafka} == JARS
    assert (provided.registry / "lib" / "one.jar").read_bytes() == b"one" * 1000
    assert lines and all(re.fullmatch(r"fetching Kafka and the registry: \d+ of \d+ MB", line) for line in lines)
    assert not list((tmp_path / "cache").glob("fetching-*"))


def test_the_archive_is_unpacked_by_python_3_11_2_too(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = tarfile.TarFile.extractall

    def older(archive: tarfile.TarFile, path: Path) -> None:  # Debian 12: neither the argument nor the function are there
        newer(archive, path)

    monkeypatch.setattr(tarfile.TarFile, "extractall", older)
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    provided = parts.provide(tmp_path / "cache", lambda _line: None)
    assert (provided.registry / "app-runner.jar").read_bytes() == b"runner" * 1000


def test_what_is_there_is_not_fetched_again(repository: Repository, tmp_path: Path) -> None:
    parts.provide(tmp_path / "cache", lambda _line: None)
    repository.asked.clear()
    parts.provide(tmp_path / "cache", lambda _line: None)
    assert repository.asked == []


@pytest.mark.parametrize("damage", [b"", b"a" * 10, b"a" * 49_999 + b"x"], ids=["empty", "cut off", "one byte differs"])
def test_a_damaged_file_is_found_and_fetched_again(repository: Repository, tmp_path: Path, damage: bytes) -> None:
    first = parts.provide(tmp_path / "cache", lambda _line: None)
    first.kafka[0].write_bytes(damage)
    repository.asked.clear()
    again = parts.provide(tmp_path / "cache", lambda _line: None)
    assert repository.asked == ["part-a-1.0.jar"]
    assert again.kafka[0].read_bytes() == JARS["part-a-1.0.jar"]


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"other")], ids=["gone", "other bytes"])
def test_a_damaged_unpacked_file_is_found_and_fetched_again(repository: Repository, tmp_path: Path, damage: Any) -> None:
    damage(parts.provide(tmp_path / "cache", lambda _line: None).registry / "lib" / "one.jar")
    repository.asked.clear()
    again = parts.provide(tmp_path / "cache", lambda _line: None)
    assert repository.asked == [ARCHIVE]
    assert (again.registry / "lib" / "one.jar").read_bytes() == b"one" * 1000


def test_a_fetch_that_fails_names_the_file_and_the_next_one_goes_on(repository: Repository, tmp_path: Path) -> None:
    kept = repository.files.pop("part-d-1.0.jar")
    with pytest.raises(HubError) as failed:
        parts.provide(tmp_path / "cache", lambda _line: None)
    assert (failed.value.code, failed.value.where) == ("FETCH_FAILED", "part-d-1.0.jar")
    assert not list((tmp_path / "cache").glob("fetching-*"))
    arrived = {path.name for path in (tmp_path / "cache" / "parts").iterdir() if path.suffix == ".jar"}
    repository.files["part-d-1.0.jar"] = kept
    repository.asked.clear()
    parts.provide(tmp_path / "cache", lambda _line: None)
    assert "part-d-1.0.jar" in repository.asked
    assert not arrived & set(repository.asked)


def test_another_file_than_the_pinned_one_is_thrown_away(repository: Repository, tmp_path: Path) -> None:
    repository.files["part-b-1.0.jar"] = b"B" * 50_000
    with pytest.raises(HubError) as failed:
        parts.provide(tmp_path / "cache", lambda _line: None)
    assert (failed.value.code, failed.value.where) == ("CHECKSUM_WRONG", "part-b-1.0.jar")
    assert not list((tmp_path / "cache").rglob("part-b*"))


def test_a_repository_out_of_reach_is_a_failed_fetch(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "jgo.conf").write_text("[repositories]\nnowhere = http://127.0.0.1:9\n")
    with pytest.raises(HubError) as failed:
        parts.provide(tmp_path / "cache", lambda _line: None)
    assert failed.value.code == "FETCH_FAILED"


def test_a_full_disk_is_said_before_fetching(repository: Repository, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)], check=False).returncode
    ):
        pytest.skip("unverified: a small disk can only be mounted by root")
    try:
        with pytest.raises(HubError) as failed:
            parts.provide(small, lambda _line: None)
        assert failed.value.code == "DISK_FULL"
        assert repository.asked == []
    finally:
        subprocess.run(["/bin/umount", str(small)], check=True)


def test_a_disk_that_fills_up_while_fetching(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], check=False).returncode
    ):
        pytest.skip("unverified: a small disk can only be mounted by root")
    try:
        monkeypatch.setattr(parts, "room_bytes", lambda _folder: 1 << 40)  # as if others filled it afterwards
        with pytest.raises(HubError) as failed:
            parts.provide(small, lambda _line: None)
        assert failed.value.code == "DISK_FULL"
        assert not list(small.glob("fetching-*"))
    finally:
        subprocess.run(["/bin/umount", str(small)], check=True)


def test_the_pinned_list_is_one_release_of_each_part() -> None:
    table = specification.versions()
    rows = [parts.Part(*row) for row in table["kafka"]["jars"]]
    assert len({(row.group, row.artifact) for row in rows}) == len(rows)
    assert {row.version for row in rows if row.group == "org.apache.kafka"} == {table["versions"]["kafka"]}
    assert all(re.fullmatch(r"[0-9a-f]{64}", row.sha256) for row in [*rows, parts.Part(**table["registry"])])
    assert table["registry"]["version"] == table["versions"]["registry"]
    for name, image in table["images"].items():
        assert re.search(r":v?\d[\w.-]*$", image), "an image is pinned"
        assert name not in table["versions"] or image.endswith(":" + table["versions"][name])
