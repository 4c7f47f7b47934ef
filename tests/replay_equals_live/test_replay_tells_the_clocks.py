"""What an auditor reads in a replay: until when, by which clock, and what was decided when it ran out."""

import io
from datetime import date, datetime

import pytest
from rich.console import Console

from schemas import commands as c
from schemas import events as e
from schemas.codes import ClockKind, Disposition, HandoffKind, SaidBy, Urgency, WithdrawnBecause
from schemas.due import Due
from schemas.journal import JournalEntry
from schemas.outside import JAPAN
from services.audit.commands import OneReferral
from services.audit.replay import Names, replay
from tests.builders import ANSHIN, BUNKYO, CORE, HUB, LIEN, a_submission, an_id

NAMES = Names(
    agencies={agency.id: agency.name for agency in BUNKYO.agencies},
    desks={desk.id: desk.name for desk in BUNKYO.desks},
)
HANDOFF, CALL = an_id("hand-off"), an_id("call")


def japan(day: int, hour: int, minute: int, second: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, second, tzinfo=JAPAN)


def wall(at: datetime, rule: str, minutes: int = 15) -> Due:
    return Due(at=at, rule=rule, clock=ClockKind.WALL, minutes=minutes)


def business(at: datetime, rule: str, hours_of: str) -> Due:
    return Due(
        at=at, rule=rule, clock=ClockKind.BUSINESS, minutes=240, hours_of=hours_of,
        holidays=(date(2026, 11, 23),), calendar="recorded",
    )  # fmt: skip


def submitted() -> e.ReferralSubmitted:
    asked: c.SubmitReferral = a_submission()
    return e.ReferralSubmitted(
        number="131059-2026-000001", sender=ANSHIN, function=asked.function,
        urgency=Urgency.EMERGENCY, consent_basis=asked.consent_basis,
    )  # fmt: skip


def offered(due: Due | None, *, withheld: bool = False, receiver: str = HUB) -> e.HandoffOffered:
    return e.HandoffOffered(
        handoff=HANDOFF, offer=an_id("offer"), kind=HandoffKind.TRANSFER, function="emergency",
        sender=ANSHIN, receiver=receiver, due=due, withheld=withheld,
    )  # fmt: skip


def raised(**fields: object) -> e.EscalationRaised:
    given = {"escalation": CALL, "code": "E08", "by": "network"}
    return e.EscalationRaised.model_validate(given | fields)


def entries(*happened: tuple[datetime, e.Event]) -> list[JournalEntry]:
    story = [(japan(20, 16, 50), submitted()), *happened]
    return [
        JournalEntry(
            ward=BUNKYO.code, producer="referral", number=n, id=an_id(f"event {n}"),
            referral=an_id("referral"), version=n, occurred_at=at, actor="network",
            command=an_id("command"), concerns=(), event=event,
        )
        for n, (at, event) in enumerate(story, start=1)
    ]  # fmt: skip


def told(*happened: tuple[datetime, e.Event]) -> list[str]:
    """The lines of the history, without the submission, as they are printed."""
    history = replay(entries(*happened))
    assert history is not None
    out = io.StringIO()
    OneReferral(history, NAMES).tell(Console(file=out, width=80))
    return out.getvalue().splitlines()[-len(happened) :]


def test_an_offer_says_until_when_and_by_which_clock() -> None:
    at = japan(20, 16, 50)
    urgent = business(japan(24, 13, 20), "answer.urgent", HUB)
    (line,) = told((at, offered(urgent)))
    assert "いちょうへ引き継ぎを打診、期限 11/24 13:20 開所時間  " in line
    assert f"to {HUB}, due 11/24 13:20 (business)" in line
    (line,) = told((at, offered(wall(japan(20, 17, 5, 9), "answer.emergency"), withheld=True)))
    assert "打診（氏名等は受諾後）、期限 11/20 17:05:09 実時間  " in line
    assert f"to {HUB}, person withheld, due 11/20 17:05:09 (wall)" in line


def test_an_offer_of_before_there_were_clocks_tells_none() -> None:
    (line,) = told((japan(20, 16, 50), offered(None)))
    assert "期限" not in line
    assert line.endswith(f"{ANSHIN} offered a transfer to {HUB}")


def test_silence_says_who_was_silent_when_it_was_due_and_when_that_was_decided() -> None:
    due = japan(20, 17, 5)
    line = told(
        (japan(20, 16, 50), offered(wall(due, "answer.emergency"))),
        (japan(20, 17, 20, 3), e.HandoffExpired(handoff=HANDOFF, overdue_since=due)),
    )[-1]
    assert (
        "サポートセンターいちょうが無回答、期限 11/20 17:05 を過ぎて 11/20 17:20:03 に決定" in line
    )
    assert f"{HUB} did not answer, due 11/20 17:05, decided 11/20 17:20:03" in line


