"""Posting a file (送る): every row is checked before the first is posted; then each is posted once.

"Once" hangs on nothing that this program remembers: a row's idempotency key comes from what the row
says, so the same row is the same request for ever. What is remembered beside the report only saves
asking again, and tells when a reference comes back with something else in its row.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx

from partners.csv_files import files
from partners.csv_files.faults import Fault, Stopped
from partners.csv_files.line import PARALLEL, Line
from partners.csv_files.reading import Row, Sheet
from partners.csv_files.report import Outcome, Report, Status
from schemas.base import JsonObject

BATCH = 500
BATCH_BYTES = 900_000
"""The network takes a megabyte in one request."""
_CHECKING = 2

Progress = Callable[[str, int, int], None]
"""``checked`` or ``posted``, how many, of how many."""


@dataclass(frozen=True, slots=True)
class Done:
    """How many rows came out how."""

    accepted: int
    refused: int
    pending: int
    not_sent: int

    @property
    def whole(self) -> bool:
        return not (self.refused or self.pending or self.not_sent)


class Memory:
    """What was answered, beside the report; for one agency and one network."""

    def __init__(self, path: Path, agency: str, url: str) -> None:
        """Raises Stopped where it is another agency's, or of another network."""
        self._path = path
        self._whose = {"agency": agency, "url": url}
        self._file: IO[bytes] | None = None
        self._by_key: dict[str, Outcome] = {}
        self._by_reference: dict[str, tuple[str, str]] = {}
        for said in files.remembered(path):
            if "agency" in said:
                if said != self._whose:
                    raise Stopped(
                        f"{path} は別の機関か別のネットワークの控えです"
                        f" / {path} is of another agency or another network"
                    )
            elif isinstance(said.get("key"), str):
                self._keep(said)

    def __len__(self) -> int:
        return len(self._by_key)

    def refuse_another(self, sheet: Sheet) -> None:
        """Raises Stopped where accepted rows are not in it: one that was changed would be posted again.
        One with its reference is told by ``other``."""
        known = self._by_reference
        there = {row.key for row in sheet.rows}
        told = {known[row.reference][1] for row in sheet.rows if row.reference in known}
        gone = len(self._by_key.keys() - there - told)
        if gone:
            raise Stopped(
                f"受付済みの {gone} 行が消えたか変わっています。変わった行は別の依頼になるので送りません。"
                "元に戻すか、除いた行だけなら別の --report にしてください"
                f" / {gone} accepted rows are gone or were changed, and would be posted anew: restore"
                " them, or name another --report if you only took rows out"
            )

    def of(self, row: Row) -> Outcome | None:
        return self._by_key.get(row.key)

    def other(self, row: Row) -> str | None:
        """The number that this row's reference got with something else in its row."""
        number, key = self._by_reference.get(row.reference or "", ("", row.key))
        return number if key != row.key else None

    def keep(self, row: Row, outcome: Outcome) -> None:
        if self._file is None:
            self._file = files.own(self._path, append=True)
            # Also ends a line that a kill has left unfinished.
            self._file.write(b"\n")
            files.remember(self._file, dict(self._whose))
        said = {
            "key": row.key,
            "reference": row.reference,
            "number": outcome.number,
            "stage": outcome.stage,
        }
        files.remember(self._file, said)
        self._keep(said)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _keep(self, said: JsonObject) -> None:
        number, stage = str(said.get("number", "")), str(said.get("stage", ""))
        self._by_key[said["key"]] = Outcome(Status.ACCEPTED, number, stage)
        if said.get("reference"):
            self._by_reference[said["reference"]] = (number, said["key"])


