"""Passwords (パスワード): which are good enough, and whether one is right. Argon2id, RFC 9106; what may be a
password follows NIST SP 800-63B: long enough, not easily guessed, and no other rules."""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import TypeVar

from argon2 import Parameters, PasswordHasher, profiles
from argon2.exceptions import InvalidHashError, VerificationError

R = TypeVar("R")

SHORTEST, LONGEST = 12, 256  # characters, after NFKC
_AT_ONCE = 2  # each takes 64 MiB while it is worked out
_MOST_WAITING = 40
_SHORT_WORD = 4  # a name of fewer letters makes nothing easy to guess

# Of what people choose most, what is long enough: long runs of the keyboard, and words repeated.
_COMMONEST = (
    "password", "passw0rd", "p@ssword", "qwerty", "qwertyuiop", "asdfghjkl", "zxcvbnm", "1q2w3e4r5t6y",
    "1qaz2wsx3edc", "letmein", "welcome", "iloveyou", "administrator", "admin", "changeme", "abc",
    "sakura", "doraemon", "arigato", "konnichiwa", "nippon", "kyoto", "tokyo", "パスワード", "ぱすわーど",
    "さくら", "ありがとう", "tsunagu", "つなぐ", "ツナグ",
)  # fmt: skip
_RUNS = (
    "0123456789012345678901234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
)


class Bad(StrEnum):
    """Why a password will not do."""

    SHORT = "short"
    LONG = "long"
    GUESSABLE = "guessable"


class Busy(RuntimeError):
    """Too many passwords are being worked out already."""


def plain(password: str) -> str | None:
    """As it is hashed: full-width and half-width letters are the same. None: longer than any."""
    if len(password) > 2 * LONGEST:
        return None
    made = unicodedata.normalize("NFKC", password)
    return made if len(made) <= LONGEST else None


def why_not(password: str, names: Iterable[str]) -> Bad | None:
    """What is wrong with a new password. ``names``: what everybody knows of its owner."""
    made = plain(password)
    if made is None:
        return Bad.LONG
    if len(made) < SHORTEST:
        return Bad.SHORT
    return Bad.GUESSABLE if _is_guessable(made.casefold(), names) else None


def _is_guessable(password: str, names: Iterable[str]) -> bool:
    if len(set(password)) < _SHORT_WORD or any(
        password in run * 2 for run in (*_RUNS, *_backwards())
    ):
        return True
    known = {unicodedata.normalize("NFKC", name).casefold() for name in names}
    known = {name for name in known if len(name) >= _SHORT_WORD} | set(_COMMONEST)
    # What is left when the well-known is taken away has to be something: "bunkyo-ward-2026!" is not.
    left = password
    for name in sorted(known, key=len, reverse=True):
        left = left.replace(name, "")
    letters = "".join(c for c in left if c.isalpha())
    return left != password and len(set(letters)) < _SHORT_WORD


def _backwards() -> tuple[str, ...]:
    return tuple(run[::-1] for run in _RUNS)


class Passwords:
    """Hashes and compares, in threads of its own: never more than two at once."""

    def __init__(self, parameters: Parameters = profiles.RFC_9106_LOW_MEMORY) -> None:
        self._hasher = PasswordHasher.from_parameters(parameters)
        self._threads = ThreadPoolExecutor(_AT_ONCE, "passwords")
        self._waiting = 0
        # For logins that do not exist: it takes as long to find out that this is not it.
        self._nobodys = self._hasher.hash(secrets.token_urlsafe(32))

    async def is_right(self, kept: str | None, typed: str) -> bool:
        """Whether ``typed`` is the password behind the text ``kept``; takes as long when there is
        none. Raises Busy."""
        return await self._work(self.is_right_now, kept, typed)

    async def kept(self, password: str) -> str:
        """What to keep of a password. Raises Busy."""
        return await self._work(self.kept_now, password)

    def is_right_now(self, kept: str | None, typed: str) -> bool:
        made = plain(typed)
        try:
            right = self._hasher.verify(kept or self._nobodys, _bytes(made or ""))
        except (VerificationError, InvalidHashError):
            return False
        return right and kept is not None and made is not None

    def kept_now(self, password: str) -> str:
        made = plain(password)
        if made is None:
            raise ValueError("longer than any password")
        return self._hasher.hash(_bytes(made))

    def is_outdated(self, kept: str) -> bool:
        """Made with other parameters than those of today."""
        return self._hasher.check_needs_rehash(kept)

    async def _work(self, work: Callable[..., R], *args: object) -> R:
        if self._waiting >= _MOST_WAITING:
            raise Busy
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)
        finally:
            self._waiting -= 1


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
