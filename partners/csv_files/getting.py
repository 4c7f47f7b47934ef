"""Getting a file (受け取る): every referral that the agency may see, newest first, one row each; or
every event of its inbox. Written page by page; beside the file stands how far it got.
"""

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from partners.csv_files import files, writing
from partners.csv_files.columns import Column, Kind, columns, short
from partners.csv_files.decoding import Encoding
from partners.csv_files.faults import Stopped
from partners.csv_files.line import Line
from partners.csv_files.values import Terms, moment_text
from schemas.base import JsonObject
from schemas.publishing.field_words import FIELDS
from schemas.publishing.words import TITLES, VALUES

PAGE = 200
EVENTS_PAGE = 1000
Told = Callable[[int], None]


def _given(path: str, kind: Kind = Kind.TEXT, vocabulary: str = "", word: str = "") -> Column:
    words = {code: short(said) for code, said in VALUES.get(vocabulary, {}).items()}
    ja = word or short(FIELDS.get(f"ReferralGiven.{path}") or FIELDS[path.rpartition(".")[2]])
    return Column(path, ja, kind, many=path == "topics", words=words)


REFERRAL: tuple[Column, ...] = (
    _given("number"), _given("id", word="依頼の ID"), _given("stage", Kind.CODE, "Stage"),
    _given("custodian"), _given("sender"), _given("sender_reference"), _given("function"),
    _given("urgency", Kind.CODE, "Urgency"), _given("requested_action"),
    _given("requested_by", Kind.MOMENT), _given("topics"),
    _given("reported_by", Kind.CODE, "ReportedBy"), _given("household", Kind.CODE, "Household"),
    _given("consent_basis"), _given("submitted_at", Kind.MOMENT),
    _given("updated_at", Kind.MOMENT), _given("outcome"),
    _given("district.id", word=short(FIELDS["district"])),
    _given("open_handoffs", word="打診中の機関"), _given("open_escalations", word="未解決の上申"),
)  # fmt: skip
"""``open_handoffs``, ``open_escalations``: of the lists, what still stands."""
_PERSONAL = (
    "staff", "person.", "address.", "registered", "needs.", "complaint", "summary", "risks",
    "consent.",
)  # fmt: skip
PERSONAL: tuple[Column, ...] = tuple(c for c in columns() if c.path.startswith(_PERSONAL))
EVENT_HEADER = (
    "番号 / number", "日時 / time", "種類 / type", "種類の言葉 / in words", "依頼の ID / referral",
    "行った機関 / actor", "出来事の ID / event", "中身 / data",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Begun:
    """How far a file got: ``after`` is the cursor, ``rows`` how many rows it has, ``size`` the
    bytes that are whole, ``unwritable`` those of the list beside it. ``asked``: what for. ``done``:
    nothing comes after it."""

    asked: Mapping[str, str]
    after: str = ""
    rows: int = 0
    done: bool = False
    size: int = 0
    sha256: str = ""
    unwritable: int = 0
    unwritable_sha256: str = ""


class Growing:
    """A file that grows by pages, in an encoding. Beside it stands how far it got, from before its first
    byte until it is whole; what is not whole yet is not at ``path`` under another name, so that whoever
    looks sees how far it is."""

    def __init__(
        self, path: Path, names: Sequence[str], encoding: Encoding, asked: Mapping[str, str],
        *, resume: bool,
    ) -> None:  # fmt: skip
        """Raises Stopped where the file is there, where something else was asked for before, and where
        somebody has changed it since."""
        self.path = path
        self._names = names
        self._encoding = encoding
        self._state = path.with_name(f"{path.name}.state")
        self._list = path.with_name(f"{path.name}.unwritable.csv")
        begun = self.begun = self._begun({**asked, "encoding": encoding}, resume=resume)
        self._unwritable: files.Added | None = None
        if begun.unwritable:
            self._unwritable = files.Added(self._list, begun.unwritable, begun.unwritable_sha256)
        if begun.size == 0:
            self._keep()
            self._list.unlink(missing_ok=True)
        self._file = files.Added(path, begun.size, begun.sha256)
        if begun.size == 0:
            mark = b"\xef\xbb\xbf" if encoding == "utf-8-sig" else b""
            head, _ = writing.encoded(names, encoding, 1, names)
            self._file.add(mark + head)

    def grow(self, page: Sequence[Sequence[str]], after: str, *, last: bool = False) -> None:
        """A page, and the cursor behind it, which is written last."""
        lines: list[bytes] = []
        told: list[writing.Unwritable] = []
        rows = self.begun.rows
        for cells in page:
            rows += 1
            encoded, missing = writing.encoded(cells, self._encoding, rows + 1, self._names)
            lines.append(encoded)
            told += missing
        self._file.add(b"".join(lines))
        self._list_unwritable(told)
        listed = self._unwritable.place if self._unwritable is not None else (0, "")
        self.begun = Begun(self.begun.asked, after, rows, last, *self._file.place, *listed)
        self._keep()

    def finish(self, *, keep_place: bool = False) -> Path | None:
        """The file is whole. Gives the list of what could not be written, if there is one."""
        if not keep_place:
            self._state.unlink(missing_ok=True)
        return self._list if self._list.exists() else None

    def _begun(self, asked: Mapping[str, str], *, resume: bool) -> Begun:
        if not resume:
            if self.path.exists():
                raise Stopped(
                    f"{self.path} がすでにあります。--resume で続けるか、別の名前にしてください"
                    f" / {self.path} is there: go on with --resume, or give another name"
                )
            return Begun(asked)
        try:
            begun = Begun(**json.loads(self._state.read_bytes()))
        except FileNotFoundError:
            if self.path.exists():
                raise Stopped(
                    f"{self.path} は最後まで書かれています / {self.path} is complete"
                ) from None
            return Begun(asked)
        except (ValueError, TypeError):
            raise Stopped(f"控えが読めません / cannot be read: {self._state}") from None
        if begun.asked != asked:
            raise Stopped("前と違う条件では続けられません / asked for something else than before")
        return begun

    def _keep(self) -> None:
        said = json.dumps({name: getattr(self.begun, name) for name in Begun.__slots__})
        made = self._state.with_name(f".{self._state.name}")
        with files.own(made) as file:
            file.write(said.encode())
        os.replace(made, self._state)

    def _list_unwritable(self, told: Sequence[writing.Unwritable]) -> None:
        if not told:
            return
        if self._unwritable is None:
            self._unwritable = files.Added(self._list)
            head = writing.line(("行 / row", "列 / column", "文字 / code point"))
            self._unwritable.add(b"\xef\xbb\xbf" + head.encode())
        lines = (writing.line((str(one.row), one.column, one.code_point)) for one in told)
        self._unwritable.add("".join(lines).encode())


async def get_referrals(
    line: Line, growing: Growing, terms: Terms, asked: Mapping[str, str],
    *, persons: bool, parallel: int, told: Told,
) -> None:  # fmt: skip
    """Raises Stopped; the file can then be gone on with."""
    wanted = (*REFERRAL, *PERSONAL) if persons else REFERRAL
    gate = asyncio.Semaphore(parallel)

    async def opened(item: JsonObject) -> JsonObject:
        async with gate:
            return await line.read(item["id"])

    after = growing.begun.after
    while not growing.begun.done:
        page = {**asked, "limit": str(PAGE), **({"after": after} if after else {})}
        body = await line.page(page)
        items = body["items"]
        if persons:
            items = await asyncio.gather(*map(opened, items))
        rows = [writing.cells_of(_with_open(item), wanted, terms) for item in items]
        after = str(body.get("next", ""))
        growing.grow(rows, after, last=not after)
        told(growing.begun.rows)


async def get_events(line: Line, growing: Growing, *, told: Told) -> None:
    """The inbox from where the file ends. Raises Stopped."""
    after = int(growing.begun.after or 0)
    while True:
        body = await line.inbox(after, EVENTS_PAGE)
        rows = [_event(item) for item in body["items"]]
        if not rows:
            return
        after = int(body["items"][-1]["number"])
        growing.grow(rows, str(after))
        told(growing.begun.rows)


def terms_of(directory: JsonObject) -> Terms:
    """The ward's own words for its codes, by the column in which they stand."""

    def words(name: str) -> dict[str, str]:
        return {str(term["code"]): str(term["ja"]) for term in directory.get(name, ())}

    agencies = {str(a["id"]): str(a["name"]) for a in directory.get("agencies", ())}
    districts = {str(d["id"]): str(d["name"]) for d in directory.get("districts", ())}
    bases = words("consent_bases")
    return {
        "function": words("functions"),
        "requested_action": words("requested_actions"),
        "topics": words("topics"),
        "outcome": words("outcomes"),
        "consent.basis": bases,
        "consent_basis": bases,
        "consent.agencies": agencies,
        "to.agency": agencies,
        "custodian": agencies,
        "sender": agencies,
        "to.district": districts,
        "district.id": districts,
    }


def _with_open(item: JsonObject) -> JsonObject:
    standing = [h["to"] for h in item.get("handoffs", ()) if h["state"] == "offered"]
    burning = [e["code"] for e in item.get("escalations", ()) if e["state"] != "resolved"]
    return {**item, "open_handoffs": ";".join(standing), "open_escalations": ";".join(burning)}


def _event(item: JsonObject) -> list[str]:
    event = item["event"]
    kind = str(event["type"])
    name = kind.removeprefix("tsunagu.").rpartition(".v")[0]
    title = TITLES.get("".join(map(str.capitalize, name.split("_"))), "")
    data = event.get("data", {})
    return [
        str(item["number"]), moment_text(str(event["time"])), kind, short(title) if title else "",
        str(event["subject"]), str(data.get("actor", "")), str(event["id"]),
        json.dumps(data, ensure_ascii=False, separators=(",", ":")),
    ]  # fmt: skip
