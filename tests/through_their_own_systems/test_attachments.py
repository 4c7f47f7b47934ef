"""A file goes with a referral to whoever may read of the person, and to nobody else."""

import hashlib
import json
import os
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.codes import MediaType
from tests.network import REPOSITORY, RunningNetwork, verified
from tests.partners import Partner, a_referral
from tests.through_their_own_systems.files import (
    LIMIT,
    ONE_OF_EACH,
    attach,
    attached,
    code,
    fetch,
    given,
    parts,
    pdf,
    png,
    stored,
)

Agency = Callable[[str], Partner]
NAME = "診療情報提供書 サンプル太郎.pdf"


@pytest.fixture
def agency(network: RunningNetwork) -> Agency:
    return network.partner


@pytest.fixture
def sent(agency: Agency) -> str:
    """A referral that hub-motofuji is offered and has not answered."""
    return agency("anshin-motofuji").posts(a_referral()).id


def accepted(agency: Agency, ref: str) -> str:
    hub = agency("hub-motofuji")
    answer = hub.accepts(hub.reads(ref).handoff())
    assert answer.status == 200
    return ref


# -- there and back ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MediaType)
def test_a_file_comes_back_byte_for_byte_and_never_as_a_page(
    agency: Agency, sent: str, kind: MediaType
) -> None:
    sender = agency("anshin-motofuji")
    content = ONE_OF_EACH[kind]
    got = fetch(sender, attached(sender, sent, content, kind))
    assert (got.status_code, got.content) == (200, content)
    assert got.headers["content-type"] == kind.value
    assert got.headers["content-disposition"].startswith("attachment; ")
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["cache-control"] == "no-store"
    assert "sandbox" in got.headers["content-security-policy"]


def test_twenty_mib_are_taken_and_not_one_byte_more(
    network: RunningNetwork, agency: Agency, sent: str
) -> None:
    sender, before = agency("anshin-motofuji"), stored(network)
    content = pdf(LIMIT)
    attachment = attached(sender, sent, content)
    assert fetch(sender, attachment).content == content
    one_more = pdf(LIMIT + 1)
    for body in (one_more, iter([one_more[:LIMIT], one_more[LIMIT:]])):  # the second unannounced
        answer = attach(sender, sent, body)
        assert (answer.status_code, code(answer)) == (413, "too_large")
    hashed = given(sender, sent, attachment)["ciphertext_sha256"]
    assert stored(network) == sorted([*before, hashed])
    assert parts(network) == []


def test_a_file_sent_in_pieces_without_its_length_is_taken(agency: Agency, sent: str) -> None:
    sender, content = agency("anshin-motofuji"), pdf(1_000_000)
    pieces = (content[i : i + 1013] for i in range(0, len(content), 1013))
    answer = attach(sender, sent, pieces)
    assert answer.status_code == 201
    assert sender.http.get(answer.headers["Location"]).content == content


def test_whoever_may_read_of_the_person_is_shown_the_files_name(agency: Agency, sent: str) -> None:
    sender = agency("anshin-motofuji")
    answer = attach(sender, sent, pdf(), name=f"../{NAME}")
    assert answer.status_code == 201
    attachment = answer.headers["Location"].rpartition("/")[2]
    for reader in ("anshin-motofuji", "hub-motofuji", "core"):
        item = given(agency(reader), sent, attachment)
        assert (item["name"], item["scan"], item["size"]) == (NAME, "unscanned", 1000)
        assert item["added_by"] == "anshin-motofuji"
        assert (
            "filename*=UTF-8''%E8%A8%BA"
            in fetch(agency(reader), attachment).headers["content-disposition"]
        )


# -- on record --------------------------------------------------------------------------------------


