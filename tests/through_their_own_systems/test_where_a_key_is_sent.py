"""An agency's key goes to the network and to nobody else: over https://, or to this machine, and whoever types
something else is told so before anything was sent."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from runtime.network_url import UrlError, network_url
from services.cli import app
from tests.through_their_own_systems.csv_sheets import cells, written
from tests.through_their_own_systems.scripted import Said, scripted

KEY = "tsunagu_key_of_the_test"
COMMANDS = {
    "watch": ("watch", "--once"),
    "csv post": ("csv", "post", "{sheet}"),
    "csv get": ("csv", "get", "--out", "{out}"),
    "csv events": ("csv", "events", "--out", "{out}"),
    "inbox verify": ("inbox", "verify"),
    "partner": ("partner", "--for", "0"),
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    keys = home / "keys.toml"
    keys.write_text(f'core = "{KEY}"\n', "utf-8")
    keys.chmod(0o600)
    written(home / "in.csv", cells("where-1"))
    return home


def typed(home: Path, command: str, *more: str, **environment: str) -> Result:
    places = {"{sheet}": str(home / "in.csv"), "{out}": str(home / "out.csv")}
    words = [places.get(word, word) for word in COMMANDS[command]]
    return CliRunner().invoke(
        app,
        [*words, "--agency", "core", *more],
        env={"TSUNAGU_HOME": str(home), "COLUMNS": "300", **environment},
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://tsunagu.example", "https://tsunagu.example:8443/", "https://つなぐ.example",
        "http://127.0.0.1:8700", "http://127.1.2.3:8700", "http://[::1]:8700",
        "http://localhost:8700", "http://LOCALHOST",
    ],
)  # fmt: skip
def test_over_https_or_to_this_machine_it_is_sent(tmp_path: Path, url: str) -> None:
    assert network_url(tmp_path, url) == url
    (tmp_path / "url").write_text(f"{url}\n", "utf-8")
    if url.isascii():
        assert network_url(tmp_path, None) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://tsunagu.example", "http://192.0.2.7:8700", "http://[2001:db8::1]",
        "http://localhost.tsunagu.example", "http://127.0.0.1.tsunagu.example",
        "HTTP://tsunagu.example",
    ],
)  # fmt: skip
def test_to_another_machine_it_goes_unencrypted_only_where_that_is_wanted(
    tmp_path: Path, url: str
) -> None:
    with pytest.raises(UrlError, match="--insecure"):
        network_url(tmp_path, url)
    assert network_url(tmp_path, url, insecure=True) == url


@pytest.mark.parametrize(
    "url",
    [
        "https://agency:hidden@tsunagu.example", "https://hidden@tsunagu.example",
        "https://:hidden@tsunagu.example", "http://agency:hidden@127.0.0.1:8700",
        "https://tsunagu.example\\hidden@elsewhere.example",
    ],
)  # fmt: skip
def test_a_password_in_the_url_is_refused_and_not_repeated(tmp_path: Path, url: str) -> None:
    for insecure in (False, True):
        with pytest.raises(UrlError, match="--key-file") as told:
            network_url(tmp_path, url, insecure=insecure)
        assert "hidden" not in str(told.value)


@pytest.mark.parametrize(
    "url",
    [
        "", "hidden", "hidden.example:8700", "ftp://hidden.example", "file:///hidden", "https://",
        "https:///hidden", "https://hidden..example", f"https://{'hidden' * 12}.example",
        "https://hidden.example:0", "https://hidden.example:65536", "https://hidden.example:x",
        "https://[hidden", "http://127.0.0.1%2ehidden.example", "http://[::1%25hidden]",
        "https://hidden.example?ward=1", "https://hidden.example#1",
        "https://hidden.example\n", "https://hidden\x00.example", "https://hidden\udcff.example",
    ],
)  # fmt: skip
def test_what_is_no_web_address_is_refused_and_not_repeated(tmp_path: Path, url: str) -> None:
    for insecure in (False, True):
        with pytest.raises(UrlError, match="not a URL") as told:
            network_url(tmp_path, url, insecure=insecure)
        assert "hidden" not in str(told.value)
        assert told.value.__cause__ is None


@pytest.mark.parametrize("kept", [None, "https://つなぐ.example", b"\xff\xfe"])
def test_where_no_network_runs_the_url_is_asked_for(
    tmp_path: Path, kept: str | bytes | None
) -> None:
    if kept is not None:
        (tmp_path / "url").write_bytes(kept if isinstance(kept, bytes) else kept.encode())
    with pytest.raises(UrlError, match="--url を付けて"):
        network_url(tmp_path, None)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("told_by", ["typed", "read"])
def test_every_command_refuses_it_in_the_same_words_before_anything_is_sent(
    home: Path, command: str, told_by: str
) -> None:
    with scripted(lambda _, __: Said(500)) as network:
        port = network.url.rpartition(":")[2]
        for url, words in (
            (f"http://agency:hidden@127.0.0.1:{port}", "鍵は --key-file で"),
            (f"http://0.0.0.0:{port}", "承知のうえなら --insecure を"),
            (f"ftp://127.0.0.1:{port}", "接続先の URL ではありません"),
        ):
            (home / "url").write_text(url, "ascii")
            done = typed(home, command, *(("--url", url) if told_by == "typed" else ()))
            assert done.exit_code == (1 if command == "watch" else 3 if "csv" in command else 2)
            assert words in done.stderr
            assert "hidden" not in done.output
            assert KEY not in done.output
            assert isinstance(done.exception, SystemExit)
    assert network.heard == []
    assert not (home / "out.csv").exists()
    assert not list(home.glob("*.state"))


@pytest.mark.parametrize("command", COMMANDS)
def test_it_is_sent_where_it_was_wanted(home: Path, command: str) -> None:
    """So that the refusals above are not those of a command that sends nothing at all."""
    with scripted(lambda _, __: Said(401, {"code": "unauthenticated"})) as network:
        port = network.url.rpartition(":")[2]
        typed(home, command, "--url", f"http://0.0.0.0:{port}", "--insecure")
    assert {heard.headers["authorization"] for heard in network.heard} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("command", [name for name in COMMANDS if name.startswith("csv")])
def test_a_mistake_in_the_settings_is_told_and_not_a_traceback(home: Path, command: str) -> None:
    done = typed(home, command, TSUNAGU_PORT="no number")
    assert done.exit_code == 2
    assert "TSUNAGU_PORT" in done.stderr
