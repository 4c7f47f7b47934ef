"""Where the network is and which key is the agency's, as the command line finds them."""

from pathlib import Path

from runtime import network_url as network
from runtime.keys import KeyFileError, agency_key, refuse_open


class NotFound(RuntimeError):
    """Said in both languages, for whoever typed the command."""


def network_url(home: Path, url: str | None, *, insecure: bool = False) -> str:
    """The one given, or that of the network which runs in ``home``, if a key may be sent there."""
    try:
        return network.network_url(home, url, insecure=insecure)
    except network.UrlError as error:
        raise NotFound(str(error)) from None


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
