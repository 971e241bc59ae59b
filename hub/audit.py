"""What a person did, and why: the one form of an audit event."""

from datetime import datetime

from hub.bus import Out, Wire
from hub.contract.events import new_id, now


def audit(
    wire: Wire,
    action: str,
    target: str,
    by: str,
    reason: str,
    outcome: str = "done",
    *,
    at: datetime | None = None,
    event_id: str = "",
) -> Out:
    """The record for `audit.v1`.

    target:   ids, codes and places, never a person's data.
    outcome:  done, refused, failed; asked, where it is told before it is done.
    at:       when; now if not given.
    event_id: where the same is told again on a second try; else one of its own.
    Raises:   HubError(REGISTRY_UNAVAILABLE).
    """
    when = at or now()
    made = event_id or new_id("audit", when.isoformat(), by, action, target)
    event = {"id": made, "at": when, "by": by, "action": action, "target": target, "reason": reason, "outcome": outcome}
    return Out("audit.v1", made, wire.pack("audit.v1", event))
