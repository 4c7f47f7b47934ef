"""A real provider in a process of its own (oidc-provider on node), and somebody's browser there."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey

from runtime.nats_server import free_port
from tests.outside_tools import node_packages

SOURCES = Path(__file__).with_name("provider")
CLIENT, SECRET = "tsunagu-console", "a sample: secret/with+signs"
HOME = "http://console.test"
_FORM = re.compile(r'<form[^>]*action="([^"]+)"')
_PROMPT = re.compile(r'name="prompt" value="([^"]+)"')


class OpenIdProvider:
    def __init__(self, process: subprocess.Popen[str], issuer: str, key: RSAKey) -> None:
        self.process = process
        self.issuer = issuer
        self._key = key

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def signs(self, claims: dict[str, Any], key: RSAKey | None = None, alg: str = "RS256") -> str:
        """An ID token with these claims; by its own key, or by another's under the same name."""
        header = {"alg": alg, "kid": "sample"}
        return jwt.encode(header, claims, key or self._key, algorithms=[alg])

    async def visited(self, address: str, subject: str) -> httpx.Response:
        """A browser at ``address`` that signs in as ``subject``; where it is sent back to."""
        async with httpx.AsyncClient(timeout=10) as browser:
            answered = await browser.get(address)
            for _ in range(12):
                if answered.is_redirect:
                    to = urljoin(str(answered.url), answered.headers["location"])
                    if to.startswith(HOME):
                        return answered
                    answered = await browser.get(to)
                    continue
                form, prompt = _FORM.search(answered.text), _PROMPT.search(answered.text)
                assert form, f"{answered.status_code}: {answered.text[:500]}"
                fields = {"prompt": prompt[1] if prompt else "", "login": subject, "password": "x"}
                to = urljoin(str(answered.url), unescape(form[1]))
                answered = await browser.post(to, data=fields)
        raise AssertionError("it never sends its visitors back")


@contextmanager
def running_provider(folder: Path) -> Iterator[OpenIdProvider]:
    packages = node_packages(SOURCES, "provider")
    shutil.copy(SOURCES / "provider.mjs", packages)
    port = free_port()
    key = RSAKey.generate_key(2048, {"kid": "sample", "use": "sig", "alg": "RS256"}, private=True)
    client = {
        "client_id": CLIENT,
        "client_secret": SECRET,
        "redirect_uris": [f"{HOME}/login/provider/back"],
        "post_logout_redirect_uris": [f"{HOME}/signed-out"],
    }
    told = {"port": port, "client": client, "jwks": {"keys": [key.as_dict(private=True)]}}
    config = folder / "provider.json"
    config.write_text(json.dumps(told))
    with (folder / "provider.log").open("w") as errors:
        process = subprocess.Popen(
            ["node", str(packages / "provider.mjs"), str(config)],
            cwd=packages,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.strip() == "ready":
                break
        else:
            raise AssertionError((folder / "provider.log").read_text())
        yield OpenIdProvider(process, f"http://127.0.0.1:{port}", key)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
