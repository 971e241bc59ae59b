"""What a payer may do on Kafka, and the login it does it with.

A payer reads its own claims, slips and decisions, as `User:payer.<code>`, and writes the decisions itself where the hub does not
adjudicate for it; whatever no rule allows, the brokers refuse. The hub's own login may do everything. Logins are SCRAM: Kafka keeps what checks a password, nobody the password.
"""

import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Final, cast

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from hub.contract.directory import payers
from hub.contract.errors import HubError
from hub.contract.kafka import client

_WAIT_S: Final = 20.0
_ITERATIONS: Final = 8192
_ANYWHERE: Final = "*"
_OF_PAYER: Final = "payer."


def user_of(payer: str) -> str:
    """A payer's login at Kafka; its consumer groups begin with the same name."""
    return f"{_OF_PAYER}{payer}"


def rights_of(payer: str) -> list[AclBinding]:
    """Read its own claims and decisions, and slips where it is granted them; write its decisions, unless the hub's insurer service
    does: what anybody else wrote there would go to the facility as the payer's word. Keep its place in groups named after it;
    nothing else."""
    name, own = user_of(payer), payers()[payer]
    slips = [_allow(name, ResourceType.TOPIC, f"{name}.referral.v1", AclOperation.READ)] if own.referrals else []
    decisions = [AclOperation.READ] if own.adjudicated_here else [AclOperation.READ, AclOperation.WRITE]
    return [
        _allow(name, ResourceType.TOPIC, f"{name}.claim.v1", AclOperation.READ),
        *slips,
        *(_allow(name, ResourceType.TOPIC, f"{name}.decision.v1", operation) for operation in decisions),
        _allow(name, ResourceType.GROUP, name, AclOperation.READ),
        _allow(name, ResourceType.GROUP, f"{name}.", AclOperation.READ, ResourcePatternType.PREFIXED),
    ]


def apply_rights(kafka: str, say: Callable[[str], None] = lambda _line: None) -> int:
    """Give each payer of the seeds its rights, and take from logins named after payers whatever is not among them.

    Brokers that keep no rights are left as they are, and that is said.

    Returns: how many rights were given or taken.
    Raises:  HubError(BROKER_UNAVAILABLE).
    """
    admin = _admin(kafka)
    try:
        there = set(admin.describe_acls(_any_of()).result(_WAIT_S))
    except (KafkaException, TimeoutError) as refused:
        if _code(refused) == KafkaError.SECURITY_DISABLED:
            say("these brokers keep no rights: whoever reaches them reads every payer's claims")
            return 0
        raise HubError("BROKER_UNAVAILABLE", "rights") from refused
    wanted = {right for payer in payers() for right in rights_of(payer)}
    of_payers = {
        right
        for right in there
        if right.principal.startswith(f"User:{_OF_PAYER}") and right.permission_type == AclPermissionType.ALLOW
    }
    new, old = wanted - there, of_payers - wanted
    _done(admin.create_acls(list(new), request_timeout=_WAIT_S) if new else {})
    _done(admin.delete_acls([_exactly(right) for right in old], request_timeout=_WAIT_S) if old else {})
    say(f"rights of {len(payers())} payers are set ({len(new)} given, {len(old)} taken away)")
    return len(new) + len(old)


def give_login(kafka: str, payer: str) -> str:
    """Make a payer's login, or change its password: the old one no longer opens a link. Returns: the password, kept nowhere.

    Raises: HubError(NOT_FOUND) for a payer that is not in the seeds, HubError(BROKER_UNAVAILABLE).
    """
    if payer not in payers():
        raise HubError("NOT_FOUND", f"payer {payer}; there are {', '.join(sorted(payers()))}")
    password = secrets.token_urlsafe(32)
    kind = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
    admin = _admin(kafka)  # named, as a client that nobody holds takes its answers along
    _done(admin.alter_user_scram_credentials([UserScramCredentialUpsertion(user_of(payer), kind, password.encode())]))
    return password


def take_login(kafka: str, payer: str) -> bool:
    """Take a payer's login away; links that are open end within ten minutes, when they have to log in again. Returns: false when it had none.

    Raises: HubError(NOT_FOUND) for what neither the seeds nor a login is named after, HubError(BROKER_UNAVAILABLE).
    """
    if payer not in payers() and payer not in (known := logins(kafka)):
        raise HubError("NOT_FOUND", f"payer {payer}; there are {', '.join(sorted({*payers(), *known}))}")
    admin = _admin(kafka)
    gone = admin.alter_user_scram_credentials([UserScramCredentialDeletion(user_of(payer), ScramMechanism.SCRAM_SHA_512)])
    try:
        for future in gone.values():
            future.result(_WAIT_S)
    except (KafkaException, TimeoutError) as refused:
        if _code(refused) == KafkaError.RESOURCE_NOT_FOUND:
            return False
        raise HubError("BROKER_UNAVAILABLE", "logins") from refused
    return True


def logins(kafka: str) -> set[str]:
    """Which payers have a login, those among them too that the seeds do not name any more. Raises: HubError(BROKER_UNAVAILABLE)."""
    admin = _admin(kafka)
    try:
        asked = cast("Future[dict[str, Any]]", admin.describe_user_scram_credentials())  # of all users: one answer
        found = asked.result(_WAIT_S)
    except (KafkaException, TimeoutError) as refused:
        raise HubError("BROKER_UNAVAILABLE", "logins") from refused
    return {user.removeprefix(_OF_PAYER) for user in found if user.startswith(_OF_PAYER)}


def _admin(kafka: str) -> AdminClient:
    return AdminClient({**client(kafka), "log_level": 2})


def _allow(
    user: str,
    kind: ResourceType,
    name: str,
    operation: AclOperation,
    pattern: ResourcePatternType = ResourcePatternType.LITERAL,
) -> AclBinding:
    return AclBinding(kind, name, pattern, f"User:{user}", _ANYWHERE, operation, AclPermissionType.ALLOW)


def _any_of() -> AclBindingFilter:
    every = cast("Any", None)  # as the library takes it; its types do not say so
    return AclBindingFilter(
        ResourceType.ANY, every, ResourcePatternType.ANY, every, every, AclOperation.ANY, AclPermissionType.ANY
    )


def _exactly(right: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        right.restype,
        right.name,
        right.resource_pattern_type,
        right.principal,
        right.host,
        right.operation,
        right.permission_type,
    )


def _done(futures: Mapping[Any, Any]) -> None:
    try:
        for future in futures.values():
            future.result(_WAIT_S)
    except (KafkaException, TimeoutError) as refused:
        raise HubError("BROKER_UNAVAILABLE", "rights") from refused


def _code(refused: Exception) -> int | None:
    return cast("KafkaError", refused.args[0]).code() if isinstance(refused, KafkaException) else None
