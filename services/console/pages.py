"""Pages (画面): from a template and what it is about to an answer. No scripts or styles but our own files."""

import hashlib
import re
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from markupsafe import Markup

from runtime.settings import Settings
from services.console.person import has_board
from services.console.visit import Visit, new_key
from wards.model import Ward

_HERE = Path(__file__).parent
HTML = "text/html"  # in UTF-8, which Litestar adds
_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "media-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Nothing of a page is kept, so nobody who comes back after a logout sees one.
    "Cache-Control": "no-store",
}


class Pages:
    """Templates are read once, at the start."""

    def __init__(self, ward: Ward, settings: Settings) -> None:
        self._ward = ward
        self._oidc = bool(settings.console_oidc_issuer)
        self._static = Static()
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )

    def html(self, visit: Visit, template: str, **context: Any) -> str:
        """A page, or a fragment of one."""
        words = visit.words
        fields = Markup('<input type="hidden" name="{}" value="{}">')
        return self._environment.get_template(template).render(
            ward=self._ward,
            words=words,
            lang=words.language,
            person=visit.signed_in,
            now=visit.now,
            here=visit.here,
            path_here=visit.here.partition("?")[0],
            t=words.t,
            agency=words.agency,
            district=words.district,
            desk=words.desk,
            term=words.term,
            code=words.code,
            moment=words.moment,
            span=words.span,
            csrf=lambda: fields.format("csrf", visit.csrf),
            csrf_token=visit.csrf,
            key=lambda: fields.format("key", new_key()),
            static=self._static.url,
            has_oidc=self._oidc,
            has_board=visit.signed_in is not None and has_board(visit.signed_in.agency, self._ward),
            **context,
        )

    def render(
        self, visit: Visit, template: str, status: int = 200, **context: Any
    ) -> Response[bytes]:
        """What was to be said once is said here, if this is what somebody will look at."""
        person = visit.signed_in
        fetched = visit.request.headers.get("sec-fetch-dest", "document")
        looked_at = status < HTTPStatus.BAD_REQUEST and fetched == "document"
        flashes = visit.flashes.take(person.session) if person is not None and looked_at else []
        body = self.html(visit, template, flashes=flashes, **context)
        return Response(body.encode(), status_code=status, media_type=HTML, headers=HEADERS)

    def handlers(self) -> list[HTTPRouteHandler]:
        return [self._static.handler()]


class Static:
    """Our own files, under names that change when they do, so that a browser keeps them."""

    def __init__(self) -> None:
        self._files = {
            path.name: path.read_bytes()
            for path in sorted((_HERE / "static").iterdir())
            if path.suffix in _TYPES
        }
        self._version = {
            name: hashlib.sha256(body).hexdigest()[:12] for name, body in self._files.items()
        }

    def url(self, name: str) -> str:
        return f"/static/{self._version[name]}/{name}"

    def handler(self) -> HTTPRouteHandler:
        @get("/static/{version:str}/{name:str}", name="static", opt={"open": True})
        async def static(version: FromPath[str], name: FromPath[str]) -> Response[bytes]:
            body = self._files.get(name)
            if body is None or not re.fullmatch(r"[0-9a-f]{12}", version):
                raise NotFoundException
            kept = version == self._version[name]
            keep = "public, max-age=31536000, immutable" if kept else "no-store"
            headers = {**HEADERS, "Cache-Control": keep}
            return Response(body, media_type=_TYPES[Path(name).suffix], headers=headers)

        return static
