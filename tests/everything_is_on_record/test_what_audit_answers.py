"""What people are told of the ledger, and who is told it, on both databases."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from schemas import queries as q
from schemas.looks import LookedAt
from schemas.outside import local_text
from services.audit.following import Following
from tests.book import VKEY
from tests.builders import ANSHIN, AUDITOR, BUNKYO, CORE, HUB, STRANGER, Case, a_referral
from tests.everything_is_on_record.office import NOTHING, Office, a_day, tampered

WARD_OFFICE = "ward-office"


# -- replay ---------------------------------------------------------------------------------------


def test_one_referral_is_replayed_as_it_was_at_every_step(office: Office) -> None:
    case = a_day(office)
    now = office.body(q.ReplayReferral(agency=AUDITOR, ref=case.id))
    assert [x["type"] for x in now["entries"]] == [
        "referral_submitted", "district_found", "handoff_offered", "handoff_accepted",
        "referral_closed",
    ]  # fmt: skip
    assert [x["index"] for x in now["entries"]] == [0, 1, 2, 3, 4]
    assert now["entries"][3]["ja"].startswith("サポートセンターいちょうが受諾")
    hub = "Support Centre Icho (Motofuji hub)"
    assert now["entries"][3]["en"] == f"{hub} accepted; custodian is {hub}"
    assert now["entries"][0]["received_at"] == local_text(office.town.clock.now())
    assert [x["custodian"] for x in now["custody"]] == [ANSHIN, HUB]
    assert now["custody"][0]["until"] == now["custody"][1]["from"] == now["steps"][1]
    assert (now["state"]["stage"], now["offers"], len(now["steps"])) == ("closed", [], 3)

    first = q.ReplayReferral.model_validate(
        {"agency": CORE, "ref": case.state.number, "at": now["steps"][0]}
    )
    then = office.body(first)
    assert (then["state"]["stage"], then["state"]["custodian"]) == ("offered", ANSHIN)
    (offer,) = then["offers"]
    assert (offer["receiver"], offer["overdue"]) == (HUB, False)
    assert then["steps"] == now["steps"]
    assert then["last_index"] == 2

    late = first.model_copy(update={"at": case.state.submitted_at + timedelta(days=-1)})
    before = office.body(late)
    assert (before["state"], before["entries"], before["last_index"]) == (None, [], None)
    assert before["steps"] == now["steps"]


def test_as_it_was_known_then_shows_only_what_the_ledger_held(office: Office) -> None:
    case = a_day(office)
    known = office.body(q.ReplayReferral(agency=AUDITOR, ref=case.id, size=3))
    assert [x["index"] for x in known["entries"]] == [0, 1, 2]
    assert known["state"]["custodian"] == ANSHIN


def test_a_moment_comes_with_the_checkpoint_that_vouches_for_it(office: Office) -> None:
    case = a_day(office)
    shown = office.body(q.ReplayReferral(agency=AUDITOR, ref=case.id))["checkpoint"]
    assert (shown["size"], shown["covers"], shown["vkey"]) == (5, True, VKEY)
    assert shown == {**office.body(q.ReadCheckpoint(agency=WARD_OFFICE)), "covers": True}
    more = a_referral(town=office.town)
    office.record(sign=False)
    shown = office.body(q.ReplayReferral(agency=AUDITOR, ref=more.id))["checkpoint"]
    assert (shown["size"], shown["covers"]) == (5, False)
    office.book.ledger.sign()
    assert office.body(q.ReplayWard(agency=AUDITOR))["checkpoint"]["covers"]


def test_whoever_looked_at_a_referral_is_told_with_it_and_is_no_part_of_it(office: Office) -> None:
    case = a_referral(town=office.town)
    office.record()
    office.look(case, ANSHIN, LookedAt.PAGE)
    office.look(case, CORE, LookedAt.PERSONAL)
    case.accepted_by(HUB)
    office.record()
    told = office.body(q.ReplayReferral(agency=AUDITOR, ref=case.id))
    assert [(x["agency"], x["what"], x["basis"], x["index"]) for x in told["looks"]] == [
        (ANSHIN, "page", "C2", 3),
        (CORE, "personal", "C2", 4),
    ]
    assert [x["index"] for x in told["entries"]] == [0, 1, 2, 5]
    assert office.body(q.ExportReferral(agency=AUDITOR, ref=case.id))["looks"] == told["looks"]
    assert office.body(q.ReplayWard(agency=AUDITOR))["referrals"][0]["custodian"] == HUB
    other = a_referral(town=office.town)
    office.record()
    assert office.body(q.ReplayReferral(agency=AUDITOR, ref=other.id))["looks"] == []


def test_the_ward_is_replayed_at_a_moment_and_now(office: Office) -> None:
    a_day(office)
    now = office.body(q.ReplayWard(agency=CORE))
    assert (now["ready"], now["referrals"], len(now["steps"])) == (True, [], 3)
    then = office.body(
        q.ReplayWard.model_validate({"agency": CORE, "at": now["steps"][1]})
    )  # fmt: skip
    assert [x["custodian"] for x in then["referrals"]] == [HUB]
    assert (then["previous"], then["next"]) == (now["steps"][0], now["steps"][2])
    assert then["last_index"] == 3


def test_what_comes_later_is_seen_later_and_after_a_restart_all_of_it(office: Office) -> None:
    first = a_referral(town=office.town)
    office.record()
    assert len(office.body(q.ReplayWard(agency=CORE))["referrals"]) == 1
    for _ in range(120):  # more than is taken in at once
        a_referral(town=office.town)
    office.record()
    assert len(office.body(q.ReplayWard(agency=CORE))["referrals"]) == 121
    again = Following(office.book.engine, lambda: office.book.ledger.size)
    assert not again.step()
    assert again.catch_up(10)
    assert again.read == office.book.ledger.size
    with again.timeline() as timeline:
        assert timeline.course(str(first.id)) is not None


# -- a month --------------------------------------------------------------------------------------


def test_the_ward_office_gets_the_month_and_no_case(office: Office) -> None:
    case = a_day(office)
    month = office.body(q.ReadMonth(agency=WARD_OFFICE, year=2026, month=11))
    assert (month["ready"], month["submitted"], month["outcomes"]) == (True, 1, {"got_help": 1})
    assert month["between_desks"]["emergency"]["median"] == 5.0
    assert office.body(q.ReadMonth(agency=WARD_OFFICE, year=2026, month=10))["submitted"] == 0
    assert office.ask(q.ReplayReferral(agency=WARD_OFFICE, ref=case.id)) == NOTHING
    assert office.ask(q.ReplayWard(agency=WARD_OFFICE)) == NOTHING


# -- who may ask ----------------------------------------------------------------------------------


def questions_of(agency: str, case: Case) -> list[BaseModel]:
    return [
        q.ReplayReferral(agency=agency, ref=case.id),
        q.ReplayWard(agency=agency),
        q.VerifyLedger(agency=agency),
        q.ExportReferral(agency=agency, ref=case.id),
        q.ReadMonth(agency=agency, year=2026, month=11),
        q.ReadCheckpoint(agency=agency),
    ]


@pytest.mark.parametrize("agency", [HUB, STRANGER, "sample-hospital", "nobody-at-all", "network"])
def test_nobody_else_is_told_anything_of_the_whole(office: Office, agency: str) -> None:
    case = a_day(office)
    for question in questions_of(agency, case):
        assert office.ask(question) == NOTHING, question


@pytest.mark.parametrize("agency", [CORE, AUDITOR])
def test_the_core_centre_and_auditors_are_told_all(office: Office, agency: str) -> None:
    case = a_day(office)
    for question in questions_of(agency, case):
        assert office.ask(question).found, question


def test_an_auditor_whose_time_is_over_is_told_nothing(
    database_of: Callable[[str], Engine], clock: ManualClock
) -> None:
    yesterday = clock.now().date() - timedelta(days=1)
    agencies = tuple(
        agency.model_copy(update={"valid_to": yesterday}) if agency.id == AUDITOR else agency
        for agency in BUNKYO.agencies
    )
    ward = BUNKYO.model_copy(update={"agencies": agencies})
    ward.__dict__.pop("_agencies", None)  # a cached property goes along with a copy
    office = Office(database_of("audit"), clock, ward)
    case = a_day(office)
    for question in questions_of(AUDITOR, case):
        assert office.ask(question) == NOTHING


def test_what_does_not_exist_is_answered_as_what_one_may_not_see(office: Office) -> None:
    a_day(office)
    nowhere = UUID(int=7)
    for ref in (nowhere, "131059-2026-999999"):
        assert office.ask(q.ReplayReferral(agency=CORE, ref=ref)) == NOTHING
        assert office.ask(q.ExportReferral(agency=CORE, ref=ref)) == NOTHING
        assert office.ask(q.ReadReceipt(agency=CORE, ref=ref)) == NOTHING


def test_the_district_of_a_protected_address_is_masked_for_auditors(office: Office) -> None:
    case = a_referral(town=office.town, address_kind="protected")
    office.record()
    told = office.body(q.ReplayReferral(agency=AUDITOR, ref=case.id))
    assert (told["state"]["district"], told["withheld"]) == (None, 1)
    assert "motofuji" not in told["entries"][1]["ja"] + told["entries"][1]["en"]
    receipts = office.body(q.ExportReferral(agency=AUDITOR, ref=case.id))["receipts"]
    assert ["entry" in x for x in receipts] == [True, False, True]
    assert all(x["signed"] for x in receipts)
    for one in receipts:
        assert "motofuji" not in json.dumps(one.get("entry", "")).replace(HUB, "").replace(
            ANSHIN, ""
        )
    receipt = office.body(q.ReadReceipt(agency=AUDITOR, ref=case.id, index=1))
    assert "entry" not in receipt
    full = office.body(q.ReplayReferral(agency=CORE, ref=case.id))
    assert (full["state"]["district"], full["withheld"]) == ("motofuji", 0)
    assert "entry" in office.body(q.ReadReceipt(agency=CORE, ref=case.id, index=1))


# -- a ledger that was tampered with --------------------------------------------------------------


def test_a_rewritten_entry_gets_no_receipt_and_verification_names_it(office: Office) -> None:
    case = a_day(office)
    body = office.book.bodies()[3]
    tampered(office, 3, body.replace(b'"actor":"hub-motofuji"', b'"actor":"hub-komagome"'))
    receipt = office.body(q.ReadReceipt(agency=AUDITOR, ref=case.id, index=3))
    assert (receipt["signed"], receipt["problem"]) == (False, "tree_differs")
    report = verified(office)
    assert (report["whole"], report["first_wrong_entry"]) == (False, 3)


def test_an_entry_that_cannot_be_read_is_told_and_does_not_stop_the_answers(office: Office) -> None:
    case = a_day(office)
    tampered(office, 3, b"{}")
    told = office.body(q.ReplayReferral(agency=AUDITOR, ref=case.id))
    assert told["problem"] == "cannot_be_replayed"
    assert office.body(q.ReplayWard(agency=AUDITOR))["problem"] == "cannot_be_replayed"
    month = office.body(q.ReadMonth(agency=AUDITOR, year=2026, month=11))
    assert month["problem"] == "cannot_be_replayed"


# -- verification ---------------------------------------------------------------------------------


def verified(office: Office) -> dict[str, Any]:
    told = office.body(q.VerifyLedger(agency=AUDITOR))
    while told["running"]:
        told = office.body(q.VerifyLedger(agency=AUDITOR, start=False))
    report: dict[str, Any] = told["report"]
    return report


def test_a_verification_is_begun_from_a_page_and_its_report_is_kept(office: Office) -> None:
    a_day(office)
    idle = office.body(q.VerifyLedger(agency=AUDITOR, start=False))
    assert (idle["running"], idle["report"], idle["of"]) == (False, None, 5)
    report = verified(office)
    assert (report["whole"], report["entries"], report["signed"]) == (True, 5, 5)
    kept = office.body(q.VerifyLedger(agency=CORE, start=False))
    assert (kept["running"], kept["report"], kept["verified_size"]) == (False, report, 5)
