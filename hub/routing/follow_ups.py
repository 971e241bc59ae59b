"""Follow-up slips: to the citizen's app, which is reached through the insurance portal's mailbox."""

from typing import Final

from hub.contract.events import Event, Keyring, revision_rank
from hub.routing.stream import CaseRef, Deliver, Fact, Known, Moment, Nobody, Output

PORTAL: Final = "portal"  # the mailbox that the client of the insurance portal drains
_HELD: Final = "follow-up-held"
_DAYS: Final = 400  # as long as the topic


def is_held(event: Event) -> bool:
    """Whether an event tells of what the app may not show before consent is known: HIV, mental or reproductive health."""
    return bool(event["meta"].get("sensitivity"))


def facts(event: Event, _keyring: Keyring) -> list[Fact]:
    """That a slip was held once: what is said of it later need not say again what it is about."""
    meta = event["meta"]
    return [Fact(_HELD, meta["key"], "", revision_rank(meta["revision"]), {}, _DAYS, stays=True)] if is_held(event) else []


def lookups(event: Event, _keyring: Keyring) -> list[CaseRef]:
    return [CaseRef(_HELD, event["meta"]["key"])]


def decide(event: Event, known: Known, _moment: Moment) -> list[Output]:
    """To the portal; one that is sensitive, or was, is held."""
    if is_held(event) or any(fact.kind == _HELD for fact in known):
        return [Nobody("nobody-held-sensitive")]
    return [Deliver(PORTAL, "follow-up-to-portal")]
