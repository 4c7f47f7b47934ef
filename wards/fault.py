"""One mistake of a ward file, before anyone knows on which line it stands."""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from wards.places import Path


class Fault(NamedTuple):
    """One mistake: where, and a sentence for whoever keeps the file."""

    path: Path
    ja: str
    en: str


def unknown(path: Path, values: Iterable[str], allowed: Collection[str]) -> Iterator[Fault]:
    """A mistake for every value that names nothing."""
    for value in values:
        if value not in allowed:
            yield Fault(path, f"「{value}」は知られていません", f"{value!r} is not known")
