"""A token is got only by whoever has the agency's own key, now, for this network, and once."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from pydantic_core import to_json
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from runtime.credentials import Kind
from schemas.codes import Scope
from services.intake import responses
from services.intake.access import public_keys
from services.intake.access.public_keys import UnfitKey
from services.intake.edge import Caller, Edge, Http
from services.intake.metrics import Metrics
from tests.builders import ANSHIN, BUNKYO, CORE, HUB
from tests.doors import ISSUER, TestDoor, a_door
from tests.through_their_own_systems.signing import (
    a_form,
    a_key,
    an_assertion,
    jwk_of,
    pem_of,
    private_pem,
)

ENDPOINT = f"{ISSUER}/oauth2/token"
ALGORITHMS = {"ES256": "ES256", "ES384": "ES384", "EdDSA": "EdDSA", "RS256": "RSA", "PS256": "RSA"}


class Desk:
    """A door, an address that tells who came in, and a partner's way to both."""

    def __init__(self, door: TestDoor, clock: ManualClock) -> None:
        self.door, self.clock = door, clock

        async def whoami(_: Http, caller: Caller) -> Any:
            told = {"agency": caller.agency, "scopes": sorted(caller.scopes)}
            return responses.json_response(to_json(told))

        edge = Edge(door.callers, Metrics())
        handlers = [*door.endpoint.handlers(), edge.getting("/me", "me", Scope.READ, whoami)]
        self.http = TestClient(Litestar(handlers, openapi_config=None))

    def registers(self, agency: str, key: Any, **how: Any) -> str:
        material = public_keys.jwk_of(jwk_of(key))
        made = self.door.credentials.issue(agency, Kind.JWT_KEY, material, **how)
        self.door.watched.refresh()
        return made.id

    def sign(self, agency: str = HUB, **how: Any) -> str:
        return an_assertion(agency, how.pop("aud", ENDPOINT), self.clock.now(), **how)

    def asks(self, assertion: str, **more: str) -> httpx.Response:
        return self.http.post("/oauth2/token", data=a_form(assertion, **more))

    def token(self, **how: Any) -> str:
        got = self.asks(self.sign(**how))
        assert got.status_code == 200, got.text
        return str(got.json()["access_token"])

    def me(self, token: str) -> httpx.Response:
        return self.http.get("/me", headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def desk(clock: ManualClock) -> Desk:
    """The hub's key is registered."""
    desk = Desk(a_door(BUNKYO, clock, {HUB: "their-key"}), clock)
    desk.registers(HUB, a_key())
    return desk


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("given", [pem_of, jwk_of])
def test_an_agency_gets_a_token_with_a_key_of_its_own(
    clock: ManualClock, algorithm: str, given: Callable[[Any], bytes]
) -> None:
    desk, key = Desk(a_door(BUNKYO, clock), clock), a_key(ALGORITHMS[algorithm])
    desk.door.credentials.issue(HUB, Kind.JWT_KEY, public_keys.jwk_of(given(key)))
    desk.door.watched.refresh()
    got = desk.asks(desk.sign(key=key, algorithm=algorithm))
    assert got.status_code == 200, got.text
    assert got.headers["cache-control"] == "no-store"
    answer = got.json()
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 300
    assert answer["scope"] == "answer post read"
    assert desk.me(answer["access_token"]).json()["agency"] == HUB


def test_where_to_get_a_token_is_told_as_in_rfc_8414(desk: Desk) -> None:
    told = desk.http.get("/.well-known/oauth-authorization-server").json()
    assert told["issuer"] == ISSUER
    assert told["token_endpoint"] == ENDPOINT
    assert told["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert set(told["token_endpoint_auth_signing_alg_values_supported"]) == set(ALGORITHMS)
    assert told["scopes_supported"] == ["post", "answer", "read", "core", "audit"]


@pytest.mark.parametrize("audience", [ENDPOINT, ISSUER, [ENDPOINT]])
def test_an_assertion_names_the_endpoint_or_the_issuer(desk: Desk, audience: Any) -> None:
    assert desk.asks(desk.sign(aud=audience)).status_code == 200


def seconds(now: datetime, **by: float) -> int:
    return int((now + timedelta(**by)).timestamp())


WRONG: dict[str, Callable[[datetime], dict[str, Any]]] = {
    "expired": lambda now: {"exp": seconds(now, seconds=-30)},
    "far in the future": lambda now: {"exp": seconds(now, seconds=331)},
    "in milliseconds": lambda now: {"exp": seconds(now) * 1000},
    "without an end": lambda now: {"exp": None},
    "with an end that is no number": lambda now: {"exp": "soon"},
    "with an end that is true": lambda now: {"exp": True},
    "with an end that is NaN": lambda now: {"exp": float("nan")},
    "with an end at infinity": lambda now: {"exp": float("inf")},
    "with an end that no float holds": lambda now: {"exp": 10**400},
    "issued before all time": lambda now: {"iat": -(10**400)},
    "issued tomorrow": lambda now: {"iat": seconds(now, days=1)},
    "not good yet": lambda now: {"nbf": seconds(now, seconds=31)},
    "of which iss is not sub": lambda now: {"sub": ANSHIN},
    "of another agency": lambda now: {"iss": ANSHIN, "sub": ANSHIN},
    "of nobody": lambda now: {"iss": None},
    "of an agency that is a number": lambda now: {"iss": 7, "sub": 7},
    "of an unknown agency": lambda now: {"iss": "nobody", "sub": "nobody"},
    "for somebody else": lambda now: {"aud": "https://elsewhere.example/oauth2/token"},
    "for us and somebody else": lambda now: {"aud": [ENDPOINT, "https://elsewhere.example"]},
    "for nobody": lambda now: {"aud": None},
    "for an empty list": lambda now: {"aud": []},
    "for an object": lambda now: {"aud": {"is": ENDPOINT}},
    "for a list of objects": lambda now: {"aud": [{}]},
    "for one of our other addresses": lambda now: {"aud": f"{ISSUER}/v1/referrals"},
    "without a jti": lambda now: {"jti": None},
    "with an empty jti": lambda now: {"jti": ""},
    "with a jti that is too long": lambda now: {"jti": "x" * 257},
    "with a jti that is a number": lambda now: {"jti": 7},
    "with a jti that is half a character": lambda now: {"jti": "\ud800"},
}


@pytest.mark.parametrize("claims", WRONG.values(), ids=WRONG)
def test_an_assertion_that_says_something_wrong_gets_no_token(
    desk: Desk, claims: Callable[[datetime], dict[str, Any]]
) -> None:
    said = {"aud": ENDPOINT, **claims(desk.clock.now())}
    refused = desk.asks(desk.sign(**said))
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert refused.headers["cache-control"] == "no-store"
    for value in said.values():
        assert not isinstance(value, str) or value in (ANSHIN, "") or value not in refused.text
    assert desk.asks(desk.sign()).status_code == 200, "and only what was wrong was refused"


def test_the_leeway_is_thirty_seconds(desk: Desk) -> None:
    now = desk.clock.now()
    good = {"exp": seconds(now, seconds=-29)}, {"exp": seconds(now, seconds=330)}
    assert [desk.asks(desk.sign(**c)).status_code for c in good] == [200, 200]


def _segment(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def _unsigned(good: str) -> str:
    return f"{_segment({'alg': 'none'})}.{good.split('.')[1]}."


def _hmac_with_the_public_key(good: str) -> str:
    """The classic: what is public taken for a shared secret (RFC 8725, 2.1)."""
    said = f"{_segment({'alg': 'HS256'})}.{good.split('.')[1]}"
    mac = hmac.new(pem_of(a_key()), said.encode(), hashlib.sha256).digest()
    return f"{said}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def _another_payload(good: str) -> str:
    header, _, signature = good.split(".")
    return f"{header}.{_segment({**_claims(good), 'jti': 'another'})}.{signature}"


def _named_key(good: str) -> str:
    own = json.loads(jwk_of(a_key("ES256", 1)))
    headers = {"jwk": own, "jku": "https://elsewhere.example/jwks", "x5u": "https://x.example"}
    return jwt.encode(_claims(good), a_key("ES256", 1), "ES256", headers=headers)


def _claims(good: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(good.split(".")[1] + "=="))


FORGED: dict[str, Callable[[str], str]] = {
    "alg none": _unsigned,
    "alg None in capitals": lambda good: _unsigned(good).replace(
        _segment({"alg": "none"}), _segment({"alg": "NONE"})
    ),
    "hmac with the public key": _hmac_with_the_public_key,
    "another payload": _another_payload,
    "its own key in the header": _named_key,
    "no signature": lambda good: good.rpartition(".")[0] + ".",
    "two parts": lambda good: good.rpartition(".")[0],
    "four parts": lambda good: good + ".e30",
    "five parts, as if encrypted": lambda good: good + ".e30.e30",
    "nothing": lambda good: "",
    "garbage": lambda good: "\u3042.\x00.{}",
    "not an object": lambda good: f"{_segment([1])}.{_segment([2])}.c2ln",
    "deep": lambda good: f"{base64.urlsafe_b64encode(b'[' * 5000).decode()}.e30.c2ln",
    "too long": lambda good: good + "A" * 9000,
    "a criticality that nobody knows": lambda good: jwt.encode(
        _claims(good), a_key(), "ES256", headers={"crit": ["tsunagu"], "tsunagu": 1}
    ),
}  # fmt: skip


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_an_assertion_that_is_not_signed_by_the_agency_gets_no_token(
    desk: Desk, forge: Callable[[str], str]
) -> None:
    refused = desk.asks(forge(desk.sign()))
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("signed_with", "algorithm"), [("ES256", "ES256"), ("RSA", "RS256"), ("EdDSA", "EdDSA")]
)
def test_a_key_that_is_not_the_agencys_signs_nothing_for_it(
    desk: Desk, signed_with: str, algorithm: str
) -> None:
    desk.registers(ANSHIN, a_key(signed_with, 1))
    forged = desk.sign(key=a_key(signed_with, 1), algorithm=algorithm)
    assert desk.asks(forged).status_code == 401
    mine = desk.sign(ANSHIN, key=a_key(signed_with, 1), algorithm=algorithm)
    assert desk.asks(mine).status_code == 200


def test_an_assertion_is_good_once(desk: Desk) -> None:
    assertion = desk.sign()
    assert desk.asks(assertion).status_code == 200
    again = desk.asks(assertion)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")
    assert desk.asks(desk.sign()).status_code == 200


def test_an_assertion_is_good_once_at_all_intakes_and_after_a_restart(
    database_of: Callable[[str], Engine], clock: ManualClock
) -> None:
    engine = database_of("intake")
    desks = [Desk(a_door(BUNKYO, clock, engine=engine), clock) for _ in range(2)]
    desks[0].registers(HUB, a_key())
    desks[1].door.watched.refresh()
    assertion = desks[0].sign()
    assert desks[0].asks(assertion).status_code == 200
    clock.move(timedelta(minutes=5, seconds=29))
    assert desks[1].asks(assertion).status_code == 401
    reopened = Desk(a_door(BUNKYO, clock, engine=engine), clock)
    assert reopened.asks(assertion).status_code == 401
    assert reopened.asks(reopened.sign()).status_code == 200
    clock.move(timedelta(hours=2))
    assert desks[0].asks(desks[0].sign()).status_code == 200, "what is long over is forgotten"
    clock.set_back(timedelta(hours=2))
    assert desks[1].asks(desks[1].sign()).status_code == 200


def test_two_agencies_may_choose_the_same_jti(desk: Desk) -> None:
    desk.registers(ANSHIN, a_key("ES256", 1))
    assert desk.asks(desk.sign(jti="1")).status_code == 200
    assert desk.asks(desk.sign(ANSHIN, key=a_key("ES256", 1), jti="1")).status_code == 200


def test_what_was_refused_uses_up_nothing(desk: Desk) -> None:
    """Otherwise a stranger who sees a jti could spoil it."""
    assert desk.asks(desk.sign(key=a_key("ES256", 1), jti="7")).status_code == 401
    assert desk.asks(desk.sign(jti="7")).status_code == 200


FORMS: dict[str, tuple[Callable[[str], dict[str, Any]], str]] = {
    "no grant_type": (lambda a: {"client_assertion": a}, "invalid_request"),
    "a password": (
        lambda a: {**a_form(a), "grant_type": "password"}, "unsupported_grant_type",
    ),
    "no type of assertion": (
        lambda a: {"grant_type": "client_credentials", "client_assertion": a}, "invalid_request",
    ),
    "a scope that is not its own": (lambda a: a_form(a, scope="read core"), "invalid_scope"),
    "a scope that nobody has": (lambda a: a_form(a, scope="everything"), "invalid_scope"),
    "an empty scope": (lambda a: a_form(a, scope=" "), "invalid_scope"),
    "a client_id of another": (lambda a: a_form(a, client_id=ANSHIN), "invalid_client"),
    "a field twice": (lambda a: {**a_form(a), "scope": ["read", "post"]}, "invalid_request"),
}  # fmt: skip


@pytest.mark.parametrize(("form", "error"), FORMS.values(), ids=FORMS)
def test_a_form_that_asks_wrongly_is_told_in_the_words_of_rfc_6749(
    desk: Desk, form: Callable[[str], dict[str, Any]], error: str
) -> None:
    assertion = desk.sign()
    refused = desk.http.post("/oauth2/token", data=form(assertion))
    assert refused.status_code == (401 if error == "invalid_client" else 400)
    assert refused.json()["error"] == error
    assert desk.asks(assertion).status_code == 200, "and its assertion is still good"


@pytest.mark.parametrize(
    "how",
    [{"json": {"grant_type": "client_credentials"}}, {"content": b""}, {"content": b"\xff=\xfe"},
     {"content": b"a=1&" * 100}],
)  # fmt: skip
def test_a_body_that_is_no_form_is_refused(desk: Desk, how: dict[str, Any]) -> None:
    headers = {} if "json" in how else {"Content-Type": "application/x-www-form-urlencoded"}
    refused = desk.http.post("/oauth2/token", headers=headers, **how)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")


def test_a_token_narrows_what_its_agency_may_do(desk: Desk) -> None:
    got = desk.asks(desk.sign(), scope="read").json()
    assert got["scope"] == "read"
    assert desk.me(got["access_token"]).json()["scopes"] == ["read"]
    posting = desk.asks(desk.sign(), scope="post").json()["access_token"]
    refused = desk.me(posting)
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")


def test_a_credential_narrows_what_its_tokens_may_do(clock: ManualClock) -> None:
    desk = Desk(a_door(BUNKYO, clock), clock)
    desk.registers(CORE, a_key(), scopes=("read", "audit"))
    got = desk.asks(desk.sign(CORE)).json()
    assert got["scope"] == "read", "audit is not core's to give"
    assert desk.asks(desk.sign(CORE), scope="post").json()["error"] == "invalid_scope"


def test_a_token_is_over_after_five_minutes(desk: Desk) -> None:
    token = desk.token()
    desk.clock.move(timedelta(minutes=5) - timedelta(seconds=1))
    assert desk.me(token).status_code == 200
    desk.clock.move(timedelta(seconds=1))
    refused = desk.me(token)
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")


def test_a_token_ends_with_the_key_that_it_was_got_with(desk: Desk) -> None:
    token = desk.token()
    (key,) = desk.door.credentials.all(HUB, Kind.JWT_KEY)
    desk.door.credentials.revoke(key.id)
    desk.door.watched.refresh()
    assert desk.me(token).status_code == 401
    assert desk.asks(desk.sign()).status_code == 401
    assert desk.me("their-key").status_code == 200, "and nothing else ends"


def test_during_a_rotation_both_keys_get_tokens_and_then_only_the_new_one(desk: Desk) -> None:
    new = a_key("ES256", 1)
    material = public_keys.jwk_of(pem_of(new))
    desk.door.credentials.rotate(HUB, Kind.JWT_KEY, material, timedelta(days=7))
    desk.door.watched.refresh()
    old_token, _ = desk.token(), desk.token(key=new)
    named = {"kid": public_keys.key_id(material)}
    assert desk.asks(desk.sign(key=new, headers=named)).status_code == 200
    assert desk.asks(desk.sign(headers=named)).status_code == 401, "the old key is not that one"
    desk.clock.move(timedelta(days=7))
    assert desk.me(old_token).status_code == 401
    assert desk.asks(desk.sign()).status_code == 401
    assert desk.asks(desk.sign(key=new)).status_code == 200


def test_an_agency_that_has_left_gets_no_token_and_its_tokens_are_over(clock: ManualClock) -> None:
    last_day = clock.now().date()
    agencies = tuple(
        a.model_copy(update={"valid_to": last_day}) if a.id == HUB else a for a in BUNKYO.agencies
    )
    kept = {name: getattr(BUNKYO, name) for name in type(BUNKYO).model_fields}
    desk = Desk(a_door(type(BUNKYO).model_validate({**kept, "agencies": agencies}), clock), clock)
    desk.registers(HUB, a_key())
    # It leaves at midnight in Japan; the token would be good beyond it.
    midnight = clock.now().replace(hour=15, minute=0, second=0, microsecond=0)
    clock.move(midnight - clock.now() - timedelta(seconds=10))
    token = desk.token()
    clock.move(timedelta(seconds=10))
    assert desk.me(token).status_code == 401
    refused = desk.asks(desk.sign())
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


def test_a_token_of_another_network_or_for_another_purpose_is_nothing_here(desk: Desk) -> None:
    elsewhere = Desk(a_door(BUNKYO, desk.clock, token_key=b"1" * 32), desk.clock)
    elsewhere.registers(HUB, a_key())
    assert desk.me(elsewhere.token()).status_code == 401
    assert desk.me(desk.sign()).status_code == 401, "an assertion is no token"
    assert desk.asks(desk.token()).status_code == 401, "and a token no assertion"


def test_a_token_that_somebody_else_signed_is_nothing_though_it_says_all_that_is_right(
    desk: Desk,
) -> None:
    token = desk.token()
    header, _, signature = token.split(".")
    claims, typed = _claims(token), {"typ": "at+jwt"}
    assert desk.me(token).status_code == 200
    longer = _segment({**claims, "exp": claims["exp"] + 3600})
    for forged in (
        jwt.encode(claims, a_key("EdDSA", 7), "EdDSA", headers=typed),
        jwt.encode(claims, a_key(), "ES256", headers=typed),  # with the key it was got with
        f"{header}.{longer}.{signature}",
        f"{_segment({'alg': 'none', **typed})}.{_segment(claims)}.",
        token.rpartition(".")[0] + ".",
    ):
        assert desk.me(forged).status_code == 401, forged


def test_a_network_that_has_no_name_of_its_own_gives_no_token(clock: ManualClock) -> None:
    desk = Desk(a_door(BUNKYO, clock, issuers=()), clock)
    desk.registers(HUB, a_key())
    for audience in (ENDPOINT, ISSUER, "", "/oauth2/token", "http://127.0.0.1:8700"):
        assert desk.asks(desk.sign(aud=audience)).status_code == 401


UNFIT: dict[str, bytes] = {
    "a short RSA key": pem_of(a_key("RSA-1024")),
    "a short RSA key as a JWK": jwk_of(a_key("RSA-1024")),
    "a private key": private_pem(a_key()),
    "a private key as a JWK": json.dumps({**json.loads(jwk_of(a_key())), "d": "x"}).encode(),
    "a shared secret": b'{"kty":"oct","k":"c2VjcmV0"}',
    "a key for encryption": json.dumps({**json.loads(jwk_of(a_key())), "use": "enc"}).encode(),
    "half a key": b'{"kty":"EC","crv":"P-256","x":"AAAA"}',
    "a curve that is not ours": b'{"kty":"EC","crv":"P-521","x":"AA","y":"AA"}',
    "a point that is not on its curve": json.dumps(
        {**json.loads(jwk_of(a_key())), "x": json.loads(jwk_of(a_key()))["y"]}
    ).encode(),
    "a list": b"[]",
    "nothing": b"",
    "no PEM": b"-----BEGIN PUBLIC KEY-----\ngarbage\n-----END PUBLIC KEY-----\n",
    "bytes": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("given", UNFIT.values(), ids=UNFIT)
def test_a_key_that_is_not_fit_is_not_registered(given: bytes) -> None:
    with pytest.raises(UnfitKey):
        public_keys.jwk_of(given)
