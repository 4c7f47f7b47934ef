"""The ledger to take away (台帳の書き出し): the plain tile tree of C2SP tlog-tiles with its signed head, the
key, a policy, and a page that tells how to check all of it with tools that nobody here wrote.

What is written is checked on the way: every entry against its leaf, the tree against the signed root. A
ledger that does not hold is not exported; ``tsunagu verify`` tells where.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.engine import Connection

from runtime.database import reading
from runtime.settings import Settings
from runtime.signed_note import NoteError, VerifierKey, open_checkpoint
from services.audit import ledger
from services.audit.commands import open_ledger
from services.audit.export_page import page
from services.audit.levels import TILE_HEIGHT, TILE_WIDTH, Levels
from services.audit.merkle import leaf_hash

_AT_ONCE: Final = 4 * TILE_WIDTH


class ExportError(Exception):
    """Nothing, or not all, was written; the text says why, in Japanese and English."""


@dataclass(frozen=True, slots=True)
class Exported:
    """``size``: entries, all under the signed head. ``unsigned``: how many more there are, which no
    checkpoint covers yet."""

    folder: Path
    size: int
    unsigned: int


def export_ledger(
    settings: Settings, folder: Path, progress: Callable[[int, int], None] = lambda done, of: None
) -> Exported:
    """Write the ledger of ``settings`` into ``folder``, which is empty or not there yet. Raises
    ExportError. ``progress``: entries so far, and of how many."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportError("空のフォルダを指定してください / not an empty folder")
    try:
        vkey = (settings.keys / "ledger.vkey").read_text(encoding="ascii").strip()
        key = VerifierKey.decode(vkey)
    except (OSError, UnicodeDecodeError, NoteError):
        raise ExportError(
            "台帳の検証鍵がありません / no verifier key in keys/ledger.vkey"
        ) from None
    engine = open_ledger(settings)
    if engine is None:
        raise ExportError("台帳がありません / there is no ledger")
    try:
        with reading(engine) as connection:
            return _export(connection, folder, vkey, key, progress)
    except OSError as error:
        raise ExportError(f"書き込めません / cannot write: {error.strerror}") from error
    finally:
        engine.dispose()


def _export(
    connection: Connection,
    folder: Path,
    vkey: str,
    key: VerifierKey,
    progress: Callable[[int, int], None],
) -> Exported:
    newest = ledger.newest_checkpoint(connection)
    if newest is None:
        raise ExportError("署名済みの記録がまだありません / nothing is signed yet")
    note = newest[0].note
    try:
        checkpoint = open_checkpoint(note, key)
    except NoteError as error:
        raise ExportError(f"署名が正しくありません / the signed head is bad: {error}") from error
    size = checkpoint.size
    there = len(ledger.stored_frontier(connection))
    levels = Levels()
    bundle: list[bytes] = []
    for row in _entries(connection, size):
        if row.idx != len(levels) or leaf_hash(row.body) != row.leaf:
            raise ExportError(
                f"{len(levels)} 番目の記録が正しくありません。tsunagu verify を / "
                f"entry {len(levels)} is not right; run tsunagu verify"
            )
        levels.append(row.leaf)
        bundle.append(row.body)
        if len(bundle) == TILE_WIDTH or len(levels) == size:
            _write(folder / entries_path(len(levels) - 1, size), _bundled(bundle))
            bundle = []
            progress(len(levels), size)
    if len(levels) != size or levels.root(size) != checkpoint.root:
        raise ExportError(
            "記録が署名と合いません。tsunagu verify を / the entries are not those that were signed; "
            "run tsunagu verify"
        )
    for level, number in tiles(size):
        _write(folder / tile_path(level, number, size), levels.tile(level, number, size))
    for name, text in (
        ("ledger.vkey", f"{vkey}\n"),
        ("tlog-policy", policy(vkey)),
        ("README.md", page(vkey, size)),
        ("checkpoint", note),  # last: with it the tree is whole
    ):
        _write(folder / name, text.encode())
    return Exported(folder, size, max(0, there - size))


def _entries(connection: Connection, size: int) -> Iterator[ledger.Row]:
    for start in range(0, size, _AT_ONCE):
        yield from ledger.rows(connection, start=start, most=min(_AT_ONCE, size - start))


def _bundled(bodies: list[bytes]) -> bytes:
    """An entry bundle: each entry after its length in two bytes."""
    return b"".join(len(body).to_bytes(2, "big") + body for body in bodies)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def tiles(size: int) -> Iterator[tuple[int, int]]:
    """Every tile of a tree of ``size`` entries, by tile level and number."""
    level = 0
    while hashes := size >> (level * TILE_HEIGHT):
        for number in range(-(-hashes // TILE_WIDTH)):
            yield level, number
        level += 1


def tile_path(level: int, number: int, size: int) -> str:
    return f"tile/{level}/{_numbered(number, size >> (level * TILE_HEIGHT))}"


def entries_path(index: int, size: int) -> str:
    """The bundle that holds an entry."""
    return f"tile/entries/{_numbered(index // TILE_WIDTH, size)}"


def _numbered(number: int, hashes: int) -> str:
    """``x001/x234/067``, and ``.p/<width>`` behind a tile that is not full."""
    path = f"{number % 1000:03}"
    rest = number // 1000
    while rest:
        path = f"x{rest % 1000:03}/{path}"
        rest //= 1000
    width = min(TILE_WIDTH, hashes - number * TILE_WIDTH)
    return path if width == TILE_WIDTH else f"{path}.p/{width}"


def policy(vkey: str) -> str:
    """C2SP tlog-policy: whom to believe. No witness cosigns this log yet, so none is asked for; the
    agencies' receipts and the checkpoints that they keep are what it is held against."""
    return f"log {vkey}\nquorum none\n"
