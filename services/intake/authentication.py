"""Who is calling? Agency keys, in ``keys.toml`` under the network's home, made at the first start."""

import hashlib
import os
import secrets
import tomllib
from pathlib import Path

from runtime.clock import Clock
from runtime.keys import refuse_open
from schemas.outside import local_day
from services.intake.edge import Caller, Http
from wards.model import Ward

_HEAD = """# Agency keys (機関の鍵). Each line: agency id = "key". Keep this file secret (mode 0600).
"""


class Agencies:
    """Looks an agency up by its key. Keys are kept hashed in memory; a lookup compares hashes, so
    its time says nothing about a key."""

    def __init__(self, keys: dict[str, str], ward: Ward, clock: Clock) -> None:
        self._ward = ward
        self._clock = clock
        self._agencies = {_hash(key): agency for agency, key in keys.items()}

    async def caller(self, request: Http) -> Caller | None:
        authorization = request.headers.get("authorization")
        agency = self.authenticate(authorization)
        known = self._ward.agency(agency) if agency is not None else None
        if agency is None or authorization is None or known is None:
            return None
        caller = Caller(agency, frozenset(known.scopes), authorization)
        return caller if self.still(caller) else None

    def still(self, caller: Caller) -> bool:
        """On the network today, with a key that is still good: an agency that has left reads nothing
        any more."""
        agency = self._ward.agency(caller.agency)
        today = local_day(self._clock.now())
        known = self.authenticate(caller.credential) == caller.agency
        return known and agency is not None and agency.active_on(today)

    def authenticate(self, authorization: str | None) -> str | None:
        """The agency of an ``Authorization: Bearer …`` header, or None."""
        if authorization is None:
            return None
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or not key:
            return None
        return self._agencies.get(_hash(key.strip()))


def load_keys(path: Path, ward: Ward) -> dict[str, str]:
    """The keys in ``path``; agencies of the ward that have none yet get one."""
    keys: dict[str, str] = {}
    if path.exists():
        refuse_open(path)
        keys = {str(a): str(k) for a, k in tomllib.loads(path.read_text("utf-8")).items()}
    missing = [agency.id for agency in ward.agencies if agency.id not in keys]
    if missing:
        keys |= {agency: f"tsunagu_{secrets.token_urlsafe(32)}" for agency in missing}
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_name(f".{path.name}.{os.getpid()}")
        lines = "".join(f'{agency} = "{key}"\n' for agency, key in keys.items())
        with open(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(_HEAD + lines)
            file.flush()
            os.fsync(file.fileno())
        os.replace(made, path)
    return keys


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
