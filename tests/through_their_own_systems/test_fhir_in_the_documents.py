"""What partners read of FHIR is what the code does: the tables are its data, the examples are run."""

import json
import re
from pathlib import Path

import pytest

from schemas.codes import HandoffState, Stage
from schemas.partner import ReferralSubmission
from services.intake.fhir import bounds, tables
from services.intake.fhir.http import FHIR_JSON
from services.intake.fhir.names import EXTENSIONS, WARD_SYSTEMS, extension, system
from services.intake.fhir.openapi import fhir_operations
from services.intake.fhir.reading import Came, read_post
from tests.builders import BUNKYO
from tests.network import RunningNetwork
from tests.through_their_own_systems.fhir_samples import (
    NOW,
    WARD,
    a_published_document,
    with_ours,
)

DOCUMENT = (Path(__file__).parents[2] / "docs" / "partners.md").read_text("utf-8")
CHAPTER = DOCUMENT.partition("\n## 8 FHIR\n")[2].partition("\n## 9 ")[0]
EXAMPLES = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", CHAPTER, re.S)]
SENDER = "anshin-motofuji"


def rows(*heads: str) -> list[tuple[str, ...]]:
    """The table of the chapter that has these heads."""
    lines = CHAPTER.splitlines()
    start = lines.index(f"| {' | '.join(heads)} |") + 2
    found = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        found.append(tuple(cell.strip().replace("`", "") for cell in line[2:-2].split(" | ")))
    return found


def test_the_calls_are_those_that_are_offered() -> None:
    told = {(method, path) for method, path, *_ in rows("", "call", "scope", "")}
    assert told == {(m.upper(), p.replace("{ref}", "{id}")) for p, m, _ in fhir_operations()}


def test_priorities_are_those_of_the_code() -> None:
    told = rows("priority", "urgency", "返すとき / told as")
    assert {p: u for p, u, _ in told} == tables.URGENCY_OF_PRIORITY | {
        "routine + 拡張 urgency": "information"
    }
    for _, urgency, back in told:
        assert back.partition(" ")[0] == tables.PRIORITY_OF_URGENCY[urgency]  # type: ignore[index]


def test_statuses_are_those_of_the_code() -> None:
    stages = rows("stage 段階", "ServiceRequest.status", "Task.status（依頼全体 / the whole）")
    assert stages == [(s, tables.REQUEST_STATUS[s], tables.TASK_OF_STAGE[s]) for s in Stage]
    handoffs = rows("state 打診の状態", "Task.status（打診 / the offer）")
    assert handoffs == [(s, tables.TASK_OF_HANDOFF[s]) for s in HandoffState]


def test_answers_are_those_of_the_code() -> None:
    told = rows("PUT する Task / the Task", "status", "すること / does", "要るもの / needs")
    assert [(status, call) for _, status, call, _ in told] == [
        *tables.CALL_OF_HANDOFF_TASK.items(),
        *tables.CALL_OF_REFERRAL_TASK.items(),
    ]


def test_names_are_those_of_the_code() -> None:
    systems = rows("system", "中身 / what")
    assert systems == [(system(WARD, what), words) for what, words in WARD_SYSTEMS.items()]
    extensions = rows("拡張 / extension", "どこに / on", "型 / type", "項目 / our field")
    assert extensions == [(extension(name), *where) for name, where in EXTENSIONS.items()]


def test_sections_are_those_of_the_code() -> None:
    told = rows("区分 / section", "入る項目 / goes to")
    sections = {
        code: field
        for codes, field in told
        for code in codes.split(", ")
        if field in ("summary", "complaint", "risks") or field.startswith("取り込まない")
    }
    assert {c: None if f.startswith("取") else f for c, f in sections.items()} == tables.SECTIONS


def test_what_a_published_document_lacks_is_told() -> None:
    (told,) = re.findall(r"```js\n(.*?)```", CHAPTER, re.S)
    extensions = json.loads(f"{{{told}}}")["extension"]
    document = a_published_document()
    document["entry"][0]["resource"]["extension"] += extensions
    assert document == with_ours(a_published_document())
    came = read_post(json.dumps(document).encode(), BUNKYO, "sample-hospital", NOW)
    assert isinstance(came, Came), came
    fields = {name for _, cell, _ in rows("文書 / the document", "項目 / our field", "")
              for name in cell.split(", ") if name.isidentifier() and name.isascii()}  # fmt: skip
    assert fields <= set(came.slip.body)


def test_every_element_that_is_taken_is_told() -> None:
    told = rows("FHIR", "項目 / our field", "")
    elements = {name for cell, *_ in told for name in cell.split(", ")}
    for kind in ("ServiceRequest", "Patient", "Consent"):
        for name in tables.TAKEN[kind] - {"scope", "category", "authoredOn", "supportingInfo"}:
            assert any(element.startswith(f"{kind}.{name}") for element in elements), (
                f"{kind}.{name}"
            )
    for element in elements:
        kind, _, rest = element.partition(".")
        assert rest.partition(".")[0] in tables.TAKEN[kind], element
    fields = {name.partition(".")[0] for _, cell, _ in told for name in cell.split(", ")}
    assert fields - {"—"} <= set(ReferralSubmission.model_fields)


def test_limits_are_those_of_the_code() -> None:
    told = (
        f"entry {bounds.MOST_ENTRIES}、contained {bounds.MOST_CONTAINED}、深さ {bounds.DEEPEST}、"
        f"値 {bounds.MOST_VALUES:,}。"
    )
    assert told in CHAPTER
    assert f"{bounds.MOST_TOLD} 件まで" in CHAPTER


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: str(e["resourceType"]))
def test_an_example_is_read_without_loss(example: dict[str, object]) -> None:
    if example["resourceType"] == "Task":
        return
    came = read_post(json.dumps(example).encode(), BUNKYO, SENDER, NOW)
    assert isinstance(came, Came), came
    assert came.left == ()
    ReferralSubmission.model_validate_json(came.slip.raw())


def test_the_examples_work_on_the_network(network: RunningNetwork) -> None:
    sender, hub = network.partner(SENDER), network.partner("hub-motofuji")
    headers = {"Content-Type": FHIR_JSON}
    (request,) = (e for e in EXAMPLES if e["resourceType"] == "Bundle")
    (answer,) = (e for e in EXAMPLES if e["resourceType"] == "Task")
    posted = sender.http.post("/fhir", content=json.dumps(request), headers=headers)
    assert posted.status_code == 201, posted.text
    place = posted.headers["location"].removeprefix("/fhir/")
    found = hub.http.get("/fhir/Task", params={"based-on": place}).json()["entry"]
    offer = found[-1]["resource"]["id"]
    declined = hub.http.put(
        f"/fhir/Task/{offer}", content=json.dumps({**answer, "id": offer}), headers=headers
    )
    assert declined.json()["status"] == "rejected", declined.text
