"""Every byte that a running network keeps or sends inside is searched for what partners wrote of a
person. Only an involved agency's own reading opens it."""

import asyncio
import base64
import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import nats
import pytest

from runtime.signed_note import VerifierKey
from tests.network import RunningNetwork, running_network, verified
from tests.partners import Json, a_referral

ADDRESS = "文京区本郷二丁目21番3号"  # must be readable; the building is what marks it


def _words(tag: str) -> str:
    """Unmistakable, in Japanese and ASCII, and different at every place where it is planted."""
    return f"秘匿語{tag}壱弐参・zqx{tag}wvk"


@dataclass(frozen=True)
class Planted:
    """``referral``: closed after a journey. ``words``: everything that was written of the person."""

    network: RunningNetwork
    referral: str
    number: str
    words: dict[str, str]
    pages: list[str]
    messages: list[bytes]


def _a_journey(network: RunningNetwork) -> tuple[str, str, dict[str, str], list[str]]:
    words: dict[str, str] = {}

    def plant(tag: str) -> str:
        words[tag] = _words(tag)
        return words[tag]

    sender, hub, core = (network.partner(a) for a in ("anshin-motofuji", "hub-motofuji", "core"))
    pages = []
    body: Json = {
        **a_referral().body,
        "staff": plant("staff"),
        "summary": plant("summary"),
        "complaint": plant("complaint"),
        "risks": plant("risks"),
        "person": {
            "name": plant("name"), "kana": plant("kana"), "birth_date": "1931-07-19",
            "age_band": plant("age"), "phone": "090-8347-2615", "communication": plant("speech"),
            "emergency_contacts": [
                {"name": plant("contact"), "relation": plant("relation"), "phone": plant("call")}
            ],
        },
        "address": {"text": f"{ADDRESS} {plant('building')}", "kind": "registered"},
        "needs": {
            "handbooks": [{"kind": plant("handbook"), "grade": plant("grade")}],
            "care_level": plant("care"), "doctor": plant("doctor"),
            "current_services": [{"code": plant("service")}],
        },
        "consent": {
            "basis": "E27-1-2", "why": plant("why"), "danger": plant("danger"),
            "decided_by": plant("decider"), "items": [plant("item")],
        },
    }  # fmt: skip
    words |= {"birth": "1931-07-19", "phone": "090-8347-2615"}
    sent = sender.post("/v1/referrals", body)
    assert sent.status == 201
    steps = [
        sender.notes(sent.id, plant("note")),
        hub.declines(sent.handoff(), "other", text=plant("decline")),
        sender.escalates(sent.id, "E10", text=plant("escalation")),
    ]
    offered = sender.offers(sent.id, "hub-komagome", "lien-bunkyo", note=plant("offer"))
    steps += [
        sender.withdraws(offered.handoff("lien-bunkyo"), text=plant("withdrawal")),
        network.partner("hub-komagome").accepts(
            offered.handoff("hub-komagome"), text=plant("acceptance")
        ),
    ]
    hub = network.partner("hub-komagome")
    bed = hub.offers(sent.id, "lien-bunkyo", kind="request", note=plant("request"))
    stay = network.partner("lien-bunkyo")
    steps += [
        bed,
        stay.accepts(bed.handoff("lien-bunkyo"), text=plant("bed")),
        stay.completes(
            next(h["id"] for h in bed.body["handoffs"] if h["kind"] == "request"),
            text=plant("completion"),
        ),
    ]
    # No consent, and no emergency: the ward's own rule calls as well. Nobody closes before the end.
    calls = core.reads(sent.id).body["escalations"]
    assert {(call["code"], call["raised_by"]) for call in calls} == {
        ("E10", "anshin-motofuji"), ("E12", "network"),
    }  # fmt: skip
    for call in calls:
        steps += [
            core.acknowledges(call["id"], advise_only=True, text=plant(f"taken{call['code']}")),
            core.resolves(call["id"], text=plant(f"ended{call['code']}")),
        ]
    steps += [
        hub.closes(sent.id, text=plant("closing")),
        hub.reopens(sent.id, text=plant("reopening")),
        hub.closes(sent.id),
    ]
    ruled = sender.posts(a_referral().by_address("文京区春日二丁目1番1号"))
    steps += [
        core.rules(ruled.id, "otsuka", remember=True, text=plant("ruling")),
        sender.cancels(ruled.id, text=plant("cancelling")),
    ]
    assert [step.status for step in steps if step.status not in (200, 201)] == []
    # Refused ones too: with a mistake in them, with a key used before, too late.
    refused = [
        sender.post("/v1/referrals", {**body, "function": "nothing", "risks": plant("refused")}),
        sender.post("/v1/referrals", {**body, plant("field"): 1}),
        sender.post("/v1/referrals", {**body, "address": {"text": plant("lost")}}),
        sender.notes(sent.id, plant("toolate")),
        sender.post_bytes("/v1/referrals", json.dumps(body).encode()[:-9] + b"\xff"),
        hub.declines(offered.handoff("hub-komagome"), plant("reason")),
    ]
    assert {answer.status // 100 for answer in refused} == {4}
    pages += [answer.raw.decode() for answer in refused]
    return sent.id, sent.number, words, pages


async def _all_messages(network: RunningNetwork) -> list[bytes]:
    """Every message that JetStream still holds, read by a plain client."""
    client = await nats.connect(**network.nats())
    messages: list[bytes] = []
    for stream in await client.jetstream().streams_info():
        for sequence in range(stream.state.first_seq, stream.state.last_seq + 1):
            try:
                message = await client.jetstream().get_msg(str(stream.config.name), sequence)
            except nats.js.errors.NotFoundError:
                continue
            messages.append(message.data or b"")
    await client.close()
    return messages


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    with running_network(tmp_path_factory.mktemp("network")) as network:
        referral, number, words, pages = _a_journey(network)
        network.settle()
        with network.down("referral"):
            # A command that waits on the stream, sealed like all others.
            waiting = a_referral().having(summary=_words("waiting"))
            assert network.partner("ward-office").posts(waiting).status == 202
            words["waiting"] = _words("waiting")
            messages = asyncio.run(_all_messages(network))
        network.await_ready()
        network.settle()
        network.kill_and_await_restart("intake")
        pages.append(network.partner("core").get("/metrics").raw.decode())
        for told in (("replay", number, "--json"), ("replay", "--json"), ("replay", number)):
            done = network.tsunagu(*told)
            assert done.returncode == 0, done.stderr
            pages.append(done.stdout + done.stderr)
        yield Planted(network, referral, number, words, pages, messages)


def _spellings(words: str) -> Iterator[bytes]:
    """How text may lie in a file: UTF-8, UTF-16, escaped JSON, base64 at any of three offsets."""
    for plain in (words, words[:6]) if not words.isascii() else (words,):
        yield plain.encode()
        yield plain.encode("utf-16-le")
        yield plain.encode("utf-16-be")
        if not plain.isascii():
            yield json.dumps(plain)[1:-1].encode()
            yield json.dumps(plain)[1:-1].upper().replace("\\U", "\\u").encode()
        for data in (plain.encode(), json.dumps(plain)[1:-1].encode()):
            for offset in range(3):
                coded = base64.b64encode(b"\0" * offset + data)
                # Without what its neighbours would change.
                yield coded[(0, 2, 3)[offset] : len(coded) - len(coded) % 4 - 4]
    if not words.isascii():
        yield words[words.index("zqx") :].encode()


def _found(planted: Planted, data: bytes) -> list[str]:
    return [
        tag
        for tag, words in planted.words.items()
        if any(spelling in data for spelling in _spellings(words))
    ]


def test_the_search_would_find_it(planted: Planted) -> None:
    for tag, words in planted.words.items():
        sentence = f"前{words}後"
        for data in (
            sentence.encode(),
            sentence.encode("utf-16"),
            json.dumps(sentence).encode(),
            *(base64.b64encode(b"x" * n + sentence.encode()) for n in range(3)),
            *(base64.b64encode(b"x" * n + json.dumps(sentence).encode()) for n in range(3)),
        ):
            assert tag in _found(planted, data)


def test_no_file_of_the_network_holds_what_was_written_of_a_person(planted: Planted) -> None:
    files = [path for path in planted.network.home.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {"referral.db", "audit.db", "delivery.db", "keys.db", "intake.log"} <= names
    assert {"referral.db-wal", "keys.db-wal"} <= names
    assert any(path.suffix == ".blk" for path in files)
    assert {path.name: f for path in files if (f := _found(planted, path.read_bytes()))} == {}


def test_no_message_inside_holds_it(planted: Planted) -> None:
    assert len(planted.messages) > 20
    assert any(b'"submit_referral"' in message for message in planted.messages)
    assert [f for message in planted.messages if (f := _found(planted, message))] == []


def test_no_metric_no_replay_and_no_refusal_repeats_it(planted: Planted) -> None:
    assert planted.number in planted.pages[-1]
    assert [f for page in planted.pages if (f := _found(planted, page.encode()))] == []


def test_whoever_is_involved_reads_all_of_it(planted: Planted) -> None:
    hub = planted.network.partner("hub-komagome")
    read = hub.reads(planted.referral).raw.decode() + hub.history(planted.referral).raw.decode()
    elsewhere = {
        "refused", "field", "lost", "toolate", "reason", "ruling", "cancelling", "waiting",
    }  # fmt: skip
    missing = {tag for tag, words in planted.words.items() if words not in read}
    assert missing == elsewhere


def test_no_log_line_tells_more_than_ids(planted: Planted) -> None:
    for line in planted.network.logs().splitlines():
        if line.startswith("{"):
            assert json.loads(line)["action"]


def test_keys_are_readable_by_their_owner_only(planted: Planted) -> None:
    home = planted.network.home
    secret = [home / "keys.toml", home / "nats.conf", *(home / "keys").iterdir()]
    handed_out = ("ledger.vkey", "manifest.vkeys")
    for path in secret:
        if path.name not in handed_out:
            assert path.stat().st_mode & 0o077 == 0, path.name
            continue
        for line in path.read_text("ascii").splitlines():
            assert VerifierKey.decode(line).encode() == line, "a public key, and nothing else"


def test_a_destroyed_key_erases_the_person_and_no_proof(planted: Planted) -> None:
    network = planted.network
    sender = network.partner("anshin-motofuji")
    kept = sender.posts(a_referral())
    network.settle()
    with closing(sqlite3.connect(network.home / "data" / "keys.db")) as keys:
        keys.execute("DELETE FROM data_keys WHERE referral = ?", [planted.referral])
        keys.commit()
    hub = network.partner("hub-komagome")
    read, history = hub.reads(planted.referral), hub.history(planted.referral)
    assert (read.status, read.body["opened"], read.body["stage"]) == (200, False, "closed")
    assert _found(planted, read.raw + history.raw) == []
    assert len(history.body["items"]) > 10
    verified(network)
    assert sender.reads(kept.id).body["opened"] is True


def test_the_same_words_are_sealed_differently_each_time(planted: Planted) -> None:
    sender = planted.network.partner("anshin-otsuka")
    same = str(uuid.uuid4())
    sent = [sender.posts(a_referral().having(summary=same)) for _ in range(2)]
    rows = planted.network.rows(
        "referral",
        "SELECT commitment, ciphertext FROM sealed WHERE grp='situation' AND referral IN (:a, :b)",
        a=sent[0].id,
        b=sent[1].id,
    )
    assert len(rows) == len({row.commitment for row in rows}) == 2
    assert len({row.ciphertext for row in rows}) == 2
