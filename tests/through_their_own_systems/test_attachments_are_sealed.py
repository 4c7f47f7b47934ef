"""What is stored of a file opens whole and unchanged, or not at all; names and kinds are judged by rule."""

import os
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codes import MediaType
from schemas.problems import ProblemCode
from services.intake.attachments.content import Seen, declared_type, judge
from services.intake.attachments.file_name import disposition, given_name, safe_name
from services.intake.attachments.sealed_file import CHUNK, MAGIC, Damaged, Opener, Sealer
from services.intake.attachments.spool import Spool
from tests.through_their_own_systems.files import ONE_OF_EACH, pdf, png

KEY = bytes(range(32))
REFERRAL, ATTACHMENT = UUID(int=1), UUID(int=2)
HEADER = len(MAGIC) + 32
SEALED_CHUNK = CHUNK + 16


def sealed(content: bytes, pieces: int = 1000) -> bytes:
    sealer = Sealer(KEY, REFERRAL, ATTACHMENT)
    fed = b"".join(sealer.feed(content[i : i + pieces]) for i in range(0, len(content), pieces))
    return fed + sealer.end()


def opened(
    data: bytes,
    pieces: int = 1000,
    key: bytes = KEY,
    referral: UUID = REFERRAL,
    attachment: UUID = ATTACHMENT,
) -> bytes:
    opener = Opener(key, referral, attachment)
    fed = b"".join(opener.feed(data[i : i + pieces]) for i in range(0, len(data), pieces))
    return fed + opener.end()


SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 5]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pieces", [7_000, CHUNK, CHUNK + 16, 1_000_000])
def test_a_file_opens_as_it_was_sealed_in_whatever_pieces_it_comes(size: int, pieces: int) -> None:
    content = os.urandom(size)
    assert opened(sealed(content, pieces), pieces + 13) == content


def test_no_two_uploads_of_a_file_have_the_same_key() -> None:
    assert sealed(b"same")[HEADER:] != sealed(b"same")[HEADER:]


