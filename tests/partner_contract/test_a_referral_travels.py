"""The calls of the contract, each as it should go."""

from collections.abc import Callable

from tests.network import RunningNetwork, eventually
from tests.partners import Partner, a_referral

Agency = Callable[[str], Partner]
SHARED_BLOCK = "文京区春日二丁目1番1号"  # {大塚, 富坂}: the seed never settles it


def test_a_referral_goes_to_the_hub_of_its_address_and_the_sender_stays_responsible(
    partner: Agency,
) -> None:
    answer = partner("anshin-motofuji").posts(a_referral())
    assert answer.status == 201
    body = answer.body
    assert (body["stage"], body["custodian"], body["version"]) == ("offered", "anshin-motofuji", 3)
    assert body["district"] == {"id": "motofuji", "basis": "whole", "candidates": ["motofuji"]}
    (handoff,) = body["handoffs"]
    assert (handoff["from"], handoff["to"], handoff["state"], handoff["kind"]) == (
        "anshin-motofuji", "hub-motofuji", "offered", "transfer",
    )  # fmt: skip
    assert body["submitted_at"].endswith("+09:00")


def test_a_referral_is_found_by_its_number_and_by_its_id(partner: Agency) -> None:
    sender = partner("anshin-motofuji")
    sent = sender.posts(a_referral())
    assert sender.reads(sent.id).body == sender.reads(sent.number).body
    assert sender.reads(sent.number).body["number"] == sent.number


def test_custody_moves_when_the_receiver_accepts(partner: Agency) -> None:
    sent = partner("anshin-motofuji").posts(a_referral())
    accepted = partner("hub-motofuji").accepts(sent.handoff(), text="お受けします。")
    assert accepted.status == 200
    assert (accepted.body["custodian"], accepted.body["stage"]) == ("hub-motofuji", "in_care")
    assert accepted.body["handoffs"][0]["state"] == "accepted"


def test_a_referral_without_an_address_goes_to_the_agency_that_is_named(partner: Agency) -> None:
    sent = partner("ward-office").posts(a_referral().without("address").to("sample-hospital"))
    assert sent.status == 201
    assert sent.body["handoffs"][0]["to"] == "sample-hospital"


def test_a_referral_without_an_address_goes_to_the_hub_of_the_district_that_is_named(
    partner: Agency,
) -> None:
    sent = partner("ward-office").posts(a_referral().without("address").to_district("otsuka"))
    assert sent.body["district"]["basis"] == "stated"
    assert sent.body["handoffs"][0]["to"] == "hub-otsuka"


def test_an_address_between_two_districts_waits_for_the_core_centres_ruling(
    partner: Agency,
) -> None:
    sent = partner("anshin-tomisaka").posts(a_referral().by_address(SHARED_BLOCK))
    assert (sent.status, sent.body["stage"], sent.body["handoffs"]) == (201, "awaiting_ruling", [])
    assert sent.body["district"] == {
        "id": None, "basis": "ambiguous", "candidates": ["otsuka", "tomisaka"],
    }  # fmt: skip
    ruled = partner("core").rules(sent.id, "tomisaka")
    assert (ruled.status, ruled.body["stage"]) == (200, "offered")
    assert ruled.body["district"]["basis"] == "ruled"
    assert ruled.body["handoffs"][0]["to"] == "hub-tomisaka"
    again = partner("core").rules(sent.id, "tomisaka")
    assert (again.status, again.code) == (409, "not_awaiting_ruling")
    anew = partner("core").rules(sent.id, "otsuka")
    assert [(h["to"], h["state"]) for h in anew.body["handoffs"]] == [
        ("hub-tomisaka", "withdrawn"), ("hub-otsuka", "offered"),
    ]  # fmt: skip


def test_while_its_ruling_is_awaited_a_case_may_be_cancelled_but_not_closed(
    partner: Agency,
) -> None:
    sender = partner("anshin-tomisaka")
    sent = sender.posts(a_referral().by_address(SHARED_BLOCK))
    (call,) = sent.body["escalations"]
    assert (call["code"], call["state"], call["raised_by"]) == ("E06", "raised", "network")
    refused = sender.closes(sent.id)
    assert (refused.status, refused.code) == (409, "escalation_open")
    (ended,) = sender.cancels(sent.id).body["escalations"]
    assert (ended["state"], ended["disposition"]) == ("resolved", "cancelled")


def test_a_ruling_that_is_remembered_settles_the_next_address_of_that_block(
    partner: Agency,
) -> None:
    block = a_referral().by_address("文京区小石川五丁目7番1号")
    first = partner("anshin-otsuka").posts(block)
    assert first.body["stage"] == "awaiting_ruling"
    district = first.body["district"]["candidates"][0]
    partner("core").rules(first.id, district, remember=True)
    neighbour = a_referral().by_address("小石川5-7-9")
    second = partner("anshin-komagome").posts(neighbour)
    assert second.body["stage"] == "offered"
    assert (second.body["district"]["id"], second.body["district"]["basis"]) == (district, "ruled")


