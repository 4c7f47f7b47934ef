"""Verify a ledger from its rows, its checkpoints and one public key; trust nothing else.

This module and its siblings ``verify_*`` stand alone: the standard library, `cryptography`, and the
pure formats beside them. They never use the code that wrote the ledger, so they are the oracle
after every injected fault.

For each entry: its index follows, its leaf is H(00 ‖ entry), it is canonical and well formed, the
columns say what the bytes say, its producer's numbers and its referral's versions are contiguous,
``prev`` names the referral's previous entry, and no event is in twice. For each checkpoint: the
signature is good and the root is that of the entries. A checkpoint vouches for every byte below it;
what the newest one does not cover is reported as unsigned, not as wrong.

What happened before or after cannot be seen from here: a ledger cut back together with its newest
checkpoints is whole again. Add the checkpoints that agencies and witnesses hold to ``checkpoints``.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from services.audit.entry import Entry
from services.audit.merkle import HASH_BYTES
from services.audit.verify_report import (
    EXIT_CODES,
    MOST_FINDINGS,
    Finding,
    Findings,
    Kind,
    Report,
)
from services.audit.verify_rows import (
    StoredCheckpoint,
    StoredEntry,
    UnreadableError,
    judge,
)
from services.audit.verify_tree import SignedTree

__all__ = [
    "EXIT_CODES",
    "Finding",
    "Kind",
    "Report",
    "StoredCheckpoint",
    "StoredEntry",
    "UnreadableError",
    "verify",
]

PROGRESS_EVERY: Final = 4_096


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
        self.findings = Findings()
        self.tree = SignedTree(vkey, checkpoints, self.findings)
        self.expected = 0  # the next entry's index
        self.ward: str | None = None
        self.events: set[str] = set()
        self.producers: dict[str, _Producer] = defaultdict(_Producer)
        self.referrals: dict[str | None, _Last] = {}

    def add(self, row: StoredEntry) -> None:
        idx, leaf, _, event_id, producer, number, referral = row
        if idx != self.expected and not self._is_ahead(idx):
            return
        entry = judge(row)
        if entry is None or isinstance(entry, str):
            self._add_unread(row, entry)
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
        tree = self.tree
        if tree.whole:
            tree.frontier.append(leaf)
        self.expected += 1
        if self.expected == tree.next:
            tree.meet_checkpoint()

    def stop(self, error: UnreadableError) -> None:
        self._find_here(Kind.UNVERIFIABLE, f"the entries cannot be read on: {error}")
        self.tree.ahead.clear()  # what was not read is not missing

    def _is_ahead(self, index: int) -> bool:
        """Deal with a row that is not the expected one. False: it has no place in the ledger."""
        self.tree.whole = False
        if type(index) is not int or index < self.expected:
            self._find_here(Kind.REORDERED, "an index does not follow the one before it")
            return False
        self.findings.add(Kind.MISSING, "no such rows", self.expected, index)
        self.expected = index
        self.tree.pass_over(index)
        return True

    def _add_unread(self, row: StoredEntry, why: str | None) -> None:
        """Go on by the columns, so that one damaged entry is one finding."""
        _, leaf, _, event_id, producer, number, referral = row
        if why is None:
            self._find_here(Kind.ALTERED, "the entry is not what its leaf hash says")
        else:
            self._find_here(Kind.UNVERIFIABLE, f"not a ledger entry: {why}")
        if type(leaf) is not bytes or len(leaf) != HASH_BYTES:
            self.tree.whole = False
        if type(event_id) is str:
            self.events.add(event_id)
        if type(producer) is str and type(number) is int:
            self._count(producer, number)
        if type(referral) is str:
            self.referrals[referral] = (self.expected, leaf if why is not None else None, None)

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
                self.findings.omitted += 1
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
                self.findings.add(Kind.REORDERED, detail, gap.after + 1, gap.at + 1)
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
        self.findings.add(kind, detail, first, self.expected + 1)

    def report(self) -> Report:
        tree = self.tree
        signed = tree.good[-1]
        findings = list(self.findings.list)
        for name, producer in self.producers.items():
            for gap in producer.gaps:
                detail = f"numbers {gap.first} to {gap.until - 1} of {name} are nowhere"
                findings.append(Finding(Kind.MISSING, detail, gap.after + 1, gap.at + 1))
        if tree.ahead:
            size = tree.ahead[0]
            detail = "a signed checkpoint covers more entries than there are"
            findings.append(Finding(Kind.MISSING, detail, self.expected, size, size))
        findings = [finding.narrowed(signed) for finding in findings]
        if tree.bad is not None and not any(
            signed <= f.first and f.until <= tree.bad
            for f in findings
            if f.first is not None and f.until is not None
        ):
            detail = "the root of the entries is not the signed one"
            findings.append(Finding(Kind.ALTERED, detail, signed, tree.bad, tree.bad))
        if not findings and len(tree.good) == 1:
            findings.append(Finding(Kind.UNVERIFIABLE, "no checkpoint signs any of this"))
        findings.sort(key=Finding.certainty)
        omitted = self.findings.omitted
        return Report(self.expected, signed, len(tree.good) - 1, tuple(findings), omitted)

    def _find_here(self, kind: Kind, detail: str) -> None:
        self.findings.add(kind, detail, self.expected, self.expected + 1)
