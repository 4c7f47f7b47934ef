"""Audit and delivery may be gone for days: referrals go on, and they catch up."""

from datetime import timedelta
from pathlib import Path

from tests.network import eventually, running_network, verified
from tests.partners import a_referral
from tests.record import check_everything

EVIDENCE = ("audit", "delivery")


def test_referrals_go_on_while_audit_and_delivery_are_down_and_they_catch_up(
    tmp_path: Path,
) -> None:
    with running_network(tmp_path) as network:
        sender, hub = network.partner("anshin-motofuji"), network.partner("hub-motofuji")
        sender.posts(a_referral())
        before = network.settle()
        with network.down(*EVIDENCE):
            for _ in range(60):
                sent = sender.posts(a_referral())
                assert sent.status == 201
                assert hub.accepts(sent.handoff()).status == 200
            assert hub.closes(sent.id).status == 200
            assert sender.get("/readyz").status == 200
            assert hub.reads(sent.id).body["stage"] == "closed"
            inbox = hub.inbox()
            assert (inbox.status, inbox.code) == (503, "unavailable")
            assert not any(network.is_up(name) for name in EVIDENCE)
            assert network.is_up("referral")
            assert len(network.rows("audit", "SELECT 1 FROM entries")) == before
            # The broker may lose everything meanwhile, and the deciding service may die.
            network.kill("referral")
        network.await_ready()
        figures = check_everything(network)
        assert figures["entries"] == before + 60 * 4 + 1
        items = hub.whole_inbox()
        assert [item["number"] for item in items] == list(range(1, len(items) + 1))


def test_a_network_that_starts_without_its_evidence_takes_referrals(tmp_path: Path) -> None:
    with running_network(tmp_path, keep_down=EVIDENCE) as network:
        network.await_posts()
        sent = network.partner("anshin-motofuji").posts(a_referral())
        assert sent.status == 201
        network.stop()
        network.start()
        check_everything(network)


def test_a_key_that_cannot_sign_manifests_keeps_nobody_from_their_events(tmp_path: Path) -> None:
    with running_network(tmp_path, clock_shift=True) as network:
        hub = network.partner("hub-motofuji")
        network.await_ready()
        assert hub.post("/v1/inbox/manifest").status == 200
        with network.down("delivery"):
            (tmp_path / "keys" / "manifest.key").chmod(0o644)
            network.move_clock(timedelta(days=1))
        network.await_ready()
        network.partner("anshin-motofuji").posts(a_referral())
        network.settle()
        pid = network.pid("delivery")
        eventually(lambda: hub.inbox().body["items"], 20, "its events")
        assert hub.post("/v1/inbox/manifest").status == 503
        assert network.logs().count("daily_work_failed") <= 2  # not one for each look
        (tmp_path / "keys" / "manifest.key").chmod(0o600)
        day = network.rows("delivery", "SELECT day FROM days WHERE what = 'manifest'")
        eventually(
            lambda: network.rows("delivery", "SELECT day FROM days WHERE what = 'manifest'") > day,
            20, "the day's manifests, late",
        )  # fmt: skip
        assert hub.get("/v1/inbox/manifest").body["size"] == hub.inbox().body["head"]
        assert network.pid("delivery") == pid


def test_audit_without_room_on_its_disk_says_so_and_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    with running_network(tmp_path) as network:
        sender = network.partner("anshin-motofuji")
        sender.posts(a_referral())
        signed = network.settle()
        with network.no_room_on_disk("audit"), network.no_room_on_disk("delivery"):
            for _ in range(30):
                assert sender.posts(a_referral()).status == 201
            assert verified(network)["entries"] == signed
        assert check_everything(network)["referrals"] == 31
