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

    former_token_blake2b    = "…"   # while they are changed: the token and the password before, good beside the new ones,
    former_gateway_password = "…"
    former_until = 2026-12-31       # until the end of this day in Vietnam

A changed file is taken while the hub runs (`Credentials.follow`). Without the file everything that comes from this machine is the sender `local`, which may speak for any facility.
"""

import hashlib
import hmac
import ipaddress
import secrets
import threading
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hub.contract.errors import HubError
from hub.contract.events import VIETNAM, now

_DIGEST_BYTES: Final = 32
_EVERY_S: Final = 1.0
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
    former:   the hash before, while it is good beside the new one; "" if it is not.
    """

    user: str
    password: str = field(repr=False)
    credential: Credential
    former: str = field(default="", repr=False)


_HASH: Final = r"^(\$argon2id\$v=19\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+)?$"


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    facilities: frozenset[str] = frozenset()
    token_blake2b: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    mllp_from: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    test: bool = False
    gateway_user: str = Field("", max_length=64)
    gateway_password: str = Field("", pattern=_HASH)
    former_token_blake2b: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    former_gateway_password: str = Field("", pattern=_HASH)
    former_until: date | None = Field(None, lt=date(9999, 1, 1))

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if bool(self.gateway_user) != bool(self.gateway_password):
            raise ValueError("gateway_user and gateway_password belong together")
        if (self.former_until is not None) != bool(self.former_token_blake2b or self.former_gateway_password):
            raise ValueError("former_until belongs to former_token_blake2b and former_gateway_password")
        if self.former_gateway_password and not self.gateway_password:
            raise ValueError("former_gateway_password needs the one after it")
        return self

    certificates: tuple[Annotated[str, Field(pattern=r"^([0-9A-Fa-f]{2}:?){32}$")], ...] = ()
    messages_per_minute: int = Field(0, ge=0)
    bytes_per_minute: int = Field(0, ge=0)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    sender: dict[str, _Row]


class _Tables:
    """What one reading of the file says."""

    def __init__(
        self,
        by_token: Mapping[str, Credential],
        by_network: Iterable[tuple[Network, Credential]],
        accounts: Sequence[Account],
        by_certificate: Mapping[str, Credential],
        everyone: Iterable[Credential],
        ends: Mapping[str, datetime],
    ) -> None:
        self.by_token = by_token
        self.by_network = sorted(by_network, key=lambda pair: -pair[0].prefixlen)  # the closest network decides
        self.accounts = {account.user.casefold(): account for account in accounts}
        self.by_certificate = by_certificate
        named = [*by_token.values(), *(who for _, who in self.by_network), *(account.credential for account in accounts)]
        self.by_name = {credential.name: credential for credential in (*everyone, *named)}
        self.ends = ends  # by the hash of a former token or password


class Credentials:
    """All credentials of this hub: those of the file as it was read last, or given here.

    edition: another number once a changed file is in force.
    Safe to share between threads. Nothing here is ever logged.
    """

    def __init__(
        self,
        by_token: Mapping[str, Credential],
        by_network: Iterable[tuple[Network, Credential]],
        accounts: Sequence[Account] = (),
        *,
        local: bool = False,
    ) -> None:
        self.edition = 0
        self._tables = _Tables(by_token, by_network, accounts, {}, [LOCAL] if local else [], {})
        self._local = local
        self._path: Path | None = None
        self._taken: _Stamp = None  # of what is in force, or could not be taken
        self._seen: _Stamp = None
        self._clock: Callable[[], datetime] = now

    @property
    def without_file(self) -> bool:
        """Whether everybody on this machine is `local`, and nobody else is anybody."""
        return self._local

    @classmethod
    def open(cls, path: Path | None, clock: Callable[[], datetime] = now) -> Self:
        """The credentials of a file, or those of a hub without one.

        clock:  says when what is former has ended.
        Raises: HubError(SETTING_WRONG) with the place in the file, never a value of it.
        """
        made = cls({}, [], local=path is None)
        made._path, made._clock = path, clock
        if path is not None:
            made._taken = made._seen = _stamp(path)
            made._tables = _read(path)
        return made

    def follow(self) -> None:
        """Take what changes in the file from now on, in a thread that ends with the process."""
        if self._path is not None:
            threading.Thread(target=self._follow, name="credentials", daemon=True).start()

    def _follow(self) -> None:
        ever = threading.Event()
        while not ever.wait(_EVERY_S):
            self.look()

    def look(self) -> None:
        """One look at the file. A changed one is taken once two looks in a row saw it the same: nobody is read half way.

        A file with a fault is told once, and what was good before stays in force.
        """
        from hub.contract import telemetry  # late, as where the processes' metrics are is settled before its first import

        assert self._path is not None
        stamp, before = _stamp(self._path), self._seen
        self._seen = stamp
        if stamp == self._taken or stamp != before:
            return
        self._taken = stamp
        try:
            self._tables = _read(self._path)
        except HubError as wrong:
            telemetry.fault("credentials", wrong.code, wrong.where)
        else:
            self.edition += 1  # after the tables, so that nothing of the old ones is remembered under the new number
            telemetry.credentials_taken(len(self._tables.by_name))

    def of_token(self, token: str, address: str = "") -> Credential | None:
        """The owner of a token; None when nobody is. Without a file: `local` for a caller on this machine, token or not."""
        if self._local:
            return LOCAL if is_loopback(address) else None
        tables, digest = self._tables, token_hash(token)
        found = None
        for known, credential in tables.by_token.items():  # all are compared, in constant time each: no hint in the timing
            if hmac.compare_digest(known, digest):
                found = credential
        return found if self._lasts(tables, digest) else None

    def _lasts(self, tables: _Tables, secret_hash: str) -> bool:
        ends = tables.ends.get(secret_hash)
        return ends is None or self._clock() < ends

    def of_address(self, address: str) -> Credential | None:
        """The sender whose MLLP links come from this address; None when nobody's do."""
        if self._local:
            return LOCAL if is_loopback(address) else None
        parsed = parsed_address(address)
        if parsed is None:
            return None
        return next(
            (who for network, who in self._tables.by_network if parsed.version == network.version and parsed in network), None
        )

    def of_user(self, user: str, address: str = "") -> Account | None:
        """The account of the gateway's calls; its password is not looked at. Without a file: any user on this machine."""
        if self._local:
            return Account(user, "", LOCAL) if is_loopback(address) else None
        tables = self._tables
        found = tables.accounts.get(user.casefold())
        return replace(found, former="") if found and found.former and not self._lasts(tables, found.former) else found

    def any_account(self) -> Account | None:
        """Some account: to spend the same time on a user that nobody has."""
        return next(iter(self._tables.accounts.values()), None)

    def of_certificate(self, certificate: bytes) -> Credential | None:
        """The sender that the file names by this client certificate (DER), whose chain TLS has checked; None when nobody is."""
        return self._tables.by_certificate.get(hashlib.sha256(certificate).hexdigest())

    def of_name(self, name: str) -> Credential | None:
        """The credential of a name that the hub wrote down earlier, as it is today; None when it is no more."""
        return self._tables.by_name.get(name)


