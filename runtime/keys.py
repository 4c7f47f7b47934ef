"""Keys in files that only their owner can read."""

import os
import re
import secrets
import tomllib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class KeyFileError(RuntimeError):
    """A key file is unreadable or too open; the text names the file, never what is in it."""


def secret_bytes(path: Path, length: int = 32) -> bytes:
    """The key in ``path``, made at the first use. Processes that start together agree on one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        made = path.with_name(f".{path.name}.{os.getpid()}")
        with open(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(secrets.token_bytes(length))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(made, path)  # fails if someone else was first; then theirs is the key
        except FileExistsError:
            pass
        finally:
            made.unlink()
    refuse_open(path)
    key = path.read_bytes()
    if len(key) != length:
        raise KeyFileError(f"{path.name} does not hold a key of {length} bytes")
    return key


def refuse_open(path: Path) -> None:
    """Raise KeyFileError if others than the owner can read the file."""
    if path.stat().st_mode & 0o077:
        raise KeyFileError(f"{path.name} can be read by others; chmod 600 it")


def agency_key(path: Path, agency: str) -> str:
    """An agency's key in a file like ``keys.toml``, or in one that holds nothing but the key. Raises
    KeyFileError, said in both languages for whoever typed the command."""
    try:
        refuse_open(path)
        text = path.read_text(encoding="utf-8-sig").strip()
    except KeyFileError as error:
        raise KeyFileError(f"鍵のファイルを他の人も読めます / {error}") from None
    except (OSError, ValueError):
        raise KeyFileError(f"鍵のファイルが読めません / cannot read the key file {path}") from None
    try:
        key = tomllib.loads(text).get(agency, "")
    except (tomllib.TOMLDecodeError, RecursionError):
        key = text
    # What has a space or a quote in it is a file of keys with a slip of the pen, not a key.
    if not isinstance(key, str) or not re.fullmatch(r"[!#-&(-~]+", key):
        raise KeyFileError(f"{path} に {agency} の鍵がありません / no key of {agency} in {path}")
    return key


def signing_key(path: Path) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(secret_bytes(path))
