"""Torture: many partners at work while processes are killed, and then the whole record is checked.

    python -m tests.torture --seconds 60 --seed 7

Partners submit, offer, accept, decline, withdraw, note, close … at random, emergencies among it; the
core centre acknowledges and resolves what it is called to. Meanwhile intake, referral, audit, delivery
and nats-server are killed with -9 at random moments. Whoever gets no answer, or 503, asks again with
the same key, as a partner's system does; whoever gets 202 only looks where it was told to, so that a
promise that was forgotten stays forgotten. A seed gives the same choices again; what the machine makes
of them differs in time.
"""

import argparse
import contextlib
import random
import tempfile
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.network import EVERYTHING, RunningNetwork, running_network
from tests.partners import Answer, Partner, a_referral
from tests.record import check_everything
from tests.wards import without_limits

SENDERS = ("anshin-motofuji", "anshin-komagome", "ward-office", "anshin-tomisaka")
ADDRESSES = (
    "文京区本郷二丁目21番3号", "千駄木1-2-3", "後楽1-1-1", "目白台二丁目3番4号",
    "文京区春日二丁目1番1号", "小石川5-7-9",
)  # fmt: skip
URGENCIES = ("emergency", "emergency", "urgent", "routine")
DISPOSITIONS = ("advised", "kept", "returned", "reassigned")
OTHERS = ("lien-bunkyo", "sample-hospital", "sample-home", "hub-komagome", "hub-otsuka")
PATIENCE = 40.0
"""Seconds until a partner that is never answered is a finding."""


class NeverAnswered(AssertionError):
    """A partner repeated its request until its patience was over."""


