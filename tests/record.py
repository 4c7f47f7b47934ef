"""What must hold of a network's record, whatever was killed meanwhile. Read straight from the
databases, with code that the services do not use for it."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from runtime.clock import shifted, utc_text
from schemas.base import NETWORK
from schemas.journal import JournalEntry
from schemas.referral import Referral, evolve, referral_adapter
from schemas.subjects import PRODUCERS
from tests.network import RunningNetwork, eventually, verified

MOVES_CUSTODY = {"handoff_accepted", "escalation_acknowledged", "custody_taken"}
MISSED_CLOCK = {"handoff_expired", "escalation_passed_on"}
BY_CLOCKS = MISSED_CLOCK | {"handoff_offered", "escalation_raised"}
MISSED = timedelta(seconds=5)
"""A clock is missed that strikes later than this."""


def journal(network: RunningNetwork) -> list[JournalEntry]:
    rows = network.rows("referral", "SELECT number, body FROM journal ORDER BY number")
    assert [row.number for row in rows] == list(range(1, len(rows) + 1)), "journal has holes"
    return [JournalEntry.from_json(row.body) for row in rows]


def check_everything(network: RunningNetwork) -> dict[str, int]:
    """Settle, then check the whole record against every promise that can be seen in it. Gives
    figures of what was checked."""
    network.settle()
    entries = journal(network)
    states = everyone_responsible(entries)
    folded_is_live(network, states)
    clocks_are_those_of(network.rows("referral", "SELECT * FROM clocks"), states.values())
    no_clock_was_missed(network)
    escalations_are_those_of(network.rows("referral", "SELECT * FROM escalations"), entries)
    decided_once(network, entries)
    ledger_is_the_journal(network, entries)
    items = inboxes_are_whole(network, entries)
    report = verified(network)
    assert report["entries"] == report["signed"] == len(entries) + of_others(network)
    return {"entries": len(entries), "referrals": len(states), "inbox items": items}


def of_others(network: RunningNetwork) -> int:
    """How many entries the journals beside the deciding service's have: delivery's, the console's."""
    others = [
        producer for producer in PRODUCERS if producer != "referral" and network.has(producer)
    ]
    return sum(int(network.rows(other, "SELECT count(*) FROM journal")[0][0]) for other in others)


def everyone_responsible(entries: Iterable[JournalEntry]) -> dict[str, Referral]:
    """Fold the journal: at every entry each open referral has one custodian, which changes only
    where somebody accepted, or the core centre took a call in hand, and numbers and versions have
    no holes."""
    states: dict[str, Referral] = {}
    for entry in entries:
        key = str(entry.referral)
        before = states.get(key)
        after = evolve(before, entry)  # raises when a version is missing or comes twice
        assert after.custodian
        if before is None:
            assert after.custodian == after.sender
        elif before.custodian != after.custodian:
            assert entry.event.type in MOVES_CUSTODY
            assert entry.actor == after.custodian != NETWORK
            assert entry.event.type == "handoff_accepted" or entry.actor == "core"
        winners = {
            h.receiver for h in after.handoffs if h.kind == "transfer" and h.state == "accepted"
        }
        called = {"core"} if any(x.acknowledged_by == "core" for x in after.escalations) else set()
        assert after.custodian in winners | called or (
            after.custodian == after.sender and not winners
        )
        states[key] = after
    numbers = sorted(int(state.number.rpartition("-")[2]) for state in states.values())
    assert numbers == list(range(1, len(numbers) + 1)), "people's numbers have holes"
    return states


def folded_is_live(network: RunningNetwork, states: dict[str, Referral]) -> None:
    rows = network.rows("referral", "SELECT id, stage, custodian, version, state FROM referrals")
    assert {row.id for row in rows} == states.keys()
    for row in rows:
        folded = states[row.id]
        assert referral_adapter.validate_json(row.state) == folded
        assert (row.stage, row.custodian, row.version) == (
            folded.stage.value, folded.custodian, folded.version,
        )  # fmt: skip


def clocks_are_those_of(rows: Iterable[Any], states: Iterable[Referral]) -> None:
    """The clocks that are kept are those of what stands and of what was not resolved, each with its
    due time, and no other: one that is not kept would never strike."""
    running = [(state, clock) for state in states for clock in state.clocks]
    kept = {row.subject: (row.referral, row.due_at) for row in rows}
    assert kept == {
        str(clock.subject): (str(state.id), utc_text(clock.due_at)) for state, clock in running
    }


