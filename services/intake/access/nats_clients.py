"""Whom the warden lets in by NATS (NATS の接続元): an agency, by its own user name and a password that is
among its credentials."""

import math
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta

from runtime.clock import Clock
from runtime.credentials import Credential, Kind
from runtime.watched_credentials import WatchedCredentials
from schemas import subjects
from schemas.codes import Scope
from schemas.logins import Rights, agency_rights
from schemas.outside import JAPAN
from services.intake.access.callers import Callers
from services.intake.edge import Caller
from wards.model import Ward


class NatsClients:
    """``calls``: what may be called by NATS, and the scope of each."""

    def __init__(
        self,
        ward: Ward,
        watched: WatchedCredentials,
        callers: Callers,
        calls: Iterable[tuple[str, Scope]],
        clock: Clock,
    ) -> None:
        self._ward = ward
        self._watched = watched
        self._callers = callers
        self._calls = tuple(calls)
        self._clock = clock

    def admitted(self, user: str, password: str) -> Credential | None:
        """The credential by which this user comes in; None: not at all."""
        found = self._watched.by_secret(Kind.NATS, password)
        if found is None or found.agency != user or not self._callers.allowed(found):
            return None
        self._watched.used(found)
        return found

    def still(self, agency: str, credential: str) -> bool:
        """Whether a connection that was let in by it may stay."""
        found = self._watched.find(credential)
        return found is not None and found.agency == agency and bool(self._callers.allowed(found))

    def lasts(self, credential: Credential) -> float:
        """Seconds, as far as is known today: until the credential ends, or its agency leaves."""
        agency = self._ward.agency(credential.agency)
        last_day = agency.valid_to if agency is not None else None
        ends = [] if credential.valid_to is None else [credential.valid_to]
        if last_day is not None and last_day < date.max:
            ends.append(datetime.combine(last_day + timedelta(days=1), time.min, JAPAN))
        return min(((end - self._clock.now()).total_seconds() for end in ends), default=math.inf)

    def rights(self, credential: Credential) -> Rights:
        """A credential that is for some of its agency's scopes may publish those calls only: the
        door sees the agency in the subject, not the credential. It hears the answers to itself, and
        events if it may read. Scopes that the ward file takes from an agency are looked at by the
        door, at every request."""
        of = agency_rights(self._ward.code, credential.agency)
        if credential.scopes is None:
            return of
        allowed = self._callers.allowed(credential)
        named = [
            subjects.door(self._ward.code, credential.agency, name)
            for name, scope in self._calls
            if scope in allowed
        ]
        # An empty list would allow everything.
        publish = (*named, *(f"{name}.*" for name in named)) or ("tsunagu.nothing",)
        answers = f"{subjects.agency_replies(credential.agency, credential.id)}.>"
        events = (subjects.carried(self._ward.code, credential.agency),)
        hears = (answers, *(events if Scope.READ in allowed else ()))
        return Rights(publish=publish, subscribe=hears, replies=of.replies)

    def caller(self, agency: str) -> Caller | None:
        """Who published on its own door subject, which nobody else can; None when it has left."""
        return self._callers.by_name(agency)
