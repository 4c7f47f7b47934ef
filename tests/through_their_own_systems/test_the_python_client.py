"""A partner's system speaks through the typed Python client, which is written from the contract."""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import ValidationError

import partners.client
from partners.client import (
    Client,
    Gap,
    NotDecidedYet,
    PrivateKeyJwt,
    Problem,
    Unreachable,
    models,
    what_happened,
)
from schemas.base import JsonObject
from services import publish
from services.intake.openapi import openapi_document
from tests.network import RunningNetwork, eventually
from tests.through_their_own_systems.scripted import Heard, Said, scripted
from tests.through_their_own_systems.signing import a_key, pem_of, private_pem

ClientOf = Callable[[str], Client]

PROBLEM = {"Content-Type": "application/problem+json"}


def a_referral(**fields: Any) -> models.ReferralSubmission:
    return models.ReferralSubmission(
        **{
            "function": "emergency",
            "urgency": models.Urgency.URGENT,
            "requested_action": "short_stay",
            "person": models.Person(name="サンプル 太郎", phone="03-0000-0000"),
            "address": models.Address(text="文京区本郷二丁目21番3号"),
            "summary": "母が急病で入院。今夜から介護者不在。",
            "consent": models.Consent(basis="C2", obtained_at=datetime.now(UTC)),
            **fields,
        }
    )


# -- written from the contract ------------------------------------------------------------------------


def test_the_client_is_what_the_contract_says() -> None:
    assert publish.client_differences() == [], "run: python -m services.publish"


def test_a_changed_or_missing_module_of_the_client_is_noticed(tmp_path: Path) -> None:
    for name, text in publish.client().items():
        (tmp_path / name).write_bytes(text)
    assert publish.client_differences(tmp_path) == []
    (tmp_path / "calls.py").write_bytes(b"")
    (tmp_path / "models.py").unlink()
    assert publish.client_differences(tmp_path) == ["calls.py", "models.py"]


def test_every_call_of_the_contract_is_a_method_and_every_type_a_model() -> None:
    document: JsonObject = openapi_document()
    for methods in document["paths"].values():
        for operation in methods.values():
            assert callable(getattr(Client, operation["operationId"])), operation["operationId"]
    for name in document["components"]["schemas"]:
        assert hasattr(models, name), name


def test_every_example_of_the_contract_is_read_and_said_again() -> None:
    """Whatever a partner may send or get goes through its model and comes out the same."""
    document: JsonObject = openapi_document()
    examples = document["components"]["examples"]
    seen = 0
    for name, example in examples.items():
        kind = getattr(models, "".join(p.title() for p in name.partition("__")[0].split("_")), None)
        if kind is None or not issubclass(kind, models.Body):
            continue
        seen += 1
        said = kind.model_validate(example["value"])
        assert kind.model_validate_json(said.model_dump_json(by_alias=True)) == said, name
    assert seen > 25


def test_the_folder_stands_alone_under_whatever_name(tmp_path: Path) -> None:
    source = Path(partners.client.__file__).parent
    shutil.copytree(source, tmp_path / "their_copy", ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        "import sys, their_copy\n"
        "ours = {'schemas', 'runtime', 'services', 'partners', 'wards'}\n"
        "print(sorted(ours & {name.partition('.')[0] for name in sys.modules}))\n"
        "print(their_copy.Client.submit_referral.__doc__.splitlines()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[]", "依頼を出す / Submit a referral"]


# -- on the running network ---------------------------------------------------------------------------


def test_a_referral_is_posted_answered_and_read(client: ClientOf) -> None:
    sender, hub = client("anshin-motofuji"), client("hub-motofuji")
    given = sender.submit_referral(a_referral())
    assert given.stage is models.Stage.OFFERED
    (offer,) = given.handoffs
    assert (offer.from_, offer.to) == ("anshin-motofuji", "hub-motofuji")
    taken = hub.accept_handoff(offer.id)
    assert (taken.stage, taken.custodian) == (models.Stage.IN_CARE, "hub-motofuji")
    read = hub.read_referral(given.number)
    assert read.id == given.id
    assert read.person is not None
    assert read.person.name == "サンプル 太郎"
    happened = [what_happened(event) for event in sender.read_history(given.id).items]
    assert isinstance(happened[0], models.ReferralSubmitted)
    assert isinstance(happened[-1], models.HandoffAccepted)
    assert given.id in {one.id for one in sender.list_referrals(stage="in_care").items}
    names = {agency.id for agency in sender.read_directory().agencies}
    assert {"core", "hub-motofuji"} <= names


