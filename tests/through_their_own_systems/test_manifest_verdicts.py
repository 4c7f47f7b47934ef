"""A partner's own tool finds whatever happened to its events, with nothing of the network's code."""

import ast
import base64
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from partners import manifest as tool
from partners.manifest import Event, Verdict, read_event, verify
from runtime.signed_note import Checkpoint, sign_checkpoint, verifier_key
from services.delivery.manifest_keys import inbox_origin
from services.delivery.proof import EMPTY, event_hash, next_head

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
ANOTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"a" * 32)
ORIGIN = inbox_origin("131059", "hub-motofuji")
VKEY = verifier_key(ORIGIN, KEY).encode()


def an_event(number: int) -> Event:
    return Event(number, {"id": f"event {number}", "data": {"type": "note_added", "place": "本郷"}})


EVENTS = [an_event(number) for number in range(1, 31)]


def head_of(events: list[Event]) -> bytes:
    """As the network works it out, not as the tool does."""
    head = EMPTY
    for one in events:
        head = next_head(head, event_hash(one.event))
    return head


def note_of(events: list[Event], *keys: Ed25519PrivateKey, origin: str = ORIGIN) -> str:
    return sign_checkpoint(Checkpoint(origin, len(events), head_of(events)), *(keys or (KEY,)))


NOTE = note_of(EVENTS)


def altered(number: int, **fields: Any) -> list[Event]:
    return [replace(e, event={**e.event, **fields}) if e.number == number else e for e in EVENTS]


def swapped(first: int, second: int) -> list[Event]:
    events = {e.number: e.event for e in EVENTS}
    events[first], events[second] = events[second], events[first]
    return [Event(number, events[number]) for number in sorted(events)]


def test_an_inbox_as_it_was_signed_is_whole() -> None:
    assert verify(EVENTS, NOTE, VKEY).verdict is Verdict.WHOLE


def test_what_came_after_the_manifest_is_told_and_no_fault() -> None:
    report = verify([*EVENTS, an_event(31), an_event(32)], NOTE, VKEY)
    assert (report.verdict, report.size, report.beyond) == (Verdict.WHOLE, 30, 2)


def test_in_which_order_they_arrived_does_not_matter() -> None:
    assert verify([*reversed(EVENTS), EVENTS[3]], NOTE, VKEY).whole


def test_an_inbox_without_events_is_whole() -> None:
    assert verify([], note_of([]), VKEY).whole


def test_a_dropped_event_is_missing_by_its_number() -> None:
    report = verify([e for e in EVENTS if e.number not in (7, 30)], NOTE, VKEY)
    assert (report.verdict, report.numbers) == (Verdict.MISSING, (7, 30))


def test_a_dropped_event_is_missing_even_where_the_rest_is_numbered_anew() -> None:
    rest = [Event(n, e.event) for n, e in enumerate((e for e in EVENTS if e.number != 7), 1)]
    report = verify(rest, NOTE, VKEY)
    assert (report.verdict, report.numbers) == (Verdict.MISSING, (30,))


def test_a_changed_event_is_altered() -> None:
    assert verify(altered(12, subject="another"), NOTE, VKEY).verdict is Verdict.ALTERED


@pytest.mark.parametrize(("first", "second"), [(4, 5), (1, 30), (11, 20)])
def test_two_events_that_changed_places_are_named(first: int, second: int) -> None:
    report = verify(swapped(first, second), NOTE, VKEY)
    assert (report.verdict, report.numbers) == (Verdict.OUT_OF_ORDER, (first, second))


def test_two_events_under_one_number_are_told() -> None:
    report = verify([*EVENTS, Event(9, {"id": "another"})], NOTE, VKEY)
    assert (report.verdict, report.numbers) == (Verdict.DUPLICATED, (9,))


def test_a_manifest_older_than_one_that_was_seen_is_told() -> None:
    old = note_of(EVENTS[:20])
    assert verify(EVENTS, old, VKEY).whole  # by itself it is true
    assert verify(EVENTS, old, VKEY, at_least=30).verdict is Verdict.OLD


