"""What a file is, by its content; never by its name or by what its sender says alone. Pure.

A file that is two things at once (a picture that is a program's archive too, a PDF that a browser would
take for a page) is refused, and so is one without its end.
"""

import re

import filetype  # type: ignore[import-untyped]

from schemas.codes import MediaType
from schemas.problems import FieldProblem, ProblemCode, Refusal

_HEAD = 8192
"""Bytes from the beginning that are looked at."""
_TAIL = 22 + 65_535
"""Bytes from the end that are looked at: a ZIP archive's end with the longest comment."""

_STARTS = {
    MediaType.PDF: re.compile(rb"%PDF-[12]\.[0-9]"),
    MediaType.PNG: re.compile(rb"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"),
    MediaType.JPEG: re.compile(rb"\xff\xd8\xff[\xc0-\xfe]"),
    MediaType.TIFF: re.compile(rb"II\*\x00|MM\x00\*"),
    # ISO/IEC 23008-12, B.4: a brand of its own, or among those that go with a general one.
    MediaType.HEIC: re.compile(
        rb"\x00\x00\x00.ftyp(?:(?:mif1|msf1)(?:....){1,16}?)?(?:heic|heix|hevc|hevx)", re.DOTALL
    ),
    MediaType.GIF: re.compile(rb"GIF8[79]a"),
    MediaType.WEBP: re.compile(rb"RIFF....WEBPVP8[ LX]", re.DOTALL),
}
_ENDS = {
    # ISO 32000-1, 7.5.5, and its note on the last 1024 bytes.
    MediaType.PDF: re.compile(rb"%%EOF[\s\S]{0,1019}\Z"),
    MediaType.PNG: re.compile(rb"\x00\x00\x00\x00IEND\xaeB`\x82\Z"),
    MediaType.GIF: re.compile(rb";\x00*\Z"),
}
_ALIASES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/heif": "image/heic"}
# What makes a browser take a file for a page (WHATWG MIME Sniffing, 7.1), and the end of a ZIP archive
# (APPNOTE.TXT 4.3.16), which is read from behind: Java and office files are such archives.
_PAGE = re.compile(rb"<(!doctype\s+html|html|head|body|script|iframe|svg)[\s>]", re.IGNORECASE)
_PAGE_WITHIN = 1445
_ARCHIVE = b"PK\x05\x06"
# JPEG's markers (ITU-T T.81, B.1.1.3): a picture begins; its data begins; it is over.
_START, _SCAN, _END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"


class Seen:
    """What is remembered of a file that goes by in pieces: how it begins and ends, and how long it is."""

    def __init__(self) -> None:
        self.size = 0
        self.head = b""
        self.tail = b""
        self._jpeg = _Jpeg()

    def feed(self, data: bytes) -> None:
        self.size += len(data)
        self.head += data[: _HEAD - len(self.head)]
        self.tail = (self.tail + data[-_TAIL:])[-_TAIL:]
        self._jpeg.feed(data)

    @property
    def whole_jpeg(self) -> bool:
        return self._jpeg.ended


class _Jpeg:
    """Whether a picture's own end has gone by: cameras write more behind it, up to whole films, and
    another picture with an end of its own before it."""

    def __init__(self) -> None:
        self.ended = False
        self._within = False
        self._rest = bytearray()

    def feed(self, data: bytes) -> None:
        if self.ended:
            return
        self._rest += data
        while not self._within and len(self._rest) >= 2:
            marker = self._rest[:2]
            if marker in (_SCAN, _END) or marker[0] != 0xFF:
                self._within = True
                break
            # A segment's length counts itself; the start has none.
            length = 0 if marker == _START else max(2, int.from_bytes(self._rest[2:4], "big"))
            if len(self._rest) < 2 + length:
                return
            del self._rest[: 2 + length]
        if self._within:
            self.ended = _END in self._rest
            del self._rest[:-1]


def declared_type(content_type: str | None) -> MediaType | None:
    """What the sender says it is; None when nothing that we take."""
    given = (content_type or "").partition(";")[0].strip().lower()
    try:
        return MediaType(_ALIASES.get(given, given))
    except ValueError:
        return None


def judge(declared: MediaType, seen: Seen) -> Refusal | None:
    """Why the file is not taken; None when it is what it is said to be."""
    if seen.size == 0:
        empty = "ファイルが空です / the file is empty"
        return Refusal(ProblemCode.INVALID_REQUEST, (FieldProblem("", empty),))
    if not _is_kind(declared, seen.head):
        return _refused(
            "中身が Content-Type と違います / the content is not what Content-Type says"
        )
    if _PAGE.search(seen.head[:_PAGE_WITHIN]) or _ARCHIVE in seen.tail:
        return _refused("二種類のファイルを兼ねています / the file is two kinds at once")
    if not _is_whole(declared, seen):
        return _refused("ファイルが途中で切れています / the file has no proper end")
    return None


def _is_kind(declared: MediaType, head: bytes) -> bool:
    if not _STARTS[declared].match(head):
        return False
    # The library knows one of HEIC's brands only.
    return declared is MediaType.HEIC or filetype.guess_mime(head) == declared.value


def _is_whole(declared: MediaType, seen: Seen) -> bool:
    if declared is MediaType.JPEG:
        return seen.whole_jpeg
    if declared is MediaType.WEBP:
        # RIFF says how long it is; a chunk of odd length has one more byte.
        return 0 <= seen.size - 8 - int.from_bytes(seen.head[4:8], "little") <= 1
    end = _ENDS.get(declared)
    return end is None or end.search(seen.tail) is not None


def _refused(detail: str) -> Refusal:
    return Refusal(ProblemCode.UNSUPPORTED_MEDIA_TYPE, (FieldProblem("", detail),))
