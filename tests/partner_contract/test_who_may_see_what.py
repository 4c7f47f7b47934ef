"""Each agency sees its own part, and nobody learns of what is none of its business."""

from collections.abc import Callable

import pytest

from tests.partners import Partner, a_referral

Agency = Callable[[str], Partner]
PERSONAL = ("person", "address", "summary", "consent")


@pytest.fixture
def declined(partner: Agency) -> str:
    """A referral that hub-motofuji was offered and has declined."""
    sent = partner("anshin-motofuji").posts(a_referral())
    partner("hub-motofuji").declines(sent.handoff())
    return sent.id


@pytest.mark.parametrize("agency", ["anshin-motofuji", "hub-motofuji", "core"])
def test_sender_receiver_and_core_read_the_personal_data(partner: Agency, agency: str) -> None:
    sent = partner("anshin-motofuji").posts(a_referral())
    got = partner(agency).reads(sent.id)
    assert got.status == 200
    assert got.body["opened"] is True
    assert got.body["person"]["name"] == "文京 太郎"


def test_a_receiver_that_declined_sees_the_case_and_not_the_person(
    partner: Agency, declined: str
) -> None:
    hub = partner("hub-motofuji")
    got = hub.reads(declined)
    assert (got.status, got.body["opened"]) == (200, False)
    assert not set(PERSONAL) & got.body.keys()
    assert all("opened" not in item["data"] for item in hub.history(declined).body["items"])


def test_an_auditor_reads_every_history_without_personal_data_and_changes_nothing(
    partner: Agency, declined: str
) -> None:
    auditor = partner("auditor")
    history = auditor.history(declined)
    assert history.status == 200
    assert [i["type"] for i in history.body["items"]][-1] == "tsunagu.handoff_declined.v1"
    assert "文京 太郎" not in history.raw.decode()
    got = auditor.reads(declined)
    assert got.body["opened"] is False
    assert not set(PERSONAL) & got.body.keys()
    for refused in (
        auditor.notes(declined),
        auditor.closes(declined),
        auditor.escalates(declined),
        auditor.offers(declined, "sample-home"),
        auditor.posts(a_referral()),
    ):
        assert (refused.status, refused.code) == (403, "insufficient_scope")


def test_what_is_not_yours_and_what_does_not_exist_look_the_same(
    partner: Agency, declined: str
) -> None:
    stranger = partner("sample-home")
    handoff = partner("core").reads(declined).body["handoffs"][0]["id"]
    nothing = "00000000-0000-4000-8000-000000000000"
    theirs = [
        stranger.reads(declined),
        stranger.history(declined),
        stranger.notes(declined),
        stranger.closes(declined),
        stranger.cancels(declined),
        stranger.escalates(declined),
        stranger.offers(declined, "sample-hospital"),
        stranger.accepts(handoff),
        stranger.declines(handoff, text="なぜ"),
        stranger.withdraws(handoff),
        stranger.completes(handoff),
    ]
    nobodys = [
        stranger.reads(nothing),
        stranger.reads("131059-2026-999999"),
        stranger.reads("not-an-id"),
        stranger.history("1; DROP TABLE referrals"),
        stranger.notes(nothing),
        stranger.notes("131059-2026-999999"),
        stranger.accepts(nothing),
        stranger.accepts("x"),
    ]
    assert {(answer.status, answer.raw) for answer in theirs + nobodys} == {(403, theirs[0].raw)}
    assert theirs[0].code == "not_involved"


def test_a_protected_address_and_its_district_are_told_to_core_and_who_took_the_case_alone(
    partner: Agency,
) -> None:
    hidden = a_referral().by_address("文京区本郷二丁目3番4号", kind="protected")
    sent = partner("anshin-motofuji").posts(hidden)
    for agency in ("anshin-motofuji", "hub-motofuji"):
        got = partner(agency).reads(sent.id).body
        assert got["person"]
        assert not {"address", "district"} & got.keys()
    taken = partner("anshin-motofuji").posts(hidden)
    partner("hub-motofuji").accepts(taken.handoff())
    for agency, referral in (("core", sent.id), ("core", taken.id), ("hub-motofuji", taken.id)):
        got = partner(agency).reads(referral).body
        assert got["address"]["text"] == "文京区本郷二丁目3番4号"
        assert got["district"]["id"] == "motofuji"
    partner("hub-motofuji").declines(sent.handoff())
    for agency in ("hub-motofuji", "auditor"):
        got, history = partner(agency).reads(sent.id), partner(agency).history(sent.id)
        assert (got.status, history.status) == (200, 200)
        assert not {"address", "district"} & got.body.keys()
        assert "district_found" not in history.raw.decode()
        assert '"district"' not in history.raw.decode()
    listed = partner("hub-motofuji").lists(limit=200).body["items"]
    assert "district" not in next(item for item in listed if item["id"] == sent.id)


def test_a_district_that_is_no_secret_is_told_to_whoever_may_see_the_case(
    partner: Agency, declined: str
) -> None:
    core = partner("core").history(declined).body["items"]
    for agency in ("hub-motofuji", "auditor"):
        assert partner(agency).reads(declined).body["district"]["id"] == "motofuji"
        items = partner(agency).history(declined).body["items"]
        assert [item["data"]["version"] for item in items] == list(range(1, len(core) + 1))


def test_the_senders_own_reference_is_not_told_to_the_receiver(partner: Agency) -> None:
    sent = partner("anshin-motofuji").posts(a_referral().having(sender_reference="OUR-7"))
    assert partner("core").reads(sent.id).body["sender_reference"] == "OUR-7"
    assert "sender_reference" not in partner("hub-motofuji").reads(sent.id).body


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer tsunagu_wrong", "Basic {key}", "{key}", "Bearer {key}x"],
)
def test_a_call_without_an_agencys_key_is_refused(
    partner: Agency, authorization: str | None
) -> None:
    sender = partner("anshin-motofuji")
    headers = (
        {} if authorization is None else {"Authorization": authorization.format(key=sender.key)}
    )
    with Partner(str(sender.http.base_url), "nobody", "").http as http:
        del http.headers["Authorization"]
        for answer in (
            http.get("/v1/inbox", headers=headers),
            http.get("/v1/directory", headers=headers),
            http.post("/v1/referrals", json=a_referral().body, headers=headers),
        ):
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert sender.key not in answer.text
