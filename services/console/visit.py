"""A visit (来訪): one request of a browser, who it is, what was typed, in which language."""

import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from litestar import Response

from services.console.forms import Form, Http
from services.console.person import Person
from services.console.uploads import Upload
from services.console.words import Words

_MOST_FLASHES = 10_000
_LAST_FLASHES = 5


@dataclass(frozen=True, slots=True)
class Flash:
    """What is said once, on the next page. ``undo``: the deed that takes it back, and its hidden
    fields; ``alert``: something did not work."""

    ja: str
    en: str
    alert: bool = False
    undo: str | None = None
    undo_fields: Mapping[str, str] = field(default_factory=dict)


class Flashes:
    """By session, until the next page. In memory: what a restart forgets has been done all the same."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, list[Flash]] = OrderedDict()

    def add(self, session: str, flash: Flash) -> None:
        waiting = self._waiting.setdefault(session, [])
        waiting.append(flash)
        del waiting[:-_LAST_FLASHES]
        while len(self._waiting) > _MOST_FLASHES:
            self._waiting.popitem(last=False)

    def take(self, session: str) -> list[Flash]:
        return self._waiting.pop(session, [])


@dataclass(slots=True)
class Visit:
    """``token``: the visitor's cookie, which is there before anybody signs in. ``form``: of a deed."""

    request: Http
    words: Words
    token: str
    now: datetime
    csrf: str
    flashes: Flashes
    signed_in: Person | None = None
    form: Form = field(default_factory=lambda: Form([]))
    upload: Upload | None = None

    @property
    def file(self) -> Upload:
        """What comes with a form that has a file."""
        if self.upload is None:
            raise RuntimeError("this form has no file")
        return self.upload

    @property
    def person(self) -> Person:
        """Whoever is signed in; on a page that is for such people."""
        if self.signed_in is None:
            raise RuntimeError("nobody is signed in here")
        return self.signed_in

    @property
    def here(self) -> str:
        """The page that one is on. A form that is shown again after it was sent has the address of a
        deed, which cannot be gone to: then the page that it was sent from."""
        posted = self.request.method == "POST"
        at = self.request.headers.get("referer", "") if posted else str(self.request.url)
        url = urlsplit(at)
        return local_path(f"{url.path}?{url.query}" if url.query else url.path)

    @property
    def query(self) -> Mapping[str, str]:
        return dict(self.request.query_params)

    def path(self, name: str) -> str:
        """A parameter of the path."""
        return str(self.request.path_params.get(name, ""))

    def t(self, ja: str, en: str) -> str:
        return self.words.t(ja, en)

    def flash(
        self,
        ja: str,
        en: str,
        *,
        alert: bool = False,
        undo: str | None = None,
        **undo_fields: str,
    ) -> None:
        """Said once, on this person's next page."""
        said = Flash(ja, en, alert, undo, undo_fields)
        self.flashes.add(self.person.session, said)

    def goes_to(self, path: str) -> Response[bytes]:
        """303: the next page, with GET, so that going back or reloading posts nothing again."""
        return Response(b"", status_code=303, headers={"Location": local_path(path)})


def local_path(path: str, otherwise: str = "/") -> str:
    """A path of ours; anything that could lead elsewhere is ``otherwise``."""
    plain = path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if plain and path.isprintable() and path.isascii() else otherwise


def new_key() -> str:
    """An idempotency key for one showing of a form."""
    return secrets.token_urlsafe(16)