def test_only_the_core_centre_rules_and_only_among_the_candidates(partner: Agency) -> None:
    sent = partner("anshin-tomisaka").posts(a_referral().by_address("文京区小日向四丁目1番1号"))
    refused = partner("anshin-tomisaka").rules(sent.id, "otsuka")
    assert (refused.status, refused.code) == (403, "insufficient_scope")
    elsewhere = partner("core").rules(sent.id, "motofuji")
    assert (elsewhere.status, elsewhere.pointers) == (422, ["/district"])


def test_nobody_passes_a_case_on_while_its_district_is_undecided(partner: Agency) -> None:
    sent = partner("anshin-tomisaka").posts(a_referral().by_address(SHARED_BLOCK))
    refused = partner("anshin-tomisaka").offers(sent.id, "hub-otsuka")
    assert (refused.status, refused.code) == (409, "awaiting_ruling")
    bed = partner("anshin-tomisaka").offers(sent.id, "lien-bunkyo", kind="request")
    assert bed.status == 201


def test_of_several_receivers_the_first_acceptance_wins(partner: Agency) -> None:
    hub = partner("hub-motofuji")
    sent = partner("anshin-motofuji").posts(a_referral())
    hub.accepts(sent.handoff())
    offered = hub.offers(sent.id, "sample-home", "sample-hospital", note="どちらか。")
    assert offered.status == 201
    won = partner("sample-home").accepts(offered.handoff("sample-home"))
    assert won.body["custodian"] == "sample-home"
    late = partner("sample-hospital").accepts(offered.handoff("sample-hospital"))
    assert (late.status, late.code) == (409, "not_offered")


def test_a_request_asks_for_a_bed_and_leaves_custody_where_it_is(partner: Agency) -> None:
    hub, stay = partner("hub-motofuji"), partner("lien-bunkyo")
    sent = partner("anshin-motofuji").posts(a_referral())
    hub.accepts(sent.handoff())
    asked = hub.offers(sent.id, "lien-bunkyo", kind="request", function="emergency")
    bed = asked.handoff("lien-bunkyo")
    early = stay.completes(bed)
    assert (early.status, early.code) == (409, "not_offered")
    assert stay.accepts(bed).body["custodian"] == "hub-motofuji"
    done = stay.completes(bed, text="三泊で帰宅。")
    assert done.status == 200
    assert done.body["handoffs"][-1]["outcome"] == "got_help"
    assert stay.completes(bed, outcome="died").code == "already_answered"


def test_a_declined_referral_stays_with_its_sender_and_says_why(partner: Agency) -> None:
    sent = partner("anshin-motofuji").posts(a_referral())
    declined = partner("hub-motofuji").declines(sent.handoff(), "staff_shortage", text="満床。")
    assert declined.status == 200
    (handoff,) = declined.body["handoffs"]
    assert (handoff["state"], handoff["said_by"], handoff["reason"]) == (
        "declined", "agency", "staff_shortage",
    )  # fmt: skip
    assert declined.body["custodian"] == "anshin-motofuji"


def test_a_withdrawn_offer_can_no_longer_be_accepted(partner: Agency) -> None:
    sender = partner("anshin-motofuji")
    sent = sender.posts(a_referral())
    assert sender.withdraws(sent.handoff()).status == 200
    late = partner("hub-motofuji").accepts(sent.handoff())
    assert (late.status, late.code) == (409, "not_offered")
    assert sender.withdraws(sent.handoff()).code == "not_offered"


def test_an_offer_is_answered_once(partner: Agency) -> None:
    hub = partner("hub-motofuji")
    sent = partner("anshin-motofuji").posts(a_referral())
    assert hub.accepts(sent.handoff()).status == 200
    for again in (hub.accepts(sent.handoff()), hub.declines(sent.handoff())):
        assert (again.status, again.code) == (409, "already_answered")


def test_a_case_is_closed_by_its_custodian_and_can_go_on(partner: Agency) -> None:
    sender, hub = partner("anshin-motofuji"), partner("hub-motofuji")
    sent = sender.posts(a_referral())
    hub.accepts(sent.handoff())
    assert sender.closes(sent.id).code == "not_custodian"
    closed = hub.closes(sent.id, "partly_helped", text="訪問介護につないだ。")
    assert (closed.body["stage"], closed.body["outcome"]) == ("closed", "partly_helped")
    assert hub.closes(sent.id).code == "already_closed"
    assert hub.offers(sent.id, "sample-home").code == "already_closed"
    assert hub.escalates(sent.id).code == "already_closed"
    assert hub.reopens(sent.id, text="再び連絡あり。").body["stage"] == "in_care"
    assert "outcome" not in hub.reads(sent.id).body


