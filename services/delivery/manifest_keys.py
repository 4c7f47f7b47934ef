"""The keys that manifests are signed with (送達目録の鍵), under ``<home>/keys``.

* ``manifest.key``: the newest, made at the first use; ``manifest-<id>.key``: those that it followed.
* ``manifest_keys.json``: the public half of every key there ever was, with from when and until when it
  signs. What signed an old manifest is never forgotten.
* ``manifest.vkeys``: the same for handing out, a verifier key per line (C2SP signed-note) for each
  agency.

While a key and the one it follows overlap, a manifest has a signature by each: whoever knows only the
older one is not cut off.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime.clock import Clock, utc_text
from runtime.keys import KeyFileError, signing_key
from runtime.signed_note import VerifierKey

_NEWEST = "manifest.key"
_LISTED = "manifest_keys.json"


def inbox_origin(ward: str, agency: str) -> str:
    """Under which name the head of an agency's inbox is signed: a note for one agency is none for
    another."""
    return f"tsunagu/{ward}/inbox/{agency}"


@dataclass(frozen=True, slots=True)
class ManifestKey:
    """``until``: the first moment at which it signs no more; None: no end is set."""

    public: bytes
    since: datetime
    until: datetime | None = None

    @property
    def id(self) -> str:
        return self.public.hex()[:8]

    def signs(self, now: datetime) -> bool:
        return self.until is None or now < self.until

    def vkey(self, ward: str, agency: str) -> str:
        """As a partner is given it."""
        return VerifierKey(inbox_origin(ward, agency), self.public).encode()


class ManifestKeys:
    """One process signs, and whoever administers may rotate meanwhile: every use reads the files."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    def all(self) -> list[ManifestKey]:
        """Every key there ever was, newest first. Raises ``runtime.keys.KeyFileError``."""
        with self._alone():
            return self._listed()

    def signers(self) -> list[Ed25519PrivateKey]:
        """Those that sign now, newest first. Raises ``runtime.keys.KeyFileError``."""
        with self._alone():
            now = self._clock.now()
            older = [
                self._older(key) for key in self._listed()[1:] if key.signs(now) and self._has(key)
            ]
            return [signing_key(self._folder / _NEWEST), *map(signing_key, older)]

    def rotate(self, overlap: timedelta) -> ManifestKey:
        """A new key that signs from now on; those before it stop when the overlap is over, or earlier
        if they were to. Raises ``runtime.keys.KeyFileError``."""
        with self._alone():
            now = self._clock.now()
            ends = now + overlap
            before = [_ending(key, ends) for key in self._listed(replaced=True)]
            newest = self._folder / _NEWEST
            coming = self._folder / f".{_NEWEST}.coming"
            coming.unlink(missing_ok=True)  # of a rotation that did not come to its end
            made = ManifestKey(_public(signing_key(coming)), now)
            with contextlib.suppress(FileExistsError, FileNotFoundError):
                os.link(newest, self._older(before[0]))
            # Whoever dies between these two leaves both keys signing.
            os.replace(coming, newest)
            self._list([made, *before])
            for key in before:
                if not key.signs(now):
                    self._older(key).unlink(missing_ok=True)
            return made

    def hand_out(self, ward: str, agencies: Iterable[str]) -> None:
        """Write ``manifest.vkeys``. Raises ``runtime.keys.KeyFileError``."""
        with self._alone():
            keys = self._listed()
            lines = [f"{key.vkey(ward, agency)}\n" for agency in agencies for key in keys]
            _replace(self._folder / "manifest.vkeys", "".join(lines).encode(), 0o644)

    # -- inside ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self._folder / ".manifest_keys.lock"
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            name = Path(error.filename or self._folder).name
            raise KeyFileError(f"{name} cannot be used: {error.strerror}") from error

    def _listed(self, *, replaced: bool = False) -> list[ManifestKey]:
        known: list[ManifestKey] = []
        with contextlib.suppress(FileNotFoundError):
            text = (self._folder / _LISTED).read_bytes()
            try:
                known = [_read(one) for one in json.loads(text)["keys"]]
            except (ValueError, TypeError, LookupError) as error:
                raise KeyFileError(f"{_LISTED} does not list keys") from error
        newest = self._folder / _NEWEST
        if known and not newest.exists():
            if replaced:
                return known
            # Another one made in silence would be known to no partner.
            raise KeyFileError(
                f"{_NEWEST} is lost; put it back, or: tsunagu credentials manifest-key --rotate"
            )
        public = _public(signing_key(newest))
        if not known or known[0].public != public:
            # The first one, or whoever rotated died before it was listed: then the older ones sign
            # on until somebody rotates again.
            known = [ManifestKey(public, self._clock.now()), *known]
            self._list(known)
        return known

    def _list(self, keys: list[ManifestKey]) -> None:
        said = {"keys": [_written(key) for key in keys]}
        _replace(self._folder / _LISTED, json.dumps(said, indent=1).encode(), 0o600)

    def _older(self, key: ManifestKey) -> Path:
        return self._folder / f"manifest-{key.id}.key"

    def _has(self, key: ManifestKey) -> bool:
        return self._older(key).exists()


def _public(private: Ed25519PrivateKey) -> bytes:
    return private.public_key().public_bytes_raw()


def _ending(key: ManifestKey, ends: datetime) -> ManifestKey:
    if key.until is not None and key.until <= ends:
        return key
    return ManifestKey(key.public, key.since, ends)


def _written(key: ManifestKey) -> dict[str, str | None]:
    until = None if key.until is None else utc_text(key.until)
    return {"public": key.public.hex(), "since": utc_text(key.since), "until": until}


def _read(said: dict[str, str | None]) -> ManifestKey:
    until = said["until"]
    return ManifestKey(
        bytes.fromhex(said["public"] or ""),
        datetime.fromisoformat(said["since"] or "").astimezone(UTC),
        None if until is None else datetime.fromisoformat(until).astimezone(UTC),
    )


def _replace(path: Path, content: bytes, mode: int) -> None:
    made = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(made, path)
