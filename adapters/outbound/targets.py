"""Who is pushed to, and how: the file that HIE_PUSH names."""

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from adapters.outbound.mllp_push import Mllp, Target
from adapters.outbound.push import Channel
from adapters.outbound.receipts import TEST
from adapters.outbound.webhook import Hook, Webhook
from hub.bus import Wire
from hub.contract.errors import HubError
from hub.contract.settings import Settings


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    recipient: dict[str, Target | Hook] = {}


def read_targets(path: Path | None) -> dict[str, Target | Hook]:
    """Mailbox to where it is pushed. A recipient's test traffic is pushed only to its own row, `<code>!test`.

    Raises: HubError(SETTING_WRONG) with the place in the file.
    """
    if path is None:
        return {}
    try:
        return _File.model_validate(tomllib.loads(path.read_text("utf-8"))).recipient
    except ValidationError as wrong:
        place = ".".join(str(part) for part in wrong.errors()[0]["loc"])
        raise HubError("SETTING_WRONG", f"HIE_PUSH {place}: {wrong.errors()[0]['msg']}") from None
    except (OSError, ValueError) as wrong:
        raise HubError("SETTING_WRONG", f"HIE_PUSH {type(wrong).__name__}") from None


def channel_to(target: Target | Hook, mailbox: str, wire: Wire, settings: Settings) -> Channel:
    """The channel of one mailbox. Raises: HubError(SETTING_WRONG) for a secret or certificate that cannot be read."""
    facility = mailbox.removesuffix(TEST)
    if isinstance(target, Hook):
        return Webhook(target, facility, wire, settings.push_timeout_s)
    return Mllp(target, facility, wire, settings.push_timeout_s)
