"""The hashes of a whole Merkle tree in memory, level by level, so that a proof need not hash again what
many proofs share. Pure.

Level 0 holds the leaves, level k the roots of the full subtrees of 2^k leaves. Tiles (C2SP tlog-tiles)
are cut from every eighth level. About 64 bytes an entry.
"""

from typing import Final

from services.audit.merkle import EMPTY_ROOT, HASH_BYTES, node_hash

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT


class Levels:
    """Grows by ``append`` only. Not for two threads at a time."""

    def __init__(self) -> None:
        self._levels: list[bytearray] = [bytearray()]

    def __len__(self) -> int:
        """How many leaves."""
        return len(self._levels[0]) // HASH_BYTES

    def append(self, leaf: bytes) -> None:
        if len(leaf) != HASH_BYTES:
            raise ValueError("not a hash")
        self._levels[0] += leaf
        level = 0
        while not len(self._levels[level]) // HASH_BYTES & 1:
            pair = self._levels[level][-2 * HASH_BYTES :]
            level += 1
            if level == len(self._levels):
                self._levels.append(bytearray())
            self._levels[level] += node_hash(bytes(pair[:HASH_BYTES]), bytes(pair[HASH_BYTES:]))

    def subtree(self, start: int, end: int) -> bytes:
        """The root of leaves [start, end), where ``start`` is a multiple of the largest power of two
        that fits in, as it is wherever RFC 6962 splits (``merkle.Subtree``)."""
        if start == end:
            return EMPTY_ROOT
        level = (end - start).bit_length() - 1
        width = 1 << level
        if start % width:
            raise ValueError("no subtree of an RFC 6962 tree begins there")
        left = self._hash(level, start >> level)
        return left if end - start == width else node_hash(left, self.subtree(start + width, end))

    def root(self, size: int) -> bytes:
        return self.subtree(0, size)

    def tile(self, level: int, number: int, size: int) -> bytes:
        """The hashes of tile ``number`` of a tile level, in a tree of ``size`` leaves: 256, or fewer at
        the right edge."""
        there = size >> (level * TILE_HEIGHT)
        start, end = number * TILE_WIDTH, min((number + 1) * TILE_WIDTH, there)
        hashes = self._levels[level * TILE_HEIGHT]
        return bytes(hashes[start * HASH_BYTES : end * HASH_BYTES])

    def _hash(self, level: int, place: int) -> bytes:
        return bytes(self._levels[level][place * HASH_BYTES : (place + 1) * HASH_BYTES])