# --- the file ---------------------------------------------------------------------------------------------------------

_Stamp = tuple[int, int, int, int] | None
_Key = TypeVar("_Key")
_Owner = TypeVar("_Owner")


def _stamp(path: Path) -> _Stamp:
    try:
        state = path.stat()
    except OSError:  # between two versions of it
        return None
    return state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino


def _read(path: Path) -> _Tables:
    try:
        rows = _File.model_validate(tomllib.loads(path.read_text("utf-8")))
    except ValidationError as wrong:
        place = ".".join(str(part) for part in wrong.errors()[0]["loc"])
        raise HubError("SETTING_WRONG", f"HIE_CREDENTIALS {place}: {wrong.errors()[0]['msg']}") from None
    except (OSError, ValueError, RecursionError) as wrong:
        raise HubError("SETTING_WRONG", f"HIE_CREDENTIALS {type(wrong).__name__}") from None
    by_token: dict[str, Credential] = {}
    by_network: dict[Network, Credential] = {}
    accounts: dict[str, Account] = {}
    by_certificate: dict[str, Credential] = {}
    everyone = []
    ends: dict[str, datetime] = {}
    for name, row in rows.sender.items():
        credential = Credential(name, row.facilities, row.test, row.messages_per_minute, row.bytes_per_minute)
        everyone.append(credential)
        for token in filter(None, (row.token_blake2b, row.former_token_blake2b)):
            _only(by_token, token, credential, f"{name}: token")
        for network in row.mllp_from:
            _only(by_network, network, credential, f"{name}: network")
        if row.gateway_user:
            account = Account(row.gateway_user, row.gateway_password, credential, row.former_gateway_password)
            _only(accounts, row.gateway_user.casefold(), account, f"{name}: gateway_user")
        for certificate in row.certificates:
            _only(by_certificate, certificate.replace(":", "").lower(), credential, f"{name}: certificate")
        if row.former_until is not None:
            end = datetime.combine(row.former_until + timedelta(days=1), time(), VIETNAM)
            ends |= dict.fromkeys(filter(None, (row.former_token_blake2b, row.former_gateway_password)), end)
    return _Tables(by_token, by_network.items(), list(accounts.values()), by_certificate, everyone, ends)


def _only(owners: dict[_Key, _Owner], key: _Key, owner: _Owner, place: str) -> None:
    if key in owners:
        raise HubError("SETTING_WRONG", f"HIE_CREDENTIALS sender.{place} of another sender")
    owners[key] = owner


def make_token() -> tuple[str, str]:
    """A new random token for its owner, and its hash for the file; the hub keeps no token."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    return token, token_hash(token)


def token_hash(token: str) -> str:
    """BLAKE2b-256 in hex. A token is 256 random bits, so a fast hash without salt is enough."""
    return hashlib.blake2b(token.encode("utf-8", "surrogateescape"), digest_size=_DIGEST_BYTES).hexdigest()


def parsed_address(address: str) -> Address | None:
    """A peer's address, of its own family whatever the socket's; None for what is no address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed  # 10.1.2.3 may come as ::ffff:10.1.2.3


@lru_cache(maxsize=1024)  # a door asks it of all its connections, for each that comes
def network_of(address: str) -> str:
    """What a limit for one host is counted by: an IPv6 host has a whole /64, one of IPv4 its address; itself for what is no address."""
    host = parsed_address(address)
    return str(ipaddress.ip_network((host, 64), strict=False)) if host and host.version == 6 else str(host or address)


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own."""
    parsed = parsed_address(address)
    return parsed is not None and parsed.is_loopback