def test_the_manifest_of_another_agency_is_told() -> None:
    theirs = note_of(EVENTS, origin=inbox_origin("131059", "hub-komagome"))
    assert verify(EVENTS, theirs, VKEY).verdict is Verdict.OF_ANOTHER


BROKEN_NOTES = {
    "signed with another key": note_of(EVENTS, ANOTHER_KEY),
    "another size": NOTE.replace("\n30\n", "\n29\n"),
    "no signature": NOTE.rpartition("\n\n")[0] + "\n",
    "nothing": "",
    "half a note": NOTE[: len(NOTE) // 2],
}


@pytest.mark.parametrize("note", BROKEN_NOTES.values(), ids=BROKEN_NOTES.keys())
def test_a_note_that_the_key_has_not_signed_proves_nothing(note: str) -> None:
    assert verify(EVENTS, note, VKEY).verdict is Verdict.NOT_SIGNED


def test_while_keys_overlap_either_is_enough() -> None:
    both = note_of(EVENTS, ANOTHER_KEY, KEY)
    assert verify(EVENTS, both, VKEY).whole
    assert verify(EVENTS, both, verifier_key(ORIGIN, ANOTHER_KEY).encode()).whole


def test_an_event_is_the_same_from_the_inbox_and_from_a_webhook() -> None:
    event = {"id": "x", "type": "tsunagu.note_added.v1"}
    assert read_event({"number": 7, "event": event}) == read_event({**event, "agencynumber": 7})
    with pytest.raises(ValueError, match="number"):
        read_event(event)


# -- any inbox ------------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abcdefgh_", max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
inboxes = st.lists(
    st.fixed_dictionaries({"id": st.uuids().map(str), "data": values}), min_size=1, max_size=12
)


@settings(max_examples=60)
@given(inboxes, st.data())
def test_any_inbox_is_whole_and_any_change_of_it_is_found(
    bodies: list[dict[str, Any]], data: st.DataObject
) -> None:
    events = [Event(number, body) for number, body in enumerate(bodies, 1)]
    note = note_of(events)
    assert verify(events, note, VKEY).whole
    place = data.draw(st.integers(0, len(events) - 1))
    other = data.draw(values)
    one = events[place]
    changed = [
        *events[:place],
        replace(one, event={**one.event, "data": other}),
        *events[place + 1 :],
    ]
    if event_hash(changed[place].event) != event_hash(one.event):
        assert not verify(changed, note, VKEY).whole
    assert verify([*events[:place], *events[place + 1 :]], note, VKEY).verdict is Verdict.MISSING


# -- others' eyes ---------------------------------------------------------------------------------------


def test_the_tool_knows_nothing_of_the_network() -> None:
    tree = ast.parse(Path(tool.__file__).read_text("utf-8"))
    names = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    names += [str(n.module) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    foreign = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)
    assert foreign == {"cryptography"}


def test_openssl_says_the_same_of_the_signature(tmp_path: Path) -> None:
    body, _, signatures = NOTE.rpartition("\n\n")
    signature = base64.b64decode(signatures.split()[2])[4:]
    # RFC 8410: the public key as openssl reads it.
    der = bytes.fromhex("302a300506032b6570032100") + KEY.public_key().public_bytes_raw()
    for name, content in (("body", f"{body}\n".encode()), ("signature", signature), ("key", der)):
        (tmp_path / name).write_bytes(content)

    def openssl() -> int:
        return subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER",
             "-inkey", "key", "-in", "body", "-sigfile", "signature"],
            cwd=tmp_path, capture_output=True, check=False,
        ).returncode  # fmt: skip

    assert openssl() == 0
    (tmp_path / "body").write_bytes(f"{body}\n".replace("\n30\n", "\n31\n").encode())
    assert openssl() != 0
