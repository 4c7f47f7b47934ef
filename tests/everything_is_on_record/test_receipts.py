"""A receipt proves, to whoever keeps it, that an entry is in the ledger, and is given to those it concerns."""

import base64
import json
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from schemas import commands as c
from schemas import queries as q
from tests.builders import ANSHIN, AUDITOR, CORE, HUB, STRANGER, a_referral
from tests.everything_is_on_record.office import NOTHING, Office, a_day


def holds(receipt: dict[str, Any], vkey: str) -> bool:
    """Whether a receipt proves its entry. Written from RFC 6962 (2.1.1), C2SP tlog-proof and signed-note,
    with nothing of the code that made it."""
    header, index_line, *rest = receipt["proof"].split("\n")
    assert header == "c2sp.org/tlog-proof@v1"
    index = int(index_line.removeprefix("index "))
    blank = rest.index("")
    hashes = [base64.b64decode(line, validate=True) for line in rest[:blank]]
    note = "\n".join(rest[blank + 1 :])
    body, signatures = note.split("\n\n")
    origin, digits, root = body.split("\n")
    name, key_id, key = vkey.split("+", 2)
    public = base64.b64decode(key)
    assert sha256(f"{name}\n".encode() + public).digest()[:4].hex() == key_id
    dash, signer, signature = signatures.removesuffix("\n").split(" ")
    assert (dash, signer, origin) == ("—", name, name)
    raw = base64.b64decode(signature)
    assert raw[:4].hex() == key_id
    try:
        Ed25519PublicKey.from_public_bytes(public[1:]).verify(raw[4:], f"{body}\n".encode())
    except InvalidSignature:
        return False
    leaf = sha256(b"\0" + receipt["entry"].encode()).digest()
    return root_by(leaf, index, int(digits), hashes) == base64.b64decode(root)


def root_by(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes | None:
    """The root that a leaf and its audit path lead to, by the recursion that defines PATH."""
    if size == 1:
        return leaf if not path else None
    if not path:
        return None
    split = 1
    while 2 * split < size:
        split *= 2
    *path, sibling = path
    if index < split:
        below = root_by(leaf, index, split, path)
        return below and sha256(b"\1" + below + sibling).digest()
    below = root_by(leaf, index - split, size - split, path)
    return below and sha256(b"\1" + sibling + below).digest()


def test_every_entry_has_a_receipt_that_whoever_keeps_it_can_check(office: Office) -> None:
    cases = [a_day(office, "routine") for _ in range(5)]
    for case in cases:
        exported = office.body(q.ExportReferral(agency=AUDITOR, ref=case.id))
        assert len(exported["receipts"]) == 5
        assert exported["next"] is None
        for receipt in exported["receipts"]:
            assert holds(receipt, exported["vkey"])
            assert json.loads(receipt["entry"])["id"] == receipt["event"]
            assert sha256(b"\0" + receipt["entry"].encode()).hexdigest() == receipt["leaf"]
            altered = {**receipt, "entry": receipt["entry"].replace(HUB, STRANGER) + " "}
            assert not holds(altered, exported["vkey"])
            forged = receipt["proof"].replace("tsunagu/131059\n25", "tsunagu/131059\n26")
            assert forged != receipt["proof"]
            assert not holds({**receipt, "proof": forged}, exported["vkey"])


def test_an_agency_gets_receipts_of_what_concerns_it_and_of_nothing_else(office: Office) -> None:
    case = a_day(office)
    # The hub was not told of the submission, only of the offer to it.
    assert HUB not in office.town.entries[0].concerns
    assert office.ask(q.ReadReceipt(agency=HUB, ref=case.id, index=0)) == NOTHING
    receipt = office.body(q.ReadReceipt(agency=HUB, ref=case.id, index=2))
    assert (receipt["type"], receipt["signed"]) == ("handoff_offered", True)
    assert holds(receipt, receipt["vkey"])
    event = office.town.entries[3].id
    by_event = office.body(q.ReadReceipt(agency=HUB, ref=case.state.number, event=event))
    assert (by_event["index"], by_event["name"]) == (3, f"{event}.tlog-proof")
    assert office.body(q.ReadReceipt(agency=HUB, ref=case.id))["index"] == 4
    assert office.ask(q.ReadReceipt(agency=STRANGER, ref=case.id)) == NOTHING
    assert office.ask(q.ReadReceipt(agency=STRANGER, ref=case.id, index=2)) == NOTHING
    # Another case's entry is not had by naming one's own.
    other = a_referral(town=office.town, by=HUB)
    office.record()
    assert office.ask(q.ReadReceipt(agency=HUB, ref=other.id, index=2)) == NOTHING


def test_a_call_that_few_know_of_has_a_receipt_only_for_them(office: Office) -> None:
    case = a_referral(town=office.town).accepted_by(HUB).escalated_by(ANSHIN, "E03")
    office.record()
    (raised,) = [
        n for n, x in enumerate(office.town.entries) if x.event.type == "escalation_raised"
    ]
    assert office.ask(q.ReadReceipt(agency=HUB, ref=case.id, index=raised)) == NOTHING
    assert office.ask(q.ReadReceipt(agency=ANSHIN, ref=case.id, index=raised)).found


def test_before_a_checkpoint_covers_an_entry_its_receipt_says_so(office: Office) -> None:
    case = a_referral(town=office.town)
    office.record(sign=False)
    receipt = office.body(q.ReadReceipt(agency=ANSHIN, ref=case.id))
    assert receipt["signed"] is False
    assert "proof" not in receipt
    assert office.body(q.ReadCheckpoint(agency=CORE))["note"] is None
    office.book.ledger.sign()
    assert office.body(q.ReadReceipt(agency=ANSHIN, ref=case.id))["signed"] is True
    later = a_referral(town=office.town)
    office.record(sign=False)
    receipt = office.body(q.ReadReceipt(agency=ANSHIN, ref=later.id))
    assert (receipt["signed"], "problem" in receipt) == (False, False)
    assert office.body(q.ReadReceipt(agency=ANSHIN, ref=case.id))["signed"] is True


def test_a_long_referral_is_exported_in_parts_that_are_together_the_whole(office: Office) -> None:
    case = a_referral(town=office.town).accepted_by(HUB)
    for _ in range(900):
        case.asks(HUB, c.AddNote(referral=case.id))
    office.record()
    indexes: list[int] = []
    parts, start = 0, 0
    while start is not None:
        part = office.body(q.ExportReferral(agency=AUDITOR, ref=case.id, start=start))
        indexes += [x["index"] for x in part["receipts"]]
        assert holds(part["receipts"][-1], part["vkey"])
        start, parts = part["next"], parts + 1
    assert indexes == list(range(len(office.town.entries)))
    assert parts > 1
