"""A file's name, as it may be shown and saved: no path, nothing that cannot be seen. Pure."""

import re
import unicodedata
from urllib.parse import quote, unquote_to_bytes

from schemas.codes import MediaType
from schemas.my_number import has_my_number
from schemas.problems import FieldProblem, ProblemCode, Refusal

LONGEST = 120
"""Characters; in UTF-8 at most 360 bytes and the ending, which some file systems would cut."""

_LONGEST_BYTES = 240
_ENDINGS = {
    MediaType.PDF: ("pdf",),
    MediaType.PNG: ("png",),
    MediaType.JPEG: ("jpg", "jpeg", "jpe"),
    MediaType.TIFF: ("tif", "tiff"),
    MediaType.HEIC: ("heic", "heif"),
    MediaType.GIF: ("gif",),
    MediaType.WEBP: ("webp",),
}
_EXTENDED = re.compile(r"filename\*\s*=\s*utf-8'[^']*'([^;\s]+)", re.IGNORECASE)
_QUOTED = re.compile(r'filename\s*=\s*"((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_PLAIN = re.compile(r"filename\s*=\s*([^;\s\"]+)", re.IGNORECASE)


def given_name(disposition: str | None) -> str:
    """The name in a Content-Disposition header (RFC 6266), as it was sent; empty where there is none
    or it cannot be read. HTTP libraries hand header bytes on as Latin-1."""
    if disposition is None:
        return ""
    extended = _EXTENDED.search(disposition)
    if extended is not None:
        raw = unquote_to_bytes(extended[1])
    else:
        found = _QUOTED.search(disposition) or _PLAIN.search(disposition)
        if found is None:
            return ""
        try:
            raw = re.sub(r"\\(.)", r"\1", found[1]).encode("latin-1")
        except UnicodeEncodeError:
            return ""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return ""


def safe_name(given: str, media_type: MediaType) -> str:
    """A name to show and to save under: the last part of a path, without control and formatting
    characters (which can turn ``fdp.exe`` round), with the ending of what the file is."""
    last = re.split(r"[/\\:]", unicodedata.normalize("NFC", given))[-1]
    visible = "".join(
        " " if unicodedata.category(c)[0] == "Z" else c
        for c in last
        if unicodedata.category(c)[0] != "C" and c not in '<>"|?*'
    )
    name = re.sub(r" +", " ", visible).strip(" .")
    stem, dot, ending = name.rpartition(".")
    if not dot or ending.lower() not in _ENDINGS[media_type]:
        stem, ending = name, _ENDINGS[media_type][0]
    return f"{_cut(stem) or 'attachment'}.{ending.lower()}"


def refuse_name(name: str) -> Refusal | None:
    """Why a file may not be called so."""
    if not has_my_number(name):
        return None
    detail = "ファイル名に個人番号は書けません / no Individual Number in the file's name"
    return Refusal(ProblemCode.MY_NUMBER_REFUSED, (FieldProblem("", detail),))


def type_by_ending(given: str) -> MediaType | None:
    """What a file's name says it is: for browsers, which know of some kinds of file only their name."""
    ending = given.rpartition(".")[2].lower()
    return next((kind for kind, endings in _ENDINGS.items() if ending in endings), None)


def disposition(name: str) -> str:
    """For whoever downloads it: always a file to save, never a page to show."""
    ending = name.rpartition(".")[2]
    return f"attachment; filename=\"attachment.{ending}\"; filename*=UTF-8''{quote(name, safe='')}"


def _cut(stem: str) -> str:
    cut = stem[:LONGEST].encode()[:_LONGEST_BYTES].decode(errors="ignore")
    return cut.strip(" .")
