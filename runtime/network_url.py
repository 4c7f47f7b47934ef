"""Where the network is (接続先), for whoever is about to send an agency's key there."""

import ipaddress
import re
from pathlib import Path

_HOST = re.compile(r"[a-z0-9_.:-]+")
"""A name as DNS knows it, or an IP address; ``raw_host`` is in small letters and without brackets."""


class UrlError(RuntimeError):
    """The key may not be sent there, or nobody knows where; the text never repeats the URL, for somebody
    may have written a password into it."""


def network_url(home: Path, given: str | None, *, insecure: bool = False) -> str:
    """The URL that was given, or that of the network which runs in ``home``. A key goes over ``http://``
    to this machine only, elsewhere if ``insecure``. Raises UrlError, said in both languages for whoever
    typed the command."""
    url = _running_in(home) if given is None else given
    # By this it is read when something is sent there too; only a face of the network waits for it.
    import httpx

    try:
        asked = httpx.URL(url)
        host = asked.raw_host.decode("ascii")
        host.encode("idna")  # raises what looking it up would: a part that is empty or too long
    except (httpx.InvalidURL, ValueError):
        raise _not_a_url() from None
    if asked.scheme not in ("https", "http") or not _HOST.fullmatch(host):
        raise _not_a_url()
    if asked.port is not None and not 0 < asked.port <= 65_535:
        raise _not_a_url()
    if asked.userinfo:
        raise UrlError(
            "URL に利用者名や合言葉を書かないでください。鍵は --key-file で渡します"
            " / no user or password in the URL: the key is in a file, --key-file"
        )
    if asked.query or asked.fragment:
        raise _not_a_url()
    if asked.scheme == "http" and not insecure and not _is_this_machine(host):
        raise UrlError(
            "http:// では鍵も内容も暗号化されずに流れます。https:// にするか、承知のうえなら --insecure を"
            " / key and contents would travel unencrypted over http://: use https://, or --insecure if"
            " you know why"
        )
    return url


def _running_in(home: Path) -> str:
    try:
        return (home / "url").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        raise UrlError(
            f"{home} に動いているネットワークがありません。--url を付けてください"
            f" / no network runs in {home}; give --url"
        ) from None


def _not_a_url() -> UrlError:
    return UrlError("接続先の URL ではありません（https://…） / not a URL of a network (https://…)")


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
