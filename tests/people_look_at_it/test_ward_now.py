"""How the ward stands now: hours as the ward's documents have them, whoever waits longest first, boundaries
where the table leaves them open."""

from datetime import date, datetime

import pytest

from schemas.outside import JAPAN
from services.console.ward import glance
from services.console.ward.said import hours_said, until_said
from services.console.words import Words
from wards.holidays import NationalHolidays
from wards.load import bundled_ward, load_ward
from wards.opening import standing

BUNKYO = load_ward(bundled_ward())
HOLIDAYS = NationalHolidays()
JA, EN = Words(BUNKYO), Words(BUNKYO, "en")


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=JAPAN)


def hub(agency: str) -> glance.Week:
    found = BUNKYO.agency(agency)
    assert found is not None
    return glance.week(found.hours, date(2026, 11, 20))


@pytest.mark.parametrize(
    ("moment", "is_open", "said"),
    [
        ("2026-11-20 17:29", True, "11月20日(金) 17:30 まで"),
        ("2026-11-20 17:30", False, "次は 11月24日(火) 10:00"),
        ("2026-12-29 12:00", False, "次は 1月4日(月) 10:00"),
    ],
)
def test_a_hub_is_open_or_closed_and_until_when_one_is_told(
    moment: str, is_open: bool, said: str
) -> None:
    places = {p.district: p for p in glance.places(BUNKYO, local(moment), HOLIDAYS)}
    motofuji = places["motofuji"]
    assert motofuji.standing.open is is_open
    assert until_said(motofuji.standing, JA) == said


def test_before_a_hub_opens_the_core_centre_serves_its_district() -> None:
    district = next(d for d in BUNKYO.districts if d.id == "otsuka")
    hub_of_it = BUNKYO.agency(district.hub)
    assert hub_of_it is not None
    opens = datetime.combine(hub_of_it.valid_from, datetime.min.time(), JAPAN)

    def place(moment: datetime) -> glance.Place:
        return next(p for p in glance.places(BUNKYO, moment, HOLIDAYS) if p.district == "otsuka")

    before = place(opens.replace(year=opens.year - 1, month=6))
    assert (before.serves, before.until_then) == ("core", hub_of_it.valid_from)
    after = place(opens)
    assert (after.serves, after.until_then) == (district.hub, None)


def test_hours_are_said_as_people_write_them() -> None:
    week = hub("hub-motofuji")
    assert hours_said(week, JA) == "月〜金 10:00–17:30（祝日・12月29日〜1月3日は休み）"
    assert hours_said(week, EN) == "Mon–Fri 10:00–17:30 (closed: public holidays, 12/29–1/3)"


def test_a_desk_that_never_closes_is_said_to_be_there_day_and_night() -> None:
    night = next(d for d in BUNKYO.desks if d.id == "ward-night")
    week = glance.week(night.hours, date(2026, 11, 20))
    assert hours_said(week, JA) == "毎日24時間"
    now = standing(night.hours, local("2026-11-22 03:00"), HOLIDAYS)
    assert until_said(now, EN) == "day and night"


def test_hours_that_are_over_are_not_told() -> None:
    found = BUNKYO.agency("hub-motofuji")
    assert found is not None
    span = found.hours.week[0].model_copy(update={"valid_to": date(2026, 11, 19)})
    hours = found.hours.model_copy(update={"week": (span,)})
    assert glance.week(hours, date(2026, 11, 19)).spans
    assert not glance.week(hours, date(2026, 11, 20)).spans


def test_whose_case_has_waited_longest_comes_first() -> None:
    def told(agency: str, stage: str, n: int, oldest: str) -> dict[str, object]:
        return {
            "agency": agency,
            "stage": stage,
            "n": n,
            "oldest": f"2026-11-{oldest}T10:00:00+09:00",
        }

    loads = glance.loads(
        [
            told("core", "in_care", 9, "01"),
            told("hub-motofuji", "offered", 2, "19"),
            told("hub-motofuji", "in_care", 5, "05"),
            told("anshin-motofuji", "offered", 1, "20"),
            told("anshin-motofuji", "awaiting_ruling", 1, "18"),
        ]
    )
    assert [(x.agency, x.waiting, x.in_care) for x in loads] == [
        ("anshin-motofuji", 2, 0),
        ("hub-motofuji", 2, 5),
        ("core", 0, 9),
    ]
    assert loads[0].waiting_since == local("2026-11-18 10:00")


def test_shared_chome_are_told_with_what_waits_there_and_unknown_sets_too() -> None:
    between = [
        {"candidates": ["tomisaka", "komagome"], "n": 2},
        {"candidates": ["motofuji", "otsuka"], "n": 1},
    ]
    borders = glance.borders(BUNKYO, between)
    assert borders[0].districts == ("komagome", "tomisaka")
    assert borders[0].awaiting == 2
    shared = {one for border in borders for one in border.chome}
    assert shared == {f"{c.town}{c.number}" for c in BUNKYO.chomes if len(c.parts) > 1}
    nowhere = next(b for b in borders if b.districts == ("motofuji", "otsuka"))
    assert (nowhere.chome, nowhere.awaiting) == ([], 1)


def test_what_has_no_district_yet_comes_last_and_empty_districts_are_told() -> None:
    rows = glance.by_district(
        BUNKYO,
        [
            {"district": None, "stage": "awaiting_ruling", "n": 3},
            {"district": "otsuka", "stage": "in_care", "n": 2},
        ],
    )
    assert rows[0] == ("motofuji", 0, 0)
    assert rows[-2:] == [("otsuka", 0, 2), (None, 3, 0)]
