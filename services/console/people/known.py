"""Browsers in which somebody signed in lately (前にサインインしたブラウザ): a mark in a cookie, by which they are told
from strangers when very many wrong passwords come from everywhere. It opens nothing.

``WHEN.WHOSE.SEAL``: seconds of the epoch, HMAC-SHA256 of the account under the console's key, and HMAC-SHA256
of both. Whoever reads it learns neither login nor account; all marks of one account are alike in WHOSE, so that
many of them give no more leave to be wrong than one.
"""

import hashlib
import hmac
from datetime import timedelta
from uuid import UUID

from runtime.clock import Clock

COOKIE = "tsunagu_known"
GOOD_FOR = timedelta(days=90)
_LONGEST = 160  # characters


class Known:
    def __init__(self, key: bytes, clock: Clock) -> None:
        self._key = key
        self._clock = clock

    def mark(self, account: UUID) -> str:
        """For the browser in which this account signed in now."""
        said = f"{int(self._clock.now().timestamp())}.{self._made('whose', str(account))}"
        return f"{said}.{self._made('seal', said)}"

    def whose(self, mark: str) -> str | None:
        """WHOSE of a mark of ours that is good still."""
        said, _, seal = mark.rpartition(".")
        when, _, whose = said.partition(".")
        if len(mark) > _LONGEST or not mark.isascii():
            return None
        if not hmac.compare_digest(seal, self._made("seal", said)):
            return None
        age = self._clock.now().timestamp() - int(when)
        return whose if age < GOOD_FOR.total_seconds() else None

    def _made(self, what: str, text: str) -> str:
        return hmac.digest(self._key, f"{what}\x1f{text}".encode(), hashlib.sha256).hex()
