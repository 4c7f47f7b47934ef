"""Staff of agencies (職員) on a network that runs, for tests: samples, all with one password."""

from runtime.clock import SystemClock
from runtime.database import open_database
from services.console.people.accounts import Accounts
from services.console.people.passwords import Passwords
from tests.network import RunningNetwork
from wards.load import bundled_ward, load_ward

PASSWORD = "umi-kara-kita-kaze-3"


class Staff:
    def __init__(self, network: RunningNetwork) -> None:
        self._settings = network.settings
        self._logins: dict[tuple[str, str], str] = {}
        self._kept = Passwords().kept_now(PASSWORD)

    def login(self, agency: str, name: str = "見本 花子") -> str:
        """The login of somebody of that name there; made when asked for first."""
        if (agency, name) not in self._logins:
            login = f"{agency}.{len(self._logins) + 1}"
            engine = open_database(self._settings.database_url("console"))
            try:
                accounts = Accounts(
                    engine, load_ward(self._settings.ward or bundled_ward()), SystemClock()
                )
                accounts.set_password(accounts.new(agency, login, name), self._kept)
            finally:
                engine.dispose()
            self._logins[agency, name] = login
        return self._logins[agency, name]
