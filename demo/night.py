"""The night of the demo, and the two days after it: what the clocks do when nobody answers.

Everything ends at the core centre. When it happens is what the network says: the clock is moved to
the deadlines in its answers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from demo.story import Answer, DemoFailed, Story
from schemas.outside import JAPAN
from wards import opening
from wards.agencies import Hours
from wards.holidays import Calendar
from wards.model import Ward

_MORNING = time(10, 30)
_EVENING = time(19, 40)
_AFTERNOON = timedelta(hours=5)
"""After the hub opens: four of its hours then reach into another day."""


def a_friday(ward: Ward, holidays: Calendar, now: datetime) -> datetime:
    """The coming Friday morning on which the hubs and the core centre are there."""
    offices = [hours_of(ward, agency) for agency in ("hub-motofuji", "hub-komagome", ward.core)]
    day = now.astimezone(JAPAN).date()
    for ahead in range(100):
        moment = datetime.combine(day + timedelta(days=ahead), _MORNING, JAPAN)
        if moment.strftime("%u") != "5" or moment < now:
            continue
        if all(opening.is_open_at(hours, moment, holidays) for hours in offices):
            return moment
    raise DemoFailed(
        "この区の機関は金曜の朝に開いていません / no Friday on which the hubs are open"
    )


def hours_of(ward: Ward, agency: str) -> Hours:
    found = ward.agency(agency)
    if found is None:
        raise DemoFailed(f"この区に {agency} はありません / no {agency} in this ward")
    return found.hours


@dataclass
class Night:
    """``friday``: its morning. ``board``: shows the calls as they stand."""

    story: Story
    friday: datetime
    holidays: Calendar
    board: Callable[[], None]

    def play(self) -> Answer:
        """Gives the case of the night."""
        self.story.clocks = True
        referral = self.hub_is_closed()
        referral = self.short_stay_is_full(referral)
        self.hub_is_silent()
        return referral

    def at(self, hour: int, minute: int) -> None:
        evening = datetime.combine(self.friday.date(), time(hour, minute), JAPAN)
        self.story.it_is(evening)

    def hub_is_closed(self) -> Answer:
        story = self.story
        story.chapter("夜、拠点は閉まっている", "an emergency at night: nobody waits for opening")
        story.later(datetime.combine(self.friday.date(), _EVENING, JAPAN))
        referral = story.submit(
            "anshin-motofuji",
            "本郷3-2-1",
            "緊急の件を送る",
            function="emergency",
            urgency="emergency",
            requested_action="short_stay",
            household="with_ageing_parents",
            summary="見本: 介護している母が19時40分に救急搬送。本人は一人では夜を過ごせない。",
            consent={
                "basis": "E27-1-2",
                "why": "見本: 本人は意思を伝えにくく、母は搬送中。",
                "danger": "見本: 一人では服薬と移動ができない。",
                "decided_by": "見本 太郎",
            },
        )
        story.later(_due(referral, "E07"))
        referral = story.struck(referral, "escalation_passed_on")
        self.at(19, 57)
        return story.acknowledge("core", referral, "E07")

    def short_stay_is_full(self, referral: Answer) -> Answer:
        story = self.story
        story.chapter("空き照会、どこも満床", "every bed is asked for at once, and there is none")
        self.at(20, 5)
        referral = story.offer(
            "core", referral, [], "request", "見本: 今夜から。", function="emergency"
        )
        seen = story.read("lien-bunkyo", referral)
        if seen["opened"] or {"person", "address", "summary"} & seen.keys():
            raise DemoFailed("who was only asked has read about whom")
        story.out.print(
            f"         {story.agency('lien-bunkyo')}に見えるもの: 番号・機能・緊急度・地区。"
            "氏名・住所・状況は見えない (opened: false)",
            soft_wrap=True,
            markup=False,
        )
        self.at(20, 8)
        referral = story.decline("lien-bunkyo", referral, "no_capacity", "見本: 満床です。")
        self.at(20, 11)
        referral = story.decline(
            "sample-hospital", referral, "no_capacity", "見本: 空床がありません。"
        )
        self.at(20, 14)
        self.board()
        story.chapter("基幹が引き受け、持ち続ける", "the core centre keeps it, and is responsible")
        self.at(20, 15)
        referral = story.acknowledge("core", referral, "E04")
        self.at(20, 40)
        found = "見本: 隣の区の事業所に受け入れを頼み、基幹の職員が付き添う。"
        referral = story.resolve("core", referral, "E04", "kept", found)
        return story.resolve("core", referral, "E07", "kept", found)

    def hub_is_silent(self) -> None:
        story = self.story
        story.chapter(
            "返事のない拠点", "the hub is silent for four of its own hours, the night not counted"
        )
        hub = hours_of(story.ward, "hub-komagome")
        evening = datetime.combine(self.friday.date(), time(20, 40), JAPAN)
        story.later(opening.next_opening(hub, evening, self.holidays) + _AFTERNOON)
        referral = story.submit(
            "anshin-komagome",
            "千駄木3-1-1",
            "至急の件を送る",
            urgency="urgent",
            summary="見本: 母の入院が長引き、今週の生活支援を要する。",
        )
        handoff = next(h for h in referral["handoffs"] if h["to"] == "hub-komagome")
        struck = datetime.fromisoformat(handoff["due_at"])
        story.later(struck)
        referral = story.struck(referral, "escalation_raised")
        story.it_is(struck + timedelta(minutes=20))
        referral = story.acknowledge("core", referral, "E08")
        story.it_is(struck + timedelta(minutes=35))
        referral = story.resolve(
            "core", referral, "E08", "reassigned", "見本: 富坂で受けられる。", to="hub-tomisaka"
        )
        story.it_is(struck + timedelta(minutes=50))
        story.accept("hub-tomisaka", referral)


def _due(referral: Answer, code: str) -> datetime:
    for call in referral["escalations"]:
        if call["code"] == code:
            return datetime.fromisoformat(call["due_at"])
    raise DemoFailed(f"{code} was not called")
