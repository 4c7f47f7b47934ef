"""Who is here (サインインしている人): sessions begin, are prolonged, end, and are asked for at every request."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from runtime.clock import Clock, utc_text
from runtime.database import reading, writing
from services.console import tables as t
from services.console.people.accounts import Account, Accounts, end_sessions, hold, is_active
from services.console.people.failures import Failures
from services.console.people.passwords import Passwords
from services.console.person import Person, role_of
from wards.model import Ward

LONGEST = timedelta(hours=10)  # a session, whatever is done in it: a working day
# A screen's: at a weekday and an hour at which somebody stood before it already.
LONGEST_OF_SCREEN = timedelta(weeks=4)
IDLE = timedelta(minutes=30)  # a session in which nothing is done; a screen's may be idle
SEEN_EVERY = timedelta(minutes=1)  # so often a session that is in use is written to at most
_SWEPT_EVERY = timedelta(minutes=10)
_KNOWN_FOR = 1.0  # seconds for which ``still`` believes its last answer
_WATCHED_EVERY = 0.5  # seconds between two looks at whether somebody with a stream open is gone
_WATCHED_FOR = 15.0  # seconds after a stream asked last: it asks every five
_MOST_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody was not let in. ``wait``: how long nobody is asked again."""

    wait: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Sitting:
    """One of somebody's sessions, for its owner to see."""

    id: str
    began_at: datetime
    seen_at: datetime
    until: datetime


@dataclass(slots=True)
class _Known:
    """A session that was good at ``at``, and for which a stream asked last at ``asked_at``. Ticks."""

    at: float
    asked_at: float


class People:
    def __init__(
        self, engine: Engine, ward: Ward, clock: Clock, passwords: Passwords | None = None
    ) -> None:
        self._engine = engine
        self._ward = ward
        self._clock = clock
        self.accounts = Accounts(engine, ward, clock)
        self.failures = Failures(engine, clock)
        self.passwords = passwords or Passwords()
        self._known: dict[str, _Known] = {}
        self._swept = clock.now()

    # -- who it is -------------------------------------------------------------------------------

    async def who(self, token: str, *, active: bool = True) -> Person | None:
        """Who signed in with this cookie, and still may be here. ``active``: a person did something;
        a page that fetches for itself prolongs nothing."""
        return await asyncio.to_thread(self._who, session_id(token), active=active)

    async def still(self, person: Person) -> bool:
        """Whether the session goes on, for a stream that is open; what changed is known within a
        second."""
        now = self._clock.ticks()
        known = self._known.get(person.session)
        if known is not None and now - known.at < _KNOWN_FOR:
            known.asked_at = now
            return True
        found = await asyncio.to_thread(self._who, person.session, active=False)
        if found is None:
            self._known.pop(person.session, None)
            return False
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[person.session] = _Known(now, now)
        return True

    async def watching(self, gone: Callable[[], None]) -> None:
        """Look all the time, in one question for all, at whether those who have a stream open still may;
        ``gone`` is called when somebody may no longer, that the streams ask ``still``. Accounts are
        ended from the command line as well, which tells nobody. Until cancelled."""
        while True:
            await asyncio.sleep(_WATCHED_EVERY)
            now = self._clock.ticks()
            for session, known in list(self._known.items()):
                if now - known.asked_at > _WATCHED_FOR:
                    del self._known[session]
            watched = list(self._known)
            if not watched:
                continue
            try:
                good = await asyncio.to_thread(self._good, watched)
            except sa.exc.SQLAlchemyError:
                continue  # the streams ask themselves, and end
            for session in watched:
                if session not in good:
                    self._known.pop(session, None)
                elif session in self._known:
                    self._known[session].at = now
            if len(good) < len(watched):
                gone()

    def _good(self, sessions: list[str]) -> set[str]:
        """Those of them that go on."""
        now = self._clock.now()
        with reading(self._engine) as connection:
            rows = list(connection.execute(_PEOPLE.where(t.sessions.c.id.in_(sessions))))
        return {row.session for row in rows if self._goes_on(row, now)}

    def _goes_on(self, row: Any, now: datetime) -> bool:
        return is_active(self._ward, row.agency, now) and _until(row) > now

    async def prolong(self, person: Person) -> Person | None:
        """By another half an hour from now, if the day is that long."""
        return await asyncio.to_thread(self._who, person.session, active=True, at_once=True)

    def _who(self, session: str, *, active: bool, at_once: bool = False) -> Person | None:
        now = self._clock.now()
        with reading(self._engine) as connection:
            row = connection.execute(_PEOPLE.where(t.sessions.c.id == session)).first()
        if row is None or not self._goes_on(row, now):
            return None
        until = _until(row)
        seen_at = datetime.fromisoformat(row.seen_at)
        if active and (at_once or now - seen_at >= SEEN_EVERY) and now > seen_at:
            with writing(self._engine) as connection:
                connection.execute(
                    t.sessions.update()
                    .where(t.sessions.c.id == session, t.sessions.c.seen_at < utc_text(now))
                    .values(seen_at=utc_text(now))
                )
            until = _until(row, now)
        return Person(
            id=UUID(row.id),
            login=row.login,
            name=row.name,
            agency=row.agency,
            role=role_of(row.agency, self._ward, screen=row.screen),
            session=session,
            until=until,
        )

    # -- coming and going ------------------------------------------------------------------------

    async def sign_in(self, login: str, password: str) -> Account | Refusal:
        """Whose login and password these are. Raises passwords.Busy."""
        wait = await asyncio.to_thread(self.failures.begin, login)
        if wait is not None:
            return Refusal(wait)
        account = await asyncio.to_thread(self.accounts.by_login, login)
        if account is not None and not self.accounts.may_come(account):
            account = None
        kept = account.password if account is not None else None
        right = await self.passwords.is_right(kept, password)
        if not right or account is None or kept is None:
            return Refusal()
        await asyncio.to_thread(self.failures.forget, login)
        if self.passwords.is_outdated(kept):
            again = await self.passwords.kept(password)
            account = await asyncio.to_thread(self.accounts.rehash, account, again)
        return account

    async def begin(
        self, account: Account, token: str, before: Person | None = None
    ) -> Person | None:
        """A session of this account, under a token that nobody has had before. ``before``: whoever was
        signed in with this browser, and is no longer. None: since ``account`` was read its owner left,
        or the password was changed, which ends every session: this one does not begin."""
        return await asyncio.to_thread(self._begin, account, session_id(token), before)

    def _begin(self, account: Account, session: str, before: Person | None) -> Person | None:
        now = self._clock.now()
        ends_at = now + (LONGEST_OF_SCREEN if account.screen else LONGEST)
        row = {
            "id": session, "account": str(account.id), "began_at": utc_text(now),
            "seen_at": utc_text(now), "ends_at": utc_text(ends_at),
        }  # fmt: skip
        with writing(self._engine) as connection:
            if now - self._swept >= _SWEPT_EVERY:
                self._swept = now
                _sweep(connection, now)
            if before is not None:
                _end(connection, before.session)
            if not hold(connection, account):
                return None
            connection.execute(t.sessions.insert(), row)
        return self._who(session, active=False)

    async def end(self, session: str) -> None:
        await asyncio.to_thread(self._end, session)
        known = self._known.get(session)
        if known is not None:
            known.at -= _KNOWN_FOR  # still watched: its streams are told

    def _end(self, session: str) -> None:
        with writing(self._engine) as connection:
            _end(connection, session)

    # -- one's own account -----------------------------------------------------------------------

    async def sittings(self, person: Person) -> list[Sitting]:
        """Somebody's sessions, the newest first."""
        return await asyncio.to_thread(self._sittings, person)

    def _sittings(self, person: Person) -> list[Sitting]:
        asked = (
            sa.select(t.sessions, t.accounts.c.screen)
            .join(t.accounts, t.accounts.c.id == t.sessions.c.account)
            .where(t.sessions.c.account == str(person.id))
            .order_by(t.sessions.c.began_at.desc())
        )
        now = self._clock.now()
        with reading(self._engine) as connection:
            rows = list(connection.execute(asked))
        return [
            Sitting(
                row.id,
                datetime.fromisoformat(row.began_at),
                datetime.fromisoformat(row.seen_at),
                _until(row),
            )
            for row in rows
            if _until(row) > now
        ]

    async def end_sitting(self, person: Person, session: str) -> bool:
        """One of one's own; whether there was such a one."""
        mine = [one.id for one in await self.sittings(person)]
        if session not in mine:
            return False
        await self.end(session)
        return True

    async def end_others(self, person: Person) -> int:
        def end() -> int:
            with writing(self._engine) as connection:
                return end_sessions(connection, person.id, but=person.session)

        return await asyncio.to_thread(end)


