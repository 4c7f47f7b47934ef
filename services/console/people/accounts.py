"""Accounts (職員の登録): who may come in, for which agency. Synchronous: the command line uses it as well."""

import base64
import hashlib
import re
import secrets
import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from runtime.clock import Clock, utc_text
from runtime.database import reading, writing
from runtime.ids import new_id
from schemas.outside import local_day
from services.console import tables as t
from services.console.person import has_board
from wards.model import Ward

CODE_GOOD_FOR = timedelta(days=3)
_CODE_BYTES = 15  # 120 bits: 24 letters in six groups
_MISREAD = str.maketrans("018", "OIB")  # base32 has no such digits
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@+-]{1,63}")
_LONGEST_NAME = 200
_LONGEST_SUBJECT = 255


class Refused(ValueError):
    """It cannot be done; the text says why, in both languages, to whoever typed the command."""


@dataclass(frozen=True, slots=True)
class Account:
    """``screen``: a screen on a wall, not a person. ``password``: argon2's text; None: none set.
    ``invited_until``: a code is waiting to be used."""

    id: UUID
    login: str
    agency: str
    name: str
    screen: bool
    password: str | None
    subject: str | None
    invited_until: datetime | None
    made_at: datetime
    left_at: datetime | None


def login_of(typed: str) -> str:
    """A login as it is kept: full-width letters and capitals are the same as plain ones."""
    return unicodedata.normalize("NFKC", typed[:256]).strip().lower()[:256]


class Accounts:
    def __init__(self, engine: Engine, ward: Ward, clock: Clock) -> None:
        self._engine = engine
        self._ward = ward
        self._clock = clock

    # -- asked -----------------------------------------------------------------------------------

    def all(self, agency: str | None = None) -> list[Account]:
        wanted = sa.true() if agency is None else t.accounts.c.agency == agency
        asked = (
            sa.select(t.accounts).where(wanted).order_by(t.accounts.c.agency, t.accounts.c.login)
        )
        with reading(self._engine) as connection:
            return [account_of(row) for row in connection.execute(asked)]

    def by_login(self, login: str) -> Account | None:
        login = login_of(login)
        # What can be no login is not asked of the database: there are characters it cannot hold.
        return self._one(t.accounts.c.login == login) if _LOGIN.fullmatch(login) else None

    def by_subject(self, subject: str) -> Account | None:
        if not subject.isprintable():
            return None
        return self._one(t.accounts.c.subject == subject)

    def by_id(self, account: UUID) -> Account | None:
        return self._one(t.accounts.c.id == str(account))

    def may_come(self, account: Account) -> bool:
        """Has not left, and the agency is on the network today."""
        return account.left_at is None and is_active(self._ward, account.agency, self._clock.now())

    def is_invited(self, account: Account) -> bool:
        """A code waits, and is good still."""
        return account.invited_until is not None and account.invited_until > self._clock.now()

    def _one(self, where: sa.ColumnElement[bool]) -> Account | None:
        with reading(self._engine) as connection:
            row = connection.execute(sa.select(t.accounts).where(where)).first()
        return account_of(row) if row is not None else None

    # -- changed ---------------------------------------------------------------------------------

    def new(
        self,
        agency: str,
        login: str,
        name: str,
        subject: str | None = None,
        *,
        screen: bool = False,
    ) -> Account:
        """Make one; without a password. ``screen``: for a screen on a wall, which sees the board and
        nothing else. Raises Refused."""
        login, name = login_of(login), name.strip()
        if self._ward.agency(agency) is None:
            raise Refused(
                f"機関 {agency} はこの区にありません / no such agency in this ward's file"
            )
        if not _LOGIN.fullmatch(login):
            raise Refused(
                "ログイン名は半角英数字と . _ @ + - で2〜64字です / "
                "a login is 2 to 64 of a-z 0-9 . _ @ + -, and begins with a letter or digit"
            )
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            raise Refused(
                f"氏名は1〜{_LONGEST_NAME}字です / a name is 1 to {_LONGEST_NAME} characters"
            )
        if subject is not None and not _is_subject(subject):
            raise Refused(
                f"sub は1〜{_LONGEST_SUBJECT}字です / a subject is 1 to {_LONGEST_SUBJECT} characters"
            )
        if screen and not has_board(agency, self._ward):
            raise Refused(
                f"{agency} には上申の窓口がないので、掲示用の画面に出すものがありません / "
                "that agency has no desk for calls: a wall screen of it would show nothing"
            )
        now = self._clock.now()
        row: dict[str, Any] = {
            "id": str(new_id(now)), "login": login, "agency": agency, "name": name, "screen": screen,
            "password": None, "subject": subject, "invited": None, "invited_until": None,
            "made_at": utc_text(now), "left_at": None,
        }  # fmt: skip
        try:
            with writing(self._engine) as connection:
                connection.execute(t.accounts.insert(), row)
        except sa.exc.IntegrityError:
            raise Refused(
                "そのログイン名か sub はもう使われています / that login or subject is taken already"
            ) from None
        return Account(UUID(row["id"]), login, agency, name, screen, None, subject, None, now, None)

    def invite(self, account: Account) -> str:
        """A code by which a password may be set once; the one before is good no longer."""
        code = base64.b32encode(secrets.token_bytes(_CODE_BYTES)).decode()
        until = utc_text(self._clock.now() + CODE_GOOD_FOR)
        self._set(account, invited=code_hash(code), invited_until=until)
        return "-".join(code[i : i + 4] for i in range(0, len(code), 4))

    def by_code(self, login: str, code: str) -> Account | None:
        """Whose code it is, while it is good and its owner may come in."""
        login = login_of(login)
        if not _LOGIN.fullmatch(login):
            return None
        found = self._one(
            sa.and_(
                t.accounts.c.login == login,
                t.accounts.c.invited == code_hash(code),
                t.accounts.c.invited_until > utc_text(self._clock.now()),
            )
        )
        return found if found is not None and self.may_come(found) else None

    def set_password(
        self, account: Account, kept: str, code: str | None = None, *, was: str | None = None
    ) -> bool:
        """``kept``: argon2's text. All sessions end. ``code``: only if it has not been used in the
        meantime; ``was``: only if the password has been no other since. Whether it was set."""
        where = t.accounts.c.id == str(account.id)
        if code is not None:
            where = sa.and_(where, t.accounts.c.invited == code_hash(code))
        if was is not None:
            where = sa.and_(where, t.accounts.c.password == was)
        with writing(self._engine) as connection:
            done = connection.execute(
                t.accounts.update()
                .where(where)
                .values(password=kept, invited=None, invited_until=None)
            )
            if done.rowcount:
                end_sessions(connection, account.id)
        return bool(done.rowcount)

    def rehash(self, account: Account, kept: str) -> Account:
        """The same password, made with today's parameters. The account as it is then; as it was, if the
        password has been another since."""
        same = sa.and_(
            t.accounts.c.id == str(account.id), t.accounts.c.password == account.password
        )
        with writing(self._engine) as connection:
            done = connection.execute(t.accounts.update().where(same).values(password=kept))
        return replace(account, password=kept) if done.rowcount else account

    def leave(self, account: Account) -> None:
        """Out at the next request. The login stays taken: the record names it."""
        with writing(self._engine) as connection:
            connection.execute(
                t.accounts.update()
                .where(t.accounts.c.id == str(account.id))
                .values(
                    left_at=utc_text(self._clock.now()), password=None, subject=None, invited=None,
                    invited_until=None,
                )
            )  # fmt: skip
            end_sessions(connection, account.id)

    def end_sessions(self, account: Account) -> int:
        with writing(self._engine) as connection:
            return end_sessions(connection, account.id)

    def _set(self, account: Account, **values: Any) -> None:
        with writing(self._engine) as connection:
            connection.execute(
                t.accounts.update().where(t.accounts.c.id == str(account.id)).values(**values)
            )


