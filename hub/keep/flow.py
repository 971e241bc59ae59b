"""What the doctor looks at of the hub's own work: its services, how far behind they are, and what waits for a person."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import psutil

from hub.contract.topics import topics
from hub.journal.archive import Archive
from hub.journal.consumer import lag
from hub.journal.places import ends, topic_ids
from hub.keep.finding import Examined, Seen, ok
from hub.keep.forget import unfinished
from hub.services import answers, facts_of, service_names
from hub.stack import running_since
from hub.store.database import available, connect


def services(hub: Examined) -> Seen:
    """Whether each service of `hie up` runs, and whether one was started again of late."""
    since = running_since(hub.settings)
    if since is None:
        return Seen("unknown", "services are not run by `hie up` here; look at what runs them")
    written = {path.stem for path in (hub.settings.data_dir / "run").glob("*.json")}
    dead, again, hang = [], [], []
    names = sorted(written | set(service_names(gate_workers=hub.settings.gate_workers)))
    for name in names:
        pid = int(facts_of(hub.settings, name).get("pid", 0))
        if not pid or not psutil.pid_exists(pid):
            dead.append(name)
            continue
        if answers(hub.settings, name) is False:
            hang.append(name)
        age_s = hub.now.timestamp() - psutil.Process(pid).create_time()
        if hub.now.timestamp() - since - age_s > _STARTING_S and age_s < hub.limits.restarted_warn_s:
            again.append(f"{name} {age_s / 60:.0f} minutes ago")
    en, vi = (
        "Read the end of its log in the folder that `hie status` names.",
        "Hãy đọc cuối nhật ký của nó, trong thư mục mà `hie status` cho biết.",
    )
    if dead and hub.now.timestamp() - since < _STARTING_S:
        wait = ("Wait a moment and look again.", "Hãy đợi một lát rồi xem lại.")
        return Seen("warn", f"the hub is starting; not there yet: {', '.join(dead)}", *wait)
    if dead:
        return Seen("bad", f"not running: {', '.join(dead)}", en, vi)
    if hang:
        en = f"It runs and does not answer: end its process (`hie status` names it), and it is started again. {en}"
        vi = f"Tiến trình còn chạy nhưng không trả lời: hãy kết thúc nó (`hie status` cho biết mã), hub sẽ chạy lại. {vi}"
        return Seen("bad", f"no answer of {', '.join(hang)}", en, vi)
    if again:
        return Seen("warn", f"started again: {', '.join(again)}", en, vi)
    return ok(f"{len(names)} run, since {datetime.fromtimestamp(since, UTC):%Y-%m-%d %H:%M} UTC")


_STARTING_S: Final = 300.0


def _behind(hub: Examined, count: int, what: str) -> Seen:
    if count <= hub.limits.behind_warn:
        return ok(f"{count} records to read")
    en = f"Wait; if the number does not fall within minutes, read the log of `{what}`."
    vi = f"Hãy đợi; nếu vài phút sau số này không giảm, hãy đọc nhật ký của `{what}`."
    return Seen("warn", f"{count} records to read", en, vi)


def journal(hub: Examined) -> Seen:
    """How many records the index has still to read."""
    return _behind(hub, lag(hub.settings), "journal")


def archive(hub: Examined) -> Seen:
    """How many records the archive has still to take; they have until the topic expires."""
    kept = Archive.open(hub.settings.archive)
    kafka = hub.settings.kafka
    there = ends(kafka, topics())
    if kept is None:
        count = sum(end - first for first, end in there.values())
        return _behind(hub, count, "archive") if count > hub.limits.behind_warn else ok(f"none yet; {count} records to read")
    ids = topic_ids(kafka)
    count = sum(max(0, end - max(first, kept.next_offset(ids[topic], part))) for (topic, part), (first, end) in there.items())
    return _behind(hub, count, "archive")


def waiting(hub: Examined) -> Seen:
    """What waits for a person: parked keys and dead letters."""
    query = (
        "select (select count(distinct (topic, key)) from parked where state = 'PARKED'),"
        " (select count(*) from journal_dead_letter where state = '')"
    )
    with available(), connect(hub.settings.database_url.get_secret_value()) as database:
        row = database.execute(query).fetchone()
    parked, dead = row or (0, 0)
    seen = f"{parked} parked keys, {dead} dead letters"
    if not parked and not dead:
        return ok(seen)
    en = "Look at `hie parked list` and `hie dead list`: each says what it waits for."
    vi = "Hãy xem `hie parked list` và `hie dead list`: mỗi dòng cho biết đang đợi gì."
    return Seen("warn", seen, en, vi)


def erasure(hub: Examined) -> Seen:
    """Whether an erasure was begun and not finished, or may have been undone."""
    with available(), connect(hub.settings.database_url.get_secret_value()) as database:
        count = sum(len(one.keys) for one in unfinished(hub.settings, database))
    if not count:
        return ok("nothing is half erased")
    en = (
        "It was interrupted, or a ledger or the archive was made since and may have read them again from the topics."
        " Finish it: `hie forget --finish --yes`."
    )
    vi = (
        "Việc xóa bị ngắt giữa chừng, hoặc sau đó sổ cái hay kho lưu trữ được tạo lại và có thể đã đọc lại từ các chủ đề Kafka."
        " Hãy chạy tiếp: `hie forget --finish --yes`."
    )
    return Seen("bad", f"{count} keys are half erased, or may be there again", en, vi)


CHECKS: Final[dict[str, Callable[[Examined], Seen]]] = {
    "services": services, "journal": journal, "archive": archive, "waiting": waiting, "erasure": erasure,
}  # fmt: skip
