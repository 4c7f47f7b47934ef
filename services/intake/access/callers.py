"""Who is calling? An agency, by an API key, by an access token or by its certificate."""

from runtime.clock import Clock
from runtime.credentials import Credential, Kind
from runtime.watched_credentials import LATE, WatchedCredentials
from schemas.codes import Scope
from schemas.outside import local_day
from services.intake.access.certificates import BadCertificate, Certificates
from services.intake.access.tokens import Tokens
from services.intake.edge import Caller, Http
from wards.model import Ward

_LONGEST_BEARER = 4096  # characters


class Callers:
    def __init__(
        self,
        ward: Ward,
        watched: WatchedCredentials,
        tokens: Tokens,
        certificates: Certificates,
        clock: Clock,
    ) -> None:
        self._ward = ward
        self._watched = watched
        self._tokens = tokens
        self._certificates = certificates
        self._clock = clock

    async def caller(self, request: Http) -> Caller | None:
        """Whoever says who it is in two ways must be the same in both; what cannot be read in one way
        is not made good by another. A certificate that is nobody's today (never registered, revoked,
        over) says nothing, so a key beside it counts: whoever has the key could leave it out."""
        try:
            thumbprint = self._certificates.presented(request, self._clock.now())
        except BadCertificate:
            return None
        certified = None
        if thumbprint is not None:
            certified = self._by(self._watched.by_material(Kind.CERTIFICATE, thumbprint), None)
        authorization = request.headers.getall("authorization", [])
        if not authorization:
            return certified
        bearer = self._bearer(authorization)
        if bearer is None or (certified is not None and certified.agency != bearer.agency):
            return None
        return bearer

    def still(self, caller: Caller) -> bool:
        """On the network today, by a credential that is still good: an agency that has left reads
        nothing any more. A stream that was opened with a token outlives the token, not its key."""
        return self._watched.find(caller.credential) is not None and self._here(caller.agency)

    def obstacle(self) -> str | None:
        """Why whoever was revoked may still come in, and whoever is new may not."""
        return "credentials" if self._watched.age() > LATE else None

    def allowed(self, credential: Credential) -> frozenset[Scope]:
        """What the ward lets the agency do, narrowed to what the credential is for; nothing when
        the agency is not on the network today."""
        agency = self._ward.agency(credential.agency)
        if agency is None or not self._here(credential.agency):
            return frozenset()
        wanted = agency.scopes if credential.scopes is None else credential.scopes
        return frozenset(scope for scope in agency.scopes if scope in wanted)

    def by_name(self, agency: str) -> Caller | None:
        """An agency that somebody else has recognised: nats-server, by what it let in."""
        known = self._ward.agency(agency)
        if known is None or not self._here(agency):
            return None
        return Caller(agency, frozenset(known.scopes))

    def _bearer(self, authorization: list[str]) -> Caller | None:
        scheme, _, given = authorization[0].partition(" ")
        given = given.strip()
        if len(authorization) > 1 or scheme.lower() != "bearer":
            return None
        if not given or len(given) > _LONGEST_BEARER:
            return None
        known = self._watched.by_secret(Kind.API_KEY, given)
        if known is not None:
            return self._by(known, None)
        token = self._tokens.read(given) if given.count(".") == 2 else None
        if token is None:
            return None
        credential = self._watched.find(token.credential)
        if credential is None or credential.agency != token.agency:
            return None
        return self._by(credential, token.scopes)

    def _by(self, credential: Credential | None, narrowed: frozenset[str] | None) -> Caller | None:
        if credential is None or not self._here(credential.agency):
            return None
        self._watched.used(credential)
        scopes = self.allowed(credential)
        if narrowed is not None:
            scopes = frozenset(scope for scope in scopes if scope in narrowed)
        return Caller(credential.agency, scopes, credential.id)

    def _here(self, agency: str) -> bool:
        known = self._ward.agency(agency)
        return known is not None and known.active_on(local_day(self._clock.now()))
