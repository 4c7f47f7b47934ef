"""Where districts meet: what the ward's boundary table says of one block (地区境界表).

A chome (丁目) is whole in one district or shared by several. In a shared chome a district may
enumerate its blocks (番, and for some only certain 号); such a list is complete, so a block that is
missing from it belongs to another. If exactly one other district is left, the block is settled by
elimination; otherwise nothing is guessed and every district that is left is a candidate.
"""

from collections.abc import Iterable
from typing import NamedTuple

from schemas.codes import Basis
from wards.frozen import Frozen, Id, Number, Words

HIGHEST_BLOCK_NUMBER = 99
"""住居表示 counts the blocks of a chome, and the frontages around a block, in at most two digits. A
longer number is a room or an old lot number, so its absence from a list proves nothing."""


class TownChome(Frozen):
    """Some chome of one town (町名と丁目)."""

    town: Words
    chome: tuple[Number, ...]


class Blocks(Frozen):
    """Blocks that a district enumerates in a shared chome; with ``go``, only those 号 of them."""

    town: Words
    chome: Number
    ban: tuple[Number, ...]
    go: tuple[tuple[Number, Number], ...] = ()

    def has_go(self, go: int) -> bool:
        return not self.go or any(first <= go <= last for first, last in self.go)


class Part(NamedTuple):
    """One district's share of a chome. No blocks: its share is not enumerated."""

    district: Id
    blocks: tuple[Blocks, ...]


class Verdict(NamedTuple):
    """What the table says: one candidate if it is settled, more if it is not."""

    basis: Basis
    candidates: tuple[str, ...]


class Chome(NamedTuple):
    """A chome and the districts that have a share of it."""

    town: str
    number: int
    parts: tuple[Part, ...]

    def districts(self) -> tuple[str, ...]:
        return tuple(sorted(part.district for part in self.parts))

    def splits(self, ban: int) -> bool:
        """Whether only some 号 of this 番 are enumerated: without the 号 it is undecidable."""
        return any(b.go and ban in b.ban for part in self.parts for b in part.blocks)

    def find(self, ban: int | None, go: int | None) -> Verdict:
        """The district of a block. ``None`` is a number that nobody knows."""
        if len(self.parts) == 1:
            return Verdict(Basis.WHOLE, self.districts())
        if ban is None:
            return Verdict(Basis.AMBIGUOUS, self.districts())
        go_unknown = go is None or go > HIGHEST_BLOCK_NUMBER
        left = []
        for part in self.parts:
            listed = [blocks for blocks in part.blocks if ban in blocks.ban]
            if any(not b.go or (go is not None and b.has_go(go)) for b in listed):
                return Verdict(Basis.ENUMERATED, (part.district,))
            if not part.blocks or (listed and go_unknown):
                left.append(part.district)
        if ban <= HIGHEST_BLOCK_NUMBER and len(left) > 1:
            return Verdict(Basis.AMBIGUOUS, tuple(sorted(left)))
        if ban <= HIGHEST_BLOCK_NUMBER and left and not (go_unknown and self.splits(ban)):
            return Verdict(Basis.ELIMINATED, (left[0],))
        # No such number, or a block in nobody's list: whoever has a share may own it.
        return Verdict(Basis.AMBIGUOUS, self.districts())


class Share(NamedTuple):
    """What one district claims, as the ward file has it."""

    district: str
    whole: tuple[TownChome, ...]
    part: tuple[TownChome, ...]
    blocks: tuple[Blocks, ...]


def draw(shares: Iterable[Share]) -> dict[tuple[str, int], Chome]:
    """All chome of the ward by (town, number), in the order in which the file names them."""
    drawn: dict[tuple[str, int], Chome] = {}
    for share in shares:
        for area in (*share.whole, *share.part):
            for number in area.chome:
                blocks = tuple(b for b in share.blocks if (b.town, b.chome) == (area.town, number))
                known = drawn.get((area.town, number), Chome(area.town, number, ()))
                part = Part(share.district, blocks)
                drawn[area.town, number] = known._replace(parts=(*known.parts, part))
    return drawn
