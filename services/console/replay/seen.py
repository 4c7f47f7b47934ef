"""Looks that are on record already (記録した閲覧): somebody who moves a slider looks at one thing, not at a
hundred. One look a referral, a session and ten minutes is enough to tell who looked when."""

from collections import OrderedDict
from datetime import datetime, timedelta

_A_LOOK = timedelta(minutes=10)
_MOST = 20_000


class Seen:
    """In memory: after a restart a look is recorded once more."""

    def __init__(self) -> None:
        self._since: OrderedDict[tuple[str, str], datetime] = OrderedDict()

    def is_new(self, session: str, what: str, now: datetime) -> bool:
        """Whether this look has to be recorded. ``what``: the referral, or a part of the ledger."""
        since = self._since.get((session, what))
        return since is None or not since <= now < since + _A_LOOK

    def recorded(self, session: str, what: str, now: datetime) -> None:
        self._since[session, what] = now
        self._since.move_to_end((session, what))
        while len(self._since) > _MOST:
            self._since.popitem(last=False)
