"""Promise 4: an address that may lie in two districts goes to the core centre, whatever is written."""

from datetime import date

from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.codes import Basis
from services.intake.addressing import (
    AddressProblem,
    Located,
    ReadAddress,
    block_of,
    find_district,
    locate,
    read_address,
)
from wards import Chome, Ruling, Ward, bundled_ward, load_ward

BUNKYO = load_ward(bundled_ward("bunkyo"))
SETTLED = {Basis.WHOLE, Basis.ENUMERATED, Basis.ELIMINATED}

# The boundary table once more, written by hand from the leaflet as another way to the same answer.
LISTED: dict[tuple[str, int], set[int]] = {
    ("白山", 1): {3, 4, 9, 10, 15},
    ("西片", 1): {*range(1, 19), 20},
    ("向丘", 1): {*range(1, 7), *range(16, 21)},
    ("向丘", 2): set(range(1, 11)),
}
LISTED_GO = {("向丘", 2, 11): range(1, 6), ("向丘", 2, 13): range(8, 22)}


def _possible(chome: Chome, ban: int | None, go: int | None) -> set[str]:
    """The districts that may own a block, by the leaflet alone."""
    shares = set(chome.districts())
    key = (chome.town, chome.number)
    if len(shares) == 1 or key not in LISTED or ban is None:
        return shares
    if ban in LISTED[key]:
        return {"motofuji"}
    if (listed := LISTED_GO.get((*key, ban))) is None:
        return shares - {"motofuji"}
    if go is None:
        return shares
    return {"motofuji"} if go in listed else shares - {"motofuji"}


def test_every_block_of_the_ward_has_its_one_district_or_all_that_it_may_be() -> None:
    numbers = [None, *range(1, 60)]
    for chome in BUNKYO.chomes:
        for ban in numbers:
            for go in numbers if ban else [None]:
                address = ReadAddress.model_construct(
                    town=chome.town, chome=chome.number, ban=ban, go=go, rest="", warnings=()
                )
                finding = find_district(address, BUNKYO)
                assert set(finding.candidates) == _possible(chome, ban, go)
                assert (finding.district is not None) == (len(finding.candidates) == 1)
                assert (finding.basis in SETTLED) == (finding.district is not None)


def test_a_district_is_found_by_elimination_only_where_every_other_part_is_enumerated() -> None:
    for chome in BUNKYO.chomes:
        open_parts = [part.district for part in chome.parts if not part.blocks]
        for ban in range(1, 60):
            verdict = chome.find(ban, 1)
            if verdict.basis is Basis.ELIMINATED:
                assert list(verdict.candidates) == open_parts


KANJI = "〇一二三四五六七八九"
DASHES = "-－‐‑–—ー―−ｰ〜の"


def _tens(number: int) -> str:
    tens, ones = divmod(number, 10)
    return (
        (KANJI[tens] if tens > 1 else "") + ("十" if tens else "") + (KANJI[ones] if ones else "")
    )


numerals = st.sampled_from(
    [
        str,
        lambda n: str(n).translate(str.maketrans("0123456789", "０１２３４５６７８９")),
        lambda n: "".join(KANJI[int(digit)] for digit in str(n)),
        _tens,
    ]
)
prefixes = st.sampled_from(
    [
        "",
        "文京区",
        "東京都文京区",
        "東京都 文京区 ",
        "〒113-0033 東京都文京区",
        "　",
        "112ー0001文京区",
    ]
)
endings = st.sampled_from(["", " ", "\n", " 青木ビル1階", "(青木ビル)", "　３号室", " ｺｰﾎﾟ2"])


@st.composite
def spelled(draw: st.DrawFn) -> tuple[tuple[str, int, int, int], str]:
    """An address of the ward and one of the many ways to write it."""
    chome = draw(st.sampled_from(BUNKYO.chomes))
    ban, go = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    one, two, three = (draw(numerals)(number) for number in (chome.number, ban, go))
    space = draw(st.sampled_from(["", "", " ", "　"]))
    dash = draw(st.sampled_from(DASHES))
    numbers = draw(
        st.sampled_from(
            [
                f"{one}{dash}{two}{dash}{three}",
                f"{one}{space}{dash}{space}{two}{space}{dash}{space}{three}",
                f"{one}{space}丁目{space}{two}{space}番{space}{three}{space}号",
                f"{one}丁目{space}{two}番地{three}",
                f"{one}丁目{space}{two}番地の{three}",
                f"{one}丁目{two}{dash}{three}",
                f"{one}丁目{two}{dash}{three}号",
                f"{one}{dash}{two}番{three}号",
            ]
        )
    )
    text = draw(prefixes) + chome.town + space + numbers + draw(endings)
    return (chome.town, chome.number, ban, go), text


