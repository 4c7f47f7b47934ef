"""A partner that is played: posts, answers by rules, receives, and is slow, down or wrong."""

import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from rich.console import Console
from typer.testing import CliRunner

from partners.client import Client
from partners.conformance.sending import Endpoint
from partners.listener import Manners, Wrong, listening
from partners.play.partner import Part, Player
from partners.play.rules import Accept, Decline, Rules, Silence, read_answer, read_rules
from partners.play.samples import NAMES, case
from partners.play.telling import Telling
from partners.receiver import Reply
from runtime.nats_server import free_port
from runtime.webhook import secret_key
from services.cli import app
from tests.network import RunningNetwork, eventually
from tests.partners import a_referral
from tests.through_their_own_systems.receiving import HUB, Otsuka, command

KeyOf = Callable[[str], str]
ClientOf = Callable[[str], Client]
SECRET = "whsec_dHN1bmFndS1zYW1wbGUtc2VjcmV0LW9mLTMyLWJ5dGU="
TO_PLAY = Part("sample-home", lasts=60)


class Played:
    def __init__(self, client: Client, part: Part) -> None:
        self._told = io.StringIO()
        self.telling = Telling(Console(file=self._told, width=200, highlight=False))
        self.player = Player(client, part, self.telling)
        self._thread = threading.Thread(target=self.player.play, daemon=True)
        self._thread.start()

    @property
    def told(self) -> str:
        return self._told.getvalue()

    def stop(self) -> None:
        self.player.stop()
        self._thread.join(20)
        assert not self._thread.is_alive()


@contextmanager
def playing(client: Client, part: Part) -> Iterator[Played]:
    played = Played(client, part)
    try:
        eventually(lambda: "受信箱" in played.told or "Webhook" in played.told, 10, "playing")
        yield played
    finally:
        played.stop()


def offered(network: RunningNetwork, function: str = "emergency", to: str = "sample-home") -> str:
    """A referral that was offered to the played agency; its id."""
    sender = network.partner("anshin-motofuji")
    posted = sender.posts(a_referral().having(function=function).without("requested_action").to(to))
    assert posted.status == 201, posted.body
    return posted.id


def custodian(network: RunningNetwork, referral: str) -> str:
    return str(network.partner("anshin-motofuji").reads(referral).body["custodian"])


def handoff(network: RunningNetwork, referral: str) -> dict[str, str]:
    body = network.partner("anshin-motofuji").reads(referral).body
    first: dict[str, str] = body["handoffs"][0]
    return first


# -- it answers ---------------------------------------------------------------------------------------


def test_it_accepts_what_it_is_offered_before_and_while_it_plays(
    network: RunningNetwork, client: ClientOf
) -> None:
    before = offered(network)
    with playing(client("sample-home"), TO_PLAY) as played:
        while_ = offered(network)
        for referral in (before, while_):
            eventually(
                lambda r=referral: custodian(network, r) == "sample-home",  # type: ignore[misc]
                15, lambda: f"taken by sample-home; {played.told}",
            )  # fmt: skip
        eventually(lambda: "受諾された" in played.told, 15, "the acceptance in its own inbox")
    for personal in ("文京 太郎", "03-0000-0000", "青木ビル", "母が急病", "1980"):
        assert personal not in played.told


def test_it_declines_by_function_and_is_silent_where_it_is_told_to_be(
    network: RunningNetwork, client: ClientOf
) -> None:
    rules = Rules(Silence(), {"emergency": Decline("no_capacity")})
    with playing(client("sample-home"), replace(TO_PLAY, rules=rules)) as played:
        silent = offered(network, "consultation")
        declined = offered(network, "emergency")
        eventually(lambda: handoff(network, declined)["state"] == "declined", 15, "declined")
        assert handoff(network, declined)["reason"] == "no_capacity"
        assert handoff(network, silent)["state"] == "offered"
        assert played.telling.counts["answered"] == 1


