"""A network that runs, and whose time a story moves: ``night.comes("fri 17:20")``.

It begins on a Tuesday of its own, whenever it is run, and only goes forward. No story waits: a command
is decided after every clock that has run out before it, so whatever is answered after a move was
answered with those clocks struck.
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from runtime.clock import shift, shifted
from schemas.outside import JAPAN
from schemas.referral import Referral, evolve
from tests.network import REPOSITORY, RunningNetwork, eventually, verified
from tests.partners import Answer, AReferral, Json, Partner, a_referral
from tests.record import (
    folded_is_live,
    inboxes_are_whole,
    journal,
    ledger_is_the_journal,
    of_others,
)
from wards.holidays import NationalHolidays

ANSHIN, HUB, CORE, OFFICE = "anshin-motofuji", "hub-motofuji", "core", "ward-office"
LIEN, HOSPITAL = "lien-bunkyo", "sample-hospital"
HOLIDAYS = NationalHolidays()
BUNKYO = REPOSITORY / "wards" / "bunkyo.toml"
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
BEGINS = datetime(2026, 12, 1, 9, 0, tzinfo=JAPAN)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

WHO_SITS_AT_THE_CORE_DESK = 'name = "基幹 相談窓口"\n'
WHO_HAS_A_TRIAL_STAY = 'agencies = ["sample-home"]\n'


def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


def after(moment: datetime, when: str) -> datetime:
    """The first ``fri 16:00``, or the like, that comes after ``moment``; ``fri 16:00 +1``: a week later
    than that."""
    weekday, at, *weeks = when.split()
    hour, minute = map(int, at.split(":"))
    local = moment.astimezone(JAPAN)
    day = local.date() + DAY * ((_DAYS.index(weekday) - local.weekday()) % 7)
    found = datetime(day.year, day.month, day.day, hour, minute, tzinfo=JAPAN)
    later = 7 * DAY * sum(map(int, weeks))
    return later + (found if found > moment else found + 7 * DAY)


def is_working_day(day: date) -> bool:
    """Written once more, for Monday to Friday, without what the network counts with."""
    year_end = (day.month, day.day) >= (12, 29) or (day.month, day.day) <= (1, 3)
    return day.weekday() < 5 and day not in HOLIDAYS and not year_end


def _in_office_hours(moment: datetime) -> bool:
    at = moment.astimezone(JAPAN)
    return is_working_day(at.date()) and (10, 0) <= (at.hour, at.minute) < (17, 30)


def moment_of(text: str) -> datetime:
    return datetime.fromisoformat(text)


class Night:
    """The network, its time, and who is on it."""

    def __init__(self, network: RunningNetwork) -> None:
        self.network = network
        # A case that its sender has itself: nobody is asked, no clock runs.
        mine = a_referral().having(urgency="routine").to("anshin-otsuka")
        sent = self.partner("anshin-otsuka").posts(mine)
        assert sent.status == 201, sent
        self._diary = sent.number

    def partner(self, agency: str) -> Partner:
        return self.network.partner(agency)

    # -- time -------------------------------------------------------------------------------------

    def now(self) -> datetime:
        file = self.network.settings.clock_shift
        assert file is not None
        return datetime.now(JAPAN) + timedelta(seconds=shifted(file))

    def until(self, moment: datetime) -> None:
        """Time passes, and every clock that has run out by then has struck."""
        ahead = moment - self.now()
        assert ahead > -MINUTE, "time does not run backwards"
        self.network.move_clock(max(ahead, timedelta(0)))
        written = self.partner("anshin-otsuka").notes(self._diary)
        assert written.status == 201, written
        assert moment_of(written.body["updated_at"]) >= moment

    def comes(self, when: str, clear: int = 18) -> datetime:
        """The next ``fri 16:00`` that is followed by so many days without a 祝日 or 年末年始."""
        moment = after(self.now(), when)
        while not all(
            is_working_day(day) or day.weekday() >= 5
            for day in (moment.date() + DAY * n for n in range(clear))
        ):
            moment += 7 * DAY
        self.until(moment)
        return moment

    def comes_before_a_long_weekend(self, at: str) -> datetime:
        """The next Friday before a Monday that is a 祝日, and is the only one in that fortnight."""
        moment = after(self.now(), f"fri {at}")
        fortnight = [DAY * n for n in range(14)]
        while not (
            [d for d in fortnight if (moment + d).date() in HOLIDAYS] == [3 * DAY]
            and is_working_day(moment.date())
            and moment.month not in (12, 1, 5)
        ):
            moment += 7 * DAY
        self.until(moment)
        return moment

    # -- cases ------------------------------------------------------------------------------------

    def case(self, referral: AReferral | None = None, by: str = ANSHIN, **fields: Json) -> "Case":
        """Posted. Unless another is given, one that its sender has itself."""
        sent = self.partner(by).posts((referral or a_referral().to(by)).having(**fields))
        assert sent.status == 201, sent
        return Case(self, sent.number, sent.id, by)

    # -- the record -------------------------------------------------------------------------------

    def is_on_record(self) -> None:
        """Journal, ledger, inboxes and what is live say the same, and the ledger is whole."""
        self.network.settle()
        entries = journal(self.network)
        states: dict[str, Referral] = {}
        for entry in entries:
            key = str(entry.referral)
            states[key] = evolve(states.get(key), entry)
        folded_is_live(self.network, states)
        ledger_is_the_journal(self.network, entries)
        inboxes_are_whole(self.network, entries)
        report = verified(self.network)
        assert report["entries"] == report["signed"] == len(entries) + of_others(self.network)


class Case:
    """One referral, as the core centre reads it, and what was seen of its calls so far."""

    def __init__(self, night: Night, number: str, ident: str, sender: str) -> None:
        self.night = night
        self.number = number
        self.id = ident
        self.sender = sender
        self._seen: dict[str, list[str]] = {}

    def reads(self, by: str = CORE) -> Json:
        read = self.night.partner(by).reads(self.number)
        assert read.status == 200, read
        return read.body

    @property
    def custodian(self) -> str:
        return str(self.reads()["custodian"])

    def history(self, *types: str, by: str = CORE) -> list[Json]:
        """What happened, in order (only of some types)."""
        items = self.night.partner(by).history(self.number).body["items"]
        return [x for x in items if not types or x["data"]["type"] in types]

    def codes(self) -> list[str]:
        return [x["code"] for x in self.reads()["escalations"]]

    def call(self, code: str, by: str = CORE) -> Json:
        """The one call of this reason."""
        (found,) = (x for x in self.reads(by)["escalations"] if x["code"] == code)
        return found

    def handoff(self, to: str) -> Json:
        """The newest hand-off to an agency."""
        return [h for h in self.reads()["handoffs"] if h["to"] == to][-1]

    def offers(self) -> dict[str, str]:
        """The hand-off to each agency that was asked."""
        return {h["to"]: h["id"] for h in self.reads()["handoffs"]}

    def states(self) -> dict[str, str]:
        """Who was asked, and how it stands."""
        return {h["to"]: h["state"] for h in self.reads()["handoffs"]}

    def events_of(self, code: str) -> list[Json]:
        call = self.call(code)["id"]
        return [x for x in self.history() if x["data"].get("escalation") == call]

    # -- who does what ----------------------------------------------------------------------------

    def raised_by(self, agency: str, code: str) -> None:
        answer = self.night.partner(agency).escalates(self.number, code)
        assert answer.status == 201, answer

    def acknowledged_by(self, agency: str, code: str, **how: Json) -> None:
        answer = self.night.partner(agency).acknowledges(self.call(code)["id"], **how)
        assert answer.status == 200, answer

    def resolved_by(self, agency: str, code: str, disposition: str, **how: Json) -> None:
        answer = self.night.partner(agency).resolves(self.call(code)["id"], disposition, **how)
        assert answer.status == 200, answer

    def offered(self, *to: str, by: str, kind: str = "transfer") -> None:
        answer = self.night.partner(by).offers(self.number, *to, kind=kind)
        assert answer.status == 201, answer

    def declined_by(self, agency: str, reason: str = "no_capacity") -> None:
        answer = self.night.partner(agency).declines(self.handoff(agency)["id"], reason)
        assert answer.status == 200, answer

    def accepted_by(self, agency: str) -> None:
        answer = self.night.partner(agency).accepts(self.handoff(agency)["id"])
        assert answer.status == 200, answer

    # -- what follows -----------------------------------------------------------------------------

    def has_called(
        self, code: str, desk: str, until: str | timedelta, *, level: int = 1, by: str = "network"
    ) -> Json:
        """The newest that happened to a call is that this desk was called, and has exactly so long:
        so much by the wall clock, or until this time of the core centre's hours. Gives the event."""
        call = self.call(code)
        assert (call["state"], call["desk"], call["level"]) == ("raised", desk, level)
        assert call["raised_by"] == by
        told = self.events_of(code)[-1]
        data = told["data"]
        kind = "escalation_raised" if code not in self._seen else "escalation_passed_on"
        assert (data["type"], data["desk"], data["level"]) == (kind, desk, level)
        self._exactly(told, until, f"{code}.acknowledge")
        assert moment_of(data["due"]["at"]) == moment_of(call["due_at"])
        self._on_the_board(code)
        self.saw(code, told)
        return told

    def _exactly(self, told: Json, until: str | timedelta, rule: str) -> None:
        due, began = told["data"]["due"], moment_of(told["time"])
        given = moment_of(due["at"]) - began
        assert due["rule"] == rule
        if isinstance(until, timedelta):
            assert given == until
            assert (due["clock"], timedelta(minutes=due["minutes"])) == ("wall", until)
            assert "hours_of" not in due
        else:
            # Within the hours the seconds of the story run along; from outside, it is the opening.
            full = began.replace(second=0, microsecond=0)
            drift = began - full if _in_office_hours(began) else timedelta(0)
            assert moment_of(due["at"]) == after(full, until) + drift, due
            assert (due["clock"], due["hours_of"]) == ("business", CORE)
            assert due["calendar"] == HOLIDAYS.source
        assert due.get("holidays", []) == []

    def _on_the_board(self, code: str) -> None:
        call = self.call(code)
        (shown,) = (x for x in self._board(code) if x["id"] == call["id"])
        assert {**shown, **call} == shown
        assert (shown["number"], shown["custodian"]) == (self.number, self.custodian)

    def _board(self, code: str) -> list[Json]:
        answer = self.night.partner(CORE).escalations(code=code)
        assert answer.status == 200, answer
        items: list[Json] = answer.body["items"]
        return items

    def saw(self, code: str, told: Json) -> None:
        """What is told of a call has been looked at: the ledger must have it, and nothing else."""
        self._seen.setdefault(code, []).append(told["id"])

    def nobody_answers(self, code: str) -> None:
        """A minute before the time is over nobody else is called; when it is over, somebody is."""
        before = self.call(code)
        due = moment_of(before["due_at"])
        self.night.until(due - MINUTE)
        assert self.call(code) == before
        self.night.until(due)
        told = self.events_of(code)[-1]
        assert told["data"]["type"] == "escalation_passed_on"
        assert moment_of(told["data"]["overdue_since"]) == due
        assert due <= moment_of(told["time"]) < due + MINUTE

    def is_answered(self, code: str, by: str, resolve: str | timedelta) -> None:
        """Acknowledged: whoever was to be called next is not called; there is so long to resolve it,
        by the ward's own rule."""
        was_due = moment_of(self.call(code)["due_at"])
        self.acknowledged_by(by, code)
        told = self.events_of(code)[-1]
        assert (told["data"]["type"], told["data"]["by"]) == ("escalation_acknowledged", by)
        self._exactly(told, resolve, f"{code}.resolve")
        self.saw(code, told)
        call = self.call(code)
        assert (call["state"], call["acknowledged_by"]) == ("acknowledged", by)
        self._on_the_board(code)
        if was_due < moment_of(call["due_at"]):
            self.night.until(was_due + MINUTE)
            assert self.call(code) == call

    def is_over(self, code: str, by: str, disposition: str) -> None:
        """Resolved: no clock of it runs, and it is not on the board any more."""
        due = moment_of(self.call(code)["due_at"])
        self.resolved_by(by, code, disposition)
        self.saw(code, self.events_of(code)[-1])
        call = self.call(code)
        assert (call["state"], call["disposition"]) == ("resolved", disposition)
        assert "due_at" not in call
        assert call["id"] not in [x["id"] for x in self._board(code)]
        self.night.until(due + MINUTE)
        assert self.call(code) == call
        self.is_on_record(code)

    def is_on_record(self, code: str) -> None:
        """The ledger has this case word for word, and of this call exactly what was seen of it."""
        told = self.history()
        ledger = self.ledger(len(told))
        assert len(ledger) == len(told)
        for entry, item in zip(ledger, told, strict=True):
            about = {
                k: v for k, v in item["data"].items() if k not in ("version", "actor", "opened")
            }
            assert entry["event"] == about
            assert (entry["id"], entry["actor"]) == (item["id"], item["data"]["actor"])
            assert moment_of(entry["occurred_at"]) == moment_of(item["time"])
        call = self.call(code)["id"]
        its = [entry["id"] for entry in ledger if entry["event"].get("escalation") == call]
        assert its == self._seen[code]

    def ledger(self, length: int) -> list[Json]:
        """Its entries in the auditors' own database, once there are so many."""
        query = "SELECT body FROM entries WHERE referral = :referral ORDER BY idx"

        def rows() -> list[Json]:
            return [json.loads(row.body) for row in self.night.network.rows(
                "audit", query, referral=self.id
            )]  # fmt: skip

        eventually(lambda: len(rows()) >= length, 20, "the case in the ledger")
        return rows()


def at_once(act: Callable[[Partner], Answer], *partners: Partner) -> dict[str, Answer]:
    """Several agencies do it at the same instant, each over its own line."""
    with ThreadPoolExecutor(len(partners)) as pool:
        doing = {partner.agency: pool.submit(act, partner) for partner in partners}
        return {agency: done.result() for agency, done in doing.items()}


# -- networks --------------------------------------------------------------------------------------


class OfAnotherWard(RunningNetwork):
    def __init__(self, home: Path, ward: Path) -> None:
        self._ward = ward
        super().__init__(home, clock_shift=True)

    def start(self, *, keep_down: tuple[str, ...] = ()) -> None:
        self.settings = replace(self.settings, ward=self._ward)
        super().start(keep_down=keep_down)


def ward_file(path: Path, *changes: tuple[str, str]) -> Path:
    """The ward's file, but for some lines."""
    text = BUNKYO.read_text("utf-8")
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text, "utf-8")
    return path


def begins(home: Path) -> Path:
    home.mkdir(mode=0o700)
    shift(home / "clock_shift", (BEGINS - datetime.now(UTC)).total_seconds())
    return home
