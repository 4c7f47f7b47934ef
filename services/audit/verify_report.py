"""What a verification found: the kinds, the findings, and the exit code that scripts read."""

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

MOST_FINDINGS: Final = 1_000  # also bounds the room and time that a shuffled ledger can cost


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


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and where: one of the entries first..until-1, or only in a checkpoint."""

    kind: Kind
    detail: str
    first: int | None = None
    until: int | None = None
    checkpoint: int | None = None

    def narrowed(self, signed: int) -> "Finding":
        """Entries below a good checkpoint are as they were signed."""
        if self.first is None or self.until is None:
            return self
        return replace(self, first=min(max(self.first, signed), self.until - 1))

    def certainty(self) -> tuple[float, int]:
        """The finding that must lie earliest first, of two such the narrower; checkpoints last."""
        if self.first is None or self.until is None:
            return math.inf, 0
        return self.until, -self.first


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


class Findings:
    """Collects what is wrong, up to a bound."""

    def __init__(self) -> None:
        self.list: list[Finding] = []
        self.omitted = 0

    def add(
        self,
        kind: Kind,
        detail: str,
        first: int | None = None,
        until: int | None = None,
        checkpoint: int | None = None,
    ) -> None:
        if len(self.list) < MOST_FINDINGS:
            self.list.append(Finding(kind, detail, first, until, checkpoint))
        else:
            self.omitted += 1
