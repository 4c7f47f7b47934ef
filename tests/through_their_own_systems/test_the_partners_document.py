"""The document for partners: its commands are run, its tables and diagrams are those of the code."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

import pytest

from partners.conformance.checks import CHECKS
from partners.publishing import DOCUMENT, document
from schemas.codes import EscalationState, HandoffState, Stage
from schemas.problems import ProblemCode
from schemas.referral import Referral
from tests.builders import a_referral, between
from tests.network import REPOSITORY, RunningNetwork
from tests.outside_tools import cannot
from tests.simulation.scenario import scenario
from tests.simulation.world import World
from tests.through_their_own_systems.document import Arrow, arrows, blocks, runnable

Seen = tuple[str, str, frozenset[str]]


@pytest.fixture(scope="module")
def places(network: RunningNetwork, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    keys = network.partner("core")  # keys.toml is there
    assert keys.key
    found = dict(
        re.findall(r'^(\S+) = "(.*)"$', (network.home / "keys.toml").read_text("utf-8"), re.M)
    )
    return {
        **os.environ,
        "TSUNAGU_HOME": str(network.home.resolve()),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "TSUNAGU": network.url,
        "KEY": found["anshin-motofuji"],
        "HUB_KEY": found["hub-motofuji"],
        "COLUMNS": "200",
    }


def run(command: list[str], text: str, folder: Path, places: dict[str, str]) -> str:
    done = subprocess.run(
        [*command], input=text, cwd=folder, env=places,
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    for word in ("サンプル", "03-0000-0000"):
        assert word not in done.stdout
    return done.stdout


def shell(*sections: str) -> str:
    """The commands of some sections in one shell, as somebody types them from top to bottom."""
    parts = [b.text for s in sections for b in runnable("sh", s)]
    assert parts
    return "set -euo pipefail\n" + "\n".join(parts)


def test_the_hour_with_curl(places: dict[str, str], tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        cannot("curl is not installed here")
    bare = {n: v for n, v in places.items() if n not in ("TSUNAGU", "KEY", "HUB_KEY")}
    told = run(["bash", "-s"], shell("2", "3.2"), tmp_path, bare)
    assert re.search(r"^131059-\d{4}-\d{6} in_care hub-motofuji$", told, re.MULTILINE)
    assert "409 already_answered" in told
    assert "tsunagu.handoff_offered.v1" in told or "tsunagu." in told
    assert "event: inbox" in told


def test_the_hour_with_python(places: dict[str, str], tmp_path: Path) -> None:
    typed, plain = runnable("python", "2")
    told = run([sys.executable, "-"], typed.text, tmp_path, places)
    assert "in_care hub-motofuji" in told
    assert "409 already_answered" in told
    assert re.search(r"^1 tsunagu\.", told, re.MULTILINE)
    assert "in_care hub-motofuji" in run([sys.executable, "-"], plain.text, tmp_path, places)
    (following,) = runnable("python", "3.2")
    assert "offered" in run([sys.executable, "-"], following.text, tmp_path, places)


def test_the_hour_with_javascript(places: dict[str, str], tmp_path: Path) -> None:
    if shutil.which("node") is None:
        cannot("node is not installed here (Debian: apt-get install nodejs)")
    (block,) = runnable("js", "2")
    told = run(["node", "--input-type=module", "-"], block.text, tmp_path, places)
    assert "in_care hub-motofuji" in told


@pytest.mark.slow
def test_the_partner_to_play_with(places: dict[str, str], tmp_path: Path) -> None:
    told = run(["bash", "-s"], shell("5.2"), tmp_path, places)
    assert "出した 10" in told


def test_every_block_that_is_run_is_one_that_a_test_asks_for() -> None:
    """A block marked to be run, which no test runs, would be a promise that nobody keeps."""
    asked = {("sh", section) for section in ("2", "3.2", "5.2")}
    for path in Path(__file__).parent.glob("test_*.py"):
        asked |= set(re.findall(r'runnable\("(\w+)", "([\d.]+)"\)', path.read_text("utf-8")))
    for block in blocks():
        named = any(
            block.language == language and block.section.startswith(section)
            for language, section in asked
        )
        assert named or not block.runs, f"{block.section} {block.language}"


# -- what is written from the code --------------------------------------------------------------------


def test_the_tables_are_those_of_the_code() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert document(text) == text, "run: python -m services.publish"
    assert all(f"| `{code}` |" in text for code in ProblemCode)
    assert all(f"| `{check.name}` |" in text for check in CHECKS)
    with pytest.raises(ValueError, match="errors"):
        document(text.replace("<!-- errors -->", ""))


def test_every_chapter_is_there_and_every_link_leads_to_one() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-")
        for h in re.findall(r"^## (.*)$", text, re.MULTILINE)
    }
    for anchor in re.findall(r"\]\(#([^)]*)\)", text):
        assert anchor in headings, anchor


# -- diagrams -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def years() -> list[tuple[Referral | None, Referral, frozenset[str], dict[str, set[object]]]]:
    """Every decision of some simulated years, and of the stories that are too rare there."""
    steps = []
    for seed in (1, 2, 3):
        for _, step in World(scenario(seed)).run().story:
            if step.after is not None and step.written:
                events = frozenset(entry.event.type for entry, _ in step.written)
                steps.append(
                    (step.before, step.after, events, _subjects(e for e, _ in step.written))
                )
    for case in (
        a_referral(finding=between("motofuji", "otsuka")),
        a_referral().declined_by("hub-motofuji"),
        a_referral(),
    ):
        before = case.state
        case.cancelled()
        events = frozenset(event.type for event in case.happened)
        steps.append((before, case.state, events, {}))
    return steps


def _subjects(entries: Iterable[object]) -> dict[str, set[object]]:
    """Which hand-offs and escalations each type of event was about."""
    about: dict[str, set[object]] = {}
    for entry in entries:
        event = entry.event  # type: ignore[attr-defined]
        names = {getattr(event, "handoff", None), getattr(event, "escalation", None)}
        about.setdefault(event.type, set()).update(names)
    return about


def held(section: str, states: type[StrEnum], seen: set[Seen]) -> None:
    """The diagram has these states, an arrow for all that was seen, and none for what never was."""
    drawn = list(arrows(section))
    named = {name for arrow in drawn for name in (arrow.before, arrow.after)}
    assert named == {state.value for state in states} | {"[*]"}
    for before, after, events in seen:
        assert any(_fits(arrow, before, after, events) for arrow in drawn), (before, after, events)
    for arrow in drawn:
        for event in arrow.events:
            one = Arrow(arrow.before, arrow.after, frozenset({event}))
            assert any(_fits(one, *step) for step in seen), f"never seen: {one}"


def _fits(arrow: Arrow, before: str, after: str, events: frozenset[str]) -> bool:
    return (arrow.before, arrow.after) == (before, after) and bool(arrow.events & events)


Years = list[tuple[Referral | None, Referral, frozenset[str], dict[str, set[object]]]]


def test_the_stages_of_a_referral_are_as_drawn(years: Years) -> None:
    seen = {
        (before.stage.value if before else "[*]", after.stage.value, events)
        for before, after, events, _ in years
        if before is None or before.stage is not after.stage
    }
    held("10.1", Stage, seen)


@pytest.mark.parametrize(
    ("section", "part", "states"),
    [("10.2", "handoffs", HandoffState), ("10.3", "escalations", EscalationState)],
)
def test_hand_offs_and_escalations_go_as_drawn(
    years: Years, section: str, part: str, states: type[StrEnum]
) -> None:
    seen: set[Seen] = set()
    for before, after, _, about in years:
        was = {one.id: one.state.value for one in getattr(before, part, ())}
        for one in getattr(after, part):
            events = frozenset(kind for kind, ids in about.items() if one.id in ids)
            again = "escalation_passed_on" in events
            if events and (was.get(one.id) != one.state.value or again):
                seen.add((was.get(one.id, "[*]"), one.state.value, events))
    held(section, states, seen)