class Posting:
    """``partial``: post what is right, also when some rows are wrong; else all or nothing."""

    def __init__(
        self, line: Line, sheet: Sheet, memory: Memory, report: Report, progress: Progress,
        *, partial: bool = False, parallel: int = PARALLEL,
    ) -> None:  # fmt: skip
        self._line = line
        self._sheet = sheet
        self._memory = memory
        self._report = report
        self._progress = progress
        self._partial = partial
        self._parallel = parallel
        self._outcomes: list[Outcome | None] = [None] * len(sheet.rows)
        self._reported = 0
        self._count = 0

    async def run(self) -> Done:
        """Raises Stopped; the report then says of which rows nothing is known."""
        try:
            return await self._run()
        except Stopped:
            detail = "送ったか分かりません。--resume で続けます / not known: go on with --resume"
            for place, outcome in enumerate(self._outcomes):
                if outcome is None:
                    self._outcomes[place] = Outcome(Status.NOT_SENT, faults=(Fault("", detail),))
            self._tell()
            raise

    async def _run(self) -> Done:
        for place, row in enumerate(self._sheet.rows):
            self._outcomes[place] = self._known(row)
        await self._check([place for place, o in enumerate(self._outcomes) if o is None])
        wrong = any(o is not None and o.status is Status.REFUSED for o in self._outcomes)
        waiting = [place for place, outcome in enumerate(self._outcomes) if outcome is None]
        if wrong and not self._partial:
            for place in waiting:
                self._outcomes[place] = Outcome(Status.NOT_SENT)
            waiting = []
        self._tell()
        await self._post(waiting)
        statuses = [o.status for o in self._outcomes if o is not None]
        return Done(*(statuses.count(s) for s in Status))

    def _known(self, row: Row) -> Outcome | None:
        """What is known without asking: it is wrong, or was accepted before."""
        if row.faults:
            return Outcome(Status.REFUSED, faults=row.faults)
        other = self._memory.other(row)
        if other is not None:
            fault = Fault(
                "",
                f"この整理番号は別の内容で受付済みです（{other}）。直すなら、その件に記録を加えてください"
                f" / this reference was accepted as {other} with other contents: add a note there",
            )
            return Outcome(Status.REFUSED, faults=(fault,))
        return self._memory.of(row)

    # -- checking ----------------------------------------------------------------------------------

    async def _check(self, places: Sequence[int]) -> None:
        self._count = 0
        gate = asyncio.Semaphore(_CHECKING)

        async def one(batch: list[int]) -> None:
            async with gate:
                told = await self._line.check([self._sheet.rows[place].body for place in batch])
                for place, said in zip(batch, told, strict=True):
                    problem = said.get("problem")
                    if problem is not None:
                        self._outcomes[place] = self._refused(problem)
                self._count += len(batch)
                self._progress("checked", self._count, len(places))

        await _all([one(batch) for batch in self._batches(places)])

    def _batches(self, places: Sequence[int]) -> Iterator[list[int]]:
        batch: list[int] = []
        size = 0
        for place in places:
            length = len(json.dumps(self._sheet.rows[place].body).encode()) + 2
            if batch and (len(batch) == BATCH or size + length > BATCH_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(place)
            size += length
        if batch:
            yield batch

    def _refused(self, problem: JsonObject) -> Outcome:
        """A problem document, by the file's own columns."""
        errors = problem.get("errors") or [{"pointer": "", "detail": problem.get("detail", "")}]
        faults = (self._sheet.fault_at(str(e["pointer"]), str(e["detail"])) for e in errors)
        return Outcome(Status.REFUSED, faults=tuple(dict.fromkeys(faults)))

    # -- posting -----------------------------------------------------------------------------------

    async def _post(self, places: Sequence[int]) -> None:
        self._count = 0
        waiting = iter(places)

        async def worker() -> None:
            for place in waiting:
                row = self._sheet.rows[place]
                outcome = self._outcome(await self._line.submit(row.body, row.key))
                if outcome.status is Status.ACCEPTED:
                    self._memory.keep(row, outcome)
                self._outcomes[place] = outcome
                self._tell()
                self._count += 1
                self._progress("posted", self._count, len(places))

        await _all([worker() for _ in range(min(self._parallel, len(places)))])

    def _outcome(self, answer: httpx.Response) -> Outcome:
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise Stopped(f"接続先の答えが違います / unexpected answer: HTTP {answer.status_code}")
        if answer.status_code in (200, 201):
            return Outcome(Status.ACCEPTED, str(body.get("number")), str(body.get("stage")))
        if answer.status_code == 202:
            return Outcome(Status.PENDING)
        return self._refused(body)

    def _tell(self) -> None:
        """Report what is known, in the order of the file, as far as nothing is open before it."""
        rows = self._sheet.rows
        while self._reported < len(rows):
            outcome = self._outcomes[self._reported]
            if outcome is None:
                return
            self._report.tell(rows[self._reported], outcome)
            self._reported += 1


async def _all(work: Sequence[Coroutine[None, None, None]]) -> None:
    """All of them; the first that cannot go on stops the others and is what is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)
    except* Stopped as stopped:
        first = stopped.exceptions[0]
        while isinstance(first, ExceptionGroup):
            first = first.exceptions[0]
        raise first from None
