"""Verify a ledger from its rows, its checkpoints and one public key; trust nothing else.

This module stands alone: the standard library, `cryptography`, and the pure formats beside it. It
never uses the code that wrote the ledger, so it is the oracle after every injected fault.

For each entry: its index follows, its leaf is H(00 ‖ entry), it is canonical and well formed, the
columns say what the bytes say, its producer's numbers and its referral's versions are contiguous,
``prev`` names the referral's previous entry, and no event is in twice. For each checkpoint: the
signature is good and the root is that of the entries. A checkpoint vouches for every byte below it;
what the newest one does not cover is reported as unsigned, not as wrong.

What happened before or after cannot be seen from here: a ledger cut back together with its newest
checkpoints is whole again. Add the checkpoints that agencies and witnesses hold to ``checkpoints``.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256
from typing import Final, NamedTuple

from services.audit.checkpoint import CheckpointError, VerifierKey, open_checkpoint
from services.audit.entry import Entry, EntryError, read_entry
from services.audit.merkle import HASH_BYTES, Frontier


class StoredEntry(NamedTuple):
    """A row as it was found; a damaged row may hold values of any type."""

    idx: int
    leaf: bytes
    body: bytes
    event_id: str
    producer: str
    number: int
    referral: str | None


class StoredCheckpoint(NamedTuple):
    size: int
    note: str


class UnreadableError(Exception):
    """Raised by a source of rows that cannot go on."""


class Kind(StrEnum):
    ALTERED = "altered"
    MISSING = "missing"
    REORDERED = "reordered"
    FORKED = "forked"  # two signed checkpoints of one size with different roots
    UNVERIFIABLE = "unverifiable"  # a key, a signature or an entry that cannot be read


EXIT_CODES: Final[dict[Kind | None, int]] = {
    None: 0,  # whole
    Kind.ALTERED: 1,
    # 2 is every command line's usage error
    Kind.MISSING: 3,
    Kind.FORKED: 4,
    Kind.UNVERIFIABLE: 5,
    Kind.REORDERED: 6,
}
MOST_FINDINGS: Final = 1_000  # also bounds the room and time that a shuffled ledger can cost
PROGRESS_EVERY: Final = 4_096


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and where: one of the entries first..until-1, or only in a checkpoint."""

    kind: Kind
    detail: str
    first: int | None = None
    until: int | None = None
    checkpoint: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    entries: int
    signed: int  # entries under the newest checkpoint that is good and whose root is theirs
    checkpoints: int  # how many such checkpoints
    findings: tuple[Finding, ...]  # the first wrong entry first
    omitted: int  # findings beyond MOST_FINDINGS

    @property
    def unsigned(self) -> int:
        return self.entries - self.signed

    @property
    def kind(self) -> Kind | None:
        """None when whole. A fork is the log lying with its own key: it outranks the rest."""
        if any(finding.kind is Kind.FORKED for finding in self.findings):
            return Kind.FORKED
        return self.findings[0].kind if self.findings else None

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.kind]


def verify(
    rows: Iterable[StoredEntry],
    checkpoints: Iterable[StoredCheckpoint],
    vkey: str,
    progress: Callable[[int], None] = lambda entries: None,
) -> Report:
    """Recompute the whole ledger. ``rows`` come in the order of their index and are read once."""
    ledger = _Ledger(vkey, checkpoints)
    try:
        for row in rows:
            ledger.add(row)
            if not ledger.expected % PROGRESS_EVERY:
                progress(ledger.expected)
    except UnreadableError as error:
        ledger.stop(error)
    progress(ledger.expected)
    return ledger.report()


# A referral's newest entry: its index, leaf and version. None is what damage hides: whatever
# follows may be right. (A plain tuple: one is made for every entry.)
_Last = tuple[int, bytes | None, int | None]
_BEFORE_FIRST: Final[_Last] = (-1, b"", 0)


class _Gap(NamedTuple):
    """Numbers first..until-1 were passed over between the entries ``after`` and ``at``."""

    first: int
    until: int
    after: int
    at: int


@dataclass(slots=True)
class _Producer:
    next: int = 1
    last: int = -1  # the index of its newest entry
    gaps: list[_Gap] = field(default_factory=list)


