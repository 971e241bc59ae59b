"""`hie backup`, `hie backup verify`, `hie restore` as they are typed."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hub.cli.main import app
from hub.contract.errors import HubError


def hie(*words: str) -> str:
    return CliRunner().invoke(app, list(words), catch_exceptions=False).stdout.strip()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("KAFKA_BOOTSTRAP", "REGISTRY_URL", "DATABASE_URL", "STACK"):
        monkeypatch.delenv(f"HIE_{name}", raising=False)
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "kafka.json").write_text("{}")
    monkeypatch.setenv("HIE_DATA_DIR", str(folder))
    return folder


def test_there_and_back(data: Path, tmp_path: Path) -> None:
    kept = hie("backup", str(tmp_path / "backups"))
    assert Path(kept).parent == tmp_path / "backups"
    assert hie("backup", "verify", str(tmp_path / "backups")) == kept, "of several the newest"
    shutil.rmtree(data)
    hie("restore", kept)
    assert (data / "kafka.json").read_text() == "{}"
    with pytest.raises(HubError, match="TARGET_NOT_EMPTY"):
        hie("restore", kept)


def test_what_is_no_backup(data: Path, tmp_path: Path) -> None:
    with pytest.raises(HubError, match="NOT_FOUND"):
        hie("backup", "verify", str(data))
    with pytest.raises(HubError, match="REQUEST_WRONG"):
        hie("backup", "a", "b")
