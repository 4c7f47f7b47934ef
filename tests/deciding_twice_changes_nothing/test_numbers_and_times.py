"""Numbers have no holes and times never run backwards, whatever happens between."""

from datetime import UTC, datetime, timedelta

from runtime.clock import ManualClock
from schemas import commands as c
from schemas.outside import JAPAN
from tests.builders import STRANGER, a_command, a_submission
from tests.desk import Desk


def newest_number(desk: Desk) -> str:
    submitted = [x.event.number for x in desk.journal() if x.event.type == "referral_submitted"]
    return str(submitted[-1])


def test_numbers_have_no_holes_across_refusals_batches_and_restarts(desk: Desk) -> None:
    for batch in range(4):
        desk.tell(
            a_command(a_submission()),
            a_command(a_submission(function="teleport")),
            a_command(c.AddNote(referral="131059-2026-000001"), STRANGER),
            a_command(a_submission(to_agency="nobody-at-all")),
            a_command(a_submission()),
        )
        if batch % 2:
            desk.restart()
    journal = desk.journal()
    assert [entry.number for entry in journal] == list(range(1, len(journal) + 1))
    submitted = [x.event.number for x in journal if x.event.type == "referral_submitted"]
    assert submitted == [f"131059-2026-{n:06d}" for n in range(1, 9)]


def test_the_count_begins_anew_at_midnight_in_japan(desk: Desk, clock: ManualClock) -> None:
    def submit() -> str:
        desk.tell(a_command(a_submission()))
        return newest_number(desk)

    clock.move(datetime(2026, 12, 31, 14, 59, 59, 999_999, tzinfo=UTC) - clock.now())
    assert [submit(), submit()] == ["131059-2026-000001", "131059-2026-000002"]
    clock.move(timedelta(microseconds=1))
    assert clock.now().astimezone(JAPAN).isoformat() == "2027-01-01T00:00:00+09:00"
    assert submit() == "131059-2027-000001"
    desk.restart()
    assert submit() == "131059-2027-000002"


def test_times_do_not_run_backwards_when_the_hosts_clock_does(
    desk: Desk, clock: ManualClock
) -> None:
    moments = []
    for step in (0, -3600, 1800, 1799, 2, -86_400 * 365):
        clock.move(timedelta(seconds=step))
        desk.tell(a_command(a_submission()))
        moments.append(desk.journal()[-1].occurred_at)
    desk.restart()  # its memory of the time is the journal
    desk.tell(a_command(a_submission()))
    moments.append(desk.journal()[-1].occurred_at)
    assert moments == sorted(moments)
    start = moments[0]
    assert [(m - start).total_seconds() for m in moments] == [0, 0, 1800, 3599, 3601, 3601, 3601]
    assert newest_number(desk) == "131059-2026-000007"


def test_the_year_goes_on_when_the_clock_falls_back_over_new_year(
    desk: Desk, clock: ManualClock
) -> None:
    clock.move(datetime(2026, 12, 31, 15, 0, 1, tzinfo=UTC) - clock.now())
    desk.tell(a_command(a_submission()))
    clock.move(timedelta(seconds=-10))
    desk.restart()
    desk.tell(a_command(a_submission()))
    assert newest_number(desk) == "131059-2027-000002"
