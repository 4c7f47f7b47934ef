"""Where an address lies, in words (地区の下見), while it is being typed. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.partner import AddressLocated
from services.console.refer.form import told
from services.console.words import Words


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """``tone``: good (settled), warn (the core centre decides), bad (it would be refused)."""

    tone: str
    text: str


def located(document: object, words: Words) -> Whereabouts:
    """``document``: the answer of ``locate_address``."""
    found = AddressLocated.model_validate(document)
    if found.district is not None:
        basis = words.code(found.basis)
        told = words.t(
            f"地区: {words.district(found.district)}（{basis}）",
            f"District: {words.district(found.district)} ({basis})",
        )
        tone = "good"
    else:
        between = _listed([words.district(one) for one in found.candidates], words)
        told = words.t(
            f"地区は未定: {between}。基幹相談支援センターが判定します",
            f"District undecided: {between}. The core centre will decide",
        )
        tone = "warn"
    notes = "、".join(words.code(one) for one in found.warnings)
    if words.language == "en":
        notes = ", ".join(words.code(one) for one in found.warnings)
    return Whereabouts(
        tone, f"{told}{words.t('。住所の注意: ', '. Note: ')}{notes}" if notes else told
    )


def refused(document: dict[str, object], words: Words) -> Whereabouts:
    """``document``: the problem instead of an answer."""
    [first, *_] = told(document)
    text = words.t(first.ja, first.en)
    return Whereabouts("bad", words.t(f"地区が分かりません。{text}", f"No district. {text}"))


def _listed(names: Iterable[str], words: Words) -> str:
    """Aか B: one of them."""
    *most, last = names
    if not most:
        return last
    return words.t(f"{'・'.join(most)}か{last}", f"{', '.join(most)} or {last}")
