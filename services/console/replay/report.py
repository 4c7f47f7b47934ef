"""What a verification found, in words (検証の結果). Pure."""

from typing import Final

from services.console.words import Words

EXIT_CODES: Final = {
    None: 0, "altered": 1, "missing": 3, "forked": 4, "unverifiable": 5, "reordered": 6,
}  # fmt: skip
"""What ``tsunagu verify`` ends with: scripts read it."""

_SAID: Final = {
    "altered": ("記録が書き換えられています", "an entry was altered"),
    "missing": ("記録が欠けています", "an entry is missing"),
    "forked": ("署名された先頭が食い違っています", "two signed heads contradict each other"),
    "unverifiable": ("鍵、署名、または記録を読み取れません", "a key, a signature or an entry cannot be read"),
    "reordered": ("記録の順が入れ替わっています", "entries are out of order"),
}  # fmt: skip


def said(kind: str | None, words: Words) -> str:
    if kind is None:
        return words.t("欠けも書き換えもありません", "nothing is missing and nothing was altered")
    ja, en = _SAID.get(kind, (kind, kind))
    return words.t(ja, en)
