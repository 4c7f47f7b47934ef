"""Attachments for people whose agency has no system: saved from a referral's page, and added by its form."""

import asyncio
import contextlib
import socket
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import nats
import pytest

from runtime.incoming import CutOff
from schemas import queries as q
from schemas import subjects
from services.intake.attachments import by_pieces
from tests.network import RunningNetwork, eventually, running_network
from tests.partners import a_referral
from tests.people_look_at_it.conftest import Person, SignedIn, hidden_of, register
from tests.people_look_at_it.test_referral_page import looks, opens, own, posted, taken, text_of
from tests.record import check_everything
from tests.through_their_own_systems.files import (
    LIMIT,
    MIB,
    attach,
    attached,
    fetch,
    nothing_left,
    parts,
    pdf,
    png,
    stored,
)
from tests.through_their_own_systems.test_attachments_are_scanned import (
    INFECTED,
    AScanner,
    needs_clamd,
)

WARD = "131059"
ANSHIN, HUB, CORE, AUDITOR = "anshin-motofuji", "hub-motofuji", "core", "auditor"
STRANGER = "hub-komagome"
NAME = "見本 紹介状.pdf"


def varied(size: int) -> bytes:
    """A PDF in which no two places are alike, so that a piece missing or twice is seen."""
    start, end = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", b"\n%%EOF\n"
    numbers = b"".join(b"%09d\n" % n for n in range(size // 10))
    return start + numbers[: size - len(start) - len(end)] + end


def sends(
    who: SignedIn,
    case: dict[str, Any],
    content: bytes,
    name: str = NAME,
    media_type: str = "application/pdf",
    **hidden: str,
) -> httpx.Response:
    """By the form on the page; ``hidden`` in place of what is hidden there."""
    fields = {**hidden_of(who.get(own(case)).text), **hidden}
    file = {"file": (name, content, media_type)}
    return who.http.post(f"{own(case)}/attachments", data=fields, files=file)


def on_record(network: RunningNetwork, case: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = network.partner(CORE).reads(case["id"]).body.get("attachments")
    return found or []


def saved(who: SignedIn, case: dict[str, Any], attachment: str) -> httpx.Response:
    return who.http.get(f"{own(case)}/attachments/{attachment}", follow_redirects=False)


# -- saved --------------------------------------------------------------------------------------------


def test_a_file_is_saved_byte_for_byte_once_it_is_open_and_that_is_on_record(
    network: RunningNetwork, person: Person
) -> None:
    case, content = taken(network), varied(5 * MIB)
    given = attach(network.partner(ANSHIN), case["id"], content, name=f"../../{NAME}")
    attachment = given.headers["Location"].rpartition("/")[2]
    who = person(HUB)
    opened = opens(who, case)
    link = f'href="{own(case)}/attachments/{attachment}"'
    assert link in opened.text
    answer = saved(who, case, attachment)
    assert answer.status_code == 200
    assert answer.content == content
    assert answer.headers["content-type"] == "application/pdf"
    named = f"filename*=UTF-8''{quote(NAME, safe='')}"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert named in answer.headers["content-disposition"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert answer.headers["cache-control"] == "no-store"
    look = looks(network, case)[-1]
    assert (look["agency"], look["what"], look["basis"]) == (HUB, "attachment", "C2")


def test_what_is_not_open_is_not_saved(network: RunningNetwork, person: Person) -> None:
    case = taken(network)
    attachment = attached(network.partner(ANSHIN), case["id"], pdf(5000))
    who = person(HUB)
    refused = saved(who, case, attachment)
    assert refused.status_code == 303
    assert "%PDF" not in refused.text
    assert "添付は個人情報です" in text_of(who.get(own(case)))
    assert "attachment" not in [look["what"] for look in looks(network, case)]
    opens(who, case)
    assert saved(who, case, attachment).status_code == 200
    who.post(f"{own(case)}/shut")
    assert saved(who, case, attachment).status_code == 303


def test_forged_ids_strangers_and_auditors_get_nothing(
    network: RunningNetwork, person: Person
) -> None:
    case, other = taken(network), taken(network)
    attachment = attached(network.partner(ANSHIN), case["id"], pdf(5000))
    elsewhere = attached(network.partner(ANSHIN), other["id"], pdf(6000))
    who = person(HUB)
    opens(who, case)
    # One of another case goes by that case's own opening, and there is none.
    for forged in (elsewhere, str(uuid.uuid4()), "..%2f..%2fetc", "%00", case["id"]):
        assert saved(who, case, forged).status_code == 404, forged
    assert saved(who, other, elsewhere).status_code == 303
    assert saved(person(STRANGER), case, attachment).status_code == 404
    assert saved(person(AUDITOR), case, attachment).status_code == 403
    out = httpx.get(f"{network.console_url}{own(case)}/attachments/{attachment}")
    assert out.headers["location"].startswith("/login")


def test_what_cannot_be_put_on_record_is_not_given_out(
    network: RunningNetwork, person: Person
) -> None:
    case = taken(network)
    attachment = attached(network.partner(ANSHIN), case["id"], pdf(3 * MIB))
    who = person(HUB)
    opens(who, case)
    with network.no_room_on_disk("console"):
        refused = saved(who, case, attachment)
        assert refused.status_code == 503
        assert b"%PDF" not in refused.content
    eventually(
        lambda: saved(who, case, attachment).status_code == 200, 20, "given out when there is room"
    )


def test_of_a_file_that_breaks_off_nobody_believes_that_it_is_whole(
    network: RunningNetwork, person: Person
) -> None:
    case = taken(network)
    attachment = attached(network.partner(ANSHIN), case["id"], varied(LIMIT))
    who = person(HUB)
    opens(who, case)
    got = 0

    def read() -> None:
        nonlocal got
        with who.http.stream("GET", f"{own(case)}/attachments/{attachment}") as answer:
            assert answer.status_code == 200
            for data in answer.iter_raw():
                if got == 0:
                    network.kill("intake")
                got += len(data)

    with pytest.raises(httpx.RemoteProtocolError):
        read()
    assert 0 < got < LIMIT
    network.await_ready()
    assert saved(who, case, attachment).content == varied(LIMIT)


# -- added --------------------------------------------------------------------------------------------


def test_a_file_added_by_form_is_what_partners_read(
    network: RunningNetwork, person: Person
) -> None:
    case, content = taken(network), varied(5 * MIB)
    answer = sends(person(HUB), case, content)
    assert answer.url.path == own(case)
    assert "添付しました" in text_of(answer)
    (item,) = on_record(network, case)
    assert (item["added_by"], item["size"], item["media_type"]) == (
        HUB,
        len(content),
        "application/pdf",
    )
    assert item["name"] == NAME
    assert fetch(network.partner(ANSHIN), item["id"]).content == content


def test_a_form_that_is_sent_twice_adds_one_file(network: RunningNetwork, person: Person) -> None:
    case, who = taken(network), person(HUB)
    hidden = hidden_of(who.get(own(case)).text)
    before = stored(network)
    for _ in range(2):
        assert sends(who, case, pdf(9000), **hidden).status_code == 200
    (item,) = on_record(network, case)
    # Another file from the same showing of the form is another deed.
    assert sends(who, case, png(), "fax.png", "image/png", **hidden).status_code == 200
    assert len(on_record(network, case)) == 2
    kept = {each["ciphertext_sha256"] for each in on_record(network, case)}
    nothing_left(network, [*before, *kept])
    assert item["id"] in {each["id"] for each in on_record(network, case)}


@pytest.mark.parametrize(
    ("name", "media_type"), [("IMG_0001.HEIC", "application/octet-stream"), ("fax.png", "")]
)
def test_of_a_kind_that_the_browser_does_not_know_the_name_tells(
    network: RunningNetwork, person: Person, name: str, media_type: str
) -> None:
    content = png() if name.endswith("png") else b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)
    case = taken(network)
    assert "添付しました" in text_of(sends(person(HUB), case, content, name, media_type))


REFUSED: dict[str, tuple[bytes, str, str, int, str]] = {
    "nothing chosen": (b"", "", "application/octet-stream", 422, "ファイルを選んでください"),
    "empty": (b"", NAME, "application/pdf", 422, "ファイルが空です"),
    "a program": (b"MZ" + bytes(900), "a.exe", "application/x-msdownload", 415, "PDF か画像"),
    "a program by another name": (b"MZ" + bytes(900), NAME, "application/pdf", 415, "中身が"),
    "too large": (pdf(LIMIT + 1), NAME, "application/pdf", 413, "20 MiB までです"),
    "much too large": (pdf(LIMIT + 5 * MIB), NAME, "application/pdf", 413, "20 MiB までです"),
    "a number": (pdf(), "123456789018.pdf", "application/pdf", 422, "個人番号は書けません"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_taken_is_said_in_words_and_nothing_of_it_is_kept(
    network: RunningNetwork, person: Person, what: str
) -> None:
    content, name, media_type, status, words = REFUSED[what]
    case = taken(network)
    before = stored(network)
    answer = sends(person(HUB), case, content, name, media_type)
    assert answer.status_code == status
    assert words in text_of(answer)
    assert "<details open><summary>ファイルを添付する" in answer.text
    assert not on_record(network, case)
    nothing_left(network, before)


def test_whoever_may_not_add_one_is_shown_no_form_and_adds_none(
    network: RunningNetwork, person: Person
) -> None:
    case = posted(network)  # the hub was asked, and has not answered
    form = f'action="{own(case)}/attachments"'
    assert form in person(ANSHIN).get(own(case)).text
    asked = person(HUB)
    assert form not in asked.get(own(case)).text
    refused = sends_from_account(asked, case)
    assert refused.status_code == 403
    assert "できませんでした" in text_of(refused)
    assert sends_from_account(person(STRANGER), case).status_code == 404
    assert sends_from_account(person(AUDITOR), case).status_code == 403
    hidden = hidden_of(person(ANSHIN).get(own(case)).text)
    assert network.partner(ANSHIN).cancels(case["id"]).status == 200
    over = sends(person(ANSHIN), case, pdf(), **hidden)
    assert over.status_code == 409
    assert form not in over.text
    assert not on_record(network, case)


def sends_from_account(who: SignedIn, case: dict[str, Any]) -> httpx.Response:
    fields = hidden_of(who.get("/account").text)
    return who.http.post(
        f"{own(case)}/attachments", data=fields, files={"file": (NAME, pdf(), "application/pdf")}
    )


def test_a_form_that_is_not_ours_adds_nothing(network: RunningNetwork, person: Person) -> None:
    case, who = taken(network), person(HUB)
    assert sends(who, case, pdf(MIB), csrf="forged").status_code == 403
    path = f"{own(case)}/attachments"
    file = {"file": (NAME, pdf(), "application/pdf")}
    assert who.http.post(path, files=file).status_code == 403
    hidden = hidden_of(who.get(own(case)).text)
    assert who.http.post(path, data=hidden).status_code == 403  # no file, no multipart
    # The token behind the file comes too late: by then nobody looks at it any more.
    late = [("file", file["file"]), *((n, (None, v)) for n, v in hidden.items())]
    assert who.http.post(path, files=late).status_code == 403
    many = [(f"x{n}", (None, "a" * 10_000)) for n in range(12)]
    assert who.http.post(path, files=[*many, ("file", file["file"])]).status_code == 403
    away = who.http.post(path, data=hidden, files=file, headers={"Sec-Fetch-Site": "cross-site"})
    assert away.status_code == 403
    assert not on_record(network, case)


@contextlib.contextmanager
def half_sent(who: SignedIn, case: dict[str, Any], size: int) -> Iterator[Callable[[], bytes]]:
    """A form whose file of 20 MiB has come so far. What is given sends the rest, and has the answer."""
    hidden = hidden_of(who.get(own(case)).text)
    request = who.http.build_request(
        "POST",
        f"{own(case)}/attachments",
        data=hidden,
        files={"file": (NAME, pdf(LIMIT), "application/pdf")},
    )
    body = request.read()
    head = [f"POST {own(case)}/attachments HTTP/1.1", "Connection: close"]
    head += [f"{name}: {value}" for name, value in request.headers.items() if name != "connection"]
    address = urlsplit(str(who.http.base_url))
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode() + body[:size])

        def rest() -> bytes:
            connection.sendall(body[size:])
            answer = b""
            while data := connection.recv(65_536):
                answer += data
            return answer

        yield rest


def test_of_a_file_that_was_coming_in_when_intake_was_killed_nothing_stays_and_that_is_said(
    network: RunningNetwork, person: Person
) -> None:
    case, who = taken(network), person(HUB)
    before = stored(network)
    with half_sent(who, case, 5 * MIB) as rest:
        eventually(lambda: len(parts(network)) == 1, 10, "it is coming in")
        network.kill("intake")
        answer = rest().decode()
    assert answer.startswith("HTTP/1.1 503")
    assert "同じファイルをもう一度送ってください" in answer
    network.await_ready()
    nothing_left(network, before)
    assert not on_record(network, case)
    assert "添付しました" in text_of(sends(who, case, pdf(LIMIT)))
    assert len(on_record(network, case)) == 1
    check_everything(network)


def test_of_a_file_whose_browser_has_gone_nothing_stays(
    network: RunningNetwork, person: Person
) -> None:
    case, who = taken(network), person(HUB)
    before = stored(network)
    with half_sent(who, case, 5 * MIB):
        eventually(lambda: len(parts(network)) == 1, 10, "it is coming in")
    nothing_left(network, before)
    assert not on_record(network, case)


def test_a_file_without_its_end_is_not_taken(network: RunningNetwork, person: Person) -> None:
    case, who = taken(network), person(HUB)
    before = stored(network)
    hidden = hidden_of(who.get(own(case)).text)
    fields = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in hidden.items()
    )
    file = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n'
    body = f"{fields}{file}".encode() + pdf(MIB)  # whole by itself, but the form is not
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = who.http.post(f"{own(case)}/attachments", content=body, headers=headers)
    assert answer.status_code == 422
    assert "途中で切れました" in text_of(answer)
    nothing_left(network, before)
    assert not on_record(network, case)


# -- between the console and intake ---------------------------------------------------------------------


def test_a_file_in_hand_is_for_the_agency_that_began_it_and_in_order(
    network: RunningNetwork,
) -> None:
    case = taken(network)
    attachment = uuid.UUID(attached(network.partner(ANSHIN), case["id"], varied(2 * MIB)))

    async def go() -> None:
        bus = await nats.connect(**network.nats())

        async def ask(subject: str, asked: Any) -> q.FileSaid:
            return q.FileSaid.from_json((await bus.request(subject, asked.to_json(), 20)).data)

        try:
            begin = subjects.query(WARD, "intake", "open_attachment")
            none = await ask(begin, q.OpenAttachment(agency=STRANGER, attachment=attachment))
            assert none.status == 403 or none.status == 404
            assert none.token is None
            told = await ask(begin, q.OpenAttachment(agency=HUB, attachment=attachment))
            assert told.token
            assert told.size == 2 * MIB
            at = subjects.pieces(WARD, told.at or "")
            for wrong in (
                q.MovePiece(agency=STRANGER, token=told.token),
                q.MovePiece(agency=HUB, token="0" * 32),
                q.MovePiece(agency=HUB, token=told.token, number=1),
            ):
                said = await ask(at, wrong)
                assert (said.status, said.data) == (503, None)
            first = await ask(at, q.MovePiece(agency=HUB, token=told.token))
            assert first.data
            assert not first.last
            # Nobody asks the same twice; and who has left is forgotten at once.
            again = await ask(at, q.MovePiece(agency=HUB, token=told.token))
            assert again.status == 503
            await ask(at, q.MovePiece(agency=HUB, token=told.token, leave=True))
            gone = await ask(at, q.MovePiece(agency=HUB, token=told.token, number=1))
            assert gone.status == 503
            # As many at once as an agency's own system may have, and no more.
            many = [
                await ask(begin, q.OpenAttachment(agency=HUB, attachment=attachment))
                for _ in range(by_pieces.AT_ONCE + 1)
            ]
            assert [each.status for each in many] == [200] * by_pieces.AT_ONCE + [429]
            for each in many[:-1]:
                here = subjects.pieces(WARD, each.at or "")
                await ask(here, q.MovePiece(agency=HUB, token=each.token or "", leave=True))
        finally:
            await bus.close()

    asyncio.run(go())


def test_a_file_that_nobody_brings_any_more_is_forgotten() -> None:
    async def go() -> None:
        coming = by_pieces._Coming(HUB, patience=0.05)
        with pytest.raises(CutOff):
            async for _ in coming.chunks():
                pass

    asyncio.run(go())


# -- scanned --------------------------------------------------------------------------------------------


@needs_clamd
def test_of_a_scanner_that_is_away_or_found_something_people_are_told_in_words(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    home = tmp_path_factory.mktemp("scanned")
    scanner = AScanner(home / "clamd", "25M")
    with running_network(home / "network", console=True, clamd=scanner.socket) as network:
        case = network.partner(ANSHIN).posts(a_referral()).body
        register(network, ANSHIN, "anshin.mihon")
        who = SignedIn(network.console_url, ANSHIN, "anshin.mihon")
        assert "添付しました" in text_of(sends(who, case, INFECTED))
        (item,) = on_record(network, case)
        opens(who, case)
        assert saved(who, case, item["id"]).status_code == 303
        assert "ウイルス検査がまだ" in text_of(who.get(own(case)))
        with scanner.running():

            def infected() -> bool:
                return saved(who, case, item["id"]).status_code == 303 and (
                    "ウイルスが見つかり" in text_of(who.get(own(case)))
                )

            eventually(infected, 30, "the scanner has seen it", every=0.5)
        assert "attachment" not in [look["what"] for look in looks(network, case)]
        who.http.close()
