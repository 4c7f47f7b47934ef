"""The picture of the way a referral went: nobody is left out, nothing is drawn twice, and at every instant
exactly one agency is shown as responsible, or nobody where the case has ended."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import datetime, timedelta
from html import escape
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from jinja2 import Environment, FileSystemLoader, StrictUndefined

import services.console
from schemas import commands as c
from schemas.codes import Disposition
from schemas.journal import JournalEntry
from schemas.outside import cloud_event
from schemas.referral import evolve
from schemas.telling import Names
from services.console.picture.band import Kind, Story, story
from services.console.picture.drawing import Drawing, draw
from services.console.picture.heard import heard_in, heard_of, lines
from services.console.picture.signs import FRAMES, SIGNS
from services.console.words import Language, Words
from tests.builders import ANSHIN, BUNKYO, CORE, HUB, LIEN, Case, Town, a_referral
from tests.stories import Wish, command_of, moved, stories

SVG = "{http://www.w3.org/2000/svg}"


def entries_of(case: Case) -> list[JournalEntry]:
    return [entry for entry in case.town.entries if entry.referral == case.id]


def told(case: Case, at: datetime | None = None) -> Story:
    return story(heard_in(entries_of(case)), case.town.clock.now(), at)


def ways(wishes: list[Wish]) -> Iterator[tuple[list[JournalEntry], datetime]]:
    """Every referral of a random story."""
    town = Town()
    for number, wish in enumerate(wishes):
        town.clock.move(moved(wish))
        town.strike()
        town.ask(command_of(wish, list(town.states.values()), number))
    for key in town.states:
        yield [entry for entry in town.entries if entry.referral == key], town.clock.now()


def holders(entries: list[JournalEntry]) -> list[str | None]:
    """Who is responsible after each entry, by the fold that decides."""
    state, found = None, []
    for entry in entries:
        state = evolve(state, entry)
        found.append(None if state.ended else state.custodian)
    return found


def shows_whoever_is_responsible(entries: list[JournalEntry], now: datetime) -> None:
    way = story(heard_in(entries), now)
    bands = way.bands
    assert bands[0].since == entries[0].occurred_at
    assert bands[0].begins == 0
    for one, after in pairwise(bands):
        assert (one.until, one.ends) == (after.since, after.begins), "a hole, or an overlap"
        assert one.lane != after.lane
    assert bands[-1].ends == way.columns - 1
    assert bands[-1].until == (now if way.open else entries[-1].occurred_at)
    for column, holder in enumerate(holders(entries)):
        (over,) = [
            band
            for band in bands
            if band.begins <= column and (column < band.ends or band is bands[-1])
        ]
        shown = way.lanes[over.lane] if over.lane is not None else None
        assert shown == holder


@settings(max_examples=60, deadline=None)
@given(stories)
def test_at_every_instant_the_band_shows_whoever_the_record_says_is_responsible(
    wishes: list[Wish],
) -> None:
    for entries, now in ways(wishes):
        shows_whoever_is_responsible(entries, now)


def test_along_ends_new_beginnings_and_calls_that_few_know_of_too() -> None:
    """What random stories seldom come to."""
    ended = a_referral(urgency="routine").accepted_by(HUB).closed()
    again = a_referral(urgency="routine").accepted_by(HUB).closed().reopened().requested_from(LIEN)
    taken = a_referral(urgency="routine").accepted_by(HUB).escalated_by(ANSHIN, "E03")
    taken.acknowledged_by(CORE, "E03")
    late = a_referral(urgency="routine").accepted_by(HUB).closed().escalated_by(ANSHIN, "E03")
    late.acknowledged_by(CORE, "E03").asks(CORE, c.ReopenReferral(referral=late.id))
    assert Kind.TAKEN in {mark.kind for mark in told(taken).marks}
    for case in (ended, again, taken, late, a_referral(urgency="routine").cancelled()):
        entries = entries_of(case)
        for length in range(1, len(entries) + 1):
            shows_whoever_is_responsible(entries[:length], case.town.clock.now())


@settings(max_examples=60, deadline=None)
@given(stories)
def test_every_event_is_drawn_once_and_in_order(wishes: list[Wish]) -> None:
    for entries, now in ways(wishes):
        drawing = draw(story(heard_in(entries), now))
        assert [mark.mark.id for mark in drawing.marks] == [entry.id for entry in entries]
        places = [mark.x for mark in drawing.marks]
        assert all(after - before >= 60 for before, after in pairwise(places)), "marks collide"
        spots = [(wait.y, wait.x, wait.x + wait.width) for wait in drawing.waits]
        for spot, (y, x, end) in enumerate(spots):
            for other_y, other_x, other_end in spots[spot + 1 :]:
                assert y != other_y or end <= other_x or other_end <= x, "clocks collide"
        assert all(0 < mark.x < drawing.width for mark in drawing.marks)


@settings(max_examples=40, deadline=None)
@given(stories)
def test_the_clocks_that_run_in_the_picture_are_those_that_run(wishes: list[Wish]) -> None:
    for entries, now in ways(wishes):
        for until in range(1, len(entries) + 1):
            at = entries[until - 1].occurred_at
            if until < len(entries) and entries[until].occurred_at == at:
                continue  # decided in one step
            state = None
            for entry in entries[:until]:
                state = evolve(state, entry)
            assert state is not None
            way = story(heard_in(entries), now, at)
            assert len(way.marks) == until
            running = {(w.about, w.due_at) for w in way.waits if w.ends is None and w.due_at}
            assert running == {(clock.subject, clock.due_at) for clock in state.clocks}


def test_as_a_partner_is_told_it_the_picture_is_the_same() -> None:
    case = a_referral().accepted_by(HUB).requested_from(LIEN).declined_by(LIEN).closed()
    entries = entries_of(case)
    assert heard_of(map(cloud_event, entries)) == heard_in(entries)


def test_a_kind_of_event_of_a_later_release_is_left_out_and_the_rest_is_told() -> None:
    case = a_referral().accepted_by(HUB)
    items = [cloud_event(entry) for entry in entries_of(case)]
    items[1]["data"]["type"] = "weighed"
    assert len(heard_of(items)) == len(items) - 1


def test_offers_lead_from_whoever_asks_to_whoever_is_asked() -> None:
    way = told(a_referral().accepted_by(HUB).requested_from(LIEN))
    requests = [mark for mark in way.marks if mark.kind is Kind.REQUEST]
    assert [(way.lanes[m.lane], way.lanes[m.to or 0]) for m in requests] == [(HUB, LIEN)]
    assert way.custodian == HUB, "a request leaves the case where it is"


def test_every_level_of_a_call_is_shown_with_its_code() -> None:
    case = a_referral()
    while not any(mark.kind is Kind.PASSED_ON for mark in told(case).marks):
        case.later(timedelta(hours=1))
    case.acknowledged_by(CORE).resolved(Disposition.KEPT)
    way = told(case)
    passed = [mark for mark in way.marks if mark.kind is Kind.PASSED_ON]
    codes = {x.id: x.code for x in case.state.escalations}
    assert passed
    assert all(mark.level is not None and mark.level > 1 for mark in passed)
    assert all(mark.code == codes[mark.about] for mark in passed if mark.about)
    assert {Kind.ACKNOWLEDGED, Kind.RESOLVED} <= {mark.kind for mark in way.marks}


def test_five_minutes_and_five_days_fit_into_one_picture() -> None:
    case = a_referral().later(timedelta(minutes=5)).accepted_by(HUB)
    case.later(timedelta(days=5)).closed()
    drawing = draw(told(case))
    places = [mark.x for mark in drawing.marks]
    steps = [after - before for before, after in pairwise(places)]
    assert max(steps) <= 3 * min(steps)
    gaps = [tick.gap for tick in drawing.ticks if tick.gap is not None]
    assert gaps == [timedelta(minutes=5), timedelta(days=5)], "and how long it was is told"


def test_nobody_is_shown_as_responsible_for_a_case_that_has_ended() -> None:
    case = a_referral().accepted_by(HUB).closed()
    assert told(case).custodian is None
    assert not told(case).open
    again = told(case.later(timedelta(days=1)).reopened())
    assert again.custodian == HUB
    lanes = [again.lanes[b.lane] if b.lane is not None else None for b in again.bands]
    assert lanes == [ANSHIN, HUB, None, HUB]


def test_of_nothing_there_is_no_picture() -> None:
    way = told(a_referral(), datetime(2020, 1, 1, tzinfo=BUNKYO_ZONE))
    assert not way.marks
    assert not way.bands
    assert not draw(way).marks


def test_every_kind_has_a_shape_and_a_word_of_its_own() -> None:
    assert set(SIGNS) == set(Kind)
    assert len({(sign.frame, sign.path, sign.filled) for sign in SIGNS.values()}) == len(Kind)
    assert len({sign.ja for sign in SIGNS.values()}) == len(Kind)
    assert len({sign.en for sign in SIGNS.values()}) == len(Kind)


# -- as it is sent to a browser -----------------------------------------------------------------------


def drawn(drawing: Drawing, language: Language = "ja") -> ET.Element:
    words = Words(BUNKYO, language)
    folder = f"{services.console.__path__[0]}/templates"
    environment = Environment(
        loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    source = '{% import "picture/macros.html" as p with context %}{{ p.picture(drawing, signs, frames) }}'
    names: dict[str, Any] = {"t": words.t, "agency": words.agency, "words": words}
    markup = environment.from_string(source).render(
        drawing=drawing, signs=SIGNS, frames=FRAMES, span=words.span, **names
    )
    return ET.fromstring(markup.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" '))


@pytest.mark.parametrize("language", ["ja", "en"])
def test_the_picture_has_a_name_and_words_for_those_who_do_not_see_it(language: Language) -> None:
    case = a_referral().accepted_by(HUB).requested_from(LIEN)
    figure = drawn(draw(told(case)), language)
    svg = figure.find(f".//{SVG}svg")
    assert svg is not None
    assert svg.get("role") == "img"
    labels = (svg.get("aria-labelledby") or "").split()
    named = {e.get("id"): e for e in svg.iter() if e.get("id")}
    assert [named[label].tag for label in labels] == [f"{SVG}title", f"{SVG}desc"]
    spoken = "".join(named[labels[1]].itertext())
    words = Words(BUNKYO, language)
    assert words.agency(HUB) in spoken
    region = figure.find("div")
    assert region is not None
    assert (region.get("tabindex"), region.get("role")) == ("0", "region")


def test_no_styles_stand_in_the_picture_and_every_mark_has_its_word() -> None:
    case = a_referral().accepted_by(HUB).requested_from(LIEN).declined_by(LIEN)
    figure = drawn(draw(told(case)))
    assert not [e for e in figure.iter() if e.get("style") is not None]
    texts = {"".join(e.itertext()).strip() for e in figure.iter(f"{SVG}text")}
    assert {"受付", "受諾", "依頼", "辞退", "現在"} <= texts


def test_a_picture_of_a_thousand_events_is_drawn_within_a_moment() -> None:
    case = a_referral().accepted_by(HUB)
    one = entries_of(case)[-1]
    many = [*entries_of(case)]
    for n in range(1_000):
        note = {"type": "note_added", "note": str(UUID(int=n)), "by": HUB}
        entry = one.model_dump(mode="json") | {
            "id": str(UUID(int=n + 1)), "version": len(many) + 1, "event": note
        }  # fmt: skip
        many.append(JournalEntry.model_validate(entry))
    drawing = draw(story(heard_in(many), case.town.clock.now()))
    assert len(drawn(drawing).findall(f".//{SVG}g")) == len(many)


# -- and in words -------------------------------------------------------------------------------------


def test_the_list_beside_it_says_the_same_in_both_languages() -> None:
    case = a_referral().accepted_by(HUB).requested_from(LIEN).declined_by(LIEN, "no_capacity")
    found = lines(heard_in(entries_of(case)), Names.of(BUNKYO))
    assert len(found) == len(entries_of(case))
    hub, lien = BUNKYO.agency(HUB), BUNKYO.agency(LIEN)
    assert hub is not None
    assert lien is not None
    reason = BUNKYO.term("decline_reasons", "no_capacity")
    assert reason is not None
    assert found[-1].ja == f"{lien.name}が辞退（{reason.ja}）"
    assert found[-1].en == f"{lien.name_en} declined ({reason.en}, said by agency)"
    assert any(hub.name in line.ja and "受諾" in line.ja for line in found)
    assert not [line for line in found if "_" in line.en], "codes are told in words"
    assert escape(found[-1].ja)


BUNKYO_ZONE = a_referral().town.clock.now().tzinfo