# Who has a session, and may be here as far as the tables say.
_PEOPLE = (
    sa.select(
        t.sessions.c.id.label("session"), t.sessions.c.seen_at, t.sessions.c.ends_at,
        t.accounts.c.id, t.accounts.c.login, t.accounts.c.name, t.accounts.c.agency,
        t.accounts.c.screen,
    )
    .join(t.accounts, t.accounts.c.id == t.sessions.c.account)
    .where(t.accounts.c.left_at.is_(None))
)  # fmt: skip


def session_id(token: str) -> str:
    """Under which a session is kept: whoever reads the table cannot come in with it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _until(row: Any, seen_at: datetime | None = None) -> datetime:
    """When a session ends, if nothing more is done in it."""
    ends_at = datetime.fromisoformat(row.ends_at)
    if row.screen:
        return ends_at
    return min((seen_at or datetime.fromisoformat(row.seen_at)) + IDLE, ends_at)


def _end(connection: sa.Connection, session: str) -> None:
    connection.execute(t.openings.delete().where(t.openings.c.session == session))
    connection.execute(t.sessions.delete().where(t.sessions.c.id == session))


def _sweep(connection: sa.Connection, now: datetime) -> None:
    """What is over long since is not kept."""
    screens = sa.select(t.accounts.c.id).where(t.accounts.c.screen)
    idle = sa.and_(
        t.sessions.c.seen_at <= utc_text(now - IDLE), t.sessions.c.account.not_in(screens)
    )
    over = sa.or_(t.sessions.c.ends_at <= utc_text(now), idle)
    ids = sa.select(t.sessions.c.id).where(over)
    connection.execute(t.openings.delete().where(t.openings.c.session.in_(ids)))
    connection.execute(t.sessions.delete().where(over))
