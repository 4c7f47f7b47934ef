"""Where the network is and which key is the agency's, as the command line finds them."""

from pathlib import Path
from urllib.parse import urlsplit

from runtime.keys import KeyFileError, agency_key, refuse_open

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class NotFound(RuntimeError):
    """Said in both languages, for whoever typed the command."""


def network_url(home: Path, url: str | None, *, insecure: bool = False) -> str:
    """The one given, or that of the network which runs in ``home``."""
    if url is None:
        try:
            url = (home / "url").read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            raise NotFound(
                f"{home} に動いているネットワークがありません。--url を付けてください"
                f" / no network runs in {home}; give --url"
            ) from None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NotFound("--url は https://… です / --url is a web address")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK and not insecure:
        raise NotFound(
            "http:// へは鍵を送りません（--insecure で送ります）"
            " / the key is not sent over http:// (--insecure sends it)"
        )
    return url


def key_of(path: Path, agency: str) -> str:
    """The agency's key in a file like ``keys.toml``, or in one that holds nothing but the key."""
    try:
        return agency_key(path, agency)
    except KeyFileError as error:
        raise NotFound(str(error)) from None


def secret_text(path: Path) -> str:
    """What is in a file that only its owner can read."""
    try:
        refuse_open(path)
        return path.read_text(encoding="utf-8").strip()
    except KeyFileError as error:
        raise NotFound(f"ほかの人も読めるファイルです / {error}") from None
    except (OSError, ValueError):
        raise NotFound(f"ファイルが読めません / cannot read {path}") from None
