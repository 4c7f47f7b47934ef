"""The door of an intake in this process, on a database that is gone with it."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime.clock import Clock
from runtime.credentials import Credentials, Kind, hashed
from runtime.watched_credentials import WatchedCredentials
from services.intake import tables as t
from services.intake.access.callers import Callers
from services.intake.access.certificates import Certificates, networks
from services.intake.access.token_endpoint import TokenEndpoint
from services.intake.access.tokens import Tokens
from services.intake.access.turns import Turns
from services.intake.metrics import Metrics
from wards.model import Ward

ISSUER = "https://tsunagu.example"


@dataclass(frozen=True)
class TestDoor:
    """``credentials`` is whoever administers; ``watched`` learns of it when it is refreshed."""

    __test__ = False

    credentials: Credentials
    watched: WatchedCredentials
    callers: Callers
    endpoint: TokenEndpoint


def a_door(
    ward: Ward,
    clock: Clock,
    keys: Mapping[str, str] | None = None,
    *,
    engine: sa.Engine | None = None,
    proxies: str = "",
    token_key: bytes = bytes(32),
    issuers: tuple[str, ...] = (ISSUER,),
) -> TestDoor:
    """``keys``: API keys by agency. ``engine``: shared with another door, as intakes share theirs."""
    if engine is None:
        engine = sa.create_engine(
            "sqlite://", poolclass=sa.StaticPool, connect_args={"check_same_thread": False}
        )
        t.metadata.create_all(engine)
    credentials = Credentials(engine, t.credentials, clock)
    for agency, key in (keys or {}).items():
        credentials.issue(agency, Kind.API_KEY, hashed(key))
    watched = WatchedCredentials(credentials)
    watched.refresh()
    tokens = Tokens(Ed25519PrivateKey.from_private_bytes(token_key), ISSUER, clock)
    callers = Callers(ward, watched, tokens, Certificates(networks(proxies)), clock)
    turns = Turns(ward.limits, clock)
    endpoint = TokenEndpoint(
        engine, watched, callers, tokens, turns, Metrics(), clock, issuers
    )  # fmt: skip
    return TestDoor(credentials, watched, callers, endpoint)
