"""What a call may raise. Never with the body that was sent: it is about a person."""

from collections.abc import Mapping
from typing import Any


class Problem(Exception):
    """The network said no (RFC 9457). ``code`` is what programs branch on; ``errors`` maps JSON
    pointers into the body to what is wrong there, without repeating the value."""

    def __init__(self, status: int, code: str, detail: str, errors: Mapping[str, str]) -> None:
        super().__init__(f"{status} {code}" + "".join(f" {pointer or '/'}" for pointer in errors))
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = dict(errors)

    @property
    def pointers(self) -> list[str]:
        return list(self.errors)


class NotDecidedYet(Exception):
    """Taken (202) and not lost, but not decided while the client waited. ``request``: read it later
    with ``read_request``."""

    def __init__(self, request: str) -> None:
        super().__init__(f"request {request} is not decided yet")
        self.request = request


class Unreachable(Exception):
    """No answer while the client tried. Whether a call that changes something was taken is not
    known: repeat it with the same ``idempotency_key`` and it cannot happen twice."""

    def __init__(self, why: str, idempotency_key: str | None) -> None:
        super().__init__(why)
        self.idempotency_key = idempotency_key


def problem_of(status: int, document: Any) -> Problem:
    """A problem document as an exception; of any other body only the status."""
    if not isinstance(document, dict) or not isinstance(document.get("code"), str):
        return Problem(status, "unknown", f"HTTP {status}", {})
    errors = document.get("errors") or ()
    return Problem(
        status,
        document["code"],
        str(document.get("detail", "")),
        {str(error["pointer"]): str(error["detail"]) for error in errors},
    )
