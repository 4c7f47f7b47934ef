"""Numbers of referrals as people type them (番号). Pure."""

import re
import unicodedata

_WHOLE = re.compile(r"([0-9]{6})-([0-9]{4})-([0-9]{1,12})")
_YEAR = re.compile(r"([0-9]{4})-([0-9]{1,12})")
_SHORT = re.compile(r"[0-9]{1,9}")
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−ー－﹣ｰ_"), "-")


def number_of(typed: str, ward: str, year: int) -> str | None:
    """``１７`` and ``2026-17`` are numbers of this ward, and of this year where none is said; full width,
    spaces and long dashes are taken as they come. None: that is no number."""
    plain = unicodedata.normalize("NFKC", typed.translate(_DASHES)).translate(_DASHES)
    plain = "".join(plain.split())
    if found := _WHOLE.fullmatch(plain):
        return f"{found[1]}-{found[2]}-{int(found[3]):06d}"
    if found := _YEAR.fullmatch(plain):
        return f"{ward}-{found[1]}-{int(found[2]):06d}"
    if _SHORT.fullmatch(plain):
        return f"{ward}-{year}-{int(plain):06d}"
    return None
