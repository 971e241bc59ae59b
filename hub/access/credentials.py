"""Credentials: who may send, for which facilities, and whose mailbox they may read.

One TOML file, named by `HIE_CREDENTIALS`, one table a credential:

    [sender.songhong_his]
    facilities   = ["01004"]        # may speak for these, and read their mailboxes; absent: none
    token_blake2b = "…"             # hash of its token (`make_token`); absent: no HTTP
    mllp_from    = ["10.1.0.0/16"]  # networks its MLLP links come from; absent: no MLLP
    certificates = ["…"]            # SHA-256 of its client certificates; by MLLP over TLS they say who it is
    test         = false            # true: whatever it sends is test traffic
    gateway_user     = "01004_BV"   # its account of the insurance gateway's calls; absent: none
    gateway_password = "$argon2id…" # hash of the password as the client sends it (`hie credential gateway`)
    messages_per_minute = 6000      # beyond it, it is slowed; absent: no limit
    bytes_per_minute    = 60000000

Without the file everything that comes from this machine is the sender `local`, which may speak for any facility.
"""

import hashlib
import hmac
import ipaddress
import secrets
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hub.contract.errors import HubError

_DIGEST_BYTES: Final = 32
_TOKEN_BYTES: Final = 32

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Credential:
    """One sender.

    facilities: codes it may speak for and whose mailboxes it may read; None for any.
    test:       all it sends is test traffic.
    messages_per_minute, bytes_per_minute: its quota; 0 for none.
    """

    name: str
    facilities: frozenset[str] | None
    test: bool = False
    messages_per_minute: int = 0
    bytes_per_minute: int = 0

    def may_act_for(self, facility: str) -> bool:
        return self.facilities is None or facility in self.facilities


LOCAL: Final = Credential("local", None)


@dataclass(frozen=True, slots=True)
class Account:
    """One account of the insurance gateway's calls.

    user:     as the file writes it; clients may differ in case.
    password: argon2id hash of what the client sends; "" on a hub without credentials, where any will do.
    """

    user: str
    password: str = field(repr=False)
    credential: Credential


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    facilities: frozenset[str] = frozenset()
    token_blake2b: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    mllp_from: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    test: bool = False
    gateway_user: str = Field("", max_length=64)
    gateway_password: str = Field("", pattern=r"^(\$argon2id\$v=19\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+)?$")

    @model_validator(mode="after")
    def _user_has_password(self) -> Self:
        if bool(self.gateway_user) != bool(self.gateway_password):
            raise ValueError("gateway_user and gateway_password belong together")
        return self

    certificates: tuple[Annotated[str, Field(pattern=r"^([0-9A-Fa-f]{2}:?){32}$")], ...] = ()
    messages_per_minute: int = Field(0, ge=0)
    bytes_per_minute: int = Field(0, ge=0)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    sender: dict[str, _Row]


