"""`tsunagu credentials` (資格情報の管理): makes, lists, rotates and revokes what agencies are known by.

Writes straight into the database of the service that checks it, which notices within a second; the bus
is not needed. A secret is told once, here, and kept nowhere in the clear. In production each kind is
administered in the container of its service: ``webhook_secret`` in delivery's, the others in intake's.
"""

import base64
import contextlib
import json
import os
import re
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cryptography import x509

from runtime.clock import Clock, clock_of
from runtime.credentials import Credential, CredentialRefused, Credentials, Kind, hashed, new_secret
from runtime.database import open_database
from runtime.migrations import upgrade
from runtime.sealed_credentials import CredentialSeal
from runtime.settings import Settings
from schemas.codes import Scope
from schemas.outside import local_text
from services.delivery import tables as delivery
from services.delivery.manifest_keys import ManifestKeys
from services.intake import tables as intake
from services.intake.access import public_keys
from services.intake.access.certificates import UNREADABLE, thumbprint
from services.intake.access.parts import addresses
from services.intake.access.public_keys import UnfitKey
from wards.model import Ward

_SERVICES = Path(__file__).parent
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_LONGEST_FILE = 65_536  # bytes


class Refused(Exception):
    """It cannot be done as asked; the text, Japanese first, says why and names no secret."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for. ``file``: the public key or certificate; ``out``: where the secret goes;
    ``follows``: of several, which one is rotated."""

    kind: Kind
    agency: str
    label: str = ""
    scopes: str = ""
    valid_days: int | None = None
    file: Path | None = None
    out: Path | None = None
    follows: str | None = None


@dataclass(frozen=True, slots=True)
class Made:
    credential: Credential
    secret: dict[str, str]
    """What to hand over to the agency; empty where the agency keeps its secret itself."""
    until: dict[str, str]
    """Those that it follows, by id, and until when they are good."""


