"""Until when something must be answered, and how that was worked out (期限)."""

from datetime import date

from schemas.base import AgencyId, Moment, Said
from schemas.codes import ClockKind


class Due(Said):
    """A deadline as it was computed, once and for ever: whoever replays it takes ``at`` and computes
    nothing. ``rule``: the ward's rule, such as ``answer.urgent`` or ``E07.acknowledge``; either
    ``minutes`` or ``days``. Of a business clock also: ``hours_of``, the agency whose opening hours it
    ran in, ``holidays``, the national holidays (祝日) it passed over, and ``calendar``, which says
    where those were taken from."""

    at: Moment
    rule: str
    clock: ClockKind
    minutes: int | None = None
    days: int | None = None
    hours_of: AgencyId | None = None
    holidays: tuple[date, ...] = ()
    calendar: str | None = None
