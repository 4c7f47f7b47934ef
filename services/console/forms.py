"""What a form sent (送られた内容), as text."""

from typing import Any
from urllib.parse import parse_qsl

from litestar import Request

from schemas.my_number import masked

Http = Request[Any, Any, Any]

_MOST_FIELDS = 500
_SECRETS = frozenset({"password", "new", "again", "code"})
_NOT_TYPED = frozenset({"csrf", "key", "next", "back"})


class Form:
    """What was posted. Every field may be there several times, or not at all."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._fields: dict[str, list[str]] = {}
        for name, value in fields:
            self._fields.setdefault(name, []).append(value)

    @classmethod
    def read(cls, raw: bytes) -> "Form":
        """``application/x-www-form-urlencoded``. Raises ValueError for more fields than any form of
        ours has. What is not UTF-8 becomes U+FFFD; browsers write CRLF, we keep LF."""
        fields = parse_qsl(
            raw.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS,
            errors="replace",
        )  # fmt: skip
        return cls([(name, value.replace("\r\n", "\n")) for name, value in fields])

    def get(self, name: str, default: str = "") -> str:
        return self._fields.get(name, [default])[0]

    def all(self, name: str) -> list[str]:
        return list(self._fields.get(name, ()))

    def text(self, name: str) -> str | None:
        """Without the space around it; None when nothing was typed."""
        return self.get(name).strip() or None

    def items(self) -> list[tuple[str, str]]:
        return [(name, value) for name, values in self._fields.items() for value in values]

    def masked(self) -> "Form":
        """As it may be shown again: without the digits of any 個人番号."""
        return Form([(name, masked(value)) for name, value in self.items()])

    def kept(self) -> list[tuple[str, str]]:
        """What may be shown once more in a form that was not taken: no token, no 個人番号; and nothing
        at all of a form with a secret, or in which nothing was typed or chosen."""
        if self._fields.keys() & _SECRETS or not self._fields.keys() - _NOT_TYPED:
            return []
        return [(name, value) for name, value in self.masked().items() if name != "csrf"]
