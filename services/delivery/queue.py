"""What waits to be carried (配送待ち): one row for each event and agency that wants its events sent.

A row is made in the transaction that numbers the event, so what has a number is carried, whoever dies.
"""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from runtime.clock import Clock, utc_text
from schemas.deliveries import DeliveryTested
from services.delivery import tables as t
from services.delivery.inbox import Numbered
from wards.delivery import ByInbox
from wards.model import Ward


class Queue:
    def __init__(self, ward: Ward, clock: Clock) -> None:
        self._ward = ward
        self._clock = clock

    def take_in(self, connection: Connection, numbered: Iterable[Numbered]) -> None:
        """Whoever fetches its events itself is sent none."""
        now = utc_text(self._clock.now())
        rows: list[dict[str, Any]] = [
            {
                "agency": one.agency,
                "number": one.number,
                "event": str(one.entry.id),
                "thread": str(one.entry.referral or one.entry.id),
                "test": isinstance(one.entry.event, DeliveryTested),
                "queued_at": now,
                "attempts": 0,
                "next_at": now,
            }
            for one in numbered
            if self._is_sent(one.agency)
        ]
        if rows:
            connection.execute(sa.insert(t.deliveries), rows)

    def _is_sent(self, agency_id: str) -> bool:
        agency = self._ward.agency(agency_id)
        return agency is not None and not isinstance(agency.delivery, ByInbox)
