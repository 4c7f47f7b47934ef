"""Who administers the accounts (職員の管理): what `tsunagu staff` does, without the words."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runtime.clock import Clock, utc_text
from runtime.database import open_database
from runtime.migrations import upgrade
from runtime.settings import Settings
from services.console.people.accounts import Account, Accounts, Refused
from services.console.people.failures import Failures
from wards.model import Ward

MIGRATIONS = Path(__file__).resolve().parents[1] / "migrations"


class Staff:
    """``url``: where the console's pages are."""

    def __init__(self, accounts: Accounts, failures: Failures, url: str) -> None:
        self.accounts = accounts
        self.failures = failures
        self.url = url

    def of(self, login: str) -> Account:
        """Raises Refused where there is no such account."""
        found = self.accounts.by_login(login)
        if found is None:
            raise Refused("そのログイン名の登録はありません / there is no account with that login")
        if found.left_at is not None:
            raise Refused("もう退いた人です / that person has left")
        return found

    def document(self, account: Account) -> dict[str, Any]:
        """For a list: nothing secret, and not the person's identifier at the provider."""
        ways = {"password": account.password, "provider": account.subject}
        return {
            "id": str(account.id),  # by which the ledger tells of somebody
            "login": account.login,
            "agency": account.agency,
            "name": account.name,
            "screen": account.screen,
            "state": self._state(account),
            "by": [way for way, there in ways.items() if there is not None],
            "made_at": utc_text(account.made_at),
            "left_at": utc_text(account.left_at) if account.left_at is not None else None,
        }

    def _state(self, account: Account) -> str:
        if account.left_at is not None:
            return "left"
        if not self.accounts.may_come(account):
            return "away"
        if self.failures.locked_until(account.login) is not None:
            return "locked"
        if account.password is not None or account.subject is not None:
            return "in"
        return "invited" if self.accounts.is_invited(account) else "waiting"


@contextlib.contextmanager
def open_staff(settings: Settings, ward: Ward, clock: Clock) -> Iterator[Staff]:
    engine = open_database(settings.database_url("console"))
    try:
        upgrade(engine, MIGRATIONS)
        yield Staff(Accounts(engine, ward, clock), Failures(engine, clock), _url(settings))
    finally:
        engine.dispose()


def _url(settings: Settings) -> str:
    if settings.console_url:
        return settings.console_url.rstrip("/")
    with contextlib.suppress(OSError):
        return (settings.home / "console_url").read_text(encoding="ascii").strip()
    return ""
