"""What the ward's documents say of Bunkyo is in its file, and nothing invented is passed off as theirs."""

from datetime import date, timedelta

import pytest

from schemas.codes import AgencyKind, Urgency
from wards import EscalationReason, Ward, bundled_ward, load_ward
from wards.model import VOCABULARIES


@pytest.fixture(scope="module")
def bunkyo() -> Ward:
    return load_ward(bundled_ward("bunkyo"))


def test_bunkyo_has_four_districts_nineteen_towns_and_sixty_eight_chome(bunkyo: Ward) -> None:
    assert bunkyo.code == "131059"
    assert {d.id for d in bunkyo.districts} == {"motofuji", "komagome", "tomisaka", "otsuka"}
    assert len(bunkyo.towns) == 19
    assert len(bunkyo.chomes) == 68
    assert sum(len(chome.parts) == 1 for chome in bunkyo.chomes) == 56


def test_the_leaflet_of_the_motofuji_hub_is_kept_to_the_letter(bunkyo: Ward) -> None:
    hub = bunkyo.agency("hub-motofuji")
    assert hub is not None
    assert (hub.name, hub.public_name) == ("サポートセンターいちょう", "本富士生活あんしん拠点")
    assert (hub.phone, hub.fax) == ("03-3868-3033", "03-3868-3039")
    assert hub.mail == "motofuji@kyoten-bunkyo.jp"
    assert hub.address == "文京区本郷二丁目21番3号 青木ビル1階"
    assert "hours" not in hub.assumed
    (span,) = hub.hours.on(date(2026, 9, 18), is_holiday=False)
    assert (span.open, span.close) == (timedelta(hours=10), timedelta(hours=17, minutes=30))
    assert hub.hours.on(date(2026, 9, 19), is_holiday=False) == ()


def test_agencies_that_no_document_names_are_marked_as_samples(bunkyo: Ward) -> None:
    samples = {agency.id for agency in bunkyo.agencies if agency.sample}
    assert samples == {"sample-hospital", "sample-home", "auditor"}


def test_hours_that_no_document_states_are_marked_as_assumed(bunkyo: Ward) -> None:
    stated = {agency.id for agency in bunkyo.agencies if "hours" not in agency.assumed}
    assert stated == {"hub-motofuji"}


def test_the_otsuka_hub_is_a_branch_of_the_core_centre_and_another_desk(bunkyo: Ward) -> None:
    branch = bunkyo.agency(bunkyo.hub_of("otsuka", date(2026, 4, 1)))
    assert branch is not None
    assert (branch.kind, branch.branch_of) == (AgencyKind.HUB, bunkyo.core)
    assert branch.id != bunkyo.core


def test_hubs_opened_one_a_year_motofuji_first_and_the_core_centre_served_until_then(
    bunkyo: Ward,
) -> None:
    order = ["motofuji", "komagome", "tomisaka", "otsuka"]
    for year, opened in enumerate(order, start=2019):
        on = date(year, 4, 1)
        served = [d for d in order if bunkyo.hub_of(d, on) != bunkyo.core]
        assert served == order[: order.index(opened) + 1]


def test_an_undecidable_district_is_ruled_in_two_business_hours_or_a_quarter_of_an_hour(
    bunkyo: Ward,
) -> None:
    reason = bunkyo.term("escalation_reasons", "E06")
    assert isinstance(reason, EscalationReason)
    assert (reason.deadline(Urgency.ROUTINE).clock, reason.deadline(Urgency.ROUTINE).minutes) == (
        "business",
        120,
    )
    assert (
        reason.deadline(Urgency.EMERGENCY).clock,
        reason.deadline(Urgency.EMERGENCY).minutes,
    ) == ("wall", 15)


def test_every_code_has_words_in_both_languages_and_is_known(bunkyo: Ward) -> None:
    for kind in VOCABULARIES:
        terms = getattr(bunkyo, kind)
        assert terms, kind
        for term in terms:
            assert bunkyo.knows(kind, term.code)
            assert term.ja.strip()
            assert term.en.isascii() or "手帳" in term.en
        assert not bunkyo.knows(kind, "no-such-code")
