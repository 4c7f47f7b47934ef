"""What a file is, by its content; never by its name or by what its sender says alone. Pure.

A file that is two things at once (a picture that is a program's archive too, a PDF that a browser would
take for a page) is refused, and so is one without its end.
"""

import re

import filetype  # type: ignore[import-untyped]

from schemas.codes import MediaType
from schemas.problems import FieldProblem, ProblemCode, Refusal

HEAD = 8192
"""Bytes from the beginning that are looked at."""
TAIL = 2048
"""Bytes from the end that are looked at."""

_STARTS = {
    MediaType.PDF: re.compile(rb"%PDF-[12]\.[0-9]"),
    MediaType.PNG: re.compile(rb"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"),
    MediaType.JPEG: re.compile(rb"\xff\xd8\xff[\xc0-\xfe]"),
    MediaType.TIFF: re.compile(rb"II\*\x00|MM\x00\*"),
    MediaType.HEIC: re.compile(rb"\x00\x00\x00.ftyp(heic|heix|hevc|hevx|mif1|msf1)", re.DOTALL),
    MediaType.GIF: re.compile(rb"GIF8[79]a"),
    MediaType.WEBP: re.compile(rb"RIFF....WEBPVP8[ LX]", re.DOTALL),
}
_ENDS = {
    # ISO 32000-1, 7.5.5, and its note on the last 1024 bytes.
    MediaType.PDF: re.compile(rb"%%EOF[\s\S]{0,1019}\Z"),
    MediaType.PNG: re.compile(rb"\x00\x00\x00\x00IEND\xaeB`\x82\Z"),
    MediaType.GIF: re.compile(rb";\x00*\Z"),
    # Cameras write more behind the picture's own end.
    MediaType.JPEG: re.compile(rb"\xff\xd9"),
}
_ALIASES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/heif": "image/heic"}
# What makes a browser take a file for a page (WHATWG MIME Sniffing, 7.1), and the end of a ZIP archive
# (APPNOTE.TXT 4.3.16), which is read from behind: Java and office files are such archives.
_PAGE = re.compile(rb"<(!doctype\s+html|html|head|body|script|iframe|svg)[\s>]", re.IGNORECASE)
_PAGE_WITHIN = 1445
_ARCHIVE = b"PK\x05\x06"


def declared_type(content_type: str | None) -> MediaType | None:
    """What the sender says it is; None when nothing that we take."""
    given = (content_type or "").partition(";")[0].strip().lower()
    try:
        return MediaType(_ALIASES.get(given, given))
    except ValueError:
        return None


def judge(declared: MediaType, head: bytes, tail: bytes, size: int) -> Refusal | None:
    """Why the file is not taken; None when it is what it is said to be."""
    if size == 0:
        empty = "ファイルが空です / the file is empty"
        return Refusal(ProblemCode.INVALID_REQUEST, (FieldProblem("", empty),))
    if not _STARTS[declared].match(head) or filetype.guess_mime(head) != declared.value:
        return _refused(
            "中身が Content-Type と違います / the content is not what Content-Type says"
        )
    if _PAGE.search(head[:_PAGE_WITHIN]) or _ARCHIVE in tail:
        return _refused("二種類のファイルを兼ねています / the file is two kinds at once")
    if not _is_whole(declared, head, tail, size):
        return _refused("ファイルが途中で切れています / the file has no proper end")
    return None


def _is_whole(declared: MediaType, head: bytes, tail: bytes, size: int) -> bool:
    if declared is MediaType.WEBP:
        # RIFF says how long it is; a chunk of odd length has one more byte.
        return 0 <= size - 8 - int.from_bytes(head[4:8], "little") <= 1
    end = _ENDS.get(declared)
    return end is None or end.search(tail) is not None


def _refused(detail: str) -> Refusal:
    return Refusal(ProblemCode.UNSUPPORTED_MEDIA_TYPE, (FieldProblem("", detail),))