class Administration:
    def __init__(self, settings: Settings, ward: Ward) -> None:
        self._settings = settings
        self._ward = ward
        self._clock: Clock = clock_of(settings)
        self.unreached: list[str] = []
        """Services whose database cannot be opened from here, as far as it was tried."""

    def everything(self, agency: str | None) -> list[Credential]:
        """Those that are kept where this process can reach them."""
        found = [c for credentials in self._reached() for c in credentials.all(agency)]
        return sorted(found, key=lambda c: (c.agency, c.kind, c.made_at))

    def new(self, wanted: Wanted) -> Made:
        material, secret = self._material(wanted)
        ends = None
        if wanted.valid_days is not None:
            ends = self._clock.now() + timedelta(days=wanted.valid_days)
        scopes = self._scopes(wanted)
        with self._written_to(wanted.out), self._opened(_store(wanted.kind)) as credentials:
            made = credentials.issue(
                wanted.agency, wanted.kind, material,
                scopes=scopes, label=wanted.label, valid_to=ends,
            )  # fmt: skip
            return self._told(Made(made, secret, {}), wanted.out)

    def rotate(self, wanted: Wanted, overlap: timedelta) -> Made:
        material, secret = self._material(wanted)
        with self._written_to(wanted.out), self._opened(_store(wanted.kind)) as credentials:
            made = credentials.rotate(
                wanted.agency, wanted.kind, material, overlap,
                follows=wanted.follows, label=wanted.label,
            )  # fmt: skip
            now = self._clock.now()
            followed = [
                c for c in credentials.all(wanted.agency, wanted.kind)
                if c.id != made.id and not c.ended(now)
            ]  # fmt: skip
            ends = {c.id: local_text(c.valid_to) for c in followed if c.valid_to is not None}
            return self._told(Made(made, secret, ends), wanted.out)

    def revoke(self, credential: str) -> Credential:
        for credentials in self._reached():
            found = next((c for c in credentials.all() if c.id == credential), None)
            if found is not None:
                if not credentials.revoke(credential):
                    raise Refused("すでに失効しています / it was revoked before")
                return found
        if self.unreached:
            beyond = ", ".join(self.unreached)
            raise Refused(
                f"失効していません。{beyond} のデータベースに届かず、そこにあるかは分かりません / "
                f"nothing was revoked: the database of {beyond} cannot be reached from here, and it "
                "may be there"
            )
        raise Refused("その ID の資格情報はありません / there is no credential with that id")

    def manifest_keys(self, rotate: timedelta | None = None) -> list[dict[str, Any]]:
        """With what delivery signs its manifests, newest first; ``rotate``: a new one, and for how long
        those before it sign as well. Run where delivery keeps its keys."""
        keys = ManifestKeys(self._settings.keys, self._clock)
        if rotate is not None:
            keys.rotate(rotate)
            keys.hand_out(self._ward.code, [agency.id for agency in self._ward.agencies])
        now = self._clock.now()
        return [
            {
                "id": key.id,
                "signs": key.signs(now),
                "since": local_text(key.since),
                "until": None if key.until is None else local_text(key.until),
                "public": key.public.hex(),
            }
            for key in keys.all()
        ]

    def document(self, credential: Credential) -> dict[str, Any]:
        """Of one, for programs; nothing of its material."""
        moments = {
            name: None if moment is None else local_text(moment)
            for name, moment in (
                ("made_at", credential.made_at),
                ("valid_from", credential.valid_from),
                ("valid_to", credential.valid_to),
                ("revoked_at", credential.revoked_at),
                ("last_used_at", credential.last_used_at),
            )
        }
        return {
            "id": credential.id,
            "agency": credential.agency,
            "kind": str(credential.kind),
            "label": credential.label,
            "scopes": None if credential.scopes is None else list(credential.scopes),
            "live": credential.live(self._clock.now()),
            **moments,
        }

    # -- inside ----------------------------------------------------------------------------------

    def _scopes(self, wanted: Wanted) -> tuple[str, ...] | None:
        agency = self._ward.agency(wanted.agency)
        if not wanted.scopes or agency is None:
            return None
        named = tuple(dict.fromkeys(wanted.scopes.replace(",", " ").split()))
        if not named or any(name not in {str(scope) for scope in Scope} for name in named):
            raise Refused(f"権限は {', '.join(Scope)} です / scopes are {', '.join(Scope)}")
        if any(name not in agency.scopes for name in named):
            raise Refused(
                "区のファイルでこの機関に許されていない権限です / the ward file does not give these "
                f"scopes to this agency, only: {', '.join(agency.scopes)}"
            )
        return named

    def _material(self, wanted: Wanted) -> tuple[bytes, dict[str, str]]:
        """What is kept, and what is handed over."""
        if self._ward.agency(wanted.agency) is None:
            raise Refused("その機関は名簿にありません / no such agency in the ward file")
        if wanted.kind is Kind.JWT_KEY and not addresses(self._settings):
            raise Refused(
                "TSUNAGU_PUBLIC_URL を定めてください。名のない網あての署名は、よその網でも通ります / "
                "set TSUNAGU_PUBLIC_URL: what is signed for a network without a name of its own is "
                "good for others, too"
            )
        public = wanted.kind in (Kind.JWT_KEY, Kind.CERTIFICATE)
        if public != (wanted.file is not None):
            raise Refused(
                "--file に公開鍵または証明書を指定してください / --file names the public key or certificate"
                if public
                else "--file は要りません / --file is for jwt_key and certificate"
            )
        match wanted.kind:
            case Kind.API_KEY:
                key = new_secret("tsunagu_")
                return hashed(key), {"key": key}
            case Kind.NATS:
                password = new_secret("")
                return hashed(password), {"user": wanted.agency, "password": password}
            case Kind.WEBHOOK_SECRET:
                secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
                seal = CredentialSeal(self._settings.keys / "delivery.key")
                sealed = seal.seal(wanted.agency, wanted.kind, secret.encode())
                return sealed, {"secret": secret}
            case Kind.JWT_KEY:
                try:
                    return public_keys.jwk_of(_read(wanted.file)), {}
                except UnfitKey as error:
                    raise Refused(
                        f"署名鍵として使えません / not fit for signatures: {error}"
                    ) from None
            case Kind.CERTIFICATE:
                return self._thumbprint(_read(wanted.file)), {}

    def _thumbprint(self, pem: bytes) -> bytes:
        try:
            certificate = x509.load_pem_x509_certificate(pem)
        except UNREADABLE:
            raise Refused("PEM 形式の証明書ではありません / not a certificate in PEM") from None
        if certificate.not_valid_after_utc <= self._clock.now():
            raise Refused("期限の切れた証明書です / the certificate has expired")
        return thumbprint(certificate)

    def _reached(self) -> Iterator[Credentials]:
        """Each store in turn; in production a container reaches its own service's only. Raises what
        the database raises when none can be reached."""
        for store in _STORES:
            try:
                with self._opened(store) as credentials:
                    yield credentials
            except sa.exc.OperationalError:
                self.unreached.append(store)
                if len(self.unreached) == len(_STORES):
                    raise

    @contextlib.contextmanager
    def _opened(self, store: str) -> Iterator[Credentials]:
        database, tables = _STORES[store]
        engine = open_database(self._settings.database_url(database))
        try:
            upgrade(engine, _SERVICES / store / "migrations")
            yield Credentials(engine, tables, self._clock)
        except CredentialRefused as error:
            raise Refused(f"作れません / refused: {error}") from None
        finally:
            engine.dispose()

    @contextlib.contextmanager
    def _written_to(self, out: Path | None) -> Iterator[None]:
        """A file that cannot be made is told before a credential is."""
        if out is None:
            yield
            return
        try:
            os.close(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError as error:
            raise Refused(f"{out}: 作れません / cannot be made: {error.strerror}") from None
        try:
            yield
        except BaseException:
            out.unlink()
            raise

    def _told(self, made: Made, out: Path | None) -> Made:
        if out is None:
            return made
        out.write_text(json.dumps({**self.document(made.credential), **made.secret}) + "\n")
        return Made(made.credential, {}, made.until)


def overlap_of(text: str) -> timedelta:
    """``7d``, ``12h``, ``30m``, ``0``. Raises Refused."""
    given = re.fullmatch(r"(\d{1,4})([dhms]?)", text.strip())
    if given is None or (not given[2] and given[1].strip("0")):
        raise Refused("--overlap は 7d、12h、30m のように / --overlap is like 7d, 12h or 30m")
    return timedelta(**{_UNITS[given[2] or "s"]: int(given[1])})


def _store(kind: Kind) -> str:
    return "delivery" if kind is Kind.WEBHOOK_SECRET else "intake"


def _read(path: Path | None) -> bytes:
    try:
        if path is None or path == Path("-"):
            return sys.stdin.buffer.read(_LONGEST_FILE)
        with path.open("rb") as file:
            return file.read(_LONGEST_FILE)
    except OSError as error:
        raise Refused(f"{path}: 読めません / cannot be read: {error.strerror}") from None


_STORES = {"intake": ("keys", intake.credentials), "delivery": ("delivery", delivery.credentials)}