def is_active(ward: Ward, agency: str, now: datetime) -> bool:
    found = ward.agency(agency)
    return found is not None and found.active_on(local_day(now))


def hold(connection: Connection, account: Account) -> bool:
    """Until this transaction ends nothing of the account changes, and nobody ends its sessions. Whether it
    is as it was found: its owner has not left, and the password is no other."""
    same = t.accounts.c.password.is_not_distinct_from(account.password)
    asked = sa.select(t.accounts.c.id).where(
        t.accounts.c.id == str(account.id), same, t.accounts.c.left_at.is_(None)
    )
    return connection.execute(asked.with_for_update()).first() is not None


def end_sessions(connection: Connection, account: UUID, but: str = "") -> int:
    """``but``: the id of one that goes on. How many ended."""
    # One that begins just now is waited for, that it ends as well (SQLite has one writer at a time).
    held = sa.select(t.accounts.c.id).where(t.accounts.c.id == str(account))
    connection.execute(held.with_for_update())
    theirs = sa.and_(t.sessions.c.account == str(account), t.sessions.c.id != but)
    ids = sa.select(t.sessions.c.id).where(theirs)
    connection.execute(t.openings.delete().where(t.openings.c.session.in_(ids)))
    return connection.execute(t.sessions.delete().where(theirs)).rowcount


def _is_subject(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_SUBJECT and text.isprintable()


def code_hash(code: str) -> str:
    """Of a code as it was typed: small letters, spaces and other dashes are what they should be."""
    typed = unicodedata.normalize("NFKC", code[:256]).upper()
    plain = "".join(c for c in typed if c.isascii() and c.isalnum()).translate(_MISREAD)
    return hashlib.sha256(plain.encode()).hexdigest()


def account_of(row: Any) -> Account:
    def moment(text: str | None) -> datetime | None:
        return datetime.fromisoformat(text) if text is not None else None

    return Account(
        id=UUID(row.id),
        login=row.login,
        agency=row.agency,
        name=row.name,
        screen=row.screen,
        password=row.password,
        subject=row.subject,
        invited_until=moment(row.invited_until),
        made_at=datetime.fromisoformat(row.made_at),
        left_at=moment(row.left_at),
    )
