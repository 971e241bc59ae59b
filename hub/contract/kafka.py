"""The address of Kafka with the login it takes, in one text as a database's: `kafka://user:password@host:port[,host:port]`.

Without a login and in the clear, plain `host:port[,host:port]` will do. `kafkas://` speaks TLS. Behind a `?` may stand
`mechanism` (SCRAM-SHA-512 if nothing is said, SCRAM-SHA-256 or PLAIN) and `ca`, a PEM file of the authorities trusted.
"""

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, quote, unquote, urlsplit

_FORM: Final = (
    "must be host:port[,host:port] or kafka[s]://user:password@host:port[,host:port][?mechanism=…&ca=…], "
    "with signs such as # ? @ / of a password written as %23 %3F %40 %2F"
)
_BROKER: Final = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\]):\d+")
_MECHANISMS: Final = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")


@dataclass(frozen=True, slots=True)
class Address:
    """brokers: host:port[,host:port]. user: empty without a login. ca: path of a PEM file; empty: the system's own."""

    brokers: str
    user: str
    password: str = field(repr=False)
    mechanism: str
    tls: bool
    ca: str

    def client(self) -> dict[str, str]:
        """What librdkafka has to be told to reach these brokers."""
        told = {"bootstrap.servers": self.brokers}
        if self.user or self.tls:
            told["security.protocol"] = ("SASL_" if self.user else "") + ("SSL" if self.tls else "PLAINTEXT")
        if self.user:
            told |= {"sasl.mechanism": self.mechanism, "sasl.username": self.user, "sasl.password": self.password}
        return told | ({"ssl.ca.location": self.ca} if self.ca else {})


def read_address(text: str) -> Address:
    """Raises: ValueError with a plain sentence that never holds the password."""
    if "://" not in text:
        return Address(_checked(text), "", "", _MECHANISMS[0], tls=False, ca="")
    try:
        parts = urlsplit(text)
    except ValueError:  # its words may hold the password
        raise ValueError(_FORM) from None
    login, _, brokers = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    mechanism = options.get("mechanism", _MECHANISMS[0])
    if parts.scheme not in ("kafka", "kafkas") or not brokers or parts.path.strip("/") or options.keys() - {"mechanism", "ca"}:
        raise ValueError(_FORM)
    if mechanism not in _MECHANISMS:
        raise ValueError(f"mechanism must be one of {', '.join(_MECHANISMS)}")
    if bool(user) != bool(password):
        raise ValueError("a login is user:password")
    return Address(
        _checked(brokers), unquote(user), unquote(password), mechanism, parts.scheme == "kafkas", options.get("ca", "")
    )


def _checked(brokers: str) -> str:
    """What is no list of brokers may be half of a password, with a sign in it that has to be written %23 or the like."""
    if brokers and not all(_BROKER.fullmatch(one) for one in brokers.split(",")):
        raise ValueError(_FORM)
    return brokers


def write_address(brokers: str, user: str, password: str, mechanism: str = _MECHANISMS[0]) -> str:
    """An address with a login, in the clear."""
    return f"kafka://{quote(user, safe='')}:{quote(password, safe='')}@{brokers}?mechanism={mechanism}"


def brokers(address: str) -> str:
    """The address for people and logs: without its login."""
    return read_address(address).brokers


def client(address: str) -> dict[str, str]:
    """What librdkafka has to be told to reach these brokers."""
    return read_address(address).client()
