"""Who is calling? Agency keys, in ``keys.toml`` under the network's home, made at the first start."""

import hashlib
import os
import secrets
import tomllib
from pathlib import Path

from runtime.keys import refuse_open
from wards.model import Ward

_HEAD = """# Agency keys (機関の鍵). Each line: agency id = "key". Keep this file secret (mode 0600).
"""


class Agencies:
    """Looks an agency up by its key. Keys are kept hashed in memory; a lookup compares hashes, so
    its time says nothing about a key."""

    def __init__(self, keys: dict[str, str]) -> None:
        self._agencies = {_hash(key): agency for agency, key in keys.items()}

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
