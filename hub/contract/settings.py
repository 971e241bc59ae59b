"""Every setting of the hub, in one typed model, read once from the environment (`HIE_…`) by the command line."""

import json
import os
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, PositiveFloat, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from hub.contract.errors import HubError
from hub.contract.kafka import read_address


def _home(name: str, fallback: str) -> Path:
    return Path(os.environ.get(name) or Path.home() / fallback) / "hie-hub"


def is_private(url: str) -> bool:
    """Whether nobody between here and there reads along: https, or http on this machine."""
    try:
        address = urlsplit(url)
        near = address.hostname in ("127.0.0.1", "::1", "localhost")
    except ValueError:
        return False
    return bool(address.hostname) and (address.scheme == "https" or (address.scheme == "http" and near))


class Settings(BaseSettings):
    """One row a setting; the README's table of settings is made from these descriptions."""

    model_config = SettingsConfigDict(env_prefix="HIE_", extra="forbid", frozen=True)

    # where things are
    data_dir: Path = Field(
        default_factory=lambda: _home("XDG_DATA_HOME", ".local/share"),
        description="Folder of all data kept between runs: topics, database, ledger, logs.",
    )
    cache_dir: Path = Field(
        default_factory=lambda: _home("XDG_CACHE_HOME", ".cache"),
        description="Folder of fetched parts of the local stack; may be deleted at any time.",
    )
    stack: Literal["auto", "docker"] = Field(
        "auto", description="How to get what the three addresses below do not name: local processes, or containers."
    )
    kafka_bootstrap: SecretStr = Field(
        SecretStr(""),
        description="Address of a Kafka cluster, kafka[s]://user:password@host:port[,host:port], or host:port of one without logins; empty: start a local one.",
    )
    registry_url: str = Field("", description="Address of a Confluent-compatible schema registry; empty: start a local one.")
    database_url: SecretStr = Field(
        SecretStr(""), description="PostgreSQL address, postgresql://user:password@host:port/name; empty: start a local one."
    )
    brokers: int = Field(
        1, ge=1, le=3, description="Number of local brokers; with three, every record is on three and two must confirm."
    )
    kafka_port: int = Field(
        9092, ge=0, le=65000, description="Port of the first local broker (the next ones count up); 0: any free ports."
    )
    registry_port: int = Field(8081, ge=0, le=65535, description="Port of the local registry; 0: any free port.")
    database_port: int = Field(5433, ge=0, le=65535, description="Port of the local PostgreSQL; 0: any free port.")

    # the border
    listen: str = Field("127.0.0.1", description="Address that the listeners bind to; other than loopback only with credentials.")
    mllp_port: int = Field(2575, ge=0, le=65535, description="Port of the MLLP listener; 0: any free port.")
    http_port: int = Field(8080, ge=0, le=65535, description="Port of POST /v1/messages; 0: any free port.")
    inbox_port: int = Field(8082, ge=0, le=65535, description="Port of the inbox API; 0: any free port.")
    console_port: int = Field(8083, ge=0, le=65535, description="Port of the operators' console; 0: any free port.")
    tls_certificate: Path | None = Field(
        None, description="PEM file of the hub's certificate with its chain; with it and the key the two TLS ports open."
    )
    tls_key: Path | None = Field(None, description="PEM file of that certificate's private key.")
    tls_client_ca: Path | None = Field(
        None, description="PEM file of the authorities whose client certificates MLLP over TLS asks for; empty: it asks for none."
    )
    mllps_port: int = Field(2576, ge=0, le=65535, description="Port of MLLP over TLS; 0: any free port.")
    https_port: int = Field(8443, ge=0, le=65535, description="Port of POST /v1/messages over TLS; 0: any free port.")
    drop_dir: Path | None = Field(
        None, description="Drop folder: a sub-folder for each credential, or without credentials itself; empty: none."
    )
    drop_settle_s: float = Field(
        2.0, gt=0, description="A file in the drop folder is taken once it has not changed for this long, in seconds."
    )
    batch_max: int = Field(10_000, ge=1, description="Most messages in one frame, request or file.")
    credentials: Path | None = Field(
        None, description="TOML file of credentials and the facilities each may speak for; without it listeners stay on loopback."
    )
    push: Path | None = Field(
        None,
        description="TOML file of recipients that get push instead of pull: [recipient.<code>] host, port for MLLP; url, secrets for a webhook.",
    )
    portal: Path | None = Field(
        None,
        description="TOML file of the insurance portal: its address, and the account of each facility; empty: documents wait.",
    )
    vendors_dir: Path | None = Field(
        None, description="Folder of your own vendor profiles (TOML), read beside those of the hub; names must not collide."
    )
    directory_dir: Path | None = Field(
        None,
        description="Folder with a facilities.csv of your own, which replaces the directory of the hub (invented facilities); a change counts within seconds.",
    )
    message_bytes_max: int = Field(20 * 1024 * 1024, ge=1024, description="Largest message taken, in bytes.")
    envelope_bytes_max: int = Field(
        100 * 1024 * 1024,
        ge=1024,
        description="Largest insurance envelope taken by HTTP or from a folder, in bytes; beyond HIE_MESSAGE_BYTES_MAX it goes through the disk.",
    )
    signers: Path | None = Field(
        None,
        description="Folder of certificates (PEM) by facility, <code>.pem: its own or its CA's; without one signatures are kept, not checked.",
    )
    signature_required: bool = Field(
        False, description="Refuse an envelope without a valid signature of its facility; otherwise it is only told."
    )
    gate_workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Gate processes of `hie up` that share the ports of MLLP and HTTP; they pay where cores are free.",
    )
    links_max: int = Field(12_500, ge=1, description="Most open MLLP links, of each gate process.")
    pipeline_max: int = Field(64, ge=1, description="Most messages of one MLLP link under way at once; beyond it reading pauses.")
    ack_wait_s: float = Field(
        10.0, gt=0, description="Longest wait for the brokers before a link is closed without an acknowledgement, in seconds."
    )
    idle_s: float = Field(600.0, gt=0, description="An MLLP link without a byte for this long is closed, in seconds.")
    frame_wait_s: float = Field(60.0, gt=0, description="Longest time from the first byte of a frame to its last, in seconds.")
    gateway_token_s: float = Field(3600.0, gt=0, description="Lifetime of a token of the insurance gateway's calls, in seconds.")
    card_check_url: str = Field(
        "",
        description="Address of the gateway that answers card checks, such as https://host; https unless on this machine; empty: none.",
    )
    sweep_after_s: float = Field(
        60.0, gt=0, description="A message whose events are missing for this long is translated again, in seconds."
    )

    # the middle
    key_secret: SecretStr = Field(
        SecretStr(""), description="Secret of the keyed hash in Kafka keys; empty: made once and kept in the data folder."
    )
    routing_batch: int = Field(1_000, ge=1, le=100_000, description="Most events routed in one batch.")
    insurer_batch: int = Field(4_000, ge=1, le=100_000, description="Most claims adjudicated in one batch.")
    ledger_dir: Path | None = Field(None, description="Folder of the insurer's ledger; empty: `ledger` in the data folder.")
    catalogue_dir: Path | None = Field(
        None,
        description="Folder of dated catalogues that claims are checked against (CSV: drugs, services, supplies, staff, icd), read at the start; empty: not checked.",
    )
    claim_days: int = Field(
        365, ge=1, description="Days a routing fact is kept in the case index, unless its rule says how long."
    )
    archive_dir: Path | None = Field(
        None, description="Folder of the archive, readable by the hub's user only; empty: `archive` in the data folder."
    )
    archive_days: int = Field(3650, ge=1, description="Days that records are kept in the archive.")
    archive_wait_s: float = Field(30.0, gt=0, description="Longest time that a record waits to be archived, in seconds.")
    archive_batch_bytes: int = Field(
        32 * 1024 * 1024, ge=1024, description="Bytes of records after which a batch is archived at once."
    )

    # the way out
    mailbox_batch: int = Field(1_000, ge=1, le=100_000, description="Most deliveries put into mailboxes in one transaction.")
    mailbox_days: int = Field(
        90,
        ge=2,
        description="Days a delivery stays in its mailbox; without the recipient's word it expires then, and its sender is told.",
    )
    seen_days: int = Field(
        730,
        ge=2,
        description="Days after which the hub forgets that it delivered something; an older replay would deliver it again.",
    )
    expire_hours: dict[str, PositiveFloat] = Field(
        {"urgent": 24.0},
        description="Hours in which a delivery has to be fetched, or its sender is told, as JSON by lane or record; the shorter one counts.",
    )
    journal_batch: int = Field(5_000, ge=1, le=100_000, description="Most records that the journal indexes in one transaction.")
    push_timeout_s: float = Field(30.0, gt=0, description="Longest wait for a recipient's acknowledgement, in seconds.")
    poll_wait_max_s: float = Field(30.0, gt=0, description="Longest wait of a long poll on the inbox API, in seconds.")
    inbox_page_max: int = Field(500, ge=1, le=10_000, description="Most deliveries in one answer of the inbox API.")

    # the console
    console_idle_s: float = Field(1800.0, gt=0, description="Time without use after which a person is signed out, in seconds.")
    console_session_s: float = Field(
        43_200.0, gt=0, description="Time after which a person has to sign in again, however busy, in seconds."
    )

    console_url: str = Field(
        "",
        description="Address by which browsers open the console, such as https://hub.example; needed with HIE_OIDC_ISSUER only. With https its cookies are of TLS only, behind a proxy that ends it too.",
    )
    console_passwords: bool = Field(
        True,
        description="Whether people may sign in to the console by a password; off, only the provider of HIE_OIDC_ISSUER lets them in.",
    )
    oidc_issuer: str = Field(
        "",
        description="Issuer of an OpenID Connect provider by which people sign in to the console, as its discovery document writes it; empty: none.",
    )
    oidc_client_id: str = Field("", description="Id of the console as a client of that provider.")
    oidc_client_secret: SecretStr = Field(
        SecretStr(""), description="Its secret; empty: it is a public client (PKCE is used either way)."
    )
    oidc_claim: Literal["preferred_username", "email", "sub"] = Field(
        "preferred_username",
        description="Claim of the id_token that says who it is: the identity of a person (`hie person identity`), or else a login name.",
    )
    oidc_ca: Path | None = Field(
        None, description="PEM file of the authorities that signed the provider's certificate; empty: those of the system."
    )

    # what all services do
    metrics_listen: str = Field(
        "127.0.0.1",
        description="Address that every service's page of metrics binds to; it asks nobody who they are, so no address that others reach but Prometheus.",
    )
    metrics_port: int = Field(
        9464,
        ge=0,
        le=65000,
        description="Port of a service's /metrics, /health and /ready; where it is taken, the next free one (`hie status` names it); 0: any free port.",
    )
    otlp_endpoint: str = Field(
        "",
        description="Address of an OpenTelemetry collector that takes traces by OTLP over HTTP, such as http://host:4318; empty: none are made.",
    )
    otlp_share: float = Field(
        0.01, ge=0, le=1, description="Share of messages whose traces are made, 0 to 1; a message has all its spans or none."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe log line written.")

    @model_validator(mode="before")
    @classmethod
    def _names_are_known(cls, values: dict[str, object]) -> dict[str, object]:
        known = {f"HIE_{name}".upper() for name in cls.model_fields} | {"HIE_TOKEN"}  # a sender's, of `hie send` and `hie inbox`
        unknown = sorted(name for name in os.environ if name.startswith("HIE_") and name not in known)
        if unknown:
            near = get_close_matches(unknown[0], known, 1)
            raise ValueError(f"no such setting: {', '.join(unknown)}" + (f"; did you mean {near[0]}?" if near else ""))
        return values

    @model_validator(mode="after")
    def _loopback_unless_credentials(self) -> Self:
        if self.credentials is None and self.listen not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("HIE_LISTEN names more than loopback, which needs HIE_CREDENTIALS")
        return self

    @field_validator("kafka_bootstrap")
    @classmethod
    def _kafka_is_an_address(cls, value: SecretStr) -> SecretStr:
        read_address(value.get_secret_value())
        return value

    @field_validator("otlp_endpoint")
    @classmethod
    def _collector_is_an_address(cls, value: str) -> str:
        address = urlsplit(value)
        if value and not (address.scheme in ("http", "https") and address.hostname):
            raise ValueError("must be http://host:port or https://host:port")
        return value

    @model_validator(mode="after")
    def _card_check_is_private(self) -> Self:
        if self.card_check_url and not is_private(self.card_check_url):
            raise ValueError("HIE_CARD_CHECK_URL must be https://host, or http:// on this machine")
        return self

    @model_validator(mode="after")
    def _provider_is_whole(self) -> Self:
        if bool(self.oidc_issuer) != bool(self.oidc_client_id):
            raise ValueError("HIE_OIDC_ISSUER and HIE_OIDC_CLIENT_ID go together")
        if not self.oidc_issuer:
            if not self.console_passwords:
                raise ValueError("HIE_CONSOLE_PASSWORDS may be off only with HIE_OIDC_ISSUER")
            return self
        for name, address in (("HIE_OIDC_ISSUER", self.oidc_issuer), ("HIE_CONSOLE_URL", self.console_url)):
            if not is_private(address) or "?" in address or "#" in address:
                raise ValueError(f"{name} must be https://host, or http:// on this machine")
        return self

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("HIE_TLS_CERTIFICATE and HIE_TLS_KEY go together")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("HIE_TLS_CLIENT_CA needs HIE_TLS_CERTIFICATE")
        return self

    @model_validator(mode="after")
    def _seen_outlives_mailboxes(self) -> Self:
        if self.seen_days <= self.mailbox_days:
            raise ValueError("HIE_SEEN_DAYS must be more than HIE_MAILBOX_DAYS")
        return self

    @property
    def kafka(self) -> str:
        """The address of Kafka with its login, for a client (`hub.contract.kafka`); never for a log."""
        return self.kafka_bootstrap.get_secret_value()

    @property
    def ledger(self) -> Path:
        return self.ledger_dir or self.data_dir / "ledger"

    @property
    def archive(self) -> Path:
        return self.archive_dir or self.data_dir / "archive"

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"


def read_settings(**overrides: object) -> Settings:
    """The settings of this process, from the environment; overrides come before it.

    Raises: HubError(SETTING_WRONG) that names the setting, never its value.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # the model checks them
    except SettingsError:  # its text may hold the value
        raise HubError("SETTING_WRONG", "HIE_EXPIRE_HOURS: must be JSON") from None
    except ValidationError as wrong:
        first = wrong.errors()[0]
        name = "HIE_" + ".".join(str(part) for part in first["loc"]).upper() + ": " if first["loc"] else ""
        raise HubError("SETTING_WRONG", name + first["msg"].removeprefix("Value error, ")) from None


def to_environment(settings: Settings) -> dict[str, str]:
    """What a child process needs in its environment to read the same settings: all that differs from the defaults."""
    found = {}
    for name, row in Settings.model_fields.items():
        value = getattr(settings, name)
        if value != row.get_default(call_default_factory=True):
            plain = value.get_secret_value() if isinstance(value, SecretStr) else value
            found[f"HIE_{name.upper()}"] = json.dumps(plain) if isinstance(plain, dict) else str(plain)
    return found
