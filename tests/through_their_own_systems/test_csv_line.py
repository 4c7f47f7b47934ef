"""Many rows at once over a bad line, to a network that is busy: nothing is lost, nothing is doubled, and
who is told to wait waits."""

import asyncio
import json
import time
from collections import Counter
from pathlib import Path

import pytest

from partners.csv_files.faults import Stopped
from partners.csv_files.line import PARALLEL, Line
from partners.csv_files.posting import Done, Memory, Posting
from partners.csv_files.reading import read
from partners.csv_files.report import Report
from tests.through_their_own_systems.csv_sheets import cells, report_of, sheet
from tests.through_their_own_systems.scripted import Heard, Said, scripted

BUSY = {"code": "rate_limited", "status": 429}


def taken(heard: Heard) -> Said:
    if heard.path.endswith("/batch"):
        return Said(body={"items": [{} for _ in json.loads(heard.body)["items"]]})
    return Said(201, {"number": "131059-2026-000001", "stage": "offered"})


def posted(url: str, folder: Path, rows: int, patience: float = 20.0) -> Done:
    text = sheet(*(cells(f"line-{n}") for n in range(rows)))
    file = folder / "in.csv"
    told = folder / "in.csv.report.csv"

    async def run() -> Done:
        async with Line(url, "a-key", patience=patience) as line:
            with Report(told) as report:
                memory = Memory(file.with_name("state"), "anshin-otsuka", url)
                try:
                    posting = Posting(line, read(text.encode()), memory, report, lambda *_: None)
                    return await posting.run()
                finally:
                    memory.close()

    return asyncio.run(run())


def test_all_wait_when_one_is_told_to_wait(tmp_path: Path) -> None:
    busy_at: list[float] = []
    early: list[float] = []

    def script(heard: Heard, _: int) -> Said:
        now = time.monotonic()
        if heard.path == "/v1/referrals":
            if not busy_at:
                busy_at.append(now)
                return Said(429, BUSY, {"Retry-After": "1"})
            if 0.1 < now - busy_at[0] < 0.95:
                early.append(now)
        return taken(heard)

    with scripted(script) as network:
        done = posted(network.url, tmp_path, 120)
    assert done == Done(accepted=120, refused=0, pending=0, not_sent=0)
    assert len(early) < PARALLEL, "more than what was under way already"


def test_a_line_that_breaks_is_tried_again_with_the_same_key(tmp_path: Path) -> None:
    def script(heard: Heard, number: int) -> Said:
        if number % 3 == 1:
            return Said(hang_up=True)
        if number % 7 == 2:
            return Said(503, {"code": "unavailable"}, {"Retry-After": "0"})
        return taken(heard)

    with scripted(script) as network:
        done = posted(network.url, tmp_path, 12)
    assert done == Done(accepted=12, refused=0, pending=0, not_sent=0)
    keys = Counter(h.headers["idempotency-key"] for h in network.heard if h.path == "/v1/referrals")
    assert len(keys) == 12
    bodies = {
        (h.headers["idempotency-key"], h.body) for h in network.heard if h.path[3:] == "/referrals"
    }
    assert len(bodies) == 12
    assert max(keys.values()) > 1


def test_what_is_taken_and_not_decided_is_asked_after(tmp_path: Path) -> None:
    def script(heard: Heard, _: int) -> Said:
        if heard.path == "/v1/referrals":
            return Said(202, {"request": "x"}, {"Location": "/v1/requests/x", "Retry-After": "0"})
        return taken(heard)

    with scripted(script) as network:
        assert posted(network.url, tmp_path, 2).accepted == 2
    assert [h.method for h in network.heard if h.path == "/v1/requests/x"] == ["GET", "GET"]


def test_a_network_that_stays_away_stops_the_run_and_the_report_says_what_is_not_known(
    tmp_path: Path,
) -> None:
    def script(heard: Heard, number: int) -> Said:
        return taken(heard) if number < 5 else Said(hang_up=True)

    with scripted(script) as network, pytest.raises(Stopped, match="--resume"):
        posted(network.url, tmp_path, 20, patience=0.5)
    report = report_of(tmp_path / "in.csv")
    assert Counter(row["status"] for row in report) == {"accepted": 4, "not_sent": 16}
    assert "--resume" in report[-1]["errors"]
    with scripted(lambda heard, _: taken(heard)) as again:
        (tmp_path / "state").write_text(
            (tmp_path / "state").read_text().replace(network.url, again.url)
        )
        assert posted(again.url, tmp_path, 20).accepted == 20
    assert sum(h.path == "/v1/referrals" for h in again.heard) == 16


def test_batches_fit_in_what_the_network_takes(tmp_path: Path) -> None:
    with scripted(lambda heard, _: taken(heard)) as network:
        text = sheet(*(cells(f"big-{n}", summary="長" * 9_000) for n in range(120)))

        async def run() -> Done:
            async with Line(network.url, "a-key") as line:
                with Report(tmp_path / "r.csv") as report:
                    memory = Memory(tmp_path / "state", "anshin-otsuka", network.url)
                    posting = Posting(line, read(text.encode()), memory, report, lambda *_: None)
                    done = await posting.run()
                    memory.close()
                    return done

        assert asyncio.run(run()).accepted == 120
    sizes = [len(h.body) for h in network.heard if h.path.endswith("/batch")]
    assert len(sizes) > 1
    assert max(sizes) < 1_048_576


def test_a_state_of_another_agency_is_not_used(tmp_path: Path) -> None:
    with scripted(lambda heard, _: taken(heard)) as network:
        posted(network.url, tmp_path, 1)
    with pytest.raises(Stopped, match="別の機関"):
        Memory(tmp_path / "state", "hub-motofuji", network.url)