def test_it_takes_its_time(network: RunningNetwork, client: ClientOf) -> None:
    with playing(client("sample-home"), replace(TO_PLAY, rules=Rules(after=1.5))):
        referral = offered(network)
        began = time.monotonic()
        eventually(lambda: custodian(network, referral) == "sample-home", 15, "accepted")
        assert time.monotonic() - began > 1.0


def test_a_refusal_is_told_by_its_code_and_it_goes_on(
    network: RunningNetwork, client: ClientOf
) -> None:
    part = replace(TO_PLAY, rules=Rules(Decline("no_such_reason")))
    with playing(client("sample-home"), part) as played:
        offered(network)
        eventually(lambda: "422 invalid_request" in played.told, 15, "the refusal")
        offered(network)
        eventually(lambda: played.telling.counts["refused"] >= 2, 15, "it goes on")


@pytest.mark.parametrize("name", NAMES)
def test_every_sample_case_is_taken_by_the_sample_ward(client: ClientOf, name: str) -> None:
    given = client("anshin-motofuji").submit_referral(case(name))
    assert given.stage == ("awaiting_ruling" if name == "undecidable" else "offered")


def test_it_posts_so_many_at_such_a_rate(network: RunningNetwork, client: ClientOf) -> None:
    part = Part("hub-komagome", cases=("urgent", "trial"), count=6, rate=20, lasts=30)
    with playing(client("hub-komagome"), part) as played:
        eventually(lambda: played.telling.counts["posted"] == 6, 20, lambda: played.told)
    mine = network.partner("hub-komagome").lists(limit=50).body["items"]
    assert {r["function"] for r in mine if r["sender"] == "hub-komagome"} == {
        "emergency", "experience",
    }  # fmt: skip


def test_rules_are_read_as_they_are_written() -> None:
    assert read_rules(["emergency=accept", "experience=decline:closed", "community=ignore"]) == {
        "emergency": Accept(), "experience": Decline("closed"), "community": Silence(),
    }  # fmt: skip
    for wrong in ("accept:now", "decline", "perhaps", ""):
        with pytest.raises(ValueError, match="accept, decline:CODE, ignore"):
            read_answer(wrong)
    with pytest.raises(ValueError, match="FUNCTION="):
        read_rules(["accept"])


# -- it receives --------------------------------------------------------------------------------------


def test_it_verifies_counts_and_takes_an_event_once(
    network: RunningNetwork, client: ClientOf
) -> None:
    port = free_port()
    part = replace(TO_PLAY, secrets=(SECRET,), port=port, rules=Rules(Silence()))
    endpoint = Endpoint(f"http://127.0.0.1:{port}/webhook", secret_key(SECRET), "sample-home")
    stranger = Endpoint(f"http://127.0.0.1:{port}/webhook", secret_key(OTHER), "sample-home")
    with playing(client("sample-home"), part) as played:
        first, second, third = (endpoint.event() for _ in range(3))
        assert endpoint.post(first).took
        assert endpoint.post(first).took
        assert stranger.post(second).refused
        assert endpoint.post(third).took
        eventually(lambda: played.telling.counts["came"] == 2, 10, lambda: played.told)
        assert played.player.numbers == (1, [2])
        eventually(lambda: "まだ届いていない番号" in played.told, 10, lambda: played.told)
        assert endpoint.post(second).took
        eventually(lambda: played.player.numbers == (3, []), 5, "whole")
    endpoint.close()
    stranger.close()
    counts = played.telling.counts
    assert (counts["again"], counts["forged"]) == (1, 1)
    assert "打診した" in played.told


OTHER = "whsec_" + "QUJD" * 11


