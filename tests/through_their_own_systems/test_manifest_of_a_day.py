"""Every day each agency's inbox is signed, once; what was missed is made up; keys change without a gap."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import Connection, Engine

from partners.manifest import read_event, verify
from runtime.clock import ManualClock
from runtime.database import reading, writing
from runtime.keys import KeyFileError
from runtime.reading import Entry
from schemas import queries as q
from schemas.outside import JAPAN
from services.delivery import days
from services.delivery import tables as t
from services.delivery.inbox import Inboxes
from services.delivery.manifest import APART, Decide, Manifests
from services.delivery.manifest_keys import ManifestKeys
from services.delivery.peacetime import Peacetime
from services.delivery.record import Record
from tests.book import as_read
from tests.builders import BUNKYO, HUB, Town, a_referral

DAY = timedelta(days=1)
AGENCIES = [agency.id for agency in BUNKYO.agencies]


class Office:
    """Delivery's desk for manifests and tests, over a real database."""

    def __init__(self, engine: Engine, folder: Path, clock: ManualClock) -> None:
        self.engine = engine
        self.clock = clock
        self.inboxes = Inboxes(engine)
        self.keys = ManifestKeys(folder, clock)
        self.start()

    def start(self) -> None:
        """Another process, later."""
        self.manifests = Manifests(self.engine, self.inboxes, self.keys, BUNKYO, self.clock)
        self.peacetime = Peacetime(self.engine, self.inboxes, BUNKYO, self.clock)
        self.record = Record(BUNKYO, self.clock, self.inboxes.take_in)

    def write(self, decide: Decide) -> list[Entry]:
        with writing(self.engine) as connection:
            return self.record.write(connection, decide(connection))

    def sign_days(self) -> int:
        return self.manifests.sign_days(self.write)

    def test_today(self) -> int:
        return self.peacetime.test_today(self.write)

    def takes_in(self, town: Town) -> None:
        with writing(self.engine) as connection:
            known = set(connection.execute(sa.select(t.events.c.id)).scalars())
            new = [entry for entry in town.entries if str(entry.id) not in known]
            self.inboxes.take_in(connection, [as_read(entry) for entry in new])

    def signed(self, agency: str) -> list[tuple[str, int]]:
        m = t.manifests
        with reading(self.engine) as connection:
            rows = connection.execute(sa.select(m).where(m.c.agency == agency).order_by(m.c.day))
            return [(row.day, row.size) for row in rows]

    def manifest(self, agency: str = HUB, day: date | None = None) -> dict[str, Any]:
        told = self.manifests.read(q.ReadManifest(agency=agency, day=day))
        return told.body if told.found else {}

    def on_demand(self, agency: str = HUB) -> dict[str, Any]:
        return self.manifests.sign(q.SignManifest(agency=agency), self.write).body

    def is_whole(self, manifest: dict[str, Any], vkey: str | None = None) -> bool:
        items = self.inboxes.read(q.ReadInbox(agency=HUB, limit=1000)).body["items"]
        return verify(map(read_event, items), manifest["note"], vkey or manifest["key"]).whole


@pytest.fixture
def office(database_of: Callable[[str], Engine], tmp_path: Path, clock: ManualClock) -> Office:
    return Office(database_of("delivery"), tmp_path / "keys", clock)


def test_each_agency_has_one_manifest_a_day(office: Office) -> None:
    assert office.sign_days() == 0  # the network is new: nothing was missed
    case = a_referral().accepted_by(HUB)
    office.takes_in(case.town)
    office.clock.move(DAY)
    assert office.sign_days() == len(AGENCIES)
    assert office.sign_days() == 0
    office.start()
    assert office.sign_days() == 0
    assert [
        office.signed(agency) for agency in AGENCIES if agency not in (HUB, "anshin-motofuji")
    ] == [[("2026-11-21", 0)]] * (len(AGENCIES) - 2)
    (told,) = office.signed(HUB)
    assert told[1] == office.inboxes.head(HUB)[0] > 0
    assert office.is_whole(office.manifest())


def test_a_manifest_is_on_record_and_moves_no_inbox(office: Office) -> None:
    office.sign_days()
    office.clock.move(DAY)
    office.sign_days()
    with reading(office.engine) as connection:
        kinds = connection.execute(sa.select(t.journal.journal.c.type)).scalars().all()
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.inbox)) == 0
    assert kinds == ["manifest_signed"] * len(AGENCIES)


def test_what_was_missed_is_made_up_for_each_day_as_the_inbox_was(office: Office) -> None:
    office.sign_days()
    case = a_referral().accepted_by(HUB)
    office.takes_in(case.town)
    size = office.inboxes.head(HUB)[0]
    office.clock.move(3 * DAY)
    office.start()
    assert office.sign_days() == 3 * len(AGENCIES)
    case.closed()
    office.takes_in(case.town)
    assert office.signed(HUB) == [(f"2026-11-{day}", size) for day in (21, 22, 23)]
    assert office.sign_days() == 0


