"""`tsunagu replay`, `tsunagu verify` and `tsunagu export`, as an auditor runs them, and what the same auditor is
told on the bus."""

import asyncio
import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import nats
import pytest
from pydantic import BaseModel

from runtime.settings import Settings
from schemas import queries as q
from schemas import subjects
from schemas.outside import JAPAN
from tests.builders import BUNKYO
from tests.network import RunningNetwork, eventually, running_network, tsunagu, verified
from tests.partners import Json, a_referral


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    with running_network(tmp_path_factory.mktemp("network")) as running:
        yield running


@pytest.fixture(scope="module")
def case(network: RunningNetwork) -> Json:
    """A case that three agencies held, one after another, and the last closed."""
    sender, hub = network.partner("anshin-motofuji"), network.partner("hub-motofuji")
    sent = sender.posts(a_referral())
    time.sleep(0.01)
    hub.accepts(sent.handoff())
    time.sleep(0.01)
    offered = hub.offers(sent.id, "sample-home", "sample-hospital")
    network.partner("sample-home").accepts(offered.handoff("sample-home"))
    closed = network.partner("sample-home").closes(sent.id)
    network.settle()
    return closed.body


def replayed(network: RunningNetwork, *arguments: str) -> Json:
    done = network.tsunagu("replay", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_replay_tells_who_held_the_case_when(network: RunningNetwork, case: Json) -> None:
    told = replayed(network, case["number"])
    assert [span["custodian"] for span in told["custody"]] == [
        "anshin-motofuji", "hub-motofuji", "sample-home",
    ]  # fmt: skip
    for before, after in zip(told["custody"], told["custody"][1:], strict=False):
        assert before["until"] == after["from"]
    assert told["custody"][-1]["until"] == case["updated_at"]
    assert (told["referral"]["stage"], told["referral"]["version"]) == ("closed", case["version"])
    history = network.partner("auditor").history(case["id"]).body["items"]
    assert told["events"] == history
    assert replayed(network, case["id"]) == told


def test_replay_at_a_moment_tells_what_was_so_then(network: RunningNetwork, case: Json) -> None:
    events = replayed(network, case["number"])["events"]
    accepted = next(e for e in events if e["type"] == "tsunagu.handoff_accepted.v1")
    at = datetime.fromisoformat(accepted["time"])
    just_before = (at - timedelta(microseconds=1)).isoformat()
    then = replayed(network, case["number"], "--at", just_before)
    assert (then["referral"]["custodian"], then["referral"]["stage"]) == (
        "anshin-motofuji", "offered",
    )  # fmt: skip
    assert len(then["events"]) == 3
    now = replayed(network, case["number"], "--at", accepted["time"])
    assert now["referral"]["custodian"] == "hub-motofuji"
    ward = replayed(network, "--at", just_before)["referrals"]
    mine = next(state for state in ward if state["id"] == case["id"])
    assert mine == then["referral"]


def test_replay_for_people_names_agencies_and_steps(network: RunningNetwork, case: Json) -> None:
    done = network.tsunagu("replay", case["number"])
    assert done.returncode == 0
    assert case["number"] in done.stdout
    for name in ("sample-home", "サポートセンターいちょう"):
        assert name in done.stdout.replace("\n", "")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("131059-2026-999999",), 1),
        (("--at", "2019-01-01T00:00:00+09:00"), 1),
        (("--at", "yesterday"), 2),
        (("--at", "2026-11-20T10:00:00"), 2),
    ],
)
def test_replay_of_nothing_says_so(
    network: RunningNetwork, case: Json, arguments: tuple[str, ...], code: int
) -> None:
    done = network.tsunagu("replay", *arguments)
    assert done.returncode == code
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


def test_verify_of_a_running_networks_ledger_is_whole(network: RunningNetwork, case: Json) -> None:
    report = verified(network)
    assert report["entries"] == report["signed"] == network.journal_head()
    done = network.tsunagu("verify")
    assert done.returncode == 0
    assert str(report["entries"]) in done.stdout


def test_verify_without_a_ledger_or_its_key_is_no_success(
    network: RunningNetwork, tmp_path: Path
) -> None:
    assert tsunagu("verify", settings=Settings(home=tmp_path)).returncode != 0
    (tmp_path / "keys").mkdir()
    shutil.copy(network.home / "keys" / "ledger.vkey", tmp_path / "keys")
    assert tsunagu("verify", settings=Settings(home=tmp_path)).returncode != 0


@pytest.fixture
def copy(network: RunningNetwork, case: Json, tmp_path: Path) -> Settings:
    """The ledger and its key, copied; the copy's database lets itself be changed."""
    network.settle()
    (tmp_path / "data").mkdir()
    (tmp_path / "keys").mkdir()
    shutil.copy(network.home / "keys" / "ledger.vkey", tmp_path / "keys")
    source = sqlite3.connect(network.home / "data" / "audit.db")
    target = sqlite3.connect(tmp_path / "data" / "audit.db")
    with closing(source), closing(target):
        source.backup(target)
        for (name,) in target.execute(
            "SELECT name FROM sqlite_master WHERE type='trigger'"
        ).fetchall():
            target.execute(f"DROP TRIGGER {name}")
        target.commit()
    return replace(network.settings, home=tmp_path)