@given(st.data())
def test_one_changed_bit_anywhere_does_not_open(data: st.DataObject) -> None:
    whole = bytearray(sealed(b"x" * (CHUNK + 100), CHUNK))
    at = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[at // 8] ^= 1 << at % 8
    with pytest.raises(Damaged):
        opened(bytes(whole), CHUNK)


@given(st.integers(0, HEADER + 2 * SEALED_CHUNK + 100))
def test_a_file_without_its_end_does_not_open(length: int) -> None:
    whole = sealed(b"x" * (2 * CHUNK + 100), CHUNK)
    with pytest.raises(Damaged):
        opened(whole[: min(length, len(whole) - 1)], CHUNK)


def test_chunks_swapped_repeated_left_out_or_of_another_file_do_not_open() -> None:
    whole = sealed(b"".join(bytes([n]) * CHUNK for n in range(4)), CHUNK)
    header, body = whole[:HEADER], whole[HEADER:]
    first, second, third, last = (
        body[i : i + SEALED_CHUNK] for i in range(0, len(body), SEALED_CHUNK)
    )
    another = sealed(b"x" * 4 * CHUNK, CHUNK)[HEADER : HEADER + SEALED_CHUNK]
    for wrong in (
        second + first + third + last,
        first + first + second + third + last,
        first + third + last,
        another + second + third + last,
        first + second + third,
        first + second + third + last + last,
    ):
        with pytest.raises(Damaged):
            opened(header + wrong, CHUNK)


def test_a_file_opens_only_with_its_key_and_as_what_it_was_sealed() -> None:
    whole = sealed(b"of this referral")
    for wrong in (
        {"key": bytes(32)},
        {"referral": ATTACHMENT},
        {"attachment": REFERRAL},
    ):
        with pytest.raises(Damaged):
            opened(whole, **wrong)  # type: ignore[arg-type]


# -- kinds ------------------------------------------------------------------------------------------


def judged(declared: MediaType, content: bytes) -> str | None:
    seen = Seen()
    for start in range(0, len(content), 7_001):
        seen.feed(content[start : start + 7_001])
    refusal = judge(declared, seen)
    return refusal.errors[0].detail.partition(" / ")[0] if refusal else None


@pytest.mark.parametrize("kind", MediaType)
def test_every_kind_is_known_by_its_content_and_as_nothing_else(kind: MediaType) -> None:
    content = ONE_OF_EACH[kind]
    assert judged(kind, content) is None
    for other in set(MediaType) - {kind}:
        assert judged(other, content) == "中身が Content-Type と違います"


ARCHIVE = b"PK\x05\x06" + bytes(18)
POLYGLOTS = {
    "a PDF that is a Java archive too": (MediaType.PDF, pdf() + ARCHIVE + b"%%EOF"),
    "a picture that is an office file too": (MediaType.GIF, ONE_OF_EACH[MediaType.GIF] + ARCHIVE),
    "an archive whose comment is a whole picture": (
        MediaType.GIF,
        ONE_OF_EACH[MediaType.GIF] + ARCHIVE[:-2] + b"\xff\xff" + b";" * 65_535,
    ),
    "a picture that begins as a page": (
        MediaType.JPEG,
        b"\xff\xd8\xff\xfe\x00\x40<html><script>alert(1)</script>" + bytes(40) + b"\xff\xd9",
    ),
    "a PDF that begins as a page": (MediaType.PDF, b"%PDF-1.7\n<SVG onload=x>\n%%EOF"),
}


@pytest.mark.parametrize("name", POLYGLOTS)
def test_a_file_that_is_two_things_at_once_is_refused(name: str) -> None:
    assert judged(*POLYGLOTS[name]) == "二種類のファイルを兼ねています"


@pytest.mark.parametrize("kind", [MediaType.PDF, MediaType.PNG, MediaType.GIF, MediaType.WEBP])
def test_a_file_without_its_own_end_is_refused(kind: MediaType) -> None:
    content = pdf(5000) if kind is MediaType.PDF else ONE_OF_EACH[kind]
    assert judged(kind, content[:-10]) == "ファイルが途中で切れています"


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(data) + 2).to_bytes(2, "big") + data


# A camera's: a small picture, whole in itself, within the head of the large one.
THUMBNAIL = segment(0xE1, b"Exif\0\0" + b"\xff\xd8\xff\xda\0\x02small\xff\xd9" + bytes(20_000))
PICTURE = b"\xff\xd8" + THUMBNAIL + segment(0xDA, b"\1\1\0\0\x3f\0") + b"\xff\x00\x55" * 50_000
VIDEO = b"\0\0\0\x18ftypmp42" + bytes(300_000)


def test_a_photograph_with_a_video_behind_it_is_whole_and_one_that_breaks_off_is_not() -> None:
    assert judged(MediaType.JPEG, PICTURE + b"\xff\xd9" + VIDEO) is None
    for broken in (PICTURE, PICTURE + b"\xff", PICTURE + VIDEO, PICTURE[:15_000], PICTURE[:5]):
        assert judged(MediaType.JPEG, broken) == "ファイルが途中で切れています"


@pytest.mark.parametrize("brands", ["heix----mif1", "hevc----mif1", "mif1----mif1heix"])
def test_a_photograph_of_more_than_eight_bits_a_colour_is_taken(brands: str) -> None:
    content = bytes([0, 0, 0, 8 + len(brands)]) + b"ftyp" + brands.encode() + bytes(64)
    assert judged(MediaType.HEIC, content) is None


def test_a_picture_in_the_same_box_by_another_coding_is_not_the_same_kind() -> None:
    content = b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif" + bytes(64)
    assert judged(MediaType.HEIC, content) == "中身が Content-Type と違います"


