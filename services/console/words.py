"""Words for people (言葉): Japanese, or English for whoever prefers it; names of agencies, desks and
codes, moments and lengths of time. Pure: ward, language and moment are arguments."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from markupsafe import Markup

from schemas.base import NETWORK
from schemas.outside import JAPAN
from schemas.publishing.words import VALUES
from wards.model import Vocabulary, Ward

Language = Literal["ja", "en"]
_WEEKDAYS = "月火水木金土日"


@dataclass(frozen=True, slots=True)
class Words:
    """What a visitor reads. A code without a word stands for itself."""

    ward: Ward
    language: Language = "ja"

    def t(self, ja: str, en: str) -> str:
        return ja if self.language == "ja" else en

    def of_two(self, text: str) -> str:
        """A text that says it in Japanese and in English, parted by a slash, as problems do."""
        ja, slash, en = text.rpartition(" / ")
        return self.t(ja, en) if slash else text

    def agency(self, agency_id: str | None) -> str:
        if agency_id is None:
            return "-"
        if agency_id == NETWORK:
            return self.t("つなぐ（自動）", "Tsunagu (automatic)")
        found = self.ward.agency(agency_id)
        return agency_id if found is None else self.t(found.name, found.name_en)

    def district(self, district_id: str | None) -> str:
        if district_id is None:
            return self.t("未定", "undecided")
        found = self.ward.district(district_id)
        return district_id if found is None else self.t(found.name, found.name_en)

    def desk(self, desk_id: str | None) -> str:
        found = self.ward.desk(desk_id) if desk_id is not None else None
        return (desk_id or "-") if found is None else self.t(found.name, found.name_en)

    def term(self, kind: Vocabulary, code: str | None) -> str:
        """A code of the ward's own: ``term("outcomes", "got_help")``."""
        found = self.ward.term(kind, code) if code is not None else None
        return (code or "-") if found is None else self.t(found.ja, found.en)

    def code(self, value: StrEnum | str | None, kind: str | None = None) -> str:
        """A code of the network's own: an enumeration's value, or a text and its enumeration's
        name (``code("in_care", "Stage")``)."""
        if value is None:
            return "-"
        name = kind or type(value).__name__
        if self.language == "en":
            return str(value).replace("_", " ")
        return VALUES.get(name, {}).get(str(value), str(value))

    def day_time(self, moment: datetime) -> str:
        """``11月20日(金) 17:20``."""
        local = moment.astimezone(JAPAN)
        if self.language == "en":
            return f"{local:%a %d %b %H:%M}"
        return f"{local.month}月{local.day}日({_WEEKDAYS[local.weekday()]}) {local:%H:%M}"

    def moment(self, moment: datetime | str | None) -> Markup:
        """A ``<time>`` in Japan's time, to the minute; the whole of it in its attribute."""
        if moment is None:
            return Markup("-")
        at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        return Markup('<time datetime="{}">{}</time>').format(
            at.astimezone(JAPAN).isoformat(timespec="seconds"), self.day_time(at)
        )

    def span(self, length: timedelta) -> str:
        """How long, as people say it, rounded down; less than nothing is nothing."""
        seconds = max(0, int(length.total_seconds()))
        minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
        if days:
            return self.t(f"{days}日{hours % 24}時間", f"{days} d {hours % 24} h")
        if hours:
            return self.t(f"{hours}時間{minutes % 60:02d}分", f"{hours} h {minutes % 60:02d} min")
        if minutes:
            return self.t(f"{minutes}分", f"{minutes} min")
        return self.t(f"{seconds}秒", f"{seconds} s")