def changed(copy: Settings, statement: str, *values: object) -> Json:
    """What verify says after a change to the copy."""
    with closing(sqlite3.connect(copy.home / "data" / "audit.db")) as database:
        assert database.execute(statement, values).rowcount > 0
        database.commit()
    done = tsunagu("verify", "--json", settings=copy)
    report = json.loads(done.stdout)
    assert (done.returncode == 0) == report["whole"]
    return {**report, "exit": done.returncode}


def test_the_copy_itself_is_whole(copy: Settings) -> None:
    assert changed(copy, "UPDATE writer SET epoch = epoch + 1")["exit"] == 0


@pytest.mark.parametrize("index", [0, 5])
def test_one_flipped_byte_is_found_and_its_entry_named(copy: Settings, index: int) -> None:
    with closing(sqlite3.connect(copy.home / "data" / "audit.db")) as database:
        (body,) = database.execute("SELECT body FROM entries WHERE idx=?", [index]).fetchone()
    flipped = bytearray(body)
    flipped[len(flipped) // 2] ^= 0x01
    report = changed(copy, "UPDATE entries SET body=? WHERE idx=?", bytes(flipped), index)
    assert (report["exit"], report["kind"], report["first_wrong_entry"]) == (1, "altered", index)
    told = tsunagu("verify", settings=copy)
    assert told.returncode == 1
    assert f"entry {index}" in told.stdout


def test_a_removed_entry_and_a_removed_end_are_found(copy: Settings) -> None:
    assert changed(copy, "DELETE FROM entries WHERE idx=3")["kind"] == "missing"
    assert changed(copy, "DELETE FROM entries WHERE idx>2")["kind"] == "missing"


def test_the_ledger_itself_refuses_to_be_changed(network: RunningNetwork, case: Json) -> None:
    with closing(sqlite3.connect(network.home / "data" / "audit.db", timeout=5)) as database:
        for statement in (
            "UPDATE entries SET number=number WHERE idx=0",
            "DELETE FROM entries WHERE idx=0",
            "REPLACE INTO entries SELECT * FROM entries WHERE idx=0",
            "DELETE FROM checkpoints",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                database.execute(statement)
            database.rollback()
    verified(network)


def asked(network: RunningNetwork, name: str, question: BaseModel) -> Json:
    """As intake asks, which may ask every service."""

    async def asking() -> bytes:
        nc = await nats.connect(**network.nats("intake"))
        try:
            subject = subjects.query(BUNKYO.code, "audit", name)
            return (await nc.request(subject, question.model_dump_json().encode(), timeout=5)).data
        finally:
            await nc.close()

    told = q.Told.from_json(asyncio.run(asking()))
    assert told.found
    return told.body


def test_on_the_bus_an_auditor_is_told_what_the_command_line_tells(
    network: RunningNetwork, case: Json
) -> None:
    by_command = replayed(network, case["number"])
    by_bus = asked(network, "replay", q.ReplayReferral(agency="auditor", ref=case["number"]))
    assert by_bus["custody"] == by_command["custody"]
    assert [x["id"] for x in by_bus["entries"]] == [x["id"] for x in by_command["events"]]
    assert by_bus["checkpoint"]["covers"]
    ward = asked(network, "ward_at", q.ReplayWard(agency="auditor"))
    assert ward["ready"]
    assert case["number"] not in [x["number"] for x in ward["referrals"]]
    first = q.ReplayWard.model_validate({"agency": "auditor", "at": by_bus["steps"][0]})
    then = asked(network, "ward_at", first)
    (opened,) = [x for x in then["referrals"] if x["number"] == case["number"]]
    assert opened["custodian"] == "anshin-motofuji"
    today = datetime.now(JAPAN)
    month = q.ReadMonth(agency="ward-office", year=today.year, month=today.month)
    assert asked(network, "month", month)["submitted"] >= 1
    receipt = asked(network, "receipt", q.ReadReceipt(agency="hub-motofuji", ref=case["id"]))
    assert receipt["signed"]
    assert receipt["proof"].startswith("c2sp.org/tlog-proof@v1\n")
    verifying = q.VerifyLedger(agency="auditor")
    eventually(
        lambda: bool(asked(network, "verify", verifying)["report"]), 20, lambda: "no report"
    )  # fmt: skip
    assert asked(network, "verify", verifying)["report"]["whole"]
    exported = asked(network, "export_referral", q.ExportReferral(agency="core", ref=case["id"]))
    assert len(exported["receipts"]) == len(by_command["events"])


def test_the_ledger_is_taken_away_by_command_while_the_network_runs(
    network: RunningNetwork, case: Json, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    done = network.tsunagu("export", str(folder))
    assert done.returncode == 0, done.stderr
    size = int((folder / "checkpoint").read_text().splitlines()[1])
    assert f"{size:,}" in done.stdout
    again = network.tsunagu("export", str(folder))
    assert (again.returncode, "not an empty folder" in again.stderr) == (1, True)
