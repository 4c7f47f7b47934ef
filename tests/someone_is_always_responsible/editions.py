"""The ward's file with some lines changed, and towns at an hour of their own."""

from datetime import datetime

from runtime.clock import ManualClock
from schemas.outside import JAPAN
from tests.builders import Town
from wards import Ward, bundled_ward
from wards.load import read_ward

ITS_DESKS = 'desks = ["core-desk", "core-on-call", "ward-night"]\nanswer'


def edition(*changes: tuple[str, str]) -> Ward:
    """Bunkyo, but for some lines."""
    text = bundled_ward().read_text("utf-8")
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return read_ward(text, "edition.toml")


def calling(*desks: str) -> Ward:
    """Bunkyo, but these desks are called, in this order."""
    names = ", ".join(f'"{desk}"' for desk in desks)
    return edition((ITS_DESKS, f"desks = [{names}]\nanswer"))


def without_reason(code: str) -> Ward:
    """Bunkyo, but one reason to call is struck out."""
    text = bundled_ward().read_text("utf-8")
    start = text.index(f'[[escalation_reasons]]\ncode = "{code}"')
    end = text.index("[[escalation_reasons]]", start + 1)
    return edition((text[start:end], ""))


def at(hour: int, minute: int = 0, *, day: int = 20) -> datetime:
    """A moment of November 2026 in Japan; the 20th is a Friday, the 23rd a holiday."""
    return datetime(2026, 11, day, hour, minute, tzinfo=JAPAN)


def a_town(moment: datetime, ward: Ward | None = None) -> Town:
    town = Town(clock=ManualClock(moment))
    if ward is not None:
        town.ward = ward
    return town
