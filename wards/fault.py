"""One mistake of a ward file, before anyone knows on which line it stands."""

from typing import NamedTuple

from wards.places import Path


class Fault(NamedTuple):
    """One mistake: where, and a sentence for whoever keeps the file."""

    path: Path
    ja: str
    en: str