def test_the_ledger_holds_the_hash_of_what_is_stored_and_nothing_of_what_is_in_it(
    network: RunningNetwork, agency: Agency, sent: str
) -> None:
    sender, content = agency("anshin-motofuji"), pdf(3210)
    answer = attach(sender, sent, content, name=NAME)
    attachment = answer.headers["Location"].rpartition("/")[2]
    hashed = given(sender, sent, attachment)["ciphertext_sha256"]
    path = network.home / "attachments/kept" / hashed[:2] / hashed
    assert hashlib.sha256(path.read_bytes()).hexdigest() == hashed
    assert content[:200] not in path.read_bytes()
    network.settle()
    assert verified(network)["whole"]
    (entry,) = (
        body
        for (body,) in network.rows("audit", "SELECT body FROM entries")
        if attachment in (body if isinstance(body, str) else body.decode())
    )
    entry = entry if isinstance(entry, str) else entry.decode()
    event = json.loads(entry)["event"]
    assert (event["type"], event["ciphertext_sha256"]) == ("attachment_added", hashed)
    assert (event["media_type"], event["size"]) == ("application/pdf", 3210)
    for secret in (NAME, hashlib.sha256(content).hexdigest()):
        assert secret not in entry
        assert secret not in network.logs()
    # Whoever may open the case can prove what was in the file.
    told = sender.history(sent).body["items"][-1]["data"]
    assert told["opened"]["sha256"] == hashlib.sha256(content).hexdigest()
    replayed = network.tsunagu("replay", sent)
    assert "が添付を追加（application/pdf, 3,210 B）" in replayed.stdout


def test_the_others_of_the_case_are_told(
    network: RunningNetwork, agency: Agency, sent: str
) -> None:
    attachment = attached(agency("anshin-motofuji"), sent, pdf())
    network.settle()
    item = agency("hub-motofuji").whole_inbox()[-1]["event"]
    assert (item["type"], item["data"]["attachment"]) == ("tsunagu.attachment_added.v1", attachment)


# -- the same again ---------------------------------------------------------------------------------


def test_the_same_file_with_the_same_key_is_one_attachment_and_stored_once(
    network: RunningNetwork, agency: Agency, sent: str
) -> None:
    sender, key = agency("anshin-motofuji"), str(uuid.uuid4())
    first = attach(sender, sent, pdf(), name="a.pdf", key=key)
    before = stored(network)
    again = attach(sender, sent, pdf(), name="a.pdf", key=key)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["Location"] == first.headers["Location"]
    assert stored(network) == before
    assert len(sender.reads(sent).body["attachments"]) == 1
    assert sender.http.get(first.headers["Location"]).content == pdf()


def test_the_same_key_with_another_file_is_refused_and_harms_nothing(
    network: RunningNetwork, agency: Agency, sent: str
) -> None:
    sender, key = agency("anshin-motofuji"), str(uuid.uuid4())
    first = attach(sender, sent, pdf(), key=key)
    before = stored(network)
    for other in (
        attach(sender, sent, pdf(1001), key=key),
        attach(sender, sent, pdf(), key=key, name="another.pdf"),
        attach(sender, sent, png(), "image/png", key=key),
    ):
        assert (other.status_code, code(other)) == (409, "idempotency_key_reused")
    assert stored(network) == before
    assert sender.http.get(first.headers["Location"]).content == pdf()


def test_without_an_idempotency_key_nothing_is_taken(agency: Agency, sent: str) -> None:
    sender = agency("anshin-motofuji")
    headers = {"Content-Type": "application/pdf"}
    answer = sender.http.post(f"/v1/referrals/{sent}/attachments", content=pdf(), headers=headers)
    assert (answer.status_code, code(answer)) == (422, "invalid_request")


# -- who --------------------------------------------------------------------------------------------


def test_sender_custodian_and_core_may_attach_and_whoever_was_only_asked_may_not(
    network: RunningNetwork, agency: Agency, sent: str
) -> None:
    before = stored(network)
    answer = attach(agency("hub-motofuji"), sent, pdf())
    assert (answer.status_code, code(answer)) == (403, "not_involved")
    assert stored(network) == before
    accepted(agency, sent)
    for who in ("anshin-motofuji", "hub-motofuji", "core"):
        attached(agency(who), sent, pdf())
    assert len(agency("core").reads(sent).body["attachments"]) == 3


