"""The settings of a process: typed, read once, passed down. Secrets are paths to files.

Every setting is an environment variable named ``TSUNAGU_`` and the field in capitals.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

_PATHS = ("home", "ward", "nats_logins", "nats_issuer_file", "clock_shift", "smtp_password_file",
          "tls_certificate", "tls_key", "tls_client_ca", "webhook_ca",
          "console_oidc_client_secret_file")  # fmt: skip
_SMTP_TLS = ("starttls", "tls", "none")
_ATTACHMENTS = ("folder", "nats")
_CLAMD = re.compile(r"/.+|[^/\s]+:[0-9]{1,5}")


class SettingsError(ValueError):
    """A setting is missing or makes no sense; the text names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """``home``: what a running network keeps. ``database``: an SQLAlchemy URL with ``{service}`` for
    the service's name; empty means one SQLite file per service under ``home``. ``nats_url`` may hold
    several addresses, separated by commas. ``nats_logins``: the folder with a password for each login,
    in a file ``nats_<login>``; none: the server asks nobody who they are. ``nats_issuer_file``: where
    intake writes the public half of the key by which it lets agencies in, for nats-server's
    configuration. ``nats_port``: of the nats-server that `tsunagu up` starts; 0: any that is free.
    ``replicas``: of each JetStream stream (3 in a cluster).

    ``clock_shift``: a file with seconds to add to the host's clock, for demonstrations and tests
    (``runtime.clock.shift`` writes it).

    ``smtp``: ``host:port`` of the mail server; empty means no mail is sent. ``mail_from``: the
    sender's address. ``smtp_user``: empty means no login; ``smtp_password_file`` holds its password.
    ``smtp_tls``: ``starttls`` (asked for on a plain connection), ``tls`` (from the first byte) or
    ``none`` (a server on the same host).

    ``public_url``: the address by which partners reach the network, ``https://…``; empty means
    ``host:port``. ``trusted_proxies``: addresses or networks, separated by commas, whose header
    ``Client-Cert`` (intake) or ``X-Forwarded-For`` (console) is believed. ``tls_certificate`` and
    ``tls_key``: PEM files, for TLS without a proxy; ``tls_client_ca``: who has signed the clients'
    certificates. ``webhook_ca``: a PEM file with whom to trust, besides whom the system trusts, when
    events are posted to agencies.

    ``attachments``: where files are kept: ``folder`` (under ``home``) or ``nats`` (JetStream's object
    store). ``clamd``: the virus scanner, ``host:port`` or the path of a Unix socket; empty means none.

    ``console_port``: of the pages for people (0, for `tsunagu up`: any that is free); ``console_url``: the
    address by which they are reached, ``https://…``. ``console_oidc_issuer``: the provider that says who
    people are (OpenID Connect); empty means passwords only. ``console_oidc_client_id`` and
    ``console_oidc_client_secret_file``: as whom the console is known there."""

    home: Path = Path(".tsunagu")
    ward: Path | None = None
    database: str = ""
    nats_url: str = "nats://127.0.0.1:4222"
    nats_logins: Path | None = None
    nats_issuer_file: Path | None = None
    nats_port: int = 0
    replicas: int = 1
    host: str = "127.0.0.1"
    port: int = 8700
    clock_shift: Path | None = None
    smtp: str = ""
    mail_from: str = ""
    smtp_user: str = ""
    smtp_password_file: Path | None = None
    smtp_tls: str = "starttls"
    public_url: str = ""
    trusted_proxies: str = ""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    webhook_ca: Path | None = None
    attachments: str = "folder"
    clamd: str = ""
    console_port: int = 0
    console_url: str = ""
    console_oidc_issuer: str = ""
    console_oidc_client_id: str = ""
    console_oidc_client_secret_file: Path | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        given: dict[str, object] = {}
        for field in fields(cls):
            name = f"TSUNAGU_{field.name.upper()}"
            value = environment.get(name)
            if value is None or value == "":
                continue
            if field.name in _PATHS:
                given[field.name] = Path(value)
            elif field.name in ("replicas", "port", "nats_port", "console_port"):
                if not value.isdecimal():
                    raise SettingsError(f"{name} must be a whole number")
                given[field.name] = int(value)
            elif field.name == "smtp_tls" and value not in _SMTP_TLS:
                raise SettingsError(f"{name} must be one of {', '.join(_SMTP_TLS)}")
            elif field.name == "attachments" and value not in _ATTACHMENTS:
                raise SettingsError(f"{name} must be one of {', '.join(_ATTACHMENTS)}")
            elif field.name == "clamd" and not _CLAMD.fullmatch(value):
                raise SettingsError(f"{name} must be host:port or the path of a socket")
            else:
                given[field.name] = value
        if ("tls_certificate" in given) != ("tls_key" in given):
            raise SettingsError("TSUNAGU_TLS_CERTIFICATE and TSUNAGU_TLS_KEY belong together")
        if "tls_client_ca" in given and "tls_certificate" not in given:
            raise SettingsError("TSUNAGU_TLS_CLIENT_CA is nothing without TSUNAGU_TLS_CERTIFICATE")
        return cls(**given)  # type: ignore[arg-type]  # the loop above made each the field's type

    def environment(self) -> dict[str, str]:
        """The same settings, for a child process."""
        return {
            f"TSUNAGU_{field.name.upper()}": str(getattr(self, field.name))
            for field in fields(self)
            if getattr(self, field.name) not in (None, "")
        }

    @property
    def keys(self) -> Path:
        """Folder of key files, readable by the owner only."""
        return self.home / "keys"

    def database_url(self, service: str) -> str:
        if self.database:
            return self.database.replace("{service}", service)
        return f"sqlite:///{(self.home / 'data' / f'{service}.db').resolve()}"

    def nats_password(self, login: str) -> str | None:
        """None: the server asks nobody who they are."""
        if self.nats_logins is None:
            return None
        return (self.nats_logins / f"nats_{login}").read_text(encoding="ascii").strip()
