"""Small files of every kind that is taken, made here, and what agencies do with them."""

import struct
import uuid
import zlib
from collections.abc import Iterable
from urllib.parse import quote

import httpx

from schemas.codes import MediaType
from tests.network import RunningNetwork, eventually
from tests.partners import Json, Partner

MIB = 1024 * 1024
LIMIT = 20 * MIB


def pdf(size: int = 1000) -> bytes:
    """Of exactly so many bytes."""
    start, end = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", b"\n%%EOF\n"
    return start + b"0" * (size - len(start) - len(end)) + end


def png() -> bytes:
    """One grey pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0\x80")) + chunk(b"IEND", b"")
    )


def _riff(body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(body)) + body


ONE_OF_EACH: dict[MediaType, bytes] = {
    MediaType.PDF: pdf(),
    MediaType.PNG: png(),
    MediaType.JPEG: b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9",
    MediaType.TIFF: b"II*\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    MediaType.HEIC: b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(64),
    MediaType.GIF: b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;",
    MediaType.WEBP: _riff(b"WEBPVP8L" + struct.pack("<I", 6) + b"/\x00\x00\x00\x00\x00"),
}

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
"""The test file of the European Institute for Computer Anti-Virus Research, harmless by agreement."""


def attach(
    partner: Partner,
    ref: str,
    content: bytes | Iterable[bytes],
    media_type: str = "application/pdf",
    *,
    name: str | None = None,
    key: str | None = None,
    **headers: str,
) -> httpx.Response:
    sent = {"Content-Type": media_type, "Idempotency-Key": key or str(uuid.uuid4()), **headers}
    if name is not None:
        sent["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return partner.http.post(f"/v1/referrals/{ref}/attachments", content=content, headers=sent)


def attached(
    partner: Partner, ref: str, content: bytes, media_type: str = "application/pdf"
) -> str:
    """The id of a file that was taken."""
    answer = attach(partner, ref, content, media_type)
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"].rpartition("/")[2]


def fetch(partner: Partner, attachment: str) -> httpx.Response:
    return partner.http.get(f"/v1/attachments/{attachment}")


def code(answer: httpx.Response) -> str:
    """The problem's."""
    return str(answer.json()["code"])


def given(partner: Partner, ref: str, attachment: str) -> Json:
    """How the agency sees it."""
    items = partner.reads(ref).body["attachments"]
    return next(item for item in items if item["id"] == attachment)


def stored(network: RunningNetwork) -> list[str]:
    """The names of the files in the folder."""
    return sorted(p.name for p in (network.home / "attachments/kept").rglob("*") if p.is_file())


def parts(network: RunningNetwork) -> list[str]:
    return sorted(p.name for p in (network.home / "attachments/incoming").glob("*.part"))


def nothing_left(network: RunningNetwork, but: list[str]) -> None:
    """Nothing but these is stored, and nothing is on its way in."""
    eventually(lambda: not parts(network), 10, "no unfinished uploads")
    eventually(lambda: stored(network) == sorted(but), 10, "nothing more is stored")
