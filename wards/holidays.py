"""Which days are national holidays (祝日): known from the law, or as somebody recorded them.

Dates of holidays are not the ward's to decide, so no ward file lists them. The law (国民の祝日に関する
法律) leaves two of them to the sky: the equinoxes are announced each February for the year after.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.metadata import version
from typing import Protocol

from holidays import country_holidays


class Calendar(Protocol):
    """Tells a national holiday from another day, and where it has that from."""

    @property
    def source(self) -> str: ...

    def __contains__(self, day: date, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class RecordedHolidays:
    """The holidays that somebody wrote down (記録された祝日); no other day is one."""

    days: Collection[date]
    source: str

    def __contains__(self, day: date, /) -> bool:
        return day in self.days


class NationalHolidays:
    """Japan's holidays, with 振替休日 and 国民の休日, as the ``holidays`` package works them out.

    It knows the years 1949 to 2099; of any other year no day is a holiday. Another edition of the
    package may know better, so whoever keeps a result keeps ``source`` and the days with it.
    """

    source = f"holidays {version('holidays')} JP"

    def __contains__(self, day: date, /) -> bool:
        return day in _of_year(day.year)


@cache
def _of_year(year: int) -> frozenset[date]:
    return frozenset(country_holidays("JP", years=year, expand=False))
