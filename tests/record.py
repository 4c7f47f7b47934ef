"""What must hold of a network's record, whatever was killed meanwhile. Read straight from the
databases, with code that the services do not use for it."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable

from schemas.journal import JournalEntry
from schemas.referral import Referral, evolve, referral_adapter
from tests.network import RunningNetwork, verified

MOVES_CUSTODY = {"handoff_accepted", "escalation_acknowledged"}


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
    decided_once(network, entries)
    ledger_is_the_journal(network, entries)
    items = inboxes_are_whole(network, entries)
    report = verified(network)
    assert report["entries"] == report["signed"] == len(entries)
    return {"entries": len(entries), "referrals": len(states), "inbox items": items}


def everyone_responsible(entries: Iterable[JournalEntry]) -> dict[str, Referral]:
    """Fold the journal: at every entry each open referral has one custodian, which changes only
    where somebody accepted, and numbers and versions have no holes."""
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
            assert entry.actor == after.custodian
        winners = [h for h in after.handoffs if h.kind == "transfer" and h.state == "accepted"]
        if winners:
            assert after.custodian == winners[-1].receiver or len(winners) > 1
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


def decided_once(network: RunningNetwork, entries: Iterable[JournalEntry]) -> None:
    """Every command that was answered with success, and no other, has its entries: side by side,
    by its agency, on one referral."""
    rows = network.rows("referral", "SELECT id, agency, status FROM answers")
    succeeded = {row.id: row.agency for row in rows if row.status < 400}
    told: dict[str, list[JournalEntry]] = defaultdict(list)
    for entry in entries:
        told[str(entry.command)].append(entry)
    assert told.keys() == succeeded.keys()
    for command, its in told.items():
        numbers = [entry.number for entry in its]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert {(entry.actor, entry.referral) for entry in its} == {
            (succeeded[command], its[0].referral)
        }
    submitted = Counter(str(e.referral) for e in entries if e.event.type == "referral_submitted")
    assert set(submitted.values()) <= {1}


def ledger_is_the_journal(network: RunningNetwork, entries: list[JournalEntry]) -> None:
    """Every journal entry once, in order, word for word."""
    bodies = network.rows("referral", "SELECT body FROM journal ORDER BY number")
    rows = network.rows("audit", "SELECT idx, number, body FROM entries ORDER BY idx")
    assert [row.idx for row in rows] == list(range(len(entries)))
    assert [row.number for row in rows] == [entry.number for entry in entries]
    for recorded, (body,) in zip(rows, bodies, strict=True):
        written = json.loads(bytes(recorded.body))
        del written["received_at"], written["prev"]
        assert written == json.loads(body)


def inboxes_are_whole(network: RunningNetwork, entries: Iterable[JournalEntry]) -> int:
    """Each agency has what concerns it, numbered 1, 2, 3 …, in the journal's order."""
    expected: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        for agency in entry.concerns:
            expected[agency].append(str(entry.id))
    rows = network.rows("delivery", "SELECT agency, number, event FROM inbox ORDER BY 1, 2")
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        found[row.agency].append(row.event)
        assert row.number == len(found[row.agency]), "an inbox has a hole"
    assert found == expected
    return len(rows)
