"""Whatever the host's clock does, time goes on: else a deadline would never come."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from runtime.clock import (
    Clock,
    ManualClock,
    NeverBackwards,
    ShiftedClock,
    SystemClock,
    clock_of,
    shift,
    shifted,
)
from runtime.settings import Settings, SettingsError
from tests.builders import FRIDAY_AFTERNOON, a_command, a_submission
from tests.desk import Desk
from tests.network import REPOSITORY, RunningNetwork, running_network
from tests.partners import a_referral

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)


# -- set by whoever sets it -------------------------------------------------------------------------


def test_time_goes_on_when_the_hosts_clock_is_set_back_by_an_hour() -> None:
    host = ManualClock(FRIDAY_AFTERNOON)
    clock = NeverBackwards(host)
    host.set_back(HOUR)
    told = [clock.now()]
    for _ in range(3):
        host.move(20 * MINUTE)
        told.append(clock.now())
    assert [moment - FRIDAY_AFTERNOON for moment in told] == [n * 20 * MINUTE for n in range(4)]


def test_a_clock_moved_by_less_than_nothing_is_set_back() -> None:
    host = ManualClock(FRIDAY_AFTERNOON)
    host.move(MINUTE)
    host.move(-HOUR)
    assert (host.now(), host.ticks()) == (FRIDAY_AFTERNOON + MINUTE - HOUR, 60)


def test_a_host_that_jumps_forward_is_followed_and_what_it_told_stays() -> None:
    host = ManualClock(FRIDAY_AFTERNOON)
    clock = NeverBackwards(host)
    host.set_back(-HOUR)
    assert clock.now() == FRIDAY_AFTERNOON + HOUR
    host.set_back(HOUR)
    host.move(MINUTE)
    assert clock.now() == FRIDAY_AFTERNOON + HOUR + MINUTE


def test_a_host_that_catches_up_is_followed_again() -> None:
    host = ManualClock(FRIDAY_AFTERNOON)
    clock = NeverBackwards(host)
    host.set_back(HOUR)
    host.move(MINUTE)
    assert clock.now() == FRIDAY_AFTERNOON + MINUTE
    host.set_back(-2 * HOUR)
    for _ in range(3):
        assert clock.now() == host.now()
        host.move(MINUTE)


def test_after_a_restart_with_a_journal_ahead_of_the_host_time_goes_on() -> None:
    host = ManualClock(FRIDAY_AFTERNOON)
    newest = FRIDAY_AFTERNOON + HOUR
    clock = NeverBackwards(host, newest)
    assert clock.now() == newest
    host.move(MINUTE)
    assert clock.now() == newest + MINUTE
    host.set_back(-2 * HOUR)
    assert clock.now() == host.now() == newest + HOUR + MINUTE


def test_a_journal_behind_the_host_holds_nothing_back() -> None:
    host = ManualClock(FRIDAY_AFTERNOON)
    assert NeverBackwards(host, FRIDAY_AFTERNOON - HOUR).now() == FRIDAY_AFTERNOON


def test_the_writers_time_goes_on_across_restarts_of_a_host_set_back(
    database_of: Callable[[str], Engine], clock: ManualClock
) -> None:
    moments: list[datetime] = []
    with Desk(database_of("referral"), clock) as desk:

        def submit() -> None:
            desk.tell(a_command(a_submission()))
            moments.append(desk.journal()[-1].occurred_at)

        submit()
        clock.set_back(HOUR)
        clock.move(MINUTE)
        submit()
        desk.restart()  # what it knows of the time now is the journal's newest moment
        clock.move(MINUTE)
        submit()
    assert [moment - moments[0] for moment in moments] == [0 * MINUTE, MINUTE, 2 * MINUTE]


class Busy(ManualClock):
    """A host so busy that this much time passes after any question."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self.delay = SECOND

    def now(self) -> datetime:
        now = super().now()
        self.move(self.delay)
        return now

    def ticks(self) -> float:
        ticks = super().ticks()
        self.move(self.delay)
        return ticks


