"""The first key of each agency (最初の鍵), in ``keys.toml`` under the network's home, for handing out.

The file only tells people; who may come in is in the table of credentials.
"""

import contextlib
import fcntl
import os
import tomllib
from pathlib import Path

from runtime.credentials import CredentialRefused, Credentials, Kind, hashed, new_secret
from runtime.keys import refuse_open
from wards.model import Ward

_HEAD = """# First keys of the agencies (機関の最初の鍵), as made at the first start: agency id = "key".
# Keep this file secret (mode 0600). `tsunagu credentials` makes, rotates and revokes; it changes nothing here.
"""


def hand_out(path: Path, ward: Ward, credentials: Credentials) -> None:
    """An agency that never had an API key gets the one in ``path``, or a new one, told there.
    Raises KeyFileError when others can read the file."""
    if path.exists():
        refuse_open(path)
    had = {credential.agency for credential in credentials.all(kind=Kind.API_KEY)}
    missing = [agency.id for agency in ward.agencies if agency.id not in had]
    if not missing:
        return
    for agency, key in _told(path, missing).items():
        # Another process, which starts at the same moment, may be quicker.
        with contextlib.suppress(CredentialRefused):
            credentials.issue(agency, Kind.API_KEY, hashed(key), label="最初の鍵 / first key")


def _told(path: Path, agencies: list[str]) -> dict[str, str]:
    """The keys that the file has for ``agencies``; it is given those that it lacks, first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # who starts at the same moment reads what is written here
        keys: dict[str, str] = {}
        if path.exists():
            refuse_open(path)
            keys = {str(a): str(k) for a, k in tomllib.loads(path.read_text("utf-8")).items()}
        new = {agency: new_secret("tsunagu_") for agency in agencies if agency not in keys}
        if new:
            keys |= new
            _write(path, keys)
        return {agency: keys[agency] for agency in agencies}
    finally:
        os.close(lock)


def _write(path: Path, keys: dict[str, str]) -> None:
    made = path.with_name(f".{path.name}.{os.getpid()}")
    lines = "".join(f'{agency} = "{key}"\n' for agency, key in keys.items())
    with open(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(_HEAD + lines)
        file.flush()
        os.fsync(file.fileno())
    os.replace(made, path)