@pytest.mark.parametrize("because", list(WithdrawnBecause))
def test_a_withdrawn_offer_says_from_whom_and_why(because: WithdrawnBecause) -> None:
    line = told(
        (japan(20, 16, 50), offered(None, receiver=LIEN)),
        (japan(20, 16, 51), e.HandoffWithdrawn(handoff=HANDOFF, by=CORE, because=because)),
    )[-1]
    assert f"withdrawn from {LIEN} ({because.value})" in line
    assert f"（{because.value}）" not in line


def test_a_call_says_code_desk_and_due_at_every_step() -> None:
    overdue, first = japan(20, 17, 5), japan(24, 17, 5)
    call = raised(
        desk="core-desk", to=CORE, due=business(first, "E08.acknowledge", CORE), handoff=HANDOFF,
        overdue_since=overdue,
    )  # fmt: skip
    passed = e.EscalationPassedOn(
        escalation=CALL, level=2, desk="ward-night", to="ward-office",
        due=wall(japan(24, 17, 50), "E08.later", 45), overdue_since=first,
    )  # fmt: skip
    acknowledged = e.EscalationAcknowledged(
        escalation=CALL, by=CORE, custodian=CORE, due=wall(japan(25, 17, 30), "resolve.emergency")
    )
    resolved = e.EscalationResolved(escalation=CALL, by=CORE, disposition=Disposition.KEPT)
    one, two, three, four = told(
        (overdue, call),
        (japan(24, 17, 5, 1), passed),
        (japan(24, 17, 30), acknowledged),
        (japan(25, 9, 0), resolved),
    )
    assert (
        "つなぐがE08を上申（期限 11/20 17:05 を超過）、基幹 相談窓口へ、期限 11/24 17:05 開所時間  "
        in one
    )
    assert one.endswith("E08 (overdue since 11/20 17:05), to core-desk, due 11/24 17:05 (business)")
    assert "E08は期限 11/24 17:05 を過ぎて 11/24 17:05:01 に決定、" in two
    assert "、2番目の区 夜間窓口へ、期限 11/24 17:50 実時間  " in two
    assert two.endswith("passed on to ward-night (level 2), due 11/24 17:50 (wall)")
    assert f"がE08に応答、担当は{NAMES.agency(CORE)}、解決の期限 11/25 17:30 実時間  " in three
    assert three.endswith("custodian is core, to resolve by 11/25 17:30 (wall)")
    assert "がE08を解決（困難ケースとして基幹が担当）  core resolved E08 (kept)" in four


def test_advice_leaves_the_custodian_and_says_so() -> None:
    advised = e.EscalationAcknowledged(escalation=CALL, by=CORE, advise_only=True, custodian=ANSHIN)
    restricted = raised(by=ANSHIN, code="E03", restricted=True)
    one, two = told((japan(20, 16, 51), restricted), (japan(20, 16, 52), advised))
    assert "がE03を上申（閲覧制限）  " in one
    assert one.endswith(f"{ANSHIN} escalated E03 (restricted)")
    assert "応答（助言のみ）、担当は" in two
    assert two.endswith(f"core acknowledged E03 (advice only); custodian is {ANSHIN}")


def test_a_ruling_that_takes_the_place_of_another_says_so() -> None:
    ruled = e.DistrictRuled(district="motofuji", by=CORE, remember=False)
    again = ruled.model_copy(update={"district": "tomisaka", "revises": an_id("event 2")})
    one, two = told((japan(20, 16, 51), ruled), (japan(20, 16, 52), again))
    assert one.endswith("core ruled motofuji")
    assert "が判定をtomisakaに変更  core changed the ruling to tomisaka" in two


def test_for_programs_a_replay_gives_every_fact_of_a_clock() -> None:
    due = business(japan(24, 13, 20), "answer.urgent", HUB)
    history = replay(entries((japan(20, 16, 50), offered(due))))
    assert history is not None
    document = OneReferral(history, NAMES).document()
    given = document["events"][-1]["data"]["due"]
    assert Due.model_validate(given) == due
    assert given["holidays"] == ["2026-11-23"]
    assert datetime.fromisoformat(document["referral"]["handoffs"][0]["due_at"]) == due.at


def test_an_answer_in_time_is_told_without_a_clock() -> None:
    declined = e.HandoffDeclined(
        handoff=HANDOFF, by=HUB, said_by=SaidBy.AGENCY, reason="no_capacity"
    )
    due = wall(japan(20, 17, 5), "answer.emergency")
    _, line = told((japan(20, 16, 50), offered(due)), (japan(20, 16, 51), declined))
    assert "期限" not in line
    assert line.endswith(f"{HUB} declined (no_capacity, said by agency)")