def test_a_stranger_learns_nothing_and_can_probe_nothing(
    network: RunningNetwork, agency: Agency, sent: str
) -> None:
    attachment = attached(agency("anshin-motofuji"), sent, pdf())
    before, stranger = stored(network), agency("sample-home")
    nothing = str(uuid.uuid4())
    assert attach(stranger, sent, pdf()).content == attach(stranger, nothing, pdf()).content
    theirs, nobodys, nonsense = (fetch(stranger, x) for x in (attachment, nothing, "no-id"))
    assert theirs.status_code == 403
    assert theirs.content == nobodys.content == nonsense.content
    assert stored(network) == before


def test_an_auditor_sees_that_there_is_a_file_and_opens_none(agency: Agency, sent: str) -> None:
    attachment = attached(agency("anshin-motofuji"), sent, pdf())
    auditor = agency("auditor")
    assert "name" not in given(auditor, sent, attachment)
    assert fetch(auditor, attachment).status_code == 403
    assert attach(auditor, sent, pdf()).status_code == 403


def test_whoever_loses_its_part_reads_no_file_any_more(agency: Agency, sent: str) -> None:
    attachment = attached(agency("anshin-motofuji"), sent, pdf())
    hub = agency("hub-motofuji")
    assert fetch(hub, attachment).status_code == 200
    hub.declines(hub.reads(sent).handoff())
    answer = fetch(hub, attachment)
    assert (answer.status_code, code(answer)) == (403, "not_involved")
    assert "name" not in given(hub, sent, attachment)


def test_where_the_address_is_protected_a_file_is_read_by_core_and_who_took_the_case_alone(
    agency: Agency,
) -> None:
    hidden = a_referral().by_address("文京区本郷二丁目3番4号", kind="protected")
    ref = agency("anshin-motofuji").posts(hidden.to("hub-motofuji")).id
    attachment = attached(agency("anshin-motofuji"), ref, pdf())
    assert fetch(agency("core"), attachment).status_code == 200
    for reader in ("anshin-motofuji", "hub-motofuji"):
        assert fetch(agency(reader), attachment).status_code == 403
        assert "name" not in given(agency(reader), ref, attachment)
    accepted(agency, ref)
    assert fetch(agency("hub-motofuji"), attachment).status_code == 200
    assert fetch(agency("anshin-motofuji"), attachment).status_code == 403


def test_once_abuse_is_suspected_only_those_who_must_know_read_the_file(agency: Agency) -> None:
    sender = agency("anshin-motofuji")
    ref = accepted(agency, sender.posts(a_referral()).id)
    asked = agency("hub-motofuji").offers(ref, "lien-bunkyo", kind="request")
    assert agency("lien-bunkyo").accepts(asked.handoff("lien-bunkyo")).status == 200
    attachment = attached(agency("hub-motofuji"), ref, pdf())
    assert fetch(agency("lien-bunkyo"), attachment).status_code == 200
    assert sender.escalates(ref, "E03").status == 201
    assert fetch(agency("lien-bunkyo"), attachment).status_code == 403
    assert fetch(agency("hub-motofuji"), attachment).status_code == 200


def test_whoever_is_told_about_whom_only_on_acceptance_reads_the_file_then(
    agency: Agency,
) -> None:
    ref = accepted(agency, agency("anshin-motofuji").posts(a_referral()).id)
    attachment = attached(agency("hub-motofuji"), ref, pdf())
    # Several are asked at once, so none of them is told about whom.
    asked = agency("hub-motofuji").offers(ref, "lien-bunkyo", "sample-home", kind="request")
    lien = agency("lien-bunkyo")
    assert fetch(lien, attachment).status_code == 403
    assert lien.accepts(asked.handoff("lien-bunkyo")).status == 200
    assert fetch(lien, attachment).status_code == 200
    assert fetch(agency("sample-home"), attachment).status_code == 403


def test_nothing_is_attached_to_what_has_ended(agency: Agency, sent: str) -> None:
    sender = agency("anshin-motofuji")
    attachment = attached(sender, sent, pdf())
    assert sender.cancels(sent).status == 200
    answer = attach(sender, sent, pdf())
    assert (answer.status_code, code(answer)) == (409, "already_closed")
    assert fetch(sender, attachment).status_code == 200