def no_clock_was_missed(network: RunningNetwork) -> None:
    """Once the network has come to rest, no clock runs whose time is over."""

    def overdue() -> list[Any]:
        file = network.settings.clock_shift
        now = datetime.now(UTC) + timedelta(seconds=shifted(file) if file is not None else 0)
        rows = network.rows("referral", "SELECT subject, due_at, strike_at FROM clocks")
        return [row for row in rows if datetime.fromisoformat(row.due_at) < now - MISSED]

    eventually(lambda: not overdue(), 10, lambda: f"every clock struck: {overdue()}")


def escalations_are_those_of(rows: Iterable[Any], entries: Iterable[JournalEntry]) -> None:
    """The board's table says of every call what the journal does, as of the last change of its case
    while the call was open."""
    expected: dict[str, tuple[object, ...]] = {}
    states: dict[UUID, Referral] = {}
    for _, its in groupby(entries, key=lambda entry: entry.command):
        first, *further = its
        before = states.get(first.referral)
        after = evolve(before, first)
        for entry in further:
            after = evolve(after, entry)
        states[first.referral] = after
        over = {x.id for x in before.escalations if not x.open} if before is not None else set()
        district = after.district.id if after.district is not None else None
        for x in after.escalations:
            if x.id not in over:
                expected[str(x.id)] = (
                    str(after.id), x.state.value, x.code, district, after.custodian,
                )  # fmt: skip
    rows = list(rows)
    found = {x.id: (x.referral, x.state, x.code, x.district, x.custodian) for x in rows}
    assert found == expected
    assert len({row.change for row in rows}) == len(rows)


def decided_once(network: RunningNetwork, entries: Iterable[JournalEntry]) -> None:
    """Every command that was answered with success, and no other, has its entries: side by side,
    by its agency, on one referral. The network's own are the clocks that struck; one that was
    stopped in the same instant has none."""
    rows = network.rows("referral", "SELECT id, agency, status FROM answers")
    assert all(row.status == 200 for row in rows if row.agency == NETWORK)
    succeeded = {row.id: row.agency for row in rows if row.status < 400}
    told: dict[str, list[JournalEntry]] = defaultdict(list)
    for entry in entries:
        told[str(entry.command)].append(entry)
    assert told.keys() <= succeeded.keys()
    assert {succeeded[command] for command in succeeded.keys() - told.keys()} <= {NETWORK}
    for command, its in told.items():
        numbers = [entry.number for entry in its]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert {(entry.actor, entry.referral) for entry in its} == {
            (succeeded[command], its[0].referral)
        }
        if its[0].actor == NETWORK:
            assert {entry.event.type for entry in its} <= BY_CLOCKS
            assert its[0].event.type in MISSED_CLOCK
            assert its[0].event.overdue_since <= its[0].occurred_at
    submitted = Counter(str(e.referral) for e in entries if e.event.type == "referral_submitted")
    assert set(submitted.values()) <= {1}


def ledger_is_the_journal(network: RunningNetwork, entries: list[JournalEntry]) -> None:
    """Every journal entry of every producer once, in order, word for word."""
    query = "SELECT idx, producer, number, body FROM entries ORDER BY idx"
    rows = network.rows("audit", query)
    assert [row.idx for row in rows] == list(range(len(rows)))
    assert len([row for row in rows if row.producer == "referral"]) == len(entries)
    for producer in filter(network.has, PRODUCERS):
        bodies = network.rows(producer, "SELECT number, body FROM journal ORDER BY number")
        bound = [row for row in rows if row.producer == producer]
        for recorded, (number, body) in zip(bound, bodies, strict=True):
            written = json.loads(bytes(recorded.body))
            del written["received_at"], written["prev"]
            assert (recorded.number, written) == (number, json.loads(body))


def inboxes_are_whole(network: RunningNetwork, entries: Iterable[JournalEntry]) -> int:
    """Each agency has what concerns it, numbered 1, 2, 3 …, in the journal's order; among it what
    delivery itself recorded (tests, re-drives)."""
    expected: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        for agency in entry.concerns:
            expected[agency].append(str(entry.id))
    rows = network.rows("delivery", "SELECT agency, number, event FROM inbox ORDER BY 1, 2")
    own = {id for (id,) in network.rows("delivery", "SELECT id FROM journal")}
    found: dict[str, list[str]] = defaultdict(list)
    last: Counter[str] = Counter()
    for row in rows:
        last[row.agency] += 1
        assert row.number == last[row.agency], "an inbox has a hole"
        if row.event not in own:
            found[row.agency].append(row.event)
    assert found == expected
    return len(rows)