class _Ledger:
    def __init__(self, vkey: str, checkpoints: Iterable[StoredCheckpoint]) -> None:
        self.findings: list[Finding] = []
        self.omitted = 0
        self.expected = 0  # the next entry's index
        self.ward: str | None = None
        self.events: set[str] = set()
        self.producers: dict[str, _Producer] = defaultdict(_Producer)
        self.referrals: dict[str | None, _Last] = {}

        self.frontier = Frontier()
        self.roots: dict[int, set[bytes]] = {}  # signed, by size
        self.whole = True  # every row was there: otherwise there is no root to compare
        self.good = [0]  # sizes whose signed root is ours, after the empty tree
        self.bad: int | None = None
        try:
            self._open(checkpoints, VerifierKey.decode(vkey))
        except CheckpointError as error:
            self._find(Kind.UNVERIFIABLE, f"the log's key: {error}")
        except UnreadableError as error:
            self._find(Kind.UNVERIFIABLE, f"the checkpoints cannot be read: {error}")
        self.ahead = sorted(self.roots, reverse=True)
        self.next_checkpoint = self.ahead[-1] if self.ahead else None
        if self.next_checkpoint == 0:
            self._meet_checkpoint()

    # Reading the rows

    def add(self, row: StoredEntry) -> None:
        idx, leaf, body, event_id, producer, number, referral = row
        if idx != self.expected and not self._is_ahead(idx):
            return
        entry = None
        try:
            intact = sha256(b"\x00" + body).digest() == leaf
            if intact:
                entry = read_entry(body)
        except TypeError:  # not bytes
            intact = False
        except EntryError as error:
            self._find_here(Kind.UNVERIFIABLE, f"not a ledger entry: {error}")
        if entry is None:
            self._add_unread(row, intact)
        else:
            self.ward = self.ward or entry.ward
            if (
                entry.id != event_id
                or entry.number != number
                or entry.producer != producer
                or entry.referral != referral
            ):
                self._find_here(Kind.ALTERED, "the columns do not say what the entry says")
            if entry.ward != self.ward:
                self._find_here(Kind.ALTERED, "an entry of another ward")
            if entry.id in self.events:
                self._find_here(Kind.ALTERED, "an event that is in the ledger already")
            else:
                self.events.add(entry.id)
                self._count(entry.producer, entry.number)
                if entry.referral is not None:
                    self._chain(entry, leaf)
        if self.whole:
            self.frontier.append(leaf)
        self.expected += 1
        if self.expected == self.next_checkpoint:
            self._meet_checkpoint()

    def stop(self, error: UnreadableError) -> None:
        self._find_here(Kind.UNVERIFIABLE, f"the entries cannot be read on: {error}")
        self.ahead.clear()  # what was not read is not missing

    def _is_ahead(self, index: int) -> bool:
        """Deal with a row that is not the expected one. False: it has no place in the ledger."""
        self.whole = False
        if type(index) is not int or index < self.expected:
            self._find_here(Kind.REORDERED, "an index does not follow the one before it")
            return False
        self._find(Kind.MISSING, "no such rows", self.expected, index)
        self.expected = index
        while self.ahead and self.ahead[-1] <= index:
            self._meet_checkpoint()
        return True

    def _add_unread(self, row: StoredEntry, intact: bool) -> None:
        """Go on by the columns, so that one damaged entry is one finding."""
        _, leaf, _, event_id, producer, number, referral = row
        if not intact:
            self._find_here(Kind.ALTERED, "the entry is not what its leaf hash says")
        if type(leaf) is not bytes or len(leaf) != HASH_BYTES:
            self.whole = False
        if type(event_id) is str:
            self.events.add(event_id)
        if type(producer) is str and type(number) is int:
            self._count(producer, number)
        if type(referral) is str:
            self.referrals[referral] = (self.expected, leaf if intact else None, None)

    def _count(self, name: str, number: int) -> None:
        """A producer's numbers are contiguous from 1."""
        producer = self.producers[name]
        if number != producer.next:
            if number < producer.next:
                self._count_late(producer, name, number)
                return
            if len(producer.gaps) < MOST_FINDINGS:
                # Missing, unless they come later: then reordered.
                producer.gaps.append(_Gap(producer.next, number, producer.last, self.expected))
            else:
                self.omitted += 1
        producer.next = number + 1
        producer.last = self.expected

    def _count_late(self, producer: _Producer, name: str, number: int) -> None:
        for gap in reversed(producer.gaps):
            if gap.first <= number < gap.until:
                if len(producer.gaps) < MOST_FINDINGS:
                    producer.gaps.remove(gap)
                    parts = gap._replace(until=number), gap._replace(first=number + 1)
                    producer.gaps += [part for part in parts if part.first < part.until]
                detail = f"number {number} of {name} comes too late"
                self._find(Kind.REORDERED, detail, gap.after + 1, gap.at + 1)
                return
        self._find_here(Kind.ALTERED, f"number {number} of {name} is in the ledger already")

    def _chain(self, entry: Entry, leaf: bytes) -> None:
        """``prev`` and the version lead from each entry of a referral to the next."""
        referral, version = entry.referral, entry.version
        after, prev, last_version = self.referrals.get(referral, _BEFORE_FIRST)
        step = 1
        if version is None:
            version = last_version
        elif last_version is not None:
            step = version - last_version
        self.referrals[referral] = self.expected, leaf, version
        linked = prev is None or entry.prev == (prev.hex() or None)
        if linked and step == 1:
            return
        kind = Kind.MISSING if step > 1 else Kind.REORDERED if step < 1 else Kind.ALTERED
        detail = f"does not follow the previous entry of referral {referral}"
        # Without a jump, the entry before may be the one that was rewritten.
        first = after + 1 if kind is Kind.MISSING else max(after, 0)
        self._find(kind, detail, first, self.expected + 1)

    # The checkpoints

    def _open(self, checkpoints: Iterable[StoredCheckpoint], key: VerifierKey) -> None:
        for size, note in checkpoints:
            try:
                if type(note) is not str:
                    raise CheckpointError("not text")
                checkpoint = open_checkpoint(note, key)
            except CheckpointError as error:
                self._find(Kind.UNVERIFIABLE, str(error), checkpoint=size)
                continue
            if checkpoint.size != size:
                self._find(Kind.ALTERED, f"is of size {checkpoint.size}", checkpoint=size)
            self.roots.setdefault(checkpoint.size, set()).add(checkpoint.root)
        for size, roots in self.roots.items():
            if len(roots) > 1:
                self._find(Kind.FORKED, f"{len(roots)} roots are signed", checkpoint=size)

    def _meet_checkpoint(self) -> None:
        size = self.ahead.pop()
        self.next_checkpoint = self.ahead[-1] if self.ahead else None
        if not self.whole or self.bad is not None:
            return  # one wrong entry makes every later root wrong
        if self.frontier.root() in self.roots[size]:
            self.good.append(size)
        else:
            self.bad = size

    # What was found

    def report(self) -> Report:
        signed = self.good[-1]
        findings = list(self.findings)
        for name, producer in self.producers.items():
            for gap in producer.gaps:
                detail = f"numbers {gap.first} to {gap.until - 1} of {name} are nowhere"
                findings.append(Finding(Kind.MISSING, detail, gap.after + 1, gap.at + 1))
        if self.ahead:
            size = self.ahead[0]
            detail = "a signed checkpoint covers more entries than there are"
            findings.append(Finding(Kind.MISSING, detail, self.expected, size, size))
        findings = [_narrowed(finding, signed) for finding in findings]
        if self.bad is not None and not any(
            signed <= f.first and f.until <= self.bad
            for f in findings
            if f.first is not None and f.until is not None
        ):
            detail = "the root of the entries is not the signed one"
            findings.append(Finding(Kind.ALTERED, detail, signed, self.bad, self.bad))
        if not findings and len(self.good) == 1:
            findings.append(Finding(Kind.UNVERIFIABLE, "no checkpoint signs any of this"))
        findings.sort(key=_certainty)
        return Report(self.expected, signed, len(self.good) - 1, tuple(findings), self.omitted)

    def _find_here(self, kind: Kind, detail: str) -> None:
        self._find(kind, detail, self.expected, self.expected + 1)

    def _find(
        self,
        kind: Kind,
        detail: str,
        first: int | None = None,
        until: int | None = None,
        checkpoint: int | None = None,
    ) -> None:
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(Finding(kind, detail, first, until, checkpoint))
        else:
            self.omitted += 1


def _narrowed(finding: Finding, signed: int) -> Finding:
    """Entries below a good checkpoint are as they were signed."""
    if finding.first is None or finding.until is None:
        return finding
    return replace(finding, first=min(max(finding.first, signed), finding.until - 1))


def _certainty(finding: Finding) -> tuple[float, int]:
    """The finding that must lie earliest first, of two such the narrower; checkpoints last."""
    if finding.first is None or finding.until is None:
        return math.inf, 0
    return finding.until, -finding.first