@given(st.lists(st.timedeltas(timedelta(0), MINUTE), max_size=20))
def test_on_a_busy_host_whose_clock_is_right_no_moment_is_told_before_it_comes(
    delays: list[timedelta],
) -> None:
    host = Busy(FRIDAY_AFTERNOON)
    clock = NeverBackwards(host)
    for delay in (*delays, SECOND, timedelta(0)):
        host.delay = delay
        told = clock.now()
        host.delay = timedelta(0)
        assert told <= host.now()
    assert clock.now() == host.now()


WHAT_A_HOST_DOES = st.lists(
    st.one_of(
        st.tuples(st.just("passes"), st.timedeltas(timedelta(0), 40 * timedelta(days=1))),
        # Less than what a moment can tell: it must not get lost, question after question.
        st.tuples(st.just("passes"), st.timedeltas(timedelta(0), 3 * MICROSECOND)),
        st.tuples(st.just("set back"), st.timedeltas(-400 * HOUR, 400 * HOUR)),
        st.tuples(st.just("set back"), st.timedeltas(-3 * MICROSECOND, 3 * MICROSECOND)),
        st.tuples(st.just("restarts"), st.just(timedelta(0))),
    ),
    max_size=60,
)


@given(WHAT_A_HOST_DOES)
def test_whatever_the_host_does_time_never_runs_backwards_nor_slower_than_ticks(
    story: list[tuple[str, timedelta]],
) -> None:
    host = ManualClock(FRIDAY_AFTERNOON)
    clock = NeverBackwards(host)
    told = [clock.now()]
    ticks = [clock.ticks()]
    best = FRIDAY_AFTERNOON  # the furthest that the host's clock and the ticks add up to
    for what, by in story:
        if what == "passes":
            host.move(by)
            best += by
        elif what == "set back":
            host.set_back(by)
        else:
            clock = NeverBackwards(host, told[-1])
        told.append(clock.now())
        ticks.append(clock.ticks())
        best = max(best, host.now())
        assert told[-1] >= told[-2]
        # Since every moment before, not only since the last: nothing adds up. (A float of ticks
        # is not exact to the microsecond.)
        for moment, tick in zip(told, ticks, strict=True):
            assert told[-1] - moment >= timedelta(seconds=ticks[-1] - tick) - 2 * MICROSECOND
        assert abs(told[-1] - best) <= 2 * MICROSECOND


class Fine:
    """A host set back, and asked so often that less than a microsecond passes in between."""

    def __init__(self) -> None:
        self.asked = 0

    def now(self) -> datetime:
        return FRIDAY_AFTERNOON - HOUR

    def ticks(self) -> float:
        self.asked += 1
        return self.asked * 0.4e-6


def test_who_asks_all_the_time_does_not_stop_the_time() -> None:
    clock = NeverBackwards(Fine(), FRIDAY_AFTERNOON)
    for _ in range(10_000):
        told = clock.now()
    assert abs(told - FRIDAY_AFTERNOON - timedelta(microseconds=4000)) <= 2 * MICROSECOND


# -- moved on purpose -------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "clock_shift"
    shift(path, 0)
    return path


@pytest.fixture
def host() -> ManualClock:
    return ManualClock(FRIDAY_AFTERNOON)


@pytest.fixture
def shifted_clock(file: Path, host: ManualClock) -> Iterator[ShiftedClock]:
    clock = ShiftedClock(file, host)
    yield clock
    clock.close()


def test_moved_forward_it_moves_now_and_ticks(
    file: Path, host: ManualClock, shifted_clock: ShiftedClock
) -> None:
    shift(file, 3600.5)
    assert shifted_clock.now() == FRIDAY_AFTERNOON + timedelta(seconds=3600.5)
    assert shifted_clock.ticks() == 3600.5
    host.move(MINUTE)
    assert shifted_clock.now() == FRIDAY_AFTERNOON + timedelta(seconds=3660.5)
    assert shifted_clock.ticks() == 3660.5


