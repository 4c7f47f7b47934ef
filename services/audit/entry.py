"""A ledger entry: what audit hashes, and what an auditor reads.

Canonical JSON of one producer's journal entry plus two fields of audit's own: ``received_at`` and
``prev``, the leaf hash of the same referral's previous entry. These names are on disk.

The envelope is the same for every entry and its keys are in order, so one pattern before the event
and one after it both read and check it; only the event is parsed. (Parsing and writing again whole
entries costs a verifier twice the time.)
"""

import re
from typing import Any, Final, NamedTuple

from runtime.canonical import CanonicalError, canonical_json, read_canonical

VERSION: Final = 1
LARGEST_ENTRY: Final = 65_535  # C2SP tlog-tiles writes an entry's length in two bytes


class EntryError(ValueError):
    """The bytes are not a ledger entry, or the journal entry cannot become one."""


class Entry(NamedTuple):
    actor: str
    command: str
    concerns: str  # as written: a JSON list of agency ids
    event: dict[str, Any]
    id: str
    number: int
    occurred_at: str
    prev: str | None
    producer: str
    received_at: str
    referral: str | None
    version: int | None
    ward: str


_NUMBER: Final = Entry._fields.index("number")
_VERSION: Final = Entry._fields.index("version")

# Loose where only a reader of the field minds (a UUID's groups, a date's digits): a verifier spends
# much of its time here. Exact in what could make two readers see different entries.
_NAME = r'"([^"\\\x00-\x1f]++)"'
_NAMES = r'(\[(?:"[^"\\\x00-\x1f]++"(?:,"[^"\\\x00-\x1f]++")*+)?\])'
_UUID = r'"([0-9a-f-]{36})"'
_TIME = r'"([0-9]{4}-[0-9T:.-]{14,24}Z)"'
_COUNT = r"([1-9][0-9]{0,14})"
_HASH = r'"([0-9a-f]{64})"'

_BEFORE: Final = re.compile(rf'\{{"actor":{_NAME},"command":{_UUID},"concerns":{_NAMES},"event":')
_AFTER: Final = re.compile(
    rf',"id":{_UUID},"number":{_COUNT},"occurred_at":{_TIME},"prev":(?:null|{_HASH})'
    rf',"producer":{_NAME},"received_at":{_TIME},"referral":(?:null|{_UUID})'
    rf',"v":{VERSION},"version":(?:null|{_COUNT}),"ward":"([0-9]{{6}})"\}}'
)


def make_entry(journal: dict[str, Any], *, received_at: str, prev: str | None) -> bytes:
    """The entry's bytes. ``prev`` is None for a referral's first entry, or without a referral."""
    body = entry_bytes(journal, received_at=received_at, prev=prev)
    read_entry(body)  # what an auditor could not read is never appended
    return body


def entry_bytes(journal: dict[str, Any], *, received_at: str, prev: str | None) -> bytes:
    """The same for a journal entry of which ``make_entry`` has made one already: not read again."""
    try:
        return canonical_json({**journal, "received_at": received_at, "prev": prev})
    except CanonicalError as error:
        raise EntryError(str(error)) from error


def read_entry(body: bytes) -> Entry:
    """The entry that ``body`` is, byte for byte."""
    if len(body) > LARGEST_ENTRY:
        raise EntryError(f"an entry has at most {LARGEST_ENTRY} bytes")
    try:
        text = body.decode()
        before = _BEFORE.match(text)
        if before is None:
            raise EntryError("actor, command or concerns are not an entry's")
        event, end = read_canonical(text, before.end())
    except UnicodeDecodeError:
        raise EntryError("not UTF-8") from None
    except CanonicalError as error:
        raise EntryError(f"the event: {error}") from None
    after = _AFTER.fullmatch(text, end)
    if after is None:
        raise EntryError("a field after the event is missing, foreign or malformed")
    kind = event.get("type")
    if type(kind) is not str or not kind:
        raise EntryError("an event has a type")
    fields: list[Any] = [*before.groups(), event, *after.groups()]
    fields[_NUMBER] = int(fields[_NUMBER])
    if fields[_VERSION] is not None:
        fields[_VERSION] = int(fields[_VERSION])
    entry = Entry._make(fields)
    if entry.referral is None and (entry.prev is not None or entry.version is not None):
        raise EntryError("prev and version belong to a referral")
    return entry
