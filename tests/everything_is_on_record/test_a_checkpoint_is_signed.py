import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from runtime.signed_note import (
    Checkpoint,
    NoteError,
    VerifierKey,
    open_checkpoint,
    sign_checkpoint,
    verifier_key,
)
from tests.everything_is_on_record.a_ledger import KEY, ORIGIN, VKEY

SUM_GOLANG_ORG = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
WITNESS = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
OURS = VerifierKey.decode(VKEY)
CHECKPOINT = Checkpoint(ORIGIN, 42, bytes(range(32)))
NOTE = sign_checkpoint(CHECKPOINT, KEY)
BODY, SIGNATURE = NOTE.split("\n\n")


def signed(body: str, key: Ed25519PrivateKey = KEY, name: str = ORIGIN) -> str:
    """A note over any text at all, rightly signed."""
    signature = verifier_key(name, key).key_id + key.sign(body.encode())
    return f"{body}\n— {name} {base64.b64encode(signature).decode()}\n"


def bad_signature(name: str, key_id: bytes) -> str:
    return f"— {name} {base64.b64encode(key_id + bytes(64)).decode()}\n"


ROOT = base64.b64encode(bytes(32)).decode()

BROKEN = {
    "nothing": "",
    "no signature": BODY + "\n",
    "no blank line": NOTE.replace("\n\n", "\n"),
    "no last line end": NOTE[:-1],
    "a hyphen for the dash": NOTE.replace("—", "-"),
    "signed by another key under our name": signed(CHECKPOINT.body(), WITNESS),
    "signed by another name": signed(CHECKPOINT.body(), KEY, "someone-else"),
    "another size than was signed": NOTE.replace("\n42\n", "\n43\n"),
    "our signature spoiled": BODY + "\n\n" + bad_signature(ORIGIN, OURS.key_id),
    "our signature once good and once bad": NOTE + bad_signature(ORIGIN, OURS.key_id),
    "our signature cut short": NOTE[:-10] + "\n",
    "a signature that is not base64": NOTE.replace(SIGNATURE[-9:-1], "!" * 8),
    "a line that is no signature": NOTE + "hello\n",
    "an empty line after the signatures": NOTE + "\n",
    "a control character": signed(f"{ORIGIN}\n42\r\n{ROOT}\n"),
    "an extension line": signed(CHECKPOINT.body() + "more\n"),
    "no root": signed(f"{ORIGIN}\n42\n"),
    "half a root": signed(f"{ORIGIN}\n42\n{ROOT[:20]}\n"),
    "a root with stray bits": signed(f"{ORIGIN}\n42\n{ROOT[:-2]}B=\n"),
    "a size with a leading nought": signed(f"{ORIGIN}\n042\n{ROOT}\n"),
    "a size with a sign": signed(f"{ORIGIN}\n+42\n{ROOT}\n"),
    "a size in full-width digits": signed(f"{ORIGIN}\n４２\n{ROOT}\n"),
    "a size beyond 63 bits": signed(f"{ORIGIN}\n{2**63}\n{ROOT}\n"),
    "a size without end": signed(f"{ORIGIN}\n{'9' * 5_000}\n{ROOT}\n"),
    "another log's origin": signed(f"other\n42\n{ROOT}\n"),
    "no origin": signed(f"\n42\n{ROOT}\n"),
    "half a character": NOTE.replace("tsunagu", "\ud800"),
    "too long": NOTE + f"— x {'A' * 70_000}\n",
}

BROKEN_KEYS = {
    "nothing": "",
    "only a name": ORIGIN,
    "no key": f"{ORIGIN}+{OURS.key_id.hex()}",
    "not base64": f"{ORIGIN}+{OURS.key_id.hex()}+!!!",
    "an id of another key": VKEY.replace(OURS.key_id.hex(), "00000000"),
    "a name of another key": "x" + VKEY,
    "no name": VKEY.removeprefix(ORIGIN),
    "half a character in the name": "\ud800" + VKEY,
    "a space in the name": "a b" + VKEY.removeprefix(ORIGIN),
    "another algorithm": f"{ORIGIN}+{OURS.key_id.hex()}+{base64.b64encode(bytes(33)).decode()}",
    "half a key": f"{ORIGIN}+{OURS.key_id.hex()}+{base64.b64encode(bytes([1] * 17)).decode()}",
}


@given(st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_what_was_signed_is_opened(size: int, root: bytes) -> None:
    checkpoint = Checkpoint(ORIGIN, size, root)
    assert open_checkpoint(sign_checkpoint(checkpoint, KEY), OURS) == checkpoint


def test_the_note_reads_as_c2sp_says() -> None:
    assert BODY.split("\n") == [ORIGIN, "42", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]
    assert SIGNATURE.startswith(f"— {ORIGIN} ")


def test_signatures_of_unknown_keys_are_ignored() -> None:
    witnessed = NOTE + bad_signature("witness", b"wwww") + bad_signature(ORIGIN, b"none")
    assert open_checkpoint(witnessed, OURS) == CHECKPOINT


@pytest.mark.parametrize("note", BROKEN.values(), ids=BROKEN)
def test_a_broken_note_is_refused(note: str) -> None:
    with pytest.raises(NoteError):
        open_checkpoint(note, OURS)


@given(st.integers(0, len(NOTE) - 1), st.characters())
def test_a_note_with_any_character_changed_is_refused(at: int, character: str) -> None:
    if NOTE[at] != character:
        with pytest.raises(NoteError):
            open_checkpoint(NOTE[:at] + character + NOTE[at + 1 :], OURS)


@pytest.mark.parametrize("vkey", [SUM_GOLANG_ORG, VKEY])
def test_a_verifier_key_survives_the_round_trip(vkey: str) -> None:
    assert VerifierKey.decode(vkey).encode() == vkey


@pytest.mark.parametrize("vkey", BROKEN_KEYS.values(), ids=BROKEN_KEYS)
def test_a_broken_verifier_key_is_refused(vkey: str) -> None:
    with pytest.raises(NoteError):
        VerifierKey.decode(vkey)