@dataclass
class Tally:
    """What partners were told, shared by all."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    statuses: Counter[str] = field(default_factory=Counter)
    final: dict[tuple[str, str], Answer] = field(default_factory=dict)
    promised: set[tuple[str, str]] = field(default_factory=set)
    kills: Counter[str] = field(default_factory=Counter)


class Worker:
    """One agency's system with one connection: it works on its own cases and on what its inboxes
    would bring, which here the worker knows from its own answers."""

    def __init__(self, network: RunningNetwork, sender: str, seed: str, tally: Tally) -> None:
        self._network = network
        self._sender = sender
        self._random = random.Random(seed)  # choices to repeat, not secrets
        self._tally = tally
        self._partners: dict[str, Partner] = {}
        self._cases: list[Any] = []  # bodies, as last answered
        self._asked: dict[str, tuple[str, Any]] = {}
        self._seed = seed

    def work(self, until: float) -> None:
        try:
            while time.monotonic() < until:
                self._one_step()
        finally:
            for partner in self._partners.values():
                partner.close()

    def _one_step(self) -> None:
        pick = self._random.random()
        if not self._cases or pick < 0.3:
            referral = (
                a_referral()
                .by_address(self._random.choice(ADDRESSES))
                .having(urgency=self._random.choice(URGENCIES))
            )
            self._ask(self._sender, "/v1/referrals", referral.body)
            return
        case = self._random.choice(self._cases[-12:])
        ref = self._random.choice([case["id"], case["number"]])
        standing = [h for h in case["handoffs"] if h["state"] == "offered"]
        calls = [x for x in case["escalations"] if x["state"] != "resolved"]
        agency, custodian = self._sender, case["custodian"]
        about = f"/v1/referrals/{ref}"
        if pick < 0.35:
            self._repeat()
        elif case["stage"] == "awaiting_ruling" and pick < 0.7:
            district = self._random.choice(case["district"]["candidates"])
            self._ask("core", f"{about}/ruling", {"district": district, "remember": pick < 0.4})
        elif calls and self._random.random() < 0.3:
            self._answer_call(self._random.choice(calls))
        elif standing and pick < 0.75:
            handoff = self._random.choice(standing)
            path = f"/v1/handoffs/{handoff['id']}"
            if pick < 0.6:
                self._ask(handoff["to"], f"{path}/accept", {"text": "受けます"})
            elif pick < 0.68:
                body = {"said_by": "agency", "reason": "no_capacity", "text": "満床"}
                self._ask(handoff["to"], f"{path}/decline", body)
            else:
                self._ask(handoff["from"], f"{path}/withdraw", {})
        elif pick < 0.85:
            kind = self._random.choice(["transfer", "request"])
            to = self._random.sample(OTHERS, self._random.randint(1, 3))
            listed = {"kind": "request", "function": "specialist"}
            body = listed if pick < 0.77 else {"to": to, "kind": kind}
            self._ask(custodian, f"{about}/handoffs", body)
        elif pick < 0.9:
            self._ask(custodian, f"{about}/notes", {"text": "電話した"})
        elif pick < 0.93:
            self._ask(agency, f"{about}/escalations", {"reason": "E10"})
        elif pick < 0.96:
            self._ask(custodian, f"{about}/close", {"outcome": "got_help"})
        elif pick < 0.98:
            self._ask(agency, f"{about}/cancel", {})
        else:
            self._ask(custodian, f"{about}/reopen", {})

    def _answer_call(self, call: Any) -> None:
        path = f"/v1/escalations/{call['id']}"
        if call["state"] == "raised":
            advise_only = self._random.random() < 0.5
            self._ask("core", f"{path}/acknowledge", {"advise_only": advise_only})
            return
        body = {"disposition": self._random.choice(DISPOSITIONS), "text": "対応した"}
        if body["disposition"] == "reassigned":
            body["to"] = self._random.choice(OTHERS)
        self._ask("core", f"{path}/resolve", body)

    def _repeat(self) -> None:
        """What was answered is asked again: it must be the same, byte for byte."""
        with self._tally.lock:
            mine = [k for k in self._tally.final if k[1] in self._asked]
        if mine:
            agency, key = self._random.choice(mine)
            before = self._tally.final[agency, key]
            path, body = self._asked[key]
            again = self._until_answered(agency, path, body, key)
            assert (again.status, again.raw) == (before.status, before.raw), key

    def _ask(self, agency: str, path: str, body: Any) -> None:
        key = f"{self._seed}-{len(self._asked)}"
        self._asked[key] = (path, body)
        answer = self._until_answered(agency, path, body, key)
        with self._tally.lock:
            self._tally.final[agency, key] = answer
        if answer.status < 400:
            body = answer.body
            self._cases = [c for c in self._cases if c["id"] != body["id"]] + [body]

    def _until_answered(self, agency: str, path: str, body: Any, key: str) -> Answer:
        prefer = "respond-async" if self._random.random() < 0.2 else None
        place = None
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            partner = self._partner(agency)
            try:
                answer = (
                    partner.post(path, body, key=key, prefer=prefer)
                    if place is None
                    else partner.get(place)
                )
            except httpx.TransportError as error:
                self._count(type(error).__name__)
                time.sleep(0.1)
                continue
            self._count(str(answer.status))
            if answer.status == 202:
                place = answer.headers["location"]
                with self._tally.lock:
                    self._tally.promised.add((agency, key))
            elif answer.status != 503:
                return answer
            time.sleep(0.05)
        raise NeverAnswered(f"{agency} {key}")

    def _partner(self, agency: str) -> Partner:
        if agency not in self._partners:
            self._partners[agency] = self._network.new_partner(agency, timeout=10)
        return self._partners[agency]

    def _count(self, what: str) -> None:
        with self._tally.lock:
            self._tally.statuses[what] += 1


def torture(home: Path, seconds: float, seed: int, workers: int = 6) -> dict[str, Any]:
    """Run it, check it, and give figures."""
    tally = Tally()
    # A refusal for asking too much would only make the partners slower.
    with running_network(home, ward=without_limits(home)) as network:
        began = time.monotonic()
        until = began + seconds
        with ThreadPoolExecutor(workers + 1) as pool:
            tasks = [
                pool.submit(
                    Worker(network, SENDERS[n % len(SENDERS)], f"{seed}-{n}", tally).work, until
                )
                for n in range(workers)
            ]
            tasks.append(pool.submit(_kill, network, seed, until, tally))
            for task in tasks:
                task.result()
        loaded = time.monotonic() - began
        network.await_ready()
        figures = check_everything(network)
        _promises_kept(network, tally)
        return {
            "seed": seed,
            "seconds": round(loaded, 1),
            "commands": len(tally.final),
            "succeeded": sum(answer.status < 400 for answer in tally.final.values()),
            "promised by 202": len(tally.promised),
            "told": dict(tally.statuses.most_common()),
            "kills": dict(tally.kills),
            **figures,
        }


def _kill(network: RunningNetwork, seed: int, until: float, tally: Tally) -> None:
    choices = random.Random(f"{seed}-kills")  # choices to repeat, not secrets
    names = list(EVERYTHING)
    choices.shuffle(names)  # each once, then at random
    while True:
        time.sleep(choices.uniform(0.1, 1.6))
        if time.monotonic() >= until - 0.5:
            return
        for name in {names.pop() if names else choices.choice(EVERYTHING)} | (
            {choices.choice(EVERYTHING)} if choices.random() < 0.2 else set()
        ):
            with contextlib.suppress(ProcessLookupError):  # it was only just starting
                network.kill(name)
                tally.kills[name] += 1


def _promises_kept(network: RunningNetwork, tally: Tally) -> None:
    """What partners were told is what was decided: each answer is recorded as it was given, and
    every success has its events."""
    recorded = {
        row.body: row.status for row in network.rows("referral", "SELECT status, body FROM answers")
    }
    for (agency, key), answer in tally.final.items():
        if answer.status >= 500:
            raise AssertionError(f"{agency} {key}: {answer.status}")
        if answer.status < 400:
            assert recorded.get(answer.raw.decode()) == answer.status, (agency, key)
    assert tally.promised <= tally.final.keys()
    submitted = {a.id for a in tally.final.values() if a.status == 201}
    known = {row.id for row in network.rows("referral", "SELECT id FROM referrals")}
    assert submitted <= known


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--workers", type=int, default=6)
    arguments = parser.parse_args()
    seed = uuid.uuid4().int % 10**6 if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="tsunagu-torture-") as folder:
        figures = torture(Path(folder), arguments.seconds, seed, arguments.workers)
    for name, value in figures.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