LIES = {
    "a page": b"<!DOCTYPE html><html></html>",
    "a drawing with a program": b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>',
    "a program": b"MZ" + bytes(2000),
    "text before the PDF": b"hello\n" + pdf(),
    "almost a PDF": b"%PDF-9.9\n%%EOF",
}


@pytest.mark.parametrize("name", LIES)
def test_what_is_none_of_the_kinds_is_none_of_them(name: str) -> None:
    for kind in MediaType:
        assert judged(kind, LIES[name]) == "中身が Content-Type と違います"


def test_an_empty_file_is_no_file() -> None:
    refusal = judge(MediaType.PDF, Seen())
    assert refusal is not None
    assert refusal.code is ProblemCode.INVALID_REQUEST


def test_what_is_declared_is_read_as_people_write_it() -> None:
    assert declared_type("Application/PDF; charset=binary") is MediaType.PDF
    assert declared_type("image/jpg") is MediaType.JPEG
    for unknown in (None, "", "image/svg+xml", "text/html", "application/octet-stream", "pdf"):
        assert declared_type(unknown) is None


# -- names ------------------------------------------------------------------------------------------

NAMES = {
    "紹介状.pdf": "紹介状.pdf",
    "../../etc/passwd": "passwd.pdf",
    "C:\\Users\\me\\診断書.PDF": "診断書.pdf",
    "a\x00b\r\nSet-Cookie: x.pdf": "x.pdf",
    "\u202efdp.exe": "fdp.exe.pdf",
    "写真.png": "写真.png.pdf",
    ".htaccess": "htaccess.pdf",
    "": "attachment.pdf",
    "..": "attachment.pdf",
    "ハ\u3099ス.pdf": "バス.pdf",
    "a\u3000b\tc.pdf": "a bc.pdf",
    '<b>"x"|?*.pdf': "bx.pdf",
}


@pytest.mark.parametrize("sent", NAMES)
def test_a_name_is_shown_without_path_and_without_what_cannot_be_seen(sent: str) -> None:
    assert safe_name(sent, MediaType.PDF) == NAMES[sent]


@given(st.text(max_size=2000), st.sampled_from(MediaType))
def test_any_name_becomes_one_that_can_be_saved_and_stays_so(sent: str, kind: MediaType) -> None:
    name = safe_name(sent, kind)
    assert 5 <= len(name.encode()) <= 250
    assert not set(name) & set('/\\:\0\r\n"<>|?*')
    assert name.isprintable()
    assert safe_name(name, kind) == name
    assert disposition(name).isascii()


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("attachment; filename*=UTF-8''%E7%B4%B9.pdf", "紹.pdf"),
        ("attachment; filename=\"a.pdf\"; filename*=utf-8'ja'%E7%B4%B9.pdf", "紹.pdf"),
        ('attachment; filename="a \\"b\\".pdf"', 'a "b".pdf'),
        ("attachment; filename=a.pdf", "a.pdf"),
        ("紹.pdf".encode().decode("latin-1").join(['attachment; filename="', '"']), "紹.pdf"),
        ("attachment; filename*=UTF-8''%FF%FE", ""),
        ("attachment", ""),
        (None, ""),
    ],
)
def test_a_name_is_read_from_the_header_as_clients_write_it(header: str | None, name: str) -> None:
    assert given_name(header) == name


# -- the spool --------------------------------------------------------------------------------------


def test_what_is_being_written_is_not_swept_and_what_nobody_holds_is(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "incoming")
    (tmp_path / "incoming" / "left.part").write_bytes(b"of a process that is no more")
    with spool.part() as part:
        part.write(b"half")
        assert Spool(tmp_path / "incoming").sweep() == 1
        assert part.path.exists()
    assert list((tmp_path / "incoming").iterdir()) == []


def test_the_small_picture_is_one() -> None:
    assert png().endswith(b"IEND\xaeB`\x82")
