"""Follow-up slips: to the citizen's app, which is reached through the insurance portal's mailbox."""

from typing import Final

from hub.contract.events import Event
from hub.routing.stream import Deliver, Known, Moment, Nobody, Output

PORTAL: Final = "portal"  # the mailbox that the client of the insurance portal drains


def decide(event: Event, _known: Known, _moment: Moment) -> list[Output]:
    """To the portal; one that tells of HIV is held until consent is known to the hub."""
    if event["meta"].get("sensitivity") == "HIV":
        return [Nobody("nobody-held-sensitive")]
    return [Deliver(PORTAL, "follow-up-to-portal")]