class Credentials:
    """All credentials of this hub, read once.

    Safe to share between threads. Nothing here is ever logged.
    """

    def __init__(
        self,
        by_token: dict[str, Credential],
        by_network: list[tuple[Network, Credential]],
        accounts: Sequence[Account] = (),
        *,
        by_certificate: dict[str, Credential] | None = None,
        everyone: Iterable[Credential] = (),
        local: bool = False,
    ) -> None:
        self._by_token = by_token
        self._accounts = {account.user.casefold(): account for account in accounts}
        self._by_network = sorted(by_network, key=lambda pair: -pair[0].prefixlen)  # the closest network decides
        self._local = local
        self._by_certificate = by_certificate or {}
        named = [*by_token.values(), *(who for _, who in by_network), *(account.credential for account in accounts)]
        everyone = [*everyone, *named]
        self._by_name = {credential.name: credential for credential in everyone} | ({"local": LOCAL} if local else {})

    @property
    def without_file(self) -> bool:
        """Whether everybody on this machine is `local`, and nobody else is anybody."""
        return self._local

    @classmethod
    def open(cls, path: Path | None) -> Self:
        """The credentials of a file, or those of a hub without one.

        Raises: HubError(SETTING_WRONG) with the place in the file, never a value of it.
        """
        if path is None:
            return cls({}, [], local=True)
        try:
            rows = _File.model_validate(tomllib.loads(path.read_text("utf-8")))
        except ValidationError as wrong:
            place = ".".join(str(part) for part in wrong.errors()[0]["loc"])
            raise HubError("SETTING_WRONG", f"HIE_CREDENTIALS {place}: {wrong.errors()[0]['msg']}") from None
        except (OSError, ValueError) as wrong:
            raise HubError("SETTING_WRONG", f"HIE_CREDENTIALS {type(wrong).__name__}") from None
        by_token: dict[str, Credential] = {}
        by_network: dict[Network, Credential] = {}
        accounts: dict[str, Account] = {}
        by_certificate: dict[str, Credential] = {}
        everyone = []
        for name, row in rows.sender.items():
            credential = Credential(name, row.facilities, row.test, row.messages_per_minute, row.bytes_per_minute)
            everyone.append(credential)
            if row.token_blake2b:
                if row.token_blake2b in by_token:
                    raise HubError("SETTING_WRONG", f"HIE_CREDENTIALS sender.{name}: token of another sender")
                by_token[row.token_blake2b] = credential
            for network in row.mllp_from:
                if network in by_network:
                    raise HubError("SETTING_WRONG", f"HIE_CREDENTIALS sender.{name}: network of another sender")
                by_network[network] = credential
            if row.gateway_user.casefold() in accounts:
                raise HubError("SETTING_WRONG", f"HIE_CREDENTIALS sender.{name}: gateway_user of another sender")
            if row.gateway_user:
                accounts[row.gateway_user.casefold()] = Account(row.gateway_user, row.gateway_password, credential)
            for certificate in row.certificates:
                fingerprint = certificate.replace(":", "").lower()
                if fingerprint in by_certificate:
                    raise HubError("SETTING_WRONG", f"HIE_CREDENTIALS sender.{name}: certificate of another sender")
                by_certificate[fingerprint] = credential
        return cls(by_token, list(by_network.items()), list(accounts.values()), by_certificate=by_certificate, everyone=everyone)

    def of_token(self, token: str, address: str = "") -> Credential | None:
        """The owner of a token; None when nobody is. Without a file: `local` for a caller on this machine, token or not."""
        if self._local:
            return LOCAL if is_loopback(address) else None
        digest = token_hash(token)
        found = None
        for known, credential in self._by_token.items():  # all are compared, in constant time each: no hint in the timing
            if hmac.compare_digest(known, digest):
                found = credential
        return found

    def of_address(self, address: str) -> Credential | None:
        """The sender whose MLLP links come from this address; None when nobody's do."""
        if self._local:
            return LOCAL if is_loopback(address) else None
        parsed = _parse(address)
        if parsed is None:
            return None
        return next((who for network, who in self._by_network if parsed.version == network.version and parsed in network), None)

    def of_user(self, user: str, address: str = "") -> Account | None:
        """The account of the gateway's calls; its password is not looked at. Without a file: any user on this machine."""
        if self._local:
            return Account(user, "", LOCAL) if is_loopback(address) else None
        return self._accounts.get(user.casefold())

    def any_account(self) -> Account | None:
        """Some account: to spend the same time on a user that nobody has."""
        return next(iter(self._accounts.values()), None)

    def of_certificate(self, certificate: bytes) -> Credential | None:
        """The sender that the file names by this client certificate (DER), whose chain TLS has checked; None when nobody is."""
        return self._by_certificate.get(hashlib.sha256(certificate).hexdigest())

    def of_name(self, name: str) -> Credential | None:
        """The credential of a name that the hub wrote down earlier, as it is today; None when it is no more."""
        return self._by_name.get(name)


def make_token() -> tuple[str, str]:
    """A new random token for its owner, and its hash for the file; the hub keeps no token."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    return token, token_hash(token)


def token_hash(token: str) -> str:
    """BLAKE2b-256 in hex. A token is 256 random bits, so a fast hash without salt is enough."""
    return hashlib.blake2b(token.encode("utf-8", "surrogateescape"), digest_size=_DIGEST_BYTES).hexdigest()


def _parse(address: str) -> Address | None:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed  # 10.1.2.3 may come as ::ffff:10.1.2.3


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own."""
    parsed = _parse(address)
    return parsed is not None and parsed.is_loopback
