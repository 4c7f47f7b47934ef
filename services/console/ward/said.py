"""How the ward's hours and times are said (開所時間の言い方). Pure."""

from collections.abc import Iterable
from datetime import timedelta

from services.console.ward.glance import Week
from services.console.words import Words
from wards.agencies import WEEKDAYS, ClosedPeriod
from wards.opening import Standing

_JA = dict(zip(WEEKDAYS, "月火水木金土日", strict=True))


def hours_said(week: Week, words: Words) -> str:
    """``月〜金 10:00–17:30、祝日・12月29日〜1月3日は休み``."""
    t = words.t
    if week.always:
        return t("毎日24時間", "day and night")
    spans = t("、", ", ").join(
        f"{_days(days, words)} {opens}–{closes}" for days, opens, closes in week.spans
    )
    closed = [] if week.holidays else [t("祝日", "public holidays")]
    closed += [_period(period, words) for period in week.closed]
    if not closed:
        return spans
    away = t("・", ", ").join(closed)
    return t(f"{spans}（{away}は休み）", f"{spans} (closed: {away})")


def _days(days: Iterable[str], words: Words) -> str:
    places = [place for place, day in enumerate(WEEKDAYS) if day in set(days)]
    runs: list[list[int]] = []
    for place in places:
        if runs and place == runs[-1][-1] + 1:
            runs[-1].append(place)
        else:
            runs.append([place])

    def name(place: int) -> str:
        day = WEEKDAYS[place]
        return words.t(_JA[day], day.capitalize())

    parts: list[str] = []
    for run in runs:
        if len(run) > 2:
            parts.append(f"{name(run[0])}{words.t('〜', '–')}{name(run[-1])}")
        else:
            parts += [name(place) for place in run]
    return words.t("・", ", ").join(parts)


def _period(period: ClosedPeriod, words: Words) -> str:
    first, last = (tuple(map(int, end.split("-"))) for end in (period.first, period.last))
    return words.t(
        f"{first[0]}月{first[1]}日〜{last[0]}月{last[1]}日",
        f"{first[0]}/{first[1]}–{last[0]}/{last[1]}",
    )


def until_said(now: Standing, words: Words) -> str:
    """``11月20日(金) 17:30 まで`` or, closed, ``次は 11月24日(火) 10:00``."""
    if now.until is None:
        return words.t("24時間", "day and night")
    when = words.day_time(now.until)
    if now.open:
        return words.t(f"{when} まで", f"until {when}")
    return words.t(f"次は {when}", f"opens {when}")


def took_said(minutes: float | None, words: Words) -> str:
    """A length of time in minutes, to the minute."""
    if minutes is None:
        return "-"
    if minutes < 1:
        return words.t("1分未満", "under 1 min")
    return words.span(timedelta(minutes=round(minutes)))


def month_said(year: int, month: int, words: Words) -> str:
    """A month: ``2026年11月``."""
    return words.t(f"{year}年{month}月", f"{year}-{month:02d}")
