"""A partner tests its own webhook endpoint before the network ever sends it anything."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from standardwebhooks import Webhook
from typer.testing import CliRunner

from partners.conformance.checks import CHECKS
from partners.conformance.report import Finding, document, examine, whole
from partners.conformance.sending import Endpoint
from partners.listener import Manners, Wrong, listening
from partners.receiver import Numbers, Receiver
from runtime.webhook import SecretError, secret_key
from schemas.partner import CloudEvent
from services.cli import app
from tests.through_their_own_systems import bad_endpoints as bad

SECRET = "whsec_dHN1bmFndS1zYW1wbGUtc2VjcmV0LW9mLTMyLWJ5dGU="


def examined(
    receive: bad.Receive, *, limit: float = 10.0, manners: Manners | None = None
) -> list[Finding]:
    with listening(receive, manners=manners or Manners()) as url:
        endpoint = Endpoint(url, secret_key(SECRET), "hub-motofuji", limit=limit)
        try:
            return examine(endpoint)
        finally:
            endpoint.close()


def failed(findings: list[Finding]) -> set[str]:
    return {finding.check.name for finding in findings if not finding.passed}


def test_a_good_endpoint_conforms() -> None:
    findings = examined(bad.good(SECRET))
    assert failed(findings) == set()
    assert whole(findings)
    assert len({check.name for check in CHECKS}) == len(CHECKS)


@pytest.mark.parametrize("fault", bad.FOUND_BY, ids=lambda fault: getattr(fault, "__name__", "?"))
def test_an_endpoint_with_one_fault_is_told_of_it_and_of_no_other(
    fault: Callable[[str], bad.Receive],
) -> None:
    found = failed(examined(fault(SECRET)))
    assert found - bad.MAY_ALSO_BE_FOUND_BY.get(fault, set()) == bad.FOUND_BY[fault]


def test_an_endpoint_that_knows_another_secret_is_told_that_it_takes_nothing() -> None:
    other = "whsec_" + "QUJD" * 11
    assert "good" in failed(examined(bad.good(other)))


def test_an_endpoint_that_answers_too_late_is_told_so() -> None:
    findings = examined(bad.good(SECRET), limit=0.3, manners=Manners(slow=0.5))
    assert not whole(findings)
    assert findings[0].statuses == "timeout"


def test_an_endpoint_that_is_late_only_at_times_is_told_so() -> None:
    findings = examined(bad.writes_it_down_slowly(SECRET), limit=0.5)
    assert "in_time" in failed(findings)


@pytest.mark.parametrize("wrong", [Wrong.STATUS, Wrong.REDIRECT, Wrong.HUGE, Wrong.HANG])
def test_a_wrong_endpoint_does_not_conform_and_holds_nobody_up(wrong: Wrong) -> None:
    findings = examined(bad.good(SECRET), limit=0.5, manners=Manners(wrong=wrong))
    assert not whole(findings)
    # A gigabyte is not read: the status is all that counts.
    assert "good" in failed(findings) or wrong is Wrong.HUGE


def test_nobody_there_is_told_after_one_question() -> None:
    endpoint = Endpoint("http://127.0.0.1:9/webhook", secret_key(SECRET), "hub-motofuji")
    findings = examine(endpoint)
    endpoint.close()
    assert len(findings) == 1
    assert not whole(findings)
    assert document(findings, endpoint.slowest)["passed"] is False


def test_what_is_sent_is_what_the_network_sends_and_of_nobody() -> None:
    endpoint = Endpoint("http://127.0.0.1:9/", secret_key(SECRET), "hub-motofuji", after=41)
    headers, body = endpoint.signed(endpoint.event())
    endpoint.close()
    event = json.loads(body)
    CloudEvent.model_validate(event)
    assert event["agencynumber"] == 42
    assert event["data"]["receiver"] == "hub-motofuji"
    # Verified by a library that is not ours.
    assert Webhook(SECRET).verify(body, headers) == event


# -- the receiver that is held up as a good one -------------------------------------------------------


def test_a_receiver_takes_an_event_once_however_often_it_comes() -> None:
    taken: list[object] = []
    receiver = Receiver([SECRET], taken.append)
    endpoint = Endpoint("http://127.0.0.1:9/", secret_key(SECRET), "hub-motofuji")
    event = endpoint.event()
    replies = [receiver.receive(*endpoint.signed(event)) for _ in range(3)]
    endpoint.close()
    assert [reply.why for reply in replies] == ["taken", "known already", "known already"]
    assert taken == [event]


def test_what_could_not_be_dealt_with_is_taken_when_it_comes_again() -> None:
    taken: list[object] = []

    def take(event: object) -> None:
        if not taken:
            taken.append("failed")
            raise OSError("disk full")
        taken.append(event)

    receiver = Receiver([SECRET], take)
    endpoint = Endpoint("http://127.0.0.1:9/", secret_key(SECRET), "hub-motofuji")
    event = endpoint.event()
    endpoint.close()
    with pytest.raises(OSError, match="disk full"):
        receiver.receive(*endpoint.signed(event))
    assert receiver.receive(*endpoint.signed(event)).why == "taken"
    assert taken == ["failed", event]


def test_numbers_say_what_is_missing() -> None:
    numbers = Numbers(after=0)
    for number in (1, 2, 5, 4):
        numbers.came(number)
    assert (numbers.whole_to, numbers.missing) == (2, [3])
    numbers.came(3)
    numbers.came(3)
    assert (numbers.whole_to, numbers.missing) == (5, [])
    assert Numbers().missing == []


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_あ", "whsec_QUJD", "no base64 at all!"])
def test_what_is_no_secret_is_refused_without_being_repeated(secret: str) -> None:
    with pytest.raises(SecretError) as refused:
        secret_key(secret)
    assert not secret or secret not in str(refused.value)


# -- the command line ---------------------------------------------------------------------------------


def conformance(url: str, secret_file: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["conformance", url, "--secret-file", str(secret_file), *more])


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "webhook.secret"
    path.write_text(SECRET + "\n")
    path.chmod(0o600)
    return path


def test_the_command_line_tells_in_both_languages_and_by_its_exit_code(secret_file: Path) -> None:
    with listening(bad.good(SECRET)) as url:
        done = conformance(url, secret_file)
    assert done.exit_code == 0, done.stdout + done.stderr
    assert f"{len(CHECKS)}/{len(CHECKS)} 適合 / conform" in done.stdout
    for check in CHECKS:
        assert check.ja in done.stdout
    with listening(bad.refuses_unknown_types(SECRET)) as url:
        done = conformance(url, secret_file, "--json")
    assert done.exit_code == 1
    report = json.loads(done.stdout)
    assert report["passed"] is False
    assert [c["name"] for c in report["checks"] if not c["passed"]] == ["unknown_type"]
    assert SECRET.removeprefix("whsec_") not in done.stdout + done.stderr


def test_a_secret_that_others_can_read_or_that_is_none_is_refused(secret_file: Path) -> None:
    secret_file.chmod(0o644)
    done = conformance("http://127.0.0.1:9/", secret_file)
    assert done.exit_code == 2
    secret_file.write_text("whsec_nothing")
    secret_file.chmod(0o600)
    done = conformance("http://127.0.0.1:9/", secret_file)
    assert done.exit_code == 2
    assert "nothing" not in done.stderr
