"""A new ward is a new file, and a file with mistakes says all of them and where they are."""

import re
from datetime import date, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from schemas.logins import LOGINS
from wards import WardFileError, bundled_ward, load_ward
from wards.check import OUR_LOGINS
from wards.delivery import ByWebhook
from wards.load import read_ward

HERE = Path(__file__).parent
BROKEN = sorted((HERE / "broken").glob("*.toml"))
MARK = re.compile(r"# <- (\S+)")


def test_the_sample_ward_is_in_order() -> None:
    assert load_ward(HERE / "sample.toml").name == "見本区"


def test_no_agency_may_be_called_like_any_login_of_ours() -> None:
    assert set(OUR_LOGINS) == {login.name for login in LOGINS}


@pytest.mark.parametrize("path", BROKEN, ids=[path.stem.replace("_", " ") for path in BROKEN])
def test_a_broken_file_names_each_mistake_with_its_line_and_key(path: Path) -> None:
    """Every faulty line of a sample is marked with the key that is wrong; nothing else is named."""
    expected = {
        (number, "" if mark[1] == "syntax" else mark[1])
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        for mark in MARK.finditer(line)
    }
    with pytest.raises(WardFileError) as refused:
        load_ward(path)
    assert {(mistake.line, mistake.key) for mistake in refused.value.mistakes} == expected
    for mistake in refused.value.mistakes:
        assert f"{path}:{mistake.line}" in str(refused.value)
        assert mistake.ja in str(refused.value)
        assert mistake.en in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example:abc/",
        "https://a.example:99999/",
        "https://a.example:0/",
        "https://a..example/",
        f"https://{'a' * 64}.example/",
        "https://a b.example/",
        "https://a.example/\x00",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://aあ\u200d.example/",
        "http://localhost\\@169.254.169.254/",
        "http://localhost.example/",
        "https://user@a.example/",
        "https://a.example/#part",
        "ftp://a.example/",
        "https:///events",
    ],
)
def test_a_webhook_address_to_which_nothing_could_be_posted_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        ByWebhook(way="webhook", url=url)


@pytest.mark.parametrize(
    "url",
    [
        "https://hub.example/tsunagu?from=131059",
        "https://Hub.Example.:8443/",
        "https://支援.example/events",
        "https://192.0.2.7:443/",
        "https://[2001:db8::7]/",
        "http://localhost:8080/",
        "http://[::1]:8080/",
    ],
)
def test_a_webhook_address_may_be_written_as_addresses_are(url: str) -> None:
    assert ByWebhook(way="webhook", url=url).url == url


def test_a_file_that_is_missing_or_not_text_is_refused_in_the_same_way(tmp_path: Path) -> None:
    with pytest.raises(WardFileError, match="読めません"):
        load_ward(tmp_path / "nowhere.toml")
    (tmp_path / "ward.toml").write_bytes("文京区".encode("shift_jis"))
    with pytest.raises(WardFileError, match="UTF-8"):
        load_ward(tmp_path / "ward.toml")


def test_an_empty_file_lists_everything_that_a_ward_must_say() -> None:
    with pytest.raises(WardFileError) as refused:
        read_ward("", "empty.toml")
    keys = {mistake.key for mistake in refused.value.mistakes}
    assert {"code", "agencies", "districts", "functions", "consent_bases"} <= keys


def test_before_a_hub_opens_and_after_it_closes_the_core_centre_serves_its_district() -> None:
    ward = load_ward(HERE / "sample.toml")
    assert ward.hub_of("east", date(2026, 9, 30)) == "core"
    assert ward.hub_of("east", date(2026, 10, 1)) == "hub-east"
    assert ward.hub_of("east", date(2027, 3, 31)) == "hub-east"
    assert ward.hub_of("east", date(2027, 4, 1)) == "core"
    with pytest.raises(KeyError):
        ward.hub_of("north", date(2026, 9, 30))


def test_opening_hours_know_lunch_midnight_holidays_and_the_turn_of_the_year() -> None:
    ward = load_ward(HERE / "sample.toml")
    hub, core = ward.agency("hub-east"), ward.agency("core")
    assert hub is not None
    assert core is not None
    monday = date(2026, 11, 23)
    spans = [(span.open, span.close) for span in hub.hours.on(monday, is_holiday=True)]
    assert spans == [
        (timedelta(hours=9), timedelta(hours=12)),
        (timedelta(hours=13), timedelta(hours=24)),
    ]
    assert core.hours.on(monday, is_holiday=True) == ()
    assert len(core.hours.on(monday, is_holiday=False)) == 1
    assert core.hours.on(date(2026, 12, 28), is_holiday=False) != ()
    assert core.hours.on(date(2026, 12, 29), is_holiday=False) == ()
    assert core.hours.on(date(2025, 12, 29), is_holiday=False) == ()
    assert core.hours.on(date(2028, 1, 3), is_holiday=False) == ()
    assert core.hours.on(date(2028, 1, 4), is_holiday=False) != ()


AROUND_THE_CLOCK = """week = [
    { days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], open = "12:00", close = "24:00" },
    { days = ["mon", "tue", "wed"], open = "00:00", close = "12:00" },
    { days = ["thu", "fri", "sat", "sun"], open = "00:00", close = "12:00" },
]
"""


def test_a_desk_whose_shifts_meet_never_closes() -> None:
    """Two shifts, one until noon and one from noon, are as good as one from midnight to midnight."""
    text = (HERE / "sample.toml").read_text("utf-8")
    start = text.index("[desks.hours]\n") + len("[desks.hours]\n")
    end = text.index("holidays", start)
    by_the_wall = text[:start] + AROUND_THE_CLOCK + text[end:]
    old = 'acknowledge = { clock = "business", days = 1 }'
    assert by_the_wall.count(old) == 1
    by_the_wall = by_the_wall.replace(old, 'acknowledge = { clock = "wall", minutes = 15 }')
    ward = read_ward(by_the_wall, "shifts.toml")
    assert [len(desk.hours.week) for desk in ward.desks] == [3]


def test_every_ward_that_comes_with_the_network_loads() -> None:
    for path in bundled_ward().parent.glob("*.toml"):
        assert load_ward(path).core
