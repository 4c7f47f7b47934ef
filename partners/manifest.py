"""Is anything missing? (抜けがない証拠): an agency's events against the manifest of its inbox.

It stands alone: the standard library and ``cryptography``, nothing of the network's code, so that a
partner may copy this one file and an auditor may read it in one sitting. What it checks:

* the note: a C2SP signed note with a tlog-checkpoint (origin, size, root), signed with Ed25519 by the key
  that the ward gave the agency;
* the events 1 … size: h(0) is 32 zero bytes, h(n) = SHA-256(h(n-1) ‖ SHA-256(canonical JSON of the n-th
  CloudEvent)); the canonical JSON is RFC 8785's, the CloudEvent without its attribute ``agencynumber``.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

EMPTY = bytes(32)
_SEARCHED = 200
"""In so many events every two that changed places are found; in ``_NEIGHBOURS`` two neighbours."""
_NEIGHBOURS = 2_000


class Verdict(StrEnum):
    """What became of the comparison."""

    WHOLE = "whole"  # 抜けも書き換えもない
    MISSING = "missing"  # 番号が抜けている
    DUPLICATED = "duplicated"  # 一つの番号に二つの出来事がある
    ALTERED = "altered"  # 書き換えられている
    OUT_OF_ORDER = "out_of_order"  # 入れ替わっている
    NOT_SIGNED = "not_signed"  # この鍵の署名ではない
    OF_ANOTHER = "of_another"  # 別の機関の目録
    OLD = "old"  # 前に見た目録より古い


@dataclass(frozen=True, slots=True)
class Report:
    """``size``: what the manifest speaks of; ``beyond``: events that came after it. ``numbers``: those
    that are missing, doubled or in another place, as far as it can be told which."""

    verdict: Verdict
    detail: str
    size: int = 0
    beyond: int = 0
    numbers: tuple[int, ...] = ()

    @property
    def whole(self) -> bool:
        return self.verdict is Verdict.WHOLE


@dataclass(frozen=True, slots=True)
class Event:
    """A CloudEvent, and its number in the agency's inbox."""

    number: int
    event: dict[str, Any]


class NotSigned(ValueError):
    """The note is no manifest that the key has signed."""


@dataclass(frozen=True, slots=True)
class Manifest:
    origin: str
    size: int
    head: bytes


def read_event(said: dict[str, Any]) -> Event:
    """An item of ``GET /v1/inbox`` (``number`` and ``event``), or a CloudEvent as webhooks and NATS carry
    it (with ``agencynumber``). Raises ValueError."""
    if isinstance(said.get("event"), dict) and type(said.get("number")) is int:
        return Event(said["number"], without_number(said["event"]))
    if type(said.get("agencynumber")) is int:
        return Event(said["agencynumber"], without_number(said))
    raise ValueError("neither an item of the inbox nor a CloudEvent with its number")


def without_number(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "agencynumber"}


def event_hash(event: dict[str, Any]) -> bytes:
    # RFC 8785 for what is in our events: no floats, integers that a double holds, ASCII names.
    text = json.dumps(event, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


def head_of(hashes: Iterable[bytes], head: bytes = EMPTY) -> bytes:
    for one in hashes:
        head = hashlib.sha256(head + one).digest()
    return head


# -- the note -------------------------------------------------------------------------------------------


def open_note(note: str, vkey: str) -> Manifest:
    """What the manifest says, if the key has signed it; signatures of other keys are passed over. Raises
    NotSigned."""
    name, key_id, public = _read_key(vkey)
    body, blank, signatures = note.rpartition("\n\n")
    if not blank or not note.endswith("\n") or len(note) > 65_536:
        raise NotSigned("not a signed note")
    body += "\n"
    signed = [s for s in map(_signature, signatures[:-1].split("\n")) if s[:2] == (name, key_id)]
    if not signed:
        raise NotSigned("the key has not signed this note")
    for _, _, signature in signed:
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, body.encode())
        except (InvalidSignature, ValueError):
            raise NotSigned("the signature is not good") from None
    lines = body.split("\n")
    if len(lines) != 4 or not (lines[1].isascii() and lines[1].isdigit()) or len(lines[1]) > 19:
        raise NotSigned("not a manifest")
    head = _bytes(lines[2])
    if len(head) != 32:
        raise NotSigned("not a manifest")
    return Manifest(lines[0], int(lines[1]), head)