@settings(max_examples=400, deadline=None)
@given(spelled())
@example((("白山", 1, 1, 5), "白山一の一の五"))
def test_however_an_address_is_written_it_lies_in_the_same_district(
    case: tuple[tuple[str, int, int, int], str],
) -> None:
    (town, chome, ban, go), text = case
    found = locate(text, BUNKYO)
    assert isinstance(found, Located), text
    read = found.address
    assert (read.town, read.chome, read.ban, read.go) == (town, chome, ban, go), text
    plain = locate(f"{town}{chome}-{ban}-{go}", BUNKYO)
    assert isinstance(plain, Located)
    assert found.finding == plain.finding
    assert found.block == plain.block


@settings(max_examples=400, deadline=None)
@given(
    st.text(
        alphabet="文京区東京都向丘白山西片本郷駒込町丁目番地号室階の-ー 0123一二十〇三(F\n〒",
        max_size=40,
    )
)
def test_whatever_is_written_a_district_is_named_only_if_it_is_the_only_candidate(
    text: str,
) -> None:
    found = locate(text, BUNKYO)
    if isinstance(found, AddressProblem):
        assert found.ja
        assert found.en
        return
    finding = found.finding
    assert finding.candidates == tuple(sorted(set(finding.candidates)))
    assert (finding.district,) == finding.candidates or (
        finding.district is None and len(finding.candidates) > 1
    )
    if found.address.chome is not None and (found.address.ban or 0) < 100 > (found.address.go or 0):
        chome = BUNKYO.chome(found.address.town, found.address.chome)
        assert chome is not None
        possible = _possible(chome, found.address.ban, found.address.go)
        assert set(finding.candidates) == possible


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=60))
def test_no_text_at_all_makes_the_reader_fail(text: str) -> None:
    assert read_address(text, BUNKYO) == read_address(text, BUNKYO)


@settings(max_examples=400, deadline=None)
@given(spelled(), st.text(alphabet="0123456789号室階F青木ビル -", max_size=8))
def test_a_building_or_room_behind_the_address_never_moves_it_to_another_district(
    case: tuple[tuple[str, int, int, int], str], room: str
) -> None:
    (town, chome, ban, go), _ = case
    bare = locate(f"{town}{chome}丁目{ban}番{go}号", BUNKYO)
    housed = locate(f"{town}{chome}丁目{ban}番{go}号 {room}", BUNKYO)
    assert isinstance(bare, Located)
    assert isinstance(housed, Located)
    assert bare.finding == housed.finding


def _ruling(town: str, chome: int, ban: int, district: str, **more: object) -> Ruling:
    return Ruling.model_validate(
        {"town": town, "chome": chome, "ban": ban, "district": district}
        | {"decided_by": "core", "decided_on": date(2026, 5, 1)}
        | more
    )


def _located(text: str, ward: Ward, *rulings: Ruling) -> Located:
    found = locate(text, ward, rulings)
    assert isinstance(found, Located)
    return found


def test_what_the_core_centre_ruled_for_a_block_holds_for_its_next_household() -> None:
    ruling = _ruling("白山", 1, 1, "tomisaka")
    finding = _located("白山1丁目1番9号", BUNKYO, ruling).finding
    assert (finding.district, finding.basis) == ("tomisaka", Basis.RULED)
    assert _located("白山1-2-9", BUNKYO, ruling).finding.district is None
    assert _located("白山1丁目", BUNKYO, ruling).finding.district is None


def test_of_two_rulings_the_later_holds() -> None:
    rulings = _ruling("白山", 1, 1, "tomisaka"), _ruling("白山", 1, 1, "komagome")
    assert _located("白山1-1-9", BUNKYO, *rulings).finding.district == "komagome"


def test_a_ruling_does_not_overrule_the_table() -> None:
    assert (
        _located("西片1-19-3", BUNKYO, _ruling("西片", 1, 19, "motofuji")).finding.basis
        is Basis.ELIMINATED
    )
    assert _located("白山1-1-1", BUNKYO, _ruling("白山", 1, 1, "otsuka")).finding.district is None


def test_a_ruling_for_one_household_says_nothing_of_a_block_that_is_divided_by_go() -> None:
    found = _located("向丘2-11", BUNKYO, _ruling("向丘", 2, 11, "komagome"))
    assert found.finding.district is None
    assert found.block is None


def test_a_ruling_may_be_for_some_go_only() -> None:
    ruling = _ruling("大塚", 3, 1, "otsuka", go=(1, 5))
    assert _located("大塚3-1-5", BUNKYO, ruling).finding.district == "otsuka"
    assert _located("大塚3-1-6", BUNKYO, ruling).finding.district is None
    assert _located("大塚3-1", BUNKYO, ruling).finding.district is None


def test_a_block_has_one_name_however_it_is_written() -> None:
    for text in ("白山1-1-5", "文京区白山一丁目一番地", "白山１ー１ 青木ビル"):
        assert _located(text, BUNKYO).block == "白山1-1"
    assert block_of(ReadAddress(town="白山", chome=1), BUNKYO) is None
    assert block_of(ReadAddress(town="白山"), BUNKYO) is None
