"""A day and a night of referrals, played on a network of its own (`tsunagu demo`).

It tells the same story whenever it is run: the network's clock is moved, and so it lives in a home of
its own, made anew for each run, and never touches a real one.
"""

import contextlib
import fcntl
import logging
import os
import shlex
import shutil
import sys
import time
import tomllib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import httpx
from rich.console import Console

from demo.day import play_day
from demo.night import Night, a_friday
from demo.story import Answer, DemoFailed, Story
from runtime.clock import SystemClock, shift
from runtime.nats_server import NoServer, free_port
from runtime.settings import Settings
from services.audit import commands as audit
from services.supervisor import AlreadyRunning, NotReady, network
from wards.holidays import NationalHolidays
from wards.model import Ward
from watch.command import Wanted, watch_board
from watch.line import WatchError

MARKER = "made-by-tsunagu-demo"


def play(settings: Settings, ward: Ward, out: Console) -> int:
    """Play the story in ``<home>/demo``, replay the night's case and verify. Gives the exit status."""
    # That a clock is shifted is logged as a warning; here it is the point.
    logging.getLogger("tsunagu").addHandler(logging.NullHandler())
    home = settings.home / "demo"
    clock = home.resolve() / "clock_shift"
    own = Settings(home=home, ward=settings.ward, port=free_port(), clock_shift=clock)
    try:
        friday = a_friday(ward, NationalHolidays(), SystemClock().now())
        _make_anew(home)
        shift(clock, (friday - SystemClock().now()).total_seconds())
        with _nobody_elses_settings():
            case = _day_and_night(own, ward, friday, out)
    except (
        AlreadyRunning, DemoFailed, NoServer, NotReady, WatchError, httpx.HTTPError
    ) as failure:  # fmt: skip
        out.print(f"{type(failure).__name__}: {failure}", style="red", markup=False)
        return 1
    number = case["number"]
    out.print(f"\n[bold]記録をたどる[/]  [dim]tsunagu replay {number}[/]")
    history = audit.replay_ledger(own, ward, number, None)
    if history is None:
        out.print("[red]no history in the ledger[/]")
        return 1
    history.tell(out)
    out.print("\n[bold]台帳を検証する[/]  [dim]tsunagu verify[/]")
    report = audit.verify_ledger(own, None)
    audit.tell_report(report, out)
    out.print(
        f"\nもう一度見るには / to look again: {_command(home)} replay {number}",
        soft_wrap=True,
        markup=False,
    )
    return report.exit_code


def _day_and_night(own: Settings, ward: Ward, friday: datetime, out: Console) -> Answer:
    """Gives the case of the night."""
    began = time.monotonic()
    with network(own) as running:
        out.print(f"つなぐ ready {running.url}  ({time.monotonic() - began:.1f} s)")
        keys = tomllib.loads((own.home / "keys.toml").read_text("utf-8"))

        def board() -> None:
            story.chapter("基幹の見張り", "tsunagu watch --once")
            watch_board(running.settings, Wanted(once=True), out)

        with httpx.Client(base_url=running.url, timeout=10) as client:
            story = Story(client, keys, ward, out, clock=running.settings.home / "clock_shift")
            play_day(story)
            case = Night(story, friday, NationalHolidays(), board).play()
            story.await_ledger()
            return case


def _make_anew(home: Path) -> None:
    """An empty home for the demo; only what a demo left behind is deleted. Raises DemoFailed, and
    AlreadyRunning while a network lives there."""
    if home.is_symlink() or (home.exists() and not home.is_dir()):
        raise DemoFailed(f"{home} はフォルダではありません / is no folder; nothing was deleted")
    home.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    home.mkdir(exist_ok=True, mode=0o700)
    if any(home.iterdir()) and not (home / MARKER).is_file():
        raise DemoFailed(
            f"{home} はデモのものではないので消しません / was not made by a demo; nothing was deleted"
        )
    (home / MARKER).touch()
    # The network's own lock, which therefore is never deleted: nobody lives here while we wipe, and
    # whoever comes in between us and our network finds a home as empty as we leave it.
    with open(home / "lock", "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(f"a network is running in {home} already") from None
        for path in home.iterdir():
            if path.name in (MARKER, "lock"):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


@contextlib.contextmanager
def _nobody_elses_settings() -> Iterator[None]:
    """The services take what they are not given from the environment: a database, a mail server. The
    demo's neither write into a real one nor ring real desks."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("TSUNAGU_")}
    for name in kept:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(kept)


def _command(home: Path) -> str:
    """How this was called, for the demo's home."""
    called = sys.argv[0] if Path(sys.argv[0]).name == "tsunagu" else "tsunagu"
    return f"TSUNAGU_HOME={shlex.quote(str(home))} {shlex.quote(called)}"
