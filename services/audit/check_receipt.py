"""Check one receipt (受領証) from its ZIP alone: what ``tsunagu receipt`` does.

Like ``verify`` it stands alone: the standard library, `cryptography`, and the pure formats beside it; no
network, no database, no settings.

    leaf = SHA-256(00 ‖ entry.json)               RFC 6962, 2.1
    node = SHA-256(01 ‖ left ‖ right)             from leaf to root, by the hashes of the tlog-proof
    root = the third line of the checkpoint, which the key in ledger.vkey has signed (Ed25519)

Where the entry is not given out, ``leaf.txt`` has the leaf instead, and only that hash is checked.
A ZIP that was made anew with a key of its own is whole in itself: only a key that came another way tells.
"""

import base64
import binascii
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runtime.signed_note import Checkpoint, NoteError, VerifierKey, open_checkpoint
from services.audit.merkle import HASH_BYTES, ProofError, leaf_hash, verify_inclusion
from services.audit.receipts import HEADER

# Far more than an entry or a proof has: a file from outside does not fill the memory.
LARGEST_FILE: Final = 4 * 1024 * 1024
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")
_LEAF = re.compile(rb"[0-9a-f]{64}\n?")


class BadReceiptError(ValueError):
    """The receipt proves nothing. Its text says why, Japanese first, and repeats nothing of the file."""


@dataclass(frozen=True, slots=True)
class GoodReceipt:
    """``index``: the entry's place in the ledger. ``withheld``: the entry was not in the ZIP, so only its hash
    was checked. ``compared``: the key is the one that the caller knows."""

    index: int
    leaf: bytes
    checkpoint: Checkpoint
    vkey: str
    withheld: bool
    compared: bool


def check_receipt(file: Path, known_key: str | None = None) -> GoodReceipt:
    """``known_key``: the verifier key as it came another way. Raises BadReceiptError."""
    files = _read(file)
    vkey = _text(files.get("ledger.vkey"), "ledger.vkey").strip()
    if known_key is not None and vkey != known_key.strip():
        raise BadReceiptError(
            "ledger.vkey は、示された鍵と違います / ledger.vkey is not the key that you gave"
        )
    proofs = [name for name in files if name.endswith(".tlog-proof")]
    if len(proofs) != 1:
        raise BadReceiptError(
            "ZIP に .tlog-proof が一つありません / the ZIP does not have one .tlog-proof"
        )
    index, hashes, note = _opened(_text(files[proofs[0]], ".tlog-proof"))
    entry = files.get("entry.json")
    leaf = leaf_hash(entry) if entry is not None else _told_leaf(files.get("leaf.txt"))
    try:
        checkpoint = open_checkpoint(note, VerifierKey.decode(vkey))
    except NoteError as error:
        raise BadReceiptError(
            "署名が ledger.vkey の鍵で確かめられません / "
            f"the checkpoint is not signed by ledger.vkey: {error}"
        ) from None
    try:
        verify_inclusion(leaf, index, checkpoint.size, hashes, checkpoint.root)
    except ProofError as error:
        raise BadReceiptError(
            "証明が署名済みのルートに届きません（記録か証明が変わっています） / "
            f"the entry or its proof was altered: {error}"
        ) from None
    return GoodReceipt(index, leaf, checkpoint, vkey, entry is None, known_key is not None)


def _read(file: Path) -> dict[str, bytes]:
    """Every file that matters, by its name."""
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                if name not in ("entry.json", "leaf.txt", "ledger.vkey") and not name.endswith(
                    ".tlog-proof"
                ):
                    continue
                if name in found:  # two files of one name: which one was meant nobody can say
                    raise BadReceiptError(
                        "同じ名のファイルが二つあります / two files have one name"
                    )
                with archive.open(name) as opened:
                    data = opened.read(LARGEST_FILE + 1)
                if len(data) > LARGEST_FILE:
                    raise BadReceiptError("ファイルが大きすぎます / a file in the ZIP is too large")
                found[name] = data
    except OSError as error:
        raise BadReceiptError(f"読めません / cannot be read: {error.strerror}") from None
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as e:
        if isinstance(e, BadReceiptError):
            raise
        raise BadReceiptError(
            "受領証の ZIP ではないか、壊れています / not a receipt's ZIP, or a damaged one"
        ) from None
    return found


def _text(data: bytes | None, name: str) -> str:
    if data is None:
        raise BadReceiptError(f"ZIP に {name} がありません / the ZIP has no {name}")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BadReceiptError(f"{name} は文字ではありません / {name} is not text") from None


def _told_leaf(data: bytes | None) -> bytes:
    if data is None:
        raise BadReceiptError(
            "ZIP に entry.json も leaf.txt もありません / the ZIP has neither entry.json nor leaf.txt"
        )
    if not _LEAF.fullmatch(data):
        raise BadReceiptError("leaf.txt はハッシュではありません / leaf.txt is not a hash")
    return bytes.fromhex(data.decode())


def _opened(proof: str) -> tuple[int, list[bytes], str]:
    """The index, the hashes from leaf to root, and the signed checkpoint."""
    head, blank, note = proof.partition("\n\n")
    header, *lines = head.split("\n")
    said = _INDEX.fullmatch(lines[0]) if lines else None
    try:
        hashes = [base64.b64decode(line, validate=True) for line in lines[1:]]
    except (binascii.Error, ValueError):
        hashes = [b""]
    if (
        header != HEADER
        or said is None
        or not blank
        or any(len(one) != HASH_BYTES for one in hashes)
    ):
        raise BadReceiptError(
            "C2SP tlog-proof の形ではありません / the proof is not a C2SP tlog-proof as we write it"
        )
    return int(said[1]), hashes, note