def origin_of(note: str) -> str:
    """Whose it claims to be; nothing of it is checked."""
    return note.partition("\n")[0]


def _read_key(vkey: str) -> tuple[str, bytes, bytes]:
    name, _, rest = vkey.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    key = _bytes(encoded)
    if len(key) != 33 or key[:1] != b"\x01":
        raise NotSigned("not a verifier key of Ed25519 (name+id+key)")
    expected = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    if key_id != expected.hex():
        raise NotSigned("the verifier key's id does not match its name and key")
    return name, expected, key[1:]


def _signature(line: str) -> tuple[str, bytes, bytes]:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    signature = _bytes(encoded)
    if dash != "—" or not name or len(signature) < 5:
        raise NotSigned("not a signature line")
    return name, signature[:4], signature[4:]


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NotSigned("not base64") from None


# -- the events -----------------------------------------------------------------------------------------


def verify(events: Iterable[Event], note: str, vkey: str, *, at_least: int = 0) -> Report:
    """Compare. ``at_least``: the size of a manifest that was seen before; an inbox never shrinks."""
    name = vkey.strip().partition("+")[0]
    try:
        manifest = open_note(note, vkey)
    except NotSigned as fault:
        claimed = origin_of(note)
        if claimed != name and claimed.startswith("tsunagu/"):
            return Report(Verdict.OF_ANOTHER, f"{claimed}, not {name}")
        return Report(Verdict.NOT_SIGNED, str(fault))
    if manifest.origin != name:
        return Report(Verdict.OF_ANOTHER, f"{manifest.origin}, not {name}", manifest.size)
    if manifest.size < at_least:
        detail = f"it speaks of {manifest.size} events, one before it of {at_least}"
        return Report(Verdict.OLD, detail, manifest.size)
    return _compare(list(events), manifest)


def _compare(events: list[Event], manifest: Manifest) -> Report:
    size = manifest.size
    by_number: dict[int, bytes] = {}
    doubled: set[int] = set()
    for one in events:
        hashed = event_hash(one.event)
        if by_number.setdefault(one.number, hashed) != hashed:
            doubled.add(one.number)
    beyond = sum(1 for number in by_number if number > size)
    if doubled:
        detail = "two different events have one number"
        return Report(Verdict.DUPLICATED, detail, size, beyond, tuple(sorted(doubled)))
    missing = tuple(number for number in range(1, size + 1) if number not in by_number)
    if missing:
        detail = f"{len(missing)} of {size} are not there"
        return Report(Verdict.MISSING, detail, size, beyond, missing)
    hashes = [by_number[number] for number in range(1, size + 1)]
    if head_of(hashes) == manifest.head:
        return Report(Verdict.WHOLE, f"1 … {size}: as it was signed", size, beyond)
    swapped = _swapped(hashes, manifest.head)
    if swapped is not None:
        detail = "they have changed places"
        return Report(Verdict.OUT_OF_ORDER, detail, size, beyond, swapped)
    detail = "all numbers are there, but at least one event is not as it was signed"
    return Report(Verdict.ALTERED, detail, size, beyond)


def _swapped(hashes: Sequence[bytes], head: bytes) -> tuple[int, int] | None:
    """The two that have changed places, if nothing else happened to them."""
    count = len(hashes)
    if count > _NEIGHBOURS:
        return None
    before = EMPTY
    for i in range(count - 1):
        for j in range(i + 1, count if count <= _SEARCHED else i + 2):
            tried = [*hashes[i:]]
            tried[0], tried[j - i] = tried[j - i], tried[0]
            if head_of(tried, before) == head:
                return i + 1, j + 1
        before = head_of([hashes[i]], before)
    return None