def test_a_hub_declines_escalates_and_the_core_centre_takes_it_in_hand(client: ClientOf) -> None:
    sender, hub, core = client("anshin-motofuji"), client("hub-motofuji"), client("core")
    given = sender.submit_referral(a_referral())
    declined = hub.decline_handoff(
        given.handoffs[0].id, models.Decline(said_by=models.SaidBy.AGENCY, reason="no_capacity")
    )
    assert declined.handoffs[0].state is models.HandoffState.DECLINED
    called = sender.raise_escalation(given.id, models.EscalationCall(reason="E10"))
    call = next(e for e in called.escalations if e.code == "E10")
    assert call.id in {e.id for e in core.list_escalations().items}
    # Without a body: what is not said is what the contract says by itself.
    assert core.acknowledge_escalation(call.id).custodian == "core"


def test_the_same_key_is_the_same_referral(client: ClientOf) -> None:
    sender = client("anshin-komagome")
    body, key = a_referral(), f"OUR-{uuid4()}"
    first = sender.submit_referral(body, idempotency_key=key)
    assert sender.submit_referral(body, idempotency_key=key) == first
    with pytest.raises(Problem) as refused:
        sender.submit_referral(a_referral(urgency="routine"), idempotency_key=key)
    assert refused.value.code == models.ProblemCode.IDEMPOTENCY_KEY_REUSED


def test_a_refusal_says_where_and_never_what(client: ClientOf) -> None:
    sender = client("anshin-motofuji")
    with pytest.raises(Problem) as refused:
        sender.submit_referral(
            a_referral(consent=models.Consent(basis="ZZ-99"), summary="サンプル 太郎の件 " * 2000)
        )
    problem = refused.value
    assert (problem.status, problem.code) == (422, models.ProblemCode.INVALID_REQUEST)
    assert "/summary" in problem.pointers
    assert "サンプル" not in repr(problem) + str(problem) + problem.detail + str(problem.errors)
    with pytest.raises(Problem, match="403 not_involved"):
        client("hub-otsuka").read_referral(uuid4())


def test_a_key_that_nobody_has_is_refused_at_once(network: RunningNetwork) -> None:
    with Client(network.url, "tsunagu_nobodys") as stranger:
        began = time.monotonic()
        with pytest.raises(Problem, match="401 unauthenticated"):
            stranger.read_inbox()
        assert time.monotonic() - began < 5
        assert stranger.readyz()


def test_what_was_only_taken_is_waited_for(network: RunningNetwork, client: ClientOf) -> None:
    sender = client("anshin-motofuji")
    with network.frozen("referral"):
        thawing = threading.Timer(3.0, lambda: network_goes_on.set())
        network_goes_on = threading.Event()
        thawing.start()
        found: list[models.ReferralGiven] = []
        posting = threading.Thread(
            target=lambda: found.append(sender.submit_referral(a_referral()))
        )
        posting.start()
        network_goes_on.wait()
        assert not found
    posting.join(20)
    assert found[0].stage is models.Stage.OFFERED


def test_the_inbox_is_read_by_number_and_followed(client: ClientOf) -> None:
    sender, hub = client("anshin-otsuka"), client("hub-otsuka")
    to = models.To(agency="hub-otsuka")
    first = sender.submit_referral(a_referral(to=to))
    known = _until(hub, first.id)
    came: list[models.InboxItem] = []

    def follow() -> None:
        for item in hub.follow_inbox(after=known):
            came.append(item)
            if item.event.subject == str(second.id):
                return

    second = sender.submit_referral(a_referral(to=to))
    following = threading.Thread(target=follow, daemon=True)
    following.start()
    following.join(20)
    assert came
    assert came[-1].event.subject == str(second.id)
    numbers = [item.number for item in hub.inbox()]
    assert numbers == list(range(1, len(numbers) + 1))