def test_set_back_it_moves_now_only(
    file: Path, host: ManualClock, shifted_clock: ShiftedClock
) -> None:
    clock = NeverBackwards(shifted_clock)
    shift(file, 3600)
    assert clock.now() == FRIDAY_AFTERNOON + HOUR
    shift(file, -3600)
    assert (shifted_clock.now(), shifted_clock.ticks()) == (FRIDAY_AFTERNOON - HOUR, 3600)
    assert clock.now() == FRIDAY_AFTERNOON + HOUR
    # And forward from there: that much time passes, though the host is still behind.
    shift(file, -3600 + 60)
    assert shifted_clock.ticks() == 3660
    assert clock.now() == FRIDAY_AFTERNOON + HOUR + MINUTE
    host.move(MINUTE)
    assert clock.now() == FRIDAY_AFTERNOON + HOUR + 2 * MINUTE


def test_who_did_not_look_between_two_moves_counts_the_same_ticks(
    file: Path, host: ManualClock, shifted_clock: ShiftedClock
) -> None:
    dozing = ShiftedClock(file, host)
    ticks = []
    for seconds in (-3600, -1800, -7200, -7000):
        shift(file, seconds)
        ticks.append(shifted_clock.ticks())
    assert ticks == [0, 1800, 1800, 2000]
    assert dozing.ticks() == ticks[-1]
    dozing.close()


@given(st.lists(st.floats(-1e7, 1e7).map(lambda seconds: round(seconds, 6)), max_size=20))
def test_wherever_it_is_moved_its_ticks_never_run_backwards(moves: list[float]) -> None:
    host = ManualClock(FRIDAY_AFTERNOON)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clock_shift"
        shift(path, 0)
        source = ShiftedClock(path, host)
        clock = NeverBackwards(source)
        told, ticks, before = clock.now(), source.ticks(), 0.0
        for seconds in moves:
            shift(path, seconds)
            assert shifted(path) == seconds
            moved = source.ticks() - ticks
            assert moved == pytest.approx(max(0.0, seconds - before), abs=1e-5)
            passed = clock.now() - told
            assert passed >= timedelta(seconds=moved) - 10 * MICROSECOND
            told, ticks, before = told + passed, ticks + moved, seconds
        source.close()


@pytest.mark.parametrize(
    "garbage",
    [
        b"", b"\n", b"3600", b"an hour\n", b"\x00\xff\n", b"nan\n", b"inf\n", b"1e300\n",
        b"60 60\n", b"60 60 3600 3600\n", b"9" * 5000 + b"\n", b"60 60 60 60", b"60 nan 60 nan\n",
    ],
)  # fmt: skip
def test_what_cannot_be_read_changes_nothing(
    file: Path, shifted_clock: ShiftedClock, garbage: bytes
) -> None:
    shift(file, 60)
    assert shifted_clock.seconds() == 60
    file.write_bytes(garbage)
    assert shifted_clock.now() == FRIDAY_AFTERNOON + MINUTE
    assert shifted_clock.ticks() == 60
    assert shifted(file) == 0
    # Whatever was there, what is written next is seen.
    shift(file, 120)
    assert shifted_clock.now() == FRIDAY_AFTERNOON + 2 * MINUTE
    assert shifted_clock.ticks() == 120


def test_half_of_a_new_number_over_half_of_an_old_one_is_not_believed(
    file: Path, shifted_clock: ShiftedClock
) -> None:
    shift(file, 3600)
    old = file.read_bytes()
    assert shifted_clock.seconds() == 3600
    shift(file, 123_456.25)
    new = file.read_bytes()
    assert len(new) == len(old)
    for written in range(len(old) + 1):
        file.write_bytes(new[:written] + old[written:])
        clock = ShiftedClock(file)
        assert clock.seconds() in (0, 3600, 123_456.25)  # 0: none was good yet
        clock.close()


def test_by_hand_one_number_and_a_newline_will_do(file: Path, shifted_clock: ShiftedClock) -> None:
    file.write_text("3600\n")
    assert (shifted_clock.seconds(), shifted_clock.ticks()) == (3600, 3600)
    file.write_text("-60\n")
    assert (shifted_clock.seconds(), shifted_clock.ticks()) == (-60, 3600)
    shift(file, 0)
    assert (shifted_clock.seconds(), shifted_clock.ticks()) == (0, 3600)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -4e9])
