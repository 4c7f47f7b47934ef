"""The tree over a ledger's leaves, held against the signed checkpoints as it grows."""

from collections.abc import Iterable

from runtime.signed_note import NoteError, VerifierKey, open_checkpoint
from services.audit.merkle import Frontier
from services.audit.verify_report import Findings, Kind
from services.audit.verify_rows import StoredCheckpoint, UnreadableError


class SignedTree:
    """``next`` is the size at which a checkpoint waits: the caller then says ``meet_checkpoint``."""

    def __init__(
        self, vkey: str, checkpoints: Iterable[StoredCheckpoint], findings: Findings
    ) -> None:
        self.frontier = Frontier()
        self.roots: dict[int, set[bytes]] = {}  # signed, by size
        self.whole = True  # every row was there: otherwise there is no root to compare
        self.good = [0]  # sizes whose signed root is ours, after the empty tree
        self.bad: int | None = None
        try:
            self._open(checkpoints, VerifierKey.decode(vkey), findings)
        except NoteError as error:
            findings.add(Kind.UNVERIFIABLE, f"the log's key: {error}")
        except UnreadableError as error:
            findings.add(Kind.UNVERIFIABLE, f"the checkpoints cannot be read: {error}")
        self.ahead = sorted(self.roots, reverse=True)
        self.next = self.ahead[-1] if self.ahead else None
        if self.next == 0:
            self.meet_checkpoint()

    def meet_checkpoint(self) -> None:
        size = self.ahead.pop()
        self.next = self.ahead[-1] if self.ahead else None
        if not self.whole or self.bad is not None:
            return  # one wrong entry makes every later root wrong
        if self.frontier.root() in self.roots[size]:
            self.good.append(size)
        else:
            self.bad = size

    def pass_over(self, index: int) -> None:
        """There are no rows before ``index``."""
        while self.ahead and self.ahead[-1] <= index:
            self.meet_checkpoint()

    def _open(
        self, checkpoints: Iterable[StoredCheckpoint], key: VerifierKey, findings: Findings
    ) -> None:
        for size, note in checkpoints:
            try:
                if type(note) is not str:
                    raise NoteError("not text")
                checkpoint = open_checkpoint(note, key)
            except NoteError as error:
                findings.add(Kind.UNVERIFIABLE, str(error), checkpoint=size)
                continue
            if checkpoint.size != size:
                findings.add(Kind.ALTERED, f"is of size {checkpoint.size}", checkpoint=size)
            self.roots.setdefault(checkpoint.size, set()).add(checkpoint.root)
        for size, roots in self.roots.items():
            if len(roots) > 1:
                findings.add(Kind.FORKED, f"{len(roots)} roots are signed", checkpoint=size)