def test_a_sender_takes_a_referral_back_before_anyone_accepted(partner: Agency) -> None:
    sender, hub = partner("anshin-motofuji"), partner("hub-motofuji")
    sent = sender.posts(a_referral())
    cancelled = sender.cancels(sent.id, text="入院が決まった。")
    assert cancelled.body["stage"] == "cancelled"
    assert cancelled.body["handoffs"][0]["state"] == "withdrawn"
    assert hub.accepts(sent.handoff()).code == "not_offered"
    taken = sender.posts(a_referral())
    hub.accepts(taken.handoff())
    assert (sender.cancels(taken.id).status, sender.cancels(taken.id).code) == (
        409, "already_answered",
    )  # fmt: skip


def test_notes_are_the_custodians_and_an_escalation_is_anyones_who_is_involved(
    partner: Agency,
) -> None:
    sender, hub = partner("anshin-motofuji"), partner("hub-motofuji")
    sent = sender.posts(a_referral())
    assert sender.notes(sent.id).status == 201
    assert hub.notes(sent.id).code == "not_custodian"
    called = hub.escalates(sent.number, "E03", text="あざがある。")
    assert called.status == 201
    (escalation,) = called.body["escalations"]
    assert (escalation["code"], escalation["state"], escalation["raised_by"]) == (
        "E03", "raised", "hub-motofuji",
    )  # fmt: skip
    assert sender.escalates(sent.id, "E99").pointers == ["/reason"]


def test_the_core_centre_may_offer_any_case_and_others_only_their_own(partner: Agency) -> None:
    sent = partner("anshin-motofuji").posts(a_referral())
    assert partner("core").offers(sent.id, "sample-home").status == 201
    refused = partner("hub-motofuji").offers(sent.id, "sample-hospital")
    assert (refused.status, refused.code) == (409, "not_custodian")


def test_an_offer_to_an_agency_that_does_not_exist_names_its_place(partner: Agency) -> None:
    sender = partner("anshin-motofuji")
    sent = sender.posts(a_referral())
    refused = sender.offers(sent.id, "sample-home", "hub-nowhere")
    assert (refused.status, refused.code, refused.pointers) == (422, "unknown_agency", ["/to/1"])
    refused = sender.posts(a_referral().to("hub-nowhere"))
    assert (refused.code, refused.pointers) == ("unknown_agency", ["/to/agency"])
    assert sender.posts(a_referral().to("auditor")).code == "unknown_agency"


def test_the_history_tells_every_event_in_order_as_cloudevents(partner: Agency) -> None:
    sender, hub = partner("anshin-motofuji"), partner("hub-motofuji")
    sent = sender.posts(a_referral())
    hub.accepts(sent.handoff(), text="受けます。")
    hub.notes(sent.id, "訪問した。")
    items = sender.history(sent.id).body["items"]
    assert [item["type"] for item in items] == [
        f"tsunagu.{kind}.v1"
        for kind in (
            "referral_submitted", "district_found", "handoff_offered", "handoff_accepted",
            "note_added",
        )
    ]  # fmt: skip
    assert [item["data"]["version"] for item in items] == [1, 2, 3, 4, 5]
    assert {(i["specversion"], i["source"], i["subject"]) for i in items} == {
        ("1.0", "/wards/131059", sent.id)
    }
    assert items[3]["data"]["opened"] == {"text": "受けます。"}
    assert items[4]["data"]["opened"] == {"text": "訪問した。"}
    assert sender.history(sent.number).body["items"] == items


def test_what_a_partner_sent_is_read_back_as_it_was_sent(partner: Agency) -> None:
    sent = a_referral().having(
        sender_reference="OUR-2026-0001",
        staff="相談員 山田",
        topics=["after_parents", "housing"],
        reported_by="family",
        complaint="家にいたい。",
        risks="転倒。",
        requested_by="2026-11-22T09:00:00+09:00",
        needs={"disability_kinds": ["intellectual"], "support_category": 4, "doctor": "東大病院"},
    )
    sender = partner("anshin-motofuji")
    got = sender.reads(sender.posts(sent).id).body
    assert got["opened"] is True
    for name in ("staff", "complaint", "summary", "risks", "address", "topics"):
        assert got[name] == sent.body[name], name
    for name in ("person", "needs", "consent"):
        assert got[name].items() >= sent.body[name].items(), name
    assert got["sender_reference"] == "OUR-2026-0001"
    assert got["requested_by"] == "2026-11-22T09:00:00+09:00"


def test_a_request_that_does_not_wait_gets_a_place_to_look(
    partner: Agency, network: RunningNetwork
) -> None:
    sender = partner("anshin-motofuji")
    pending = sender.posts(a_referral(), prefer="respond-async")
    assert (pending.status, pending.body["state"]) == (202, "pending")
    place = pending.headers["location"]
    eventually(lambda: sender.get(place).status == 201, 20, "the accepted request to be decided")
    recorded = sender.get(place)
    assert recorded.body["stage"] == "offered"
    assert sender.get(place).raw == recorded.raw
    # Nobody else learns what it was about.
    assert partner("hub-motofuji").get(place).status == 202
