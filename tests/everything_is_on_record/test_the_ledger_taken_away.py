"""The ledger as plain files: whoever has them and the key can check them without us."""

import base64
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from runtime.settings import Settings
from runtime.signed_note import VerifierKey, open_checkpoint
from services.audit.export import Exported, ExportError, entries_path, export_ledger, tile_path
from services.audit.export_page import LINES
from services.audit.levels import Levels
from services.audit.merkle import inclusion_proof, root_of, subtree_of, verify_inclusion
from tests.book import VKEY
from tests.builders import HUB, a_referral
from tests.everything_is_on_record.office import Office, a_day, tampered


@pytest.fixture
def settings(office: Office, tmp_path: Path) -> Settings:
    url = office.book.engine.url.render_as_string(hide_password=False)
    settings = Settings(home=tmp_path / "home", database=url)
    settings.keys.mkdir(parents=True)
    (settings.keys / "ledger.vkey").write_text(f"{VKEY}\n")
    return settings


def months(office: Office, entries: int) -> None:
    """A ledger of at least so many entries."""
    while len(office.town.entries) < entries:
        a_referral(town=office.town, urgency="routine").accepted_by(HUB).closed()
    office.record()


def exported(settings: Settings, folder: Path) -> Exported:
    told: list[tuple[int, int]] = []
    done = export_ledger(settings, folder, lambda n, of: told.append((n, of)))
    assert told[-1] == (done.size, done.size)
    return done


def leaves_in(folder: Path, size: int) -> list[bytes]:
    return [
        sha256(b"\0" + body).digest()
        for start in range(0, size, 256)
        for body in entries_in(folder / entries_path(start, size))
    ]


def entries_in(bundle: Path) -> list[bytes]:
    data, found = bundle.read_bytes(), []
    while data:
        end = 2 + int.from_bytes(data[:2], "big")
        found.append(data[2:end])
        data = data[end:]
    return found


@pytest.mark.parametrize("entries", [5, 256, 600])
def test_the_tile_tree_holds_every_entry_and_leads_to_the_signed_root(
    office: Office, settings: Settings, tmp_path: Path, entries: int
) -> None:
    months(office, entries)
    folder = tmp_path / "copy"
    done = exported(settings, folder)
    size = len(office.town.entries)
    assert (done.size, done.unsigned) == (size, 0)
    checkpoint = open_checkpoint((folder / "checkpoint").read_text(), VerifierKey.decode(VKEY))
    leaves = leaves_in(folder, size)
    assert (checkpoint.size, checkpoint.root) == (size, root_of(leaves))
    # Tiles of level 0 are the leaves; a hash of level 1 is the root of 256 of them.
    for start in range(0, size, 256):
        tile = (folder / tile_path(0, start // 256, size)).read_bytes()
        assert tile == b"".join(leaves[start : start + 256])
    above = b"".join(root_of(leaves[n : n + 256]) for n in range(0, size - size % 256, 256))
    if above:
        assert (folder / tile_path(1, 0, size)).read_bytes() == above
    files = {str(x.relative_to(folder)) for x in folder.rglob("*") if x.is_file()}
    bundles = -(-size // 256)
    assert len(files) == 4 + 2 * bundles + bool(above)
    assert (folder / "ledger.vkey").read_text() == f"{VKEY}\n"
    assert (folder / "tlog-policy").read_text().splitlines() == [f"log {VKEY}", "quorum none"]


def test_the_lines_on_the_page_compute_the_signed_root(
    office: Office, settings: Settings, tmp_path: Path
) -> None:
    months(office, 600)
    folder = tmp_path / "copy"
    done = exported(settings, folder)
    page = (folder / "README.md").read_text("utf-8")
    assert LINES in page
    assert VKEY in page
    (script := tmp_path / "check.py").write_text(LINES)
    environment = {"PATH": os.environ["PATH"]}
    said = subprocess.run(
        [sys.executable, "-I", script], cwd=folder, env=environment, capture_output=True, check=True
    ).stdout.decode()
    root = (folder / "checkpoint").read_text().splitlines()[2]
    assert said.split() == [str(done.size), root]
    assert len(base64.b64decode(root)) == 32


def test_what_no_checkpoint_covers_is_left_out_and_counted(
    office: Office, settings: Settings, tmp_path: Path
) -> None:
    a_day(office)
    a_referral(town=office.town)
    office.record(sign=False)
    done = exported(settings, tmp_path / "copy")
    assert (done.size, done.unsigned) == (5, len(office.town.entries) - 5)
    assert len(entries_in(tmp_path / "copy/tile/entries/000.p/5")) == 5


def test_a_ledger_that_does_not_hold_is_not_taken_away(
    office: Office, settings: Settings, tmp_path: Path
) -> None:
    a_day(office)
    body = office.book.bodies()[3]
    tampered(office, 3, body.replace(b"hub-motofuji", b"hub-komagome"))
    with pytest.raises(ExportError, match="entry 3 is not right"):
        exported(settings, tmp_path / "copy")
    assert not (tmp_path / "copy/checkpoint").exists()


def test_entries_that_were_never_signed_so_are_not_taken_away(
    office: Office, settings: Settings, tmp_path: Path
) -> None:
    a_day(office)
    body = office.book.bodies()[4].replace(b"got_help", b"died")
    tampered(office, 4, body, leaf=sha256(b"\0" + body).digest())
    with pytest.raises(ExportError, match="not those that were signed"):
        exported(settings, tmp_path / "copy")


def test_a_folder_with_anything_in_it_is_left_alone(
    office: Office, settings: Settings, tmp_path: Path
) -> None:
    a_day(office)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/notes.txt").write_text("mine")
    with pytest.raises(ExportError, match="not an empty folder"):
        exported(settings, tmp_path / "copy")
    assert [x.name for x in (tmp_path / "copy").iterdir()] == ["notes.txt"]


def test_before_anything_is_signed_there_is_nothing_to_take_away(
    office: Office, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match="nothing is signed yet"):
        exported(settings, tmp_path / "copy")


@pytest.mark.parametrize(
    ("number", "size", "path"),
    [
        (0, 5, "tile/0/000.p/5"),
        (0, 256, "tile/0/000"),
        (999, 256_000, "tile/0/999"),
        (1000, 256_001, "tile/0/x001/000.p/1"),
        (1_234_067, 1_234_068 * 256, "tile/0/x001/x234/067"),
    ],
)
def test_tiles_lie_where_other_tools_look_for_them(number: int, size: int, path: str) -> None:
    assert tile_path(0, number, size) == path


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 255, 256, 257, 300])
def test_the_kept_hashes_prove_what_the_tree_itself_proves(size: int) -> None:
    leaves = [sha256(bytes([n % 256, n // 256])).digest() for n in range(size + 5)]
    levels = Levels()
    for leaf in leaves:
        levels.append(leaf)
    root = root_of(leaves[:size])
    assert levels.root(size) == root  # also of a tree that has grown since
    for index in {0, 1, size // 2, size - 2, size - 1} & set(range(size)):
        proof = inclusion_proof(index, size, levels.subtree)
        assert proof == inclusion_proof(index, size, subtree_of(leaves[:size]))
        verify_inclusion(leaves[index], index, size, proof, root)
