"""Whatever changes between any two questions: a stream of the board tells the truth at last, each change
at most once, and goes on from wherever a reader was cut off. Only who answers is made up here."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import queries as q
from services.intake.following import PAGE, Board

STATES = ("raised", "acknowledged", "resolved")


class Referral:
    """As the deciding service answers, with a page of ``page``; ``between`` happens before each
    answer but the first."""

    def __init__(self, page: int, between: list[list[int]]) -> None:
        self.calls: dict[int, tuple[int, str]] = {}  # by id: newest change and state
        self.changes = 0
        self._page = page
        self._between = between
        self._asked = False

    def changed(self, call: int) -> None:
        """Its next state; a new one is raised, and a resolved one stays as it is."""
        state = self.calls[call][1] if call in self.calls else None
        if state != STATES[-1]:
            self.changes += 1
            self.calls[call] = (self.changes, STATES[STATES.index(state) + 1 if state else 0])

    def happens(self) -> None:
        for call in self._between.pop(0) if self._between else ():
            self.changed(call)

    async def ask(self, service: str, name: str, question: Any) -> q.Told:
        assert (service, name) == ("referral", "escalations")
        if self._asked:
            self.happens()
        self._asked = True
        found = sorted((change, call, state) for call, (change, state) in self.calls.items())
        if question.after is not None:
            found = [one for one in found if one[0] > question.after]
        else:
            states = {str(state) for state in question.states} or set(STATES[:2])
            before = question.before or self.changes + 1
            found = [one for one in found if one[0] < before and one[2] in states][::-1]
        page = found[: self._page]
        body: dict[str, Any] = {
            "items": [
                {"id": call, "change": change, "state": state} for change, call, state in page
            ],
            "head": self.changes,
        }
        if len(found) > self._page:
            body["next"] = str(page[-1][0])
        return q.Told(found=True, body=body)


class Reader:
    """What one reader has seen, over one stream or several."""

    def __init__(self) -> None:
        self.board: dict[int, str] = {}
        self.changes: list[int] = []
        self.ready: int | None = None
        self.last: int | None = None

    def takes(self, event: bytes) -> None:
        fields = dict(line.split(": ", 1) for line in event.decode().strip().split("\n"))
        data = json.loads(fields["data"])
        self.last = int(fields["id"])
        if fields["event"] == "ready":
            assert data == {"head": self.last}
            assert self.ready is None, "the picture is whole once"
            self.ready = self.last
        else:
            assert data["change"] == self.last
            self.board[data["id"]] = data["state"]
            self.changes.append(self.last)


def read_on(board: Board, referral: Referral, reader: Reader, until: Callable[[], bool]) -> bool:
    """Whether ``until`` stopped it in the midst."""
    while True:
        page = asyncio.run(board.more(referral.ask))
        for event in page.events:
            reader.takes(event)
            if until():
                return True
        if page.last and not referral._between:
            return False


def a_board(last: int | None) -> Board:
    return Board(q.ListEscalations(agency="core"), last)


some_changes = st.lists(st.integers(0, 12), max_size=8)
histories = st.lists(some_changes, min_size=1, max_size=8)


@given(before=st.lists(st.integers(0, 12), max_size=40), between=histories, page=st.integers(1, 4))
def test_a_reader_knows_what_burns_whatever_changes_meanwhile(
    before: list[int], between: list[list[int]], page: int
) -> None:
    referral = Referral(page, between)
    for call in before:
        referral.changed(call)
    reader = Reader()
    read_on(a_board(None), referral, reader, lambda: False)
    known = {call: state for call, state in reader.board.items() if state != "resolved"}
    assert known == {c: state for c, (_, state) in referral.calls.items() if state != "resolved"}
    assert reader.changes == sorted(set(reader.changes))
    assert reader.ready is not None


@given(
    before=st.lists(st.integers(0, 12), max_size=40), between=histories, page=st.integers(1, 4),
    cut_after=st.integers(1, 30),
)  # fmt: skip
def test_a_reader_that_is_cut_off_anywhere_comes_back_and_has_missed_nothing(
    before: list[int], between: list[list[int]], page: int, cut_after: int
) -> None:
    referral = Referral(page, between)
    for call in before:
        referral.changed(call)
    reader = Reader()
    left = cut_after

    def cut() -> bool:
        nonlocal left
        left -= 1
        return left == 0

    if read_on(a_board(None), referral, reader, cut):
        reader.ready = None
        read_on(a_board(reader.last), referral, reader, lambda: False)
    known = {call: state for call, state in reader.board.items() if state != "resolved"}
    assert known == {c: state for c, (_, state) in referral.calls.items() if state != "resolved"}
    assert reader.changes == sorted(set(reader.changes))
    assert reader.ready is not None


def test_what_changes_while_the_picture_is_told_comes_after_it() -> None:
    referral = Referral(2, [[], [0], []])
    for call in range(4):
        referral.changed(call)
    reader = Reader()
    read_on(a_board(None), referral, reader, lambda: False)
    assert reader.ready == 4
    assert reader.changes[-1] == 5
    assert reader.board[0] == "acknowledged"


def test_a_reader_from_before_the_database_was_put_back_gets_the_whole_picture() -> None:
    """It stands beyond the newest change."""
    referral = Referral(PAGE, [[], [], [0]])
    for call in range(3):
        referral.changed(call)
    reader = Reader()
    read_on(a_board(1000), referral, reader, lambda: False)
    assert reader.ready == 3
    assert reader.changes == [1, 2, 3, 4]
    assert reader.board == {0: "acknowledged", 1: "raised", 2: "raised"}


def test_a_reader_that_stays_while_the_database_is_put_back_gets_the_whole_picture() -> None:
    referral = Referral(2, [])
    for call in range(5):
        referral.changed(call)
    board, reader = a_board(None), Reader()
    read_on(board, referral, reader, lambda: False)
    assert reader.ready == 5
    older = Referral(2, [])
    for call in (7, 8, 9):
        older.changed(call)
    reader = Reader()
    read_on(board, older, reader, lambda: False)
    assert reader.ready == 3
    assert reader.board == dict.fromkeys((7, 8, 9), "raised")


def test_a_reader_at_the_newest_change_is_not_ahead() -> None:
    referral = Referral(PAGE, [])
    for call in range(3):
        referral.changed(call)
    reader = Reader()
    read_on(a_board(3), referral, reader, lambda: False)
    assert (reader.ready, reader.changes) == (3, [])


@pytest.mark.parametrize("last", [None, 0])
def test_a_filter_narrows_the_picture_and_only_the_code_what_comes_after_it(
    last: int | None,
) -> None:
    questions: list[q.ListEscalations] = []

    class Listening(Referral):
        async def ask(self, service: str, name: str, question: Any) -> q.Told:
            questions.append(question)
            return await super().ask(service, name, question)

    referral = Listening(PAGE, [[1], []])
    referral.changed(1)
    narrowed = {"code": "E08", "custodian": "hub-otsuka", "district": "otsuka"}
    board = Board(q.ListEscalations(agency="core", **narrowed), last)
    read_on(board, referral, Reader(), lambda: False)
    for question in questions:
        filters = {name: getattr(question, name) for name in narrowed}
        if question.after is None:
            assert filters == narrowed
        else:
            assert filters == {"code": "E08", "custodian": None, "district": None}
    assert {question.after is None for question in questions} == {last is None, False}