@pytest.mark.slow
def test_it_answers_what_the_network_sends_to_its_port(tmp_path: Path) -> None:
    """The whole way: a referral, delivery's signed webhook, the played hub's answer."""
    port = free_port()
    network = Otsuka(tmp_path / "home", f"http://127.0.0.1:{port}/webhook")
    try:
        made = command(network, "credentials", "new", "webhook_secret", HUB, "--json")
        (secret,) = re.findall(r"whsec_[A-Za-z0-9+/=]+", made.stdout)
        keys = network.partner(HUB).key
        part = Part(HUB, secrets=(secret,), port=port, lasts=60)
        with Client(network.url, keys) as hub, playing(hub, part) as played:
            posted = [
                network.partner("anshin-otsuka").posts(a_referral().to(HUB)).id for _ in range(5)
            ]
            for referral in posted:
                eventually(
                    lambda r=referral: (  # type: ignore[misc]
                        network.partner("anshin-otsuka").reads(r).body["custodian"] == HUB
                    ),
                    30,
                    lambda: played.told,
                )
            head = network.partner(HUB).inbox(limit=1).body["head"]
            eventually(
                lambda: played.player.numbers == (head, []), 30, lambda: str(played.player.numbers)
            )
        assert played.telling.counts["forged"] == 0
        assert secret.removeprefix("whsec_") not in played.told
    finally:
        network.stop()


def test_it_is_slow_down_and_wrong_on_request() -> None:
    def asked(manners: Manners, timeout: float = 5.0) -> tuple[float, httpx.Response | str]:
        with listening(lambda _headers, _body: Reply(204, "taken"), manners=manners) as url:
            began = time.monotonic()
            answer: httpx.Response | str
            try:
                with httpx.stream("POST", url, content=b"{}", timeout=timeout) as answer:
                    pass
            except httpx.TransportError as error:
                answer = type(error).__name__
            return time.monotonic() - began, answer

    def status(manners: Manners) -> int:
        _, answer = asked(manners)
        assert isinstance(answer, httpx.Response)
        return answer.status_code

    assert status(Manners()) == 204
    slow, answer = asked(Manners(slow=0.6))
    assert slow >= 0.6
    assert isinstance(answer, httpx.Response)
    assert asked(Manners(down=30.0))[1] == "ConnectError"
    assert status(Manners(wrong=Wrong.STATUS, status=418)) == 418
    assert status(Manners(wrong=Wrong.REDIRECT)) == 307
    assert asked(Manners(wrong=Wrong.HANG), timeout=0.5)[1] == "ReadTimeout"
    _, huge = asked(Manners(wrong=Wrong.HUGE))
    assert isinstance(huge, httpx.Response)
    assert int(huge.headers["content-length"]) == 1024**3


def test_after_being_down_it_is_there() -> None:
    with listening(lambda _h, _b: Reply(204, "taken"), manners=Manners(down=0.4)) as url:

        def there() -> bool:
            try:
                return httpx.post(url, content=b"{}").status_code == 204
            except httpx.ConnectError:
                return False

        assert not there()
        eventually(there, 5, "there again")


# -- the command line ---------------------------------------------------------------------------------


def test_the_command_line_plays_and_tells_what_it_did(
    network: RunningNetwork, key_of: KeyOf, tmp_path: Path
) -> None:
    key = tmp_path / "agency.key"
    key.write_text(key_of("sample-hospital"))
    key.chmod(0o600)
    done = CliRunner().invoke(
        app,
        [
            "partner", "--agency", "sample-hospital", "--url", network.url, "--key-file", str(key),
            "--count", "2", "--rate", "10", "--case", "urgent", "--for", "3",
        ],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "出した 2" in done.output
    assert "posted 2" in done.output
    assert key_of("sample-hospital") not in done.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--url", "http://tsunagu.example"), "--insecure"),
        (("--listen", "8999"), "--secret-file"),
        (("--case", "nonsense"), "emergency"),
        (("--rule", "nonsense"), "FUNCTION="),
        (("--key-file", "/nowhere/agency.key"), "cannot read"),
    ],
)
def test_what_was_typed_wrongly_is_told(
    network: RunningNetwork,
    key_of: KeyOf,
    tmp_path: Path,
    arguments: tuple[str, ...],
    told: str,
) -> None:
    key = tmp_path / "agency.key"
    key.write_text(key_of("core"))
    key.chmod(0o600)
    usual = ("--url", network.url, "--key-file", str(key))
    done = CliRunner().invoke(app, ["partner", "--agency", "core", *usual, *arguments])
    assert done.exit_code == 2
    assert told in done.output