def _until(hub: Client, referral: UUID) -> int:
    """The number of the newest event of a referral in the hub's inbox, once it is there."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        numbers = [i.number for i in hub.inbox() if i.event.subject == str(referral)]
        if numbers:
            return hub.read_inbox(limit=1).head
        time.sleep(0.1)
    raise AssertionError("nothing came")


def test_a_stream_that_broke_goes_on_where_it_was(
    network: RunningNetwork, client: ClientOf
) -> None:
    sender, hub = client("anshin-otsuka"), client("hub-otsuka")
    to, came = models.To(agency="hub-otsuka"), list[models.InboxItem]()
    known = hub.read_inbox(limit=1).head
    wanted: list[UUID] = []
    opened, both = threading.Event(), threading.Event()

    def follow() -> None:
        for item in hub.follow_inbox(after=known):
            came.append(item)
            opened.set()
            if len(wanted) == 2 and item.event.subject == str(wanted[1]):
                both.set()
                return

    threading.Thread(target=follow, daemon=True).start()
    wanted.append(sender.submit_referral(a_referral(to=to)).id)
    assert opened.wait(20)
    network.kill_and_await_restart("intake")
    wanted.append(sender.submit_referral(a_referral(to=to)).id)
    assert both.wait(20)
    assert [item.number for item in came] == list(range(known + 1, known + 1 + len(came)))


def test_the_board_is_a_stream_of_its_own(client: ClientOf) -> None:
    events = client("core").stream_list_escalations(state="all")
    named = []
    for event in events:
        named.append(event.name)
        if event.name == "ready":
            assert isinstance(event.data["head"], int)
            break
    assert set(named) <= {"escalation", "ready"}


# -- when the network falters -------------------------------------------------------------------------


def the_example(name: str) -> Any:
    return openapi_document()["components"]["examples"][name]["value"]


def test_a_call_is_repeated_under_one_key_until_it_is_taken() -> None:
    def script(_: Heard, time_: int) -> Said:
        match time_:
            case 0:
                return Said(503, the_example("unavailable"), {**PROBLEM, "Retry-After": "1"})
            case 1:
                return Said(hang_up=True)
            case 2:
                return Said(429, the_example("rate_limited"), {**PROBLEM, "Retry-After": "0"})
        return Said(201, the_example("referral_given"))

    with scripted(script) as there, Client(there.url, "key") as sender:
        began = time.monotonic()
        sender.submit_referral(a_referral())
        assert time.monotonic() - began >= 1.0
    assert len(there.heard) == 4
    assert len({heard.headers["idempotency-key"] for heard in there.heard}) == 1
    assert len({heard.body for heard in there.heard}) == 1


def test_whoever_is_not_answered_in_time_is_told_the_key_to_come_back_with() -> None:
    with (
        scripted(lambda *_: Said(hang_up=True)) as there,
        Client(there.url, "key", patience=1.0) as sender,
        pytest.raises(Unreachable) as silent,
    ):
        sender.submit_referral(a_referral())
    assert silent.value.idempotency_key == there.heard[0].headers["idempotency-key"]


def test_what_is_not_decided_in_time_can_be_read_later() -> None:
    request = uuid4()
    taken = Said(
        202,
        {"request": str(request), "state": "pending"},
        {"Location": f"/v1/requests/{request}", "Retry-After": "1"},
    )
    with (
        scripted(lambda *_: taken) as there,
        Client(there.url, "key", patience=1.5) as sender,
        pytest.raises(NotDecidedYet, match=str(request)),
    ):
        sender.submit_referral(a_referral())
    assert [heard.method for heard in there.heard[:2]] == ["POST", "GET"]


def test_a_refusal_is_not_repeated() -> None:
    refusal = Said(409, the_example("already_answered"), PROBLEM)
    with scripted(lambda *_: refusal) as there, Client(there.url, "key") as hub:
        with pytest.raises(Problem, match="409 already_answered"):
            hub.accept_handoff(uuid4())
        assert len(there.heard) == 1


@pytest.mark.parametrize("numbers", [(1, 3), (2,), (1, 2, 2)])
def test_a_number_that_is_missing_from_the_inbox_is_told(numbers: tuple[int, ...]) -> None:
    event = the_example("inbox_given")["items"][0]["event"]
    page = {"items": [{"number": n, "event": event} for n in numbers], "head": max(numbers)}
    pages = [Said(200, page), Said(200, {"items": [], "head": max(numbers)})]
    with (
        scripted(lambda _, which: pages[which]) as there,
        Client(there.url, "key") as hub,
        pytest.raises(Gap),
    ):
        list(hub.inbox())


def test_what_the_network_says_anew_is_passed_over_and_what_is_misspelt_is_refused() -> None:
    later = {
        **the_example("referral_given"),
        "stage": "paused",
        "person": {"name": "サンプル 太郎", "pronouns": "they"},
        "colour": "blue",
    }
    with scripted(lambda *_: Said(200, later)) as there, Client(there.url, "key") as hub:
        given = hub.read_referral(uuid4())
    assert given.stage == "paused"
    assert given.person == models.Person(name="サンプル 太郎")
    with pytest.raises(ValidationError, match="adress"):
        models.ReferralSubmission.model_validate(
            {**the_example("referral_submission"), "adress": 1}
        )
    unknown = models.CloudEvent.model_validate(
        {**the_example("cloud_event"), "type": "tsunagu.moon_landed.v1"}
    )
    assert what_happened(unknown) is None


def test_an_answer_is_looked_for_on_this_network_and_nowhere_else() -> None:
    elsewhere = "http://tsunagu.example:9/v1/requests/1?x=2"
    taken = Said(202, {}, {"Location": elsewhere, "Retry-After": "0"})
    answers = [taken, Said(200, the_example("referral_given"))]
    with scripted(lambda _, n: answers[n]) as there, Client(there.url, "key") as sender:
        sender.submit_referral(a_referral())
    assert [heard.path for heard in there.heard] == ["/v1/referrals", "/v1/requests/1?x=2"]


def test_a_redirect_is_not_followed_with_the_key() -> None:
    elsewhere = Said(307, {}, {"Location": "http://127.0.0.1:9/v1/inbox"})
    with scripted(lambda *_: elsewhere) as there, Client(there.url, "key") as hub:
        with pytest.raises((Problem, httpx.HTTPStatusError, ValidationError)):
            hub.read_inbox()
        assert len(there.heard) == 1


# -- without a key of the network's -------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_an_agency_comes_in_by_its_own_private_key(
    network: RunningNetwork, tmp_path: Path, algorithm: str
) -> None:
    private = a_key(algorithm)
    public = tmp_path / "hub.pub.pem"
    public.write_bytes(pem_of(private))
    arguments = ("credentials", "new", "jwt_key", "hub-komagome", "--file", str(public), "--json")
    made = network.tsunagu(*arguments)
    assert made.returncode == 0, made.stderr
    access = PrivateKeyJwt("hub-komagome", private_pem(private), algorithm=algorithm)
    with Client(network.url, auth=access) as hub:
        # It is known within a second of being made.
        eventually(lambda: _comes_in(hub), 10, "the key is known")
        given = hub.submit_referral(a_referral())
        assert given.sender == "hub-komagome"
        # One token for all these calls, and a new one when the network no longer knows it.
        access._token = "tsunagu_at_nobodys"
        assert hub.read_referral(given.id).id == given.id
    stranger = PrivateKeyJwt("hub-komagome", private_pem(a_key(algorithm, 7)), algorithm=algorithm)
    with Client(network.url, auth=stranger) as nobody, pytest.raises(Problem, match="401"):
        nobody.read_inbox()


def _comes_in(hub: Client) -> bool:
    try:
        return hub.read_inbox().head >= 0
    except Problem:
        return False
