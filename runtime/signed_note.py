"""Signed heads (署名付きの先頭): of a ledger, of an agency's inbox. A C2SP tlog-checkpoint in a C2SP signed
note, with Ed25519 (RFC 8032).

    origin LF size LF base64 root LF
    LF
    — key name SP base64(key id ‖ signature) LF

No extension lines: what is signed is the origin, the size and the root, and nothing else.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519: Final = b"\x01"
LARGEST_NOTE: Final = 65_536
LARGEST_SIZE: Final = 2**63 - 1


class NoteError(ValueError):
    """Not a note that the given key has signed, or what it says is no checkpoint."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes

    def body(self) -> str:
        return f"{self.origin}\n{self.size}\n{_to_base64(self.root)}\n"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A signer's public key under its name, written ``name+hex key id+base64(type ‖ key)``."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        if not self.name.isprintable() or not self.name.strip() or set(self.name) & {" ", "+"}:
            raise NoteError("a key's name is printable, without spaces and plus signs")

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    def encode(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_to_base64(ED25519 + self.public)}"

    @classmethod
    def decode(cls, vkey: str) -> "VerifierKey":
        name, plus, rest = vkey.partition("+")
        key_id, plus, encoded = rest.partition("+")
        key = _from_base64(encoded)
        if not plus or key[:1] != ED25519 or len(key) != 33:
            raise NoteError("not the verifier key of an Ed25519 signer")
        verifier = cls(name, key[1:])
        if key_id != verifier.key_id.hex():
            raise NoteError("the verifier key's id does not match its name and key")
        return verifier


def verifier_key(name: str, private: Ed25519PrivateKey) -> VerifierKey:
    return VerifierKey(name, private.public_key().public_bytes_raw())


def sign_checkpoint(checkpoint: Checkpoint, *keys: Ed25519PrivateKey) -> str:
    """The note, with a signature by each key: whoever knows any one of them can check it. The keys'
    name is the origin, as C2SP recommends."""
    body = checkpoint.body()
    return f"{body}\n" + "".join(_signature(checkpoint.origin, body, key) for key in keys)


def _signature(name: str, body: str, private: Ed25519PrivateKey) -> str:
    signature = verifier_key(name, private).key_id + private.sign(body.encode())
    return f"— {name} {_to_base64(signature)}\n"


def open_checkpoint(note: str, key: VerifierKey) -> Checkpoint:
    """The checkpoint that ``key`` has signed; signatures of unknown keys (witnesses) are ignored.

    A signature that claims to be by ``key`` and is not spoils the note, even next to a good one.
    """
    if len(note) > LARGEST_NOTE or not note.endswith("\n"):
        raise NoteError("not a signed note")
    if any(c < " " and c != "\n" for c in note):
        raise NoteError("a signed note has no control characters")
    body, blank, signatures = note.rpartition("\n\n")
    if not blank:
        raise NoteError("not a signed note")
    body += "\n"
    known = [
        signature
        for name, key_id, signature in map(_read_signature, signatures[:-1].split("\n"))
        if name == key.name and key_id == key.key_id
    ]
    if not known:
        raise NoteError("the known key has not signed this note")
    for signature in known:
        _check_signature(key, signature, body)
    checkpoint = _read_body(body)
    if checkpoint.origin != key.name:
        raise NoteError("the checkpoint is of another log")
    return checkpoint


def _read_signature(line: str) -> tuple[str, bytes, bytes]:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    signature = _from_base64(encoded)
    if dash != "—" or not name or len(signature) < 5:
        raise NoteError("not a signature line")
    return name, signature[:4], signature[4:]


def _check_signature(key: VerifierKey, signature: bytes, body: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, body.encode())
    except (InvalidSignature, UnicodeEncodeError, ValueError):
        raise NoteError("the known key's signature is bad") from None


def _read_body(body: str) -> Checkpoint:
    lines = body.split("\n")
    if len(lines) != 4 or not lines[0]:
        raise NoteError("a checkpoint is origin, size and root, and nothing else")
    origin, digits, encoded, _ = lines
    root = _from_base64(encoded)
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 19 or len(root) != 32:
        raise NoteError("the checkpoint's size or root is malformed")
    checkpoint = Checkpoint(origin, int(digits), root)
    if checkpoint.size > LARGEST_SIZE or checkpoint.body() != body:
        raise NoteError("the checkpoint is not written in its one form")
    return checkpoint


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _from_base64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError("not base64") from None
    if _to_base64(data) != text:  # stray bits in the last character: two spellings of one value
        raise NoteError("not base64 in its one form")
    return data
