"""A time of day as a ward file writes it."""

from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator


def _clock_time(value: object) -> timedelta:
    """``"17:30"`` as time since midnight. 24:00 is a time of day here: a hospital closes never."""
    hours, _, minutes = value.partition(":") if isinstance(value, str) else ("", "", "")
    if len(hours) != 2 or len(minutes) != 2 or not (hours + minutes).isdecimal():
        raise ValueError('a time is written "HH:MM"')
    since_midnight = timedelta(hours=int(hours), minutes=int(minutes))
    if int(minutes) > 59 or since_midnight > timedelta(hours=24):
        raise ValueError("no such time of day")
    return since_midnight


ClockTime = Annotated[timedelta, BeforeValidator(_clock_time)]
