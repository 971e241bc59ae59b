"""The store of raw bytes."""

import pytest

from adapters.inbound.raw_store import RawStore, raw_hash
from hub.contract.errors import HubError


def test_what_is_put_can_be_got_and_is_kept_once(tmp_path):
    store, raw = RawStore(tmp_path / "raw"), b"some bytes"
    reference = store.put(raw, raw_hash(raw))
    assert store.put(raw, raw_hash(raw)) == reference and store.get(reference) == raw
    assert [path.name for path in (tmp_path / "raw").iterdir()] == [reference]


def test_damaged_or_missing_bytes_are_not_handed_out(tmp_path):
    store, raw = RawStore(tmp_path), b"some bytes"
    reference = store.put(raw, raw_hash(raw))
    (tmp_path / reference).write_bytes(b"other bytes")
    for name in (reference, "0" * 64):
        with pytest.raises(HubError, match="NOT_FOUND"):
            store.get(name)


def test_a_failed_write_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HubError, match="DISK_FULL"):
        RawStore(tmp_path / "file").put(b"x", raw_hash(b"x"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_is_kept_is_of_the_hubs_user_alone(tmp_path):
    store = RawStore(tmp_path / "raw")
    kept = store.put(b"body", raw_hash(b"body"))
    spool = store.spool()
    spool.write(b"more")
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "raw").iterdir()}
    spool.discard()
    assert modes == {0o600} and (tmp_path / "raw").stat().st_mode & 0o777 == 0o700
    assert store.get(kept) == b"body"