def test_before_the_time_of_day_nothing_is_due_and_a_clock_set_back_makes_none_twice(
    office: Office,
) -> None:
    office.sign_days()
    midnight = datetime(2026, 11, 21, 0, 9, 59, tzinfo=JAPAN)
    office.clock.move(midnight - office.clock.now())
    assert office.sign_days() == 0
    office.clock.move(timedelta(seconds=1))
    assert office.sign_days() == len(AGENCIES)
    office.clock.set_back(DAY)
    assert office.sign_days() == 0
    office.clock.move(DAY)
    assert office.sign_days() == 0


@pytest.mark.parametrize("ahead", [3, 3650])
def test_a_clock_that_jumped_ahead_and_was_set_right_ends_no_manifest_and_no_test(
    office: Office, ahead: int
) -> None:
    assert (office.sign_days(), office.test_today()) == (0, 0)
    office.clock.move(ahead * DAY)
    assert office.sign_days() == min(ahead, days.MOST_DAYS) * len(AGENCIES)
    assert office.test_today() == len(AGENCIES)
    office.clock.set_back(ahead * DAY)
    assert (office.sign_days(), office.test_today()) == (0, 0)  # today has none missing
    office.clock.move(DAY)
    assert (office.sign_days(), office.test_today()) == (len(AGENCIES), len(AGENCIES))
    assert (office.sign_days(), office.test_today()) == (0, 0)


@given(
    st.integers(0, 366 * 86_400),
    st.integers(0, 1440),
    st.integers(0, 80),
)
def test_every_day_is_dealt_with_once_however_often_one_looks(
    seconds: int, minutes: int, pause: int
) -> None:
    at = timedelta(minutes=minutes)
    now = datetime(2026, 1, 1, tzinfo=JAPAN) + timedelta(seconds=seconds)
    done = days.due_until(now, at)
    assert days.missed(done, days.due_until(now, at)) == []
    later = days.due_until(now + pause * DAY, at)
    assert days.missed(done, later) == [
        done + (n + 1) * DAY for n in range(max(0, pause - days.MOST_DAYS), pause)
    ]


def test_on_demand_one_is_signed_where_the_inbox_has_moved(office: Office) -> None:
    case = a_referral()
    office.takes_in(case.town)
    first = office.on_demand()
    assert office.is_whole(first)
    assert office.on_demand() == first  # nothing has happened since
    case.accepted_by(HUB)
    office.takes_in(case.town)
    office.clock.move(APART)
    second = office.on_demand()
    assert second["size"] > first["size"]
    assert office.manifest() == office.manifest(day=date(2026, 11, 20)) == second
    assert office.manifest(day=date(2026, 11, 19)) == {}
    assert office.manifest("hub-komagome") == {}


def test_where_nothing_has_happened_nobody_asks_for_the_right_to_write(office: Office) -> None:
    office.takes_in(a_referral().town)
    first = office.on_demand()

    def refused(_: Decide) -> list[Entry]:
        raise AssertionError("asked for the right to write")

    asked = q.SignManifest(agency=HUB)
    office.clock.move(DAY)
    assert office.manifests.sign(asked, refused).body == first


def test_one_agency_asks_for_a_manifest_every_few_seconds_at_most(office: Office) -> None:
    case = a_referral()
    office.takes_in(case.town)
    first = office.on_demand()
    case.accepted_by(HUB)
    office.takes_in(case.town)
    office.clock.move(timedelta(seconds=2))
    asked = q.SignManifest(agency=HUB)
    soon = office.manifests.sign(asked, office.write)
    assert (soon.found, soon.body) == (False, {"retry_after": 3})
    assert office.signed(HUB) == [("2026-11-20", first["size"])]
    assert office.on_demand("hub-komagome")["size"] == 0
    office.clock.move(timedelta(seconds=3))
    assert office.on_demand()["size"] > first["size"]


def test_whoever_knows_only_the_older_key_is_not_cut_off_while_keys_overlap(office: Office) -> None:
    case = a_referral()
    office.takes_in(case.town)
    pinned = office.on_demand()["key"]
    office.keys.rotate(overlap=7 * DAY)
    office.clock.move(APART)
    both = office.on_demand()
    assert both["key"] != pinned
    assert both["keys"] == [both["key"], pinned]
    assert office.is_whole(both, pinned)
    assert office.is_whole(both)
    office.clock.move(7 * DAY - APART)
    case.accepted_by(HUB)
    office.takes_in(case.town)
    after = office.on_demand()
    assert office.is_whole(after)
    assert not office.is_whole(after, pinned)
    assert after["keys"] == [both["key"], pinned]  # what signed older ones is never forgotten


def test_verifier_keys_lie_beside_the_key_for_handing_out(office: Office, tmp_path: Path) -> None:
    office.manifests.hand_out()
    office.keys.rotate(timedelta(0))
    office.manifests.hand_out()
    lines = (tmp_path / "keys" / "manifest.vkeys").read_text("utf-8").splitlines()
    assert len(lines) == 2 * len(AGENCIES)
    office.takes_in(a_referral().town)
    assert office.on_demand()["keys"] == [line for line in lines if f"/inbox/{HUB}+" in line]
    secrets = [p for p in (tmp_path / "keys").iterdir() if p.suffix == ".key"]
    assert [p.name for p in secrets] == ["manifest.key"]  # the older one signs no more
    assert secrets[0].stat().st_mode & 0o077 == 0


