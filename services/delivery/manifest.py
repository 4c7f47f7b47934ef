"""The manifest (送達目録): "this agency's inbox held 1 … n, with this head hash", signed. Every day for
each agency, and when it asks.

Whoever has the events 1 … n, by whichever way they came, works out the head (``services.delivery.proof``)
and compares: then nothing is missing, nothing was altered, and we cannot deny it. That a manifest was
signed is on record; it concerns nobody, so that it does not move the inbox that it speaks of.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from runtime.clock import Clock, utc_text
from runtime.database import reading
from runtime.ids import new_id
from runtime.reading import Entry
from runtime.signed_note import (
    Checkpoint,
    NoteError,
    VerifierKey,
    open_checkpoint,
    sign_checkpoint,
)
from schemas import queries as q
from schemas.base import NETWORK, JsonObject
from schemas.deliveries import ManifestSigned
from schemas.outside import local_day, local_text
from services.delivery import days
from services.delivery import tables as t
from services.delivery.inbox import Inboxes
from services.delivery.manifest_keys import ManifestKeys, inbox_origin
from services.delivery.record import Fact
from wards.model import Ward

DAILY = "manifest"
APART = timedelta(seconds=5)
"""So long an agency waits between two manifests, and between two tests, that it asks for."""

Decide = Callable[[Connection], Sequence[Fact]]
Write = Callable[[Decide], list[Entry]]
"""Put on record what is decided in the same transaction, under the writer's guard."""


class Manifests:
    def __init__(
        self, engine: Engine, inboxes: Inboxes, keys: ManifestKeys, ward: Ward, clock: Clock
    ) -> None:
        self._engine = engine
        self._inboxes = inboxes
        self._keys = keys
        self._ward = ward
        self._clock = clock

    def hand_out(self) -> None:
        """The verifier keys, to a file. Raises ``runtime.keys.KeyFileError``."""
        self._keys.hand_out(self._ward.code, [agency.id for agency in self._ward.agencies])

    def sign_days(self, write: Write) -> int:
        """The manifests of the days whose time has come; how many. Where the key could not be used they
        come late, and say so: each speaks of the inbox as it was at ``signed_at``. Raises
        ``runtime.keys.KeyFileError``."""
        at = self._ward.delivery.manifest_at
        if days.up_to_date(self._engine, DAILY, self._clock.now(), at):
            return 0
        self.hand_out()  # and whoever cannot sign does not ask for the right to write

        def decide(connection: Connection) -> list[Fact]:
            now = self._clock.now()
            facts: list[Fact] = []
            for day in days.still_to_do(connection, DAILY, now, at):
                for agency in self._ward.agencies:
                    if agency.active_on(day):
                        facts.append(self._sign(connection, agency.id, day, NETWORK))
                days.note_done(connection, DAILY, day)
            return facts

        return len(write(decide))

    def sign(self, question: q.SignManifest, write: Write) -> q.Told:
        """One that speaks of all that the inbox holds now. Where the newest one does, that is it; another
        one too soon is told how long to wait."""

        def decide(connection: Connection) -> list[Fact]:
            if self._due_in(connection, question.agency) != 0:
                return []
            day = local_day(self._clock.now())
            return [self._sign(connection, question.agency, day, question.agency)]

        with reading(self._engine) as connection:
            wait = self._due_in(connection, question.agency)
        if wait == 0:
            write(decide)
        elif wait is not None:
            return q.Told(found=False, body={"retry_after": wait})
        return self.read(q.ReadManifest(agency=question.agency))

    def read(self, question: q.ReadManifest) -> q.Told:
        """The newest, or a day's newest."""
        with reading(self._engine) as connection:
            row = self._newest(connection, question.agency, question.day)
        if row is None:
            return q.Told(found=False)
        return q.Told(found=True, body=self._document(row))

    # -- inside ----------------------------------------------------------------------------------

    def _due_in(self, connection: Connection, agency: str) -> int | None:
        """In how many seconds the agency may have another one; none: the newest says all."""
        newest = self._newest(connection, agency)
        if newest is None:
            return 0
        size, _ = self._inboxes.head_in(connection, agency)
        if newest.size == size and self._signed_by_the_newest(newest):
            return None
        return seconds_left(newest.signed_at, self._clock.now())

    def _sign(self, connection: Connection, agency: str, day: date, asked_by: str) -> Fact:
        size, head = self._inboxes.head_in(connection, agency)
        now = self._clock.now()
        row = {
            "id": str(new_id(now)),
            "agency": agency,
            "day": day.isoformat(),
            "size": size,
            "head": head.hex(),
            "note": sign_checkpoint(
                Checkpoint(inbox_origin(self._ward.code, agency), size, head), *self._keys.signers()
            ),
            "signed_at": utc_text(now),
        }
        # One of the same day and size, with an older key, is of no more use.
        same = [t.manifests.c[name] == row[name] for name in ("agency", "day", "size")]
        connection.execute(sa.delete(t.manifests).where(*same))
        connection.execute(sa.insert(t.manifests), [row])
        return Fact(ManifestSigned(agency=agency, size=size, head=head.hex()), actor=asked_by)

    @staticmethod
    def _newest(connection: Connection, agency: str, day: date | None = None) -> sa.Row[Any] | None:
        m = t.manifests
        query = sa.select(m).where(m.c.agency == agency)
        if day is not None:
            query = query.where(m.c.day == day.isoformat())
        # By size first: it never shrinks, while a host's clock can be set back.
        query = query.order_by(m.c.size.desc(), m.c.day.desc())
        return connection.execute(query.limit(1)).first()

    def _signed_by_the_newest(self, row: sa.Row[Any]) -> bool:
        """A key that came since is to be on the note that is given out."""
        key = VerifierKey(inbox_origin(self._ward.code, row.agency), self._keys.all()[0].public)
        try:
            open_checkpoint(row.note, key)
        except NoteError:
            return False
        return True

    def _document(self, row: sa.Row[Any]) -> JsonObject:
        keys = [key.vkey(self._ward.code, row.agency) for key in self._keys.all()]
        return {
            "agency": row.agency,
            "day": row.day,
            "size": row.size,
            "head": row.head,
            "signed_at": local_text(_moment(row.signed_at)),
            "note": row.note,
            "key": keys[0],
            "keys": keys,
        }


def seconds_left(newest: str, now: datetime) -> int:
    """Whole seconds until one may ask for another; 0: now."""
    left = _moment(newest) + APART - now
    # Of a clock that was set back nothing follows.
    return -(-left // timedelta(seconds=1)) if timedelta(0) < left <= APART else 0


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
