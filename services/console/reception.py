"""The reception (受付): every request of a browser comes through here: who is it, may this person do
that, was the form one of ours. What a page shows is a function of the visit; the rooms that have such
functions ask the reception for their handlers.

A cookie is given to every visitor and changed at signing in. Forms carry a token made from it
(``csrf``), and a browser that says where a request comes from must say that it is from us.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Protocol
from urllib.parse import quote

import sqlalchemy as sa
from litestar import Request, Response, get, post
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from runtime.broker import NoAnswer
from runtime.clock import Clock
from runtime.incoming import CutOff
from runtime.observability import log
from runtime.settings import Settings
from runtime.streams import EVENT_STREAM
from services.console.forms import Form, Http
from services.console.looks import LooksNotRecorded
from services.console.metrics import Metrics
from services.console.pages import Pages
from services.console.person import Person, Role
from services.console.uploads import Upload
from services.console.visit import Flashes, Visit
from services.console.words import Language, Words
from wards.model import Ward

Act = Callable[[Visit], Awaitable[Response[bytes]]]

LANGUAGE = "tsunagu_language"
_YEAR = 365 * 86_400
_TOKEN = 43  # characters of a cookie that we gave
_TO_THE_FILE = 30.0
"""Seconds in which a form must have come; of one with a file, the fields before that."""
_DRAINED = 100 * 1024 * 1024
_LONGEST_DRAIN = 120.0
"""Bytes of a refused form with a file that are read all the same, and seconds: so that whoever sent too
large a scan is told so, in place of a lost connection."""
_DRAINED_AT_ONCE = 32


class People(Protocol):
    async def who(self, token: str, *, active: bool = True) -> Person | None:
        """Who signed in with this cookie, and still may be here. ``active``: a person did something,
        which prolongs the session."""


class Reception:
    def __init__(
        self,
        settings: Settings,
        ward: Ward,
        clock: Clock,
        people: People,
        pages: Pages,
        metrics: Metrics,
        secret: bytes,
    ) -> None:
        self._ward = ward
        self._clock = clock
        self._people = people
        self._pages = pages
        self._metrics = metrics
        self._secret = secret
        self._secure = settings.console_url.startswith("https://")
        self.cookie = self.for_this_host("tsunagu")
        self._flashes = Flashes()
        self._drained_now = 0

    # -- handlers --------------------------------------------------------------------------------

    def page(self, path: str, name: str, roles: Iterable[Role], act: Act) -> HTTPRouteHandler:
        """A page that changes nothing. ``name``: its label in the metrics."""

        @get(path)
        async def handler(request: Http) -> Response[bytes]:
            return await self._let(request, name, frozenset(roles), act, deed=False)

        return handler

    def deed(self, path: str, name: str, roles: Iterable[Role], act: Act) -> HTTPRouteHandler:
        """A form that was sent. ``act`` has what was typed in ``visit.form``."""

        @post(path, status_code=200)
        async def handler(request: Http) -> Response[bytes]:
            return await self._let(request, name, frozenset(roles), act, deed=True)

        return handler

    def upload(self, path: str, name: str, roles: Iterable[Role], act: Act) -> HTTPRouteHandler:
        """A form with a file (``multipart/form-data``). ``act`` has what stands before the file in
        ``visit.form``, and the file as it comes in ``visit.file``."""
        allowed = frozenset(roles)

        @post(path, status_code=200, request_max_body_size=None)
        async def handler(request: Http) -> Response[bytes]:
            coming = Upload(request)
            response = await self._let(request, name, allowed, act, deed=True, upload=coming)
            await self._drain(coming)
            if not coming.body.ended:
                response.headers["Connection"] = "close"
            return response

        return handler

    async def _drain(self, coming: Upload) -> None:
        """Browsers show no answer before they have sent everything."""
        if coming.body.ended or self._drained_now >= _DRAINED_AT_ONCE:
            return
        self._drained_now += 1
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LONGEST_DRAIN):
                    await coming.body.drain(_DRAINED)
        finally:
            self._drained_now -= 1

    def open_page(self, path: str, name: str, act: Act) -> HTTPRouteHandler:
        """For anybody, signed in or not."""

        @get(path)
        async def handler(request: Http) -> Response[bytes]:
            return await self._let(request, name, None, act, deed=False)

        return handler

    def open_deed(self, path: str, name: str, act: Act) -> HTTPRouteHandler:
        @post(path, status_code=200)
        async def handler(request: Http) -> Response[bytes]:
            return await self._let(request, name, None, act, deed=True)

        return handler

    def nowhere(self) -> HTTPRouteHandler:
        """Where there is no page, said to whoever is signed in with their menu around it."""

        async def act(visit: Visit) -> Response[bytes]:
            return self.refused(visit, HTTPStatus.NOT_FOUND, "not_found")

        return self.open_page("/{rest:path}", "nowhere", act)

    # -- who and whether -------------------------------------------------------------------------

    async def _let(
        self,
        request: Http,
        name: str,
        roles: frozenset[Role] | None,
        act: Act,
        *,
        deed: bool,
        upload: Upload | None = None,
    ) -> Response[bytes]:
        began = time.perf_counter()
        visit = self._visit(request)
        visit.upload = upload
        response = await self._answered(visit, roles, act, deed=deed)
        self._keep_cookie(visit, response)
        status = int(response.status_code or HTTPStatus.OK)
        self._metrics.observe(name, status, time.perf_counter() - began)
        return response

    async def _answered(
        self, visit: Visit, roles: frozenset[Role] | None, act: Act, *, deed: bool
    ) -> Response[bytes]:
        try:
            # What a page fetches for itself says nothing of whether somebody sits before it.
            active = deed or visit.request.headers.get("sec-fetch-dest", "document") == "document"
            visit.signed_in = await self._people.who(visit.token, active=active)
            if deed and not await self._reads(visit):
                return self.refused(visit, HTTPStatus.FORBIDDEN, "form")
            if roles is not None and visit.signed_in is None:
                return self._held(visit) if deed else self._to_login(visit)
            if deed and not self._ours(visit):
                stale = self.refused(visit, HTTPStatus.FORBIDDEN, "form")
                return stale if roles is None else self._held(visit)
            if roles is not None and visit.person.role not in roles:
                return self.refused(visit, HTTPStatus.FORBIDDEN, "role")
            return await act(visit)
        except NoAnswer:
            return self.refused(visit, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable")
        except LooksNotRecorded:
            return self.refused(visit, HTTPStatus.SERVICE_UNAVAILABLE, "not_recorded")
        except sa.exc.DBAPIError:
            log("console_database_failed", fault=True)
            return self.refused(visit, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable")

    def refused(self, visit: Visit, status: HTTPStatus, why: str) -> Response[bytes]:
        """A page that says what did not work, and what to do."""
        response = self._pages.render(visit, "error.html", int(status), why=why)
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            response.headers["Retry-After"] = "5"
        return response

    def _visit(self, request: Http) -> Visit:
        token = request.cookies.get(self.cookie, "")
        if len(token) != _TOKEN or not token.isascii():
            token = new_token()
        language: Language = "en" if request.cookies.get(LANGUAGE) == "en" else "ja"
        return Visit(
            request=request,
            words=Words(self._ward, language),
            token=token,
            now=self._clock.now(),
            csrf=self._csrf(token),
            flashes=self._flashes,
        )

    def _to_login(self, visit: Visit) -> Response[bytes]:
        if EVENT_STREAM in visit.request.headers.get("accept", ""):
            return Response(b"", status_code=204)  # which ends it: a browser does not come back
        return visit.goes_to(f"/login?next={quote(visit.here, safe='/')}")

    def _held(self, visit: Visit) -> Response[bytes]:
        """A form that came too late: its session is over, or somebody signed in anew in another tab. What
        was typed stays on the page, to be sent again; but for secrets, and what our page did not send."""
        path = visit.request.url.path
        kept = visit.form.kept()
        status = HTTPStatus.UNAUTHORIZED if visit.signed_in is None else HTTPStatus.FORBIDDEN
        if visit.request.headers.get("sec-fetch-site") != "same-origin" or visit.upload is not None:
            kept = []
        if not kept and visit.signed_in is None:
            return visit.goes_to("/login?next=/")
        if not kept:
            return self.refused(visit, status, "form")
        return self._pages.render(visit, "held.html", int(status), path=path, kept=kept)

    async def _reads(self, visit: Visit) -> bool:
        """A form that no other site has sent, in time, and of a form's size."""
        request = visit.request
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        try:
            async with asyncio.timeout(_TO_THE_FILE):
                if visit.upload is None:
                    visit.form = Form.read(await request.body())
                else:
                    visit.form = await visit.upload.begin()
        except (ValueError, CutOff, TimeoutError):
            return False
        return True

    def _ours(self, visit: Visit) -> bool:
        """Sent by one of our pages, to whoever has this cookie."""
        given = visit.form.get("csrf") or visit.request.headers.get("x-csrf", "")
        return hmac.compare_digest(given.encode(), visit.csrf.encode())

    def _csrf(self, token: str) -> str:
        made = hmac.digest(self._secret, b"csrf\x1f" + token.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(made).rstrip(b"=").decode()

    def _keep_cookie(self, visit: Visit, response: Response[bytes]) -> None:
        """``visit.token`` is another one after signing in or out."""
        if visit.request.cookies.get(self.cookie) != visit.token:
            response.set_cookie(
                self.cookie,
                visit.token,
                path="/",
                httponly=True,
                samesite="lax",
                secure=self._secure,
            )

    def keep_language(self, response: Response[bytes], language: Language) -> None:
        self.keep(response, LANGUAGE, language, _YEAR)

    def keep(
        self, response: Response[bytes], name: str, value: str, age: int, path: str = "/"
    ) -> None:
        """Another cookie, for ``age`` seconds; 0: it is kept no longer."""
        response.set_cookie(
            name, value, path=path, max_age=age, httponly=True, samesite="lax", secure=self._secure
        )

    def for_this_host(self, name: str) -> str:
        """A cookie's name, such that over https no other host of the domain can have set it."""
        return f"__Host-{name}" if self._secure else name

    def key_for(self, purpose: str) -> bytes:
        """A key of 32 bytes that follows from the console's own, and is good for nothing else."""
        return hmac.digest(self._secret, b"key\x1f" + purpose.encode(), hashlib.sha256)

    # -- what no handler saw ---------------------------------------------------------------------

    def on_http_exception(self, request: Request, error: HTTPException) -> Response[bytes]:  # type: ignore[type-arg]
        """What the HTTP layer itself refuses, as a page like every other."""
        status = HTTPStatus(error.status_code)
        why = {404: "not_found", 405: "not_found", 413: "too_large"}.get(
            error.status_code, "invalid"
        )
        return self.refused(self._visit(request), status, why)

    def on_fault(self, request: Request, error: Exception) -> Response[bytes]:  # type: ignore[type-arg]
        """A fault of ours: a plain 500 that leaks nothing."""
        log("page_failed", fault=True, error=type(error).__name__)
        return self.refused(self._visit(request), HTTPStatus.INTERNAL_SERVER_ERROR, "fault")


def new_token() -> str:
    """For a cookie: 256 bits, 43 characters."""
    return secrets.token_urlsafe(32)
