"""Each check of this machine passes, and fails on what is really broken or is short of a limit of the test's."""

import os
import socket
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hub.contract.settings import Settings, read_settings
from hub.keep import machine
from hub.keep.backup import backup
from hub.keep.finding import GB, Examined, Limits
from tests.signing import AT, Owner

NEVER = 10**18


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("KAFKA_BOOTSTRAP", "REGISTRY_URL", "DATABASE_URL", "STACK"):
        monkeypatch.delenv(f"HIE_{name}", raising=False)
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    return read_settings(data_dir=data, mllp_port=0, http_port=0, inbox_port=0)


def examined(settings: Settings, now: datetime = AT, **limits: float) -> Examined:
    return Examined(settings, Limits(**limits), now)  # type: ignore[arg-type]


def test_disk(settings: Settings) -> None:
    least = {"disk_warn_bytes": 0, "disk_bad_bytes": 0}
    assert machine.disk(examined(settings, **least)).state == "ok"
    assert machine.disk(examined(settings, disk_warn_bytes=NEVER, disk_bad_bytes=0)).state == "warn"
    full = machine.disk(examined(settings, disk_bad_bytes=NEVER))
    assert full.state == "bad" and "GB free" in full.seen and full.en and full.vi


def test_disk_is_short_when_the_archive_fills_it_within_a_month(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_archived_a_day", lambda _hub: 1000 * GB)
    found = machine.disk(examined(settings, disk_warn_bytes=0, disk_bad_bytes=0))
    assert found.state == "warn" and "1000.00 GB a day" in found.seen


def test_memory(settings: Settings) -> None:
    assert machine.memory(examined(settings, memory_warn_bytes=0, memory_bad_bytes=0)).state == "ok"
    assert machine.memory(examined(settings, memory_warn_bytes=NEVER, memory_bad_bytes=0)).state == "warn"
    assert machine.memory(examined(settings, memory_bad_bytes=NEVER)).state == "bad"


def test_open_files(settings: Settings) -> None:
    assert machine.open_files(examined(settings.model_copy(update={"links_max": 1}))).state == "ok"
    short = machine.open_files(examined(settings.model_copy(update={"links_max": NEVER})))
    assert short.state == "warn" and "HIE_LINKS_MAX" in short.en


def test_clock_zone_and_runtime_are_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.time_source(examined(settings)).state in ("ok", "warn", "unknown")
    assert machine.time_zone(examined(settings)).state == "ok"
    monkeypatch.setattr(machine, "ZoneInfo", lambda _name: UTC)
    assert machine.time_zone(examined(settings)).state == "warn"
    assert "Python 3" in machine.runtime(examined(settings)).seen


@pytest.mark.parametrize("name", ["mllp_port", "console_port"])
def test_a_port_that_another_program_has(settings: Settings, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = machine.ports(examined(settings.model_copy(update={name: port})))
    assert taken.state == "bad" and f"HIE_{name.upper()} {port}" in taken.seen and str(os.getpid()) in taken.seen
    assert machine.ports(examined(settings.model_copy(update={name: port}))).state == "ok"


def tls(settings: Settings, folder: Path, *owners: Owner, key: Owner) -> Settings:
    certificate, secret = folder / "hub.pem", folder / "hub.key"
    certificate.write_bytes(b"".join(one.pem for one in owners))
    secret.write_bytes(key.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return settings.model_copy(update={"tls_certificate": certificate, "tls_key": secret})


def test_certificates(settings: Settings, tmp_path: Path) -> None:
    ca = Owner("ca", authority=True)
    hub, other = Owner("hub", by=ca), Owner("other")
    assert machine.certificates(examined(settings)).state == "ok"
    good = tls(settings, tmp_path, hub, ca, key=hub)
    assert machine.certificates(examined(good)).state == "ok"
    soon = machine.certificates(examined(good, AT + timedelta(days=280)))
    assert soon.state == "warn" and "(20 days)" in soon.seen
    assert machine.certificates(examined(good, AT + timedelta(days=301))).state == "bad"
    assert machine.certificates(examined(good, AT - timedelta(days=31))).state == "bad"
    wrong_key = machine.certificates(examined(tls(settings, tmp_path, hub, ca, key=other)))
    assert wrong_key.state == "bad" and "HIE_TLS_KEY" in wrong_key.seen
    disorder = machine.certificates(examined(tls(settings, tmp_path, hub, other, ca, key=hub)))
    assert disorder.state == "bad" and "order" in disorder.seen
    (tmp_path / "ca.pem").write_text("not a certificate")
    broken = tls(settings, tmp_path, hub, ca, key=hub).model_copy(update={"tls_client_ca": tmp_path / "ca.pem"})
    assert "HIE_TLS_CLIENT_CA" in machine.certificates(examined(broken)).seen


def test_certificates_of_those_who_sign(settings: Settings, tmp_path: Path) -> None:
    signers = tmp_path / "signers"
    signers.mkdir()
    (signers / "01004.pem").write_bytes(Owner("01004").pem)
    (signers / "01021.pem").write_bytes(Owner("01021", days=(-30, -1)).pem)
    found = machine.certificates(examined(settings.model_copy(update={"signers": signers})))
    assert found.state == "bad" and "01021.pem" in found.seen and "01004.pem" not in found.seen


def test_credentials(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "credentials.toml"
    named = settings.model_copy(update={"credentials": path})
    assert machine.credentials(examined(settings)).state == "ok"
    assert machine.credentials(examined(named)).state == "bad"
    path.write_text('[sender.a]\nfacilities = ["01004"]\n')
    path.chmod(0o644)
    assert machine.credentials(examined(named)).state == "warn"
    path.chmod(0o600)
    assert machine.credentials(examined(named)).state == "ok"
    path.write_text('[sender.a]\nfacility = "01004"\n')
    assert "sender.a" in machine.credentials(examined(named)).seen


def test_folders(settings: Settings) -> None:
    secret = settings.data_dir / "key.secret"
    secret.touch(mode=0o600)
    assert machine.folders(examined(settings)).state == "ok"
    secret.chmod(0o640)
    assert "key.secret" in machine.folders(examined(settings)).seen
    secret.chmod(0o600)
    settings.data_dir.chmod(0o755)
    found = machine.folders(examined(settings))
    assert found.state == "warn" and found.en == f"chmod 700 {settings.data_dir}"


def test_catalogues(settings: Settings, tmp_path: Path) -> None:
    assert machine.catalogues(examined(settings)).state == "warn"
    folder = tmp_path / "catalogues"
    folder.mkdir()
    for name in ("drugs", "services", "supplies", "staff", "icd"):
        (folder / f"{name}.csv").touch()
    named, now = settings.model_copy(update={"catalogue_dir": folder}), datetime.now(UTC)
    assert machine.catalogues(examined(named, now)).state == "ok"
    old = now.timestamp() - 200 * 86_400 - 60
    os.utime(folder / "drugs.csv", (old, old))
    found = machine.catalogues(examined(named, now))
    assert found.state == "warn" and found.seen == "drugs.csv is 200 days old"


def test_the_newest_backup(settings: Settings, tmp_path: Path) -> None:
    assert machine.backup(examined(settings)).state == "unknown"
    (settings.data_dir / "kafka.json").write_text("{}")
    assert machine.backup(examined(settings)).state == "warn"
    kept = backup(settings, tmp_path / "backups", AT, lambda _line: None)
    assert machine.backup(examined(settings, AT + timedelta(days=1))).state == "ok"
    assert machine.backup(examined(settings, AT + timedelta(days=8))).state == "warn"
    kept.rename(tmp_path / "elsewhere")
    assert "is not there" in machine.backup(examined(settings, AT)).seen
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o700