def test_a_rotation_that_was_cut_off_leaves_a_key_that_signs(
    office: Office, tmp_path: Path
) -> None:
    (before,) = office.keys.all()
    (tmp_path / "keys" / ".manifest.key.coming").write_bytes(b"half")
    assert office.keys.all() == [before]
    made = office.keys.rotate(DAY)
    assert office.keys.all()[0] == made
    # It died after the newest was in place and before it was listed.
    listed = tmp_path / "keys" / "manifest_keys.json"
    text = listed.read_text("ascii")
    office.keys.rotate(DAY)
    listed.write_text(text, "ascii")
    assert office.keys.all()[1].public == made.public
    assert len(office.keys.signers()) == 3
    office.takes_in(a_referral().town)
    assert office.is_whole(office.on_demand())


def _cut_off(keys: Path) -> None:
    (keys / "manifest_keys.json").write_text('{"keys": [')


def _nonsense(keys: Path) -> None:
    (keys / "manifest_keys.json").write_text('{"keys": [{"public": "zz"}]}')


def _open_to_all(keys: Path) -> None:
    (keys / "manifest.key").chmod(0o644)


def _short(keys: Path) -> None:
    (keys / "manifest.key").write_bytes(b"short")


def _no_file(keys: Path) -> None:
    (keys / "manifest_keys.json").unlink()
    (keys / "manifest_keys.json").mkdir()


def _lost(keys: Path) -> None:
    (keys / "manifest.key").unlink()


@pytest.mark.parametrize("spoil", [_cut_off, _nonsense, _open_to_all, _short, _no_file, _lost])
def test_a_key_that_cannot_be_used_is_told_by_the_name_of_its_file_and_nothing_is_written(
    office: Office, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    office.sign_days()
    office.manifests.hand_out()
    spoil(tmp_path / "keys")
    office.clock.move(DAY)

    def refused(_: Decide) -> list[Entry]:
        raise AssertionError("asked for the right to write")

    for use in (
        lambda: office.manifests.sign_days(refused),
        office.manifests.hand_out,
        office.keys.all,
        office.keys.signers,
    ):
        with pytest.raises(KeyFileError, match=r"^manifest(\.key|_keys\.json) "):
            use()


def test_a_lost_key_is_followed_by_another_only_where_somebody_says_so(
    office: Office, tmp_path: Path
) -> None:
    (before,) = office.keys.all()
    _lost(tmp_path / "keys")
    with pytest.raises(KeyFileError, match="is lost"):
        office.keys.signers()
    assert not (tmp_path / "keys" / "manifest.key").exists()
    made = office.keys.rotate(DAY)
    assert [key.public for key in office.keys.all()] == [made.public, before.public]
    assert len(office.keys.signers()) == 1
    office.takes_in(a_referral().town)
    assert office.is_whole(office.on_demand())


# -- the day's test ---------------------------------------------------------------------------------------


def test_each_agency_has_a_test_of_the_day_and_of_missed_days_only_the_newest(
    office: Office,
) -> None:
    assert office.test_today() == 0
    office.clock.move(DAY)
    assert office.test_today() == len(AGENCIES)
    assert office.test_today() == 0
    office.clock.move(5 * DAY)
    office.start()
    assert office.test_today() == len(AGENCIES)
    assert office.test_today() == 0
    items = office.inboxes.read(q.ReadInbox(agency=HUB)).body["items"]
    assert [(x["number"], x["event"]["data"]["daily"]) for x in items] == [(1, True), (2, True)]


def test_one_agency_asks_for_a_test_every_few_seconds_at_most(office: Office) -> None:
    def asks(agency: str = HUB, key: str | None = None) -> q.Told:
        return office.peacetime.test(q.SendTest(agency=agency, key=key), office.write)

    first = asks(key="OURS-1")
    assert (first.body["state"], first.body["number"]) == ("in_inbox", 1)
    assert asks(key="OURS-1") == first  # the same key is the same test
    office.clock.move(timedelta(seconds=2))
    assert (asks().found, asks().body) == (False, {"retry_after": 3})
    assert asks("hub-komagome").found
    office.clock.move(timedelta(seconds=3))
    assert asks().body["number"] == 2


def test_only_its_own_agency_is_told_what_became_of_a_test(office: Office) -> None:
    told = office.peacetime.test(q.SendTest(agency=HUB), office.write)
    assert not office.peacetime.read(q.ReadTest(agency="core", test=told.body["id"])).found


def test_what_is_decided_is_written_all_or_not_at_all(office: Office) -> None:
    office.sign_days()
    office.clock.move(DAY)

    def failing(decide: Decide) -> list[Entry]:
        def half(connection: Connection) -> list[Any]:
            decide(connection)
            raise sa.exc.OperationalError("", {}, Exception())

        return office.write(half)

    with pytest.raises(sa.exc.OperationalError):
        office.manifests.sign_days(failing)
    assert office.signed(HUB) == []
    assert office.sign_days() == len(AGENCIES)