# -- bad input --------------------------------------------------------------------------------------

LIES = {
    "a page said to be a PDF": (b"<html><script>alert(1)</script></html>", "application/pdf"),
    "a PDF said to be a picture": (pdf(), "image/png"),
    "a PDF that is an archive too": (pdf() + b"PK\x05\x06" + bytes(18), "application/pdf"),
    "a PDF cut short": (pdf()[:-10], "application/pdf"),
    "a drawing": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
    "a page": (b"<html></html>", "text/html"),
    "anything": (pdf(), "application/octet-stream"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_file_that_lies_about_its_kind_is_refused_and_not_stored(
    network: RunningNetwork, agency: Agency, sent: str, lie: str
) -> None:
    before = stored(network)
    answer = attach(agency("anshin-motofuji"), sent, *LIES[lie])
    assert (answer.status_code, code(answer)) == (415, "unsupported_media_type")
    assert "PDF" in answer.json()["title"]
    assert stored(network) == before
    assert parts(network) == []


def test_an_empty_file_is_refused(agency: Agency, sent: str) -> None:
    answer = attach(agency("anshin-motofuji"), sent, b"")
    assert (answer.status_code, code(answer)) == (422, "invalid_request")
    assert "空" in answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("あ" * 5000 + ".pdf", "あ" * 80 + ".pdf"),
        ("../../../etc/cron.d/evil.pdf", "evil.pdf"),
        ("a\r\nSet-Cookie: x=1\x00\x1b[31m.pdf", "x=1[31m.pdf"),
        ("\u202egpj.exe", "gpj.exe.pdf"),
    ],
)
def test_a_name_that_means_harm_is_made_harmless(
    agency: Agency, sent: str, name: str, shown: str
) -> None:
    sender = agency("anshin-motofuji")
    answer = attach(sender, sent, pdf(), name=name)
    assert answer.status_code == 201
    got = sender.http.get(answer.headers["Location"])
    assert "set-cookie" not in got.headers
    assert sender.reads(sent).body["attachments"][-1]["name"] == shown


@pytest.mark.parametrize(
    "name",
    [
        "個人番号 123456789018.pdf",
        "１２３４５６７８９０１８.pdf",
        "1234 5678 9018.pdf",
        "サンプル_1234_5678_9018.pdf",
        "1234?5678?9018.pdf",  # as it would be shown
    ],
)
def test_an_individual_number_in_a_files_name_is_refused(
    agency: Agency, sent: str, name: str
) -> None:
    answer = attach(agency("anshin-motofuji"), sent, pdf(), name=name)
    assert (answer.status_code, code(answer)) == (422, "my_number_refused")
    assert "9018" not in answer.text


def test_the_fifty_first_file_of_a_referral_is_refused(
    network: RunningNetwork, agency: Agency, sent: str
) -> None:
    sender = agency("anshin-motofuji")
    for _ in range(50):
        attached(sender, sent, png(), "image/png")
    before = stored(network)
    answer = attach(sender, sent, png(), "image/png")
    assert (answer.status_code, code(answer)) == (422, "invalid_request")
    assert stored(network) == before


def test_the_example_of_the_partners_document_does_what_it_says(
    network: RunningNetwork, agency: Agency, sent: str, tmp_path: Path
) -> None:
    document = (REPOSITORY / "docs/partners.md").read_text("utf-8")
    section = document.partition("\n## 6 ")[2].partition("\n## 7")[0]
    script = section.partition("```sh\n")[2].partition("```")[0]
    (tmp_path / "letter.pdf").write_bytes(pdf(4000))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={
            "PATH": os.environ["PATH"], "TSUNAGU": network.url, "REF": sent,
            "KEY": agency("anshin-motofuji").key, "FILE": str(tmp_path / "letter.pdf"),
        },
        cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "copy.pdf").read_bytes() == pdf(4000)
    assert agency("core").reads(sent).body["attachments"][0]["name"] == "紹介状.pdf"
