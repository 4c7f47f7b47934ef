"""What the door is made of, put together: who may come in, how much, and where tokens are got."""

from dataclasses import dataclass

from sqlalchemy.engine import Engine

from runtime.clock import Clock
from runtime.credentials import Credentials
from runtime.keys import signing_key
from runtime.settings import Settings
from runtime.watched_credentials import WatchedCredentials
from services.intake import tables as t
from services.intake.access.callers import Callers
from services.intake.access.certificates import Certificates, networks
from services.intake.access.first_keys import hand_out
from services.intake.access.token_endpoint import TokenEndpoint
from services.intake.access.tokens import Tokens
from services.intake.access.turns import Turns
from services.intake.metrics import Metrics
from wards.model import Ward


@dataclass(frozen=True, slots=True)
class Door:
    """``watched`` must be ``watching`` while the service runs."""

    watched: WatchedCredentials
    callers: Callers
    turns: Turns
    tokens: TokenEndpoint


def open_door(
    settings: Settings, ward: Ward, clock: Clock, engine: Engine, metrics: Metrics
) -> Door:
    """``engine``: of the database ``keys``, with its tables. Agencies that never had a key get one.
    Raises KeyFileError, SettingsError."""
    credentials = Credentials(engine, t.credentials, clock)
    hand_out(settings.home / "keys.toml", ward, credentials)
    watched = WatchedCredentials(credentials)
    watched.refresh()
    metrics.credentials_age.set_function(watched.age)
    issuers = addresses(settings)
    issuer = issuers[0] if issuers else f"urn:tsunagu:{ward.code}"
    tokens = Tokens(signing_key(settings.keys / "token.key"), issuer, clock)
    certificates = Certificates(networks(settings.trusted_proxies))
    callers = Callers(ward, watched, tokens, certificates, clock)
    turns = Turns(ward.limits, clock)
    endpoint = TokenEndpoint(engine, watched, callers, tokens, turns, metrics, clock, issuers)
    return Door(watched, callers, turns, endpoint)


def addresses(settings: Settings) -> tuple[str, ...]:
    """By which this network is known. Never what a request says in Host: an assertion made for
    another network would be good here, if whoever has it could choose what we are called. Nor what
    every other network could be called as well: one that listens everywhere has no name of its own,
    and no assertion is for it."""
    if settings.public_url:
        return (settings.public_url.rstrip("/"),)
    if settings.host in ("0.0.0.0", "::"):  # noqa: S104
        return ()
    scheme = "https" if settings.tls_certificate else "http"
    hosts = _THIS_HOST if settings.host in _THIS_HOST else (settings.host,)
    return tuple(f"{scheme}://{host}:{settings.port}" for host in hosts)


_THIS_HOST = ("127.0.0.1", "localhost")  # on one host, the port tells networks apart