def test_a_shift_that_no_clock_would_take_is_refused(file: Path, seconds: float) -> None:
    with pytest.raises(ValueError, match="a hundred years"):
        shift(file, seconds)
    assert shifted(file) == 0


OTHER_PROCESS = """
import json, sys
from pathlib import Path
from runtime.clock import ShiftedClock
clock = ShiftedClock(Path(sys.argv[1]))
for line in sys.stdin:
    print(json.dumps([clock.now().isoformat(), clock.ticks()]), flush=True)
"""


def test_a_move_is_seen_at_once_by_another_process(file: Path) -> None:
    system = SystemClock()
    with subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        forward = 0
        # On Linux the monotonic clock is one for all processes, so that ticks can be compared too.
        for seconds, moved in ((0, 0), (3600, 3600), (-86_400, 0), (-86_000, 400)):
            shift(file, seconds)
            forward += moved
            before, ticks_before = system.now(), system.ticks()
            other.stdin.write("?\n")
            other.stdin.flush()
            now, ticks = json.loads(other.stdout.readline())
            after, ticks_after = system.now(), system.ticks()
            host = datetime.fromisoformat(now) - timedelta(seconds=seconds)
            assert before <= host <= after
            assert ticks_before - 1e-3 <= ticks - forward <= ticks_after + 1e-3
        other.stdin.close()


# -- which clock a process goes by ------------------------------------------------------------------


def test_without_the_setting_a_process_goes_by_the_hosts_clock(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert isinstance(clock_of(Settings()), SystemClock)
    assert not caplog.records
    before = datetime.now(UTC)
    clock: Clock = clock_of(Settings())
    assert before <= clock.now() <= datetime.now(UTC)
    assert clock.ticks() <= clock.ticks()


def test_with_the_setting_it_goes_by_the_shifted_clock(file: Path) -> None:
    shift(file, 90)
    clock = clock_of(Settings(clock_shift=file))
    assert isinstance(clock, ShiftedClock)
    assert clock.seconds() == 90
    clock.close()


def test_a_file_that_is_not_there_is_told_and_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="TSUNAGU_CLOCK_SHIFT"):
        clock_of(Settings(clock_shift=tmp_path / "nothing"))


def test_the_settings_reach_a_child_process_as_they_are() -> None:
    settings = Settings(
        clock_shift=Path("/x/clock_shift"),
        smtp="mail.example:587",
        mail_from="tsunagu@ward.example",
        smtp_user="tsunagu",
        smtp_password_file=Path("/x/smtp.password"),
        smtp_tls="tls",
    )
    assert Settings.from_environment(settings.environment()) == settings
    assert Settings.from_environment(Settings().environment()) == Settings()


def test_a_way_to_encrypt_mail_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SettingsError, match="TSUNAGU_SMTP_TLS"):
        Settings.from_environment({"TSUNAGU_SMTP_TLS": "ssl3"})


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    with running_network(tmp_path_factory.mktemp("network"), clock_shift=True) as running:
        yield running


@pytest.mark.slow
def test_a_whole_network_goes_by_the_clock_that_a_test_moves(network: RunningNetwork) -> None:
    def moment() -> datetime:
        sent = network.partner("anshin-motofuji").posts(a_referral())
        assert sent.status == 201
        return datetime.fromisoformat(sent.body["updated_at"])

    first = moment()
    assert abs(first - datetime.now(UTC)) < HOUR
    network.move_clock(2 * HOUR)
    later = moment()
    assert 2 * HOUR <= later - first < 3 * HOUR
    network.move_clock(-HOUR)
    assert moment() > later
    network.kill_and_await_restart("referral")
    at_last = moment()
    assert at_last > later
    network.move_clock(30 * MINUTE)
    assert moment() - at_last >= 30 * MINUTE
    starts = [json.loads(line) for line in network.logs().splitlines() if "clock_shifted" in line]
    assert {line["service"] for line in starts} == {"referral", "delivery", "audit", "intake"}
    assert {line["level"] for line in starts} == {"warning"}
