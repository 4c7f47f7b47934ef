"""Whoever keeps a receipt's ZIP can check it by one command, without the network that gave it."""

import base64
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from runtime.signed_note import VerifierKey, open_checkpoint, sign_checkpoint, verifier_key
from schemas import queries as q
from services.cli import app
from services.console.referral.receipts import packed
from tests.builders import AUDITOR
from tests.everything_is_on_record.office import Office, a_day

Files = dict[str, bytes]


@pytest.fixture
def receipts(office: Office) -> list[dict[str, Any]]:
    """Receipts of every entry of one case, as audit gives them out."""
    for _ in range(2):
        a_day(office, "routine")
    case = a_day(office, "routine")
    told = office.body(q.ExportReferral(agency=AUDITOR, ref=case.id))
    return [{"vkey": told["vkey"], **one} for one in told["receipts"]]


def checked(folder: Path, zipped: bytes, *more: str) -> tuple[int, str]:
    file = folder / "receipt.zip"
    file.write_bytes(zipped)
    done = CliRunner().invoke(app, ["receipt", str(file), *more])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.exit_code, " ".join(done.output.split())


def unzipped(zipped: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped_again(files: Files) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return held.getvalue()


def test_every_receipt_that_is_given_out_is_good(
    receipts: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert receipts
    for receipt in receipts:
        code, said = checked(tmp_path, packed(receipt))
        assert code == 0, said
        assert f"台帳の {receipt['index']} 番" in said
        assert receipt["leaf"] in said
        assert "別の道で受け取った鍵と同じか、必ず比べてください" in said
        code, said = checked(tmp_path, packed(receipt), "--key", receipt["vkey"])
        assert (code, "鍵は、示された鍵と同じです" in said) == (0, True)


def test_where_the_entry_is_withheld_only_its_hash_is_checked_and_that_is_said(
    receipts: list[dict[str, Any]], tmp_path: Path
) -> None:
    withheld = {key: value for key, value in receipts[-1].items() if key != "entry"}
    assert "entry.json" not in unzipped(packed(withheld))
    code, said = checked(tmp_path, packed(withheld))
    assert (code, "確かめたのはハッシュだけ" in said) == (0, True)
    code, said = checked(tmp_path, packed({**withheld, "leaf": "ab" * 32}))
    assert (code, "ルートに届きません" in said) == (1, True)


def _proof(files: Files) -> str:
    (name,) = [name for name in files if name.endswith(".tlog-proof")]
    return name


def _entry_byte(files: Files) -> None:
    files["entry.json"] = files["entry.json"].replace(b'"number":', b'"number" :', 1)


def _a_hash(files: Files) -> None:
    lines = files[_proof(files)].split(b"\n")
    lines[2] = base64.b64encode(bytes(32))
    files[_proof(files)] = b"\n".join(lines)


def _index(files: Files) -> None:
    name = _proof(files)
    files[name] = re.sub(rb"index [0-9]+", b"index 0", files[name])


def _one_hash_less(files: Files) -> None:
    lines = files[_proof(files)].split(b"\n")
    files[_proof(files)] = b"\n".join(lines[:2] + lines[3:])


def _signature(files: Files) -> None:
    name = _proof(files)
    start, _, last = files[name].removesuffix(b"\n").rpartition(b" ")
    raw = bytearray(base64.b64decode(last))
    raw[-1] ^= 1
    files[name] = start + b" " + base64.b64encode(bytes(raw)) + b"\n"


def _other_key(files: Files) -> None:
    name = VerifierKey.decode(files["ledger.vkey"].decode().strip()).name
    files["ledger.vkey"] = verifier_key(name, Ed25519PrivateKey.generate()).encode().encode()


def _no_key(files: Files) -> None:
    del files["ledger.vkey"]


def _no_proof(files: Files) -> None:
    del files[_proof(files)]


def _no_text(files: Files) -> None:
    files[_proof(files)] = b"\xff\xfe"


@pytest.mark.parametrize(
    ("alter", "words"),
    [
        (_entry_byte, "ルートに届きません"),
        (_a_hash, "ルートに届きません"),
        (_index, "ルートに届きません"),
        (_one_hash_less, "ルートに届きません"),
        (_signature, "署名が ledger.vkey の鍵で確かめられません"),
        (_other_key, "署名が ledger.vkey の鍵で確かめられません"),
        (_no_key, "ZIP に ledger.vkey がありません"),
        (_no_proof, ".tlog-proof が一つありません"),
        (_no_text, "文字ではありません"),
    ],
)
def test_an_altered_receipt_is_refused_with_the_reason(
    receipts: list[dict[str, Any]],
    tmp_path: Path,
    alter: Callable[[Files], None],
    words: str,
) -> None:
    files = unzipped(packed(receipts[-1]))
    before = dict(files)
    alter(files)
    assert files != before
    code, said = checked(tmp_path, zipped_again(files))
    assert (code, words in said) == (1, True), said


def test_a_receipt_made_anew_with_a_key_of_its_own_is_told_by_the_key_that_one_knows(
    receipts: list[dict[str, Any]], tmp_path: Path
) -> None:
    receipt = receipts[-1]
    key = VerifierKey.decode(receipt["vkey"])
    head, _, note = receipt["proof"].partition("\n\n")
    forger = Ed25519PrivateKey.generate()
    forged = {
        **receipt,
        "vkey": verifier_key(key.name, forger).encode(),
        "proof": f"{head}\n\n{sign_checkpoint(open_checkpoint(note, key), forger)}",
    }
    assert checked(tmp_path, packed(forged))[0] == 0
    code, said = checked(tmp_path, packed(forged), "--key", receipt["vkey"])
    assert (code, "示された鍵と違います" in said) == (1, True)


def test_what_is_no_receipt_is_said_to_be_none(
    receipts: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert "受領証の ZIP ではない" in checked(tmp_path, b"%PDF-1.7")[1]
    whole = packed(receipts[-1])
    assert checked(tmp_path, whole[: len(whole) // 2])[0] == 1
    assert checked(tmp_path, zipped_again({"photo.jpg": b""}))[0] == 1
    missing = CliRunner().invoke(app, ["receipt", str(tmp_path / "nothing.zip")])
    assert (missing.exit_code, "読めません" in missing.output) == (1, True)


def test_the_page_in_the_zip_says_how(receipts: list[dict[str, Any]]) -> None:
    page = unzipped(packed(receipts[-1]))["README.txt"].decode()
    assert "tsunagu receipt FILE.zip" in page
    assert "leaf = SHA-256(0x00 ‖ entry.json)" in page
    assert "node = SHA-256(0x01 ‖ left ‖ right)" in page
