"""What must hold of a ward's map: every block lies in exactly one district, or is openly undecided."""

from collections import Counter
from collections.abc import Callable, Iterator

from schemas.codes import Basis
from wards.fault import Fault
from wards.model import Ward
from wards.places import Path


def _shares(ward: Ward) -> Iterator[Fault]:
    """A chome is whole in one district, or in part in several: never both, never half of nothing."""
    claims = Counter(
        (area.town, number)
        for district in ward.districts
        for area in (*district.whole, *district.part)
        for number in area.chome
    )
    for index, district in enumerate(ward.districts):
        for key, areas in (("whole", district.whole), ("part", district.part)):
            for place, area in enumerate(areas):
                for number in area.chome:
                    at: Path = ("districts", index, key, place)
                    name = f"{area.town}{number}丁目"
                    if key == "whole" and claims[area.town, number] > 1:
                        yield Fault(
                            at,
                            f"{name}は他でも挙げられています",
                            f"{name} is whole here, yet named again",
                        )
                    if key == "part" and claims[area.town, number] == 1:
                        yield Fault(
                            at, f"{name}の残りの地区がありません", f"nobody has the rest of {name}"
                        )


def _blocks(ward: Ward) -> Iterator[Fault]:
    """A block lies in a chome that the district shares, and in no other district."""
    taken: dict[tuple[str, int, int], list[tuple[tuple[int, int], ...]]] = {}
    for index, district in enumerate(ward.districts):
        shared = {(area.town, n) for area in district.part for n in area.chome}
        for place, blocks in enumerate(district.blocks):
            at: Path = ("districts", index, "blocks", place)
            if (blocks.town, blocks.chome) not in shared:
                yield Fault(
                    at,
                    f"{blocks.town}{blocks.chome}丁目はこの地区の「part」にありません",
                    f"{blocks.town}{blocks.chome} is not among this district's shared chome",
                )
            if any(last < first for first, last in blocks.go):
                yield Fault(at, "号の範囲が逆です", "a range of 号 ends before it begins")
            for ban in blocks.ban:
                others = taken.setdefault((blocks.town, blocks.chome, ban), [])
                if any(_overlap(blocks.go, go) for go in others):
                    name = f"{blocks.town}{blocks.chome}-{ban}"
                    yield Fault(
                        at, f"{name}は二度挙げられています", f"block {name} is enumerated twice"
                    )
                others.append(blocks.go)


def _overlap(these: tuple[tuple[int, int], ...], those: tuple[tuple[int, int], ...]) -> bool:
    if not these or not those:
        return True
    return any(a <= d and c <= b for a, b in these for c, d in those)


def _town_names(ward: Ward) -> Iterator[Fault]:
    for index, alias in enumerate(ward.town_aliases):
        if alias.town not in ward.towns:
            yield Fault(
                ("town_aliases", index, "town"), f"町「{alias.town}」がありません", "no such town"
            )
        if alias.written in ward.towns:
            yield Fault(
                ("town_aliases", index, "written"),
                f"「{alias.written}」は町名そのものです",
                f"{alias.written!r} is a town of its own",
            )
    names = {*ward.towns, *(alias.written for alias in ward.town_aliases)}
    for index, elsewhere in enumerate(ward.elsewhere):
        if elsewhere.town in names:
            yield Fault(
                ("elsewhere", index, "town"),
                f"「{elsewhere.town}」はこの区の町名です",
                f"{elsewhere.town!r} is a town of this ward",
            )


def _rulings(ward: Ward) -> Iterator[Fault]:
    """A ruling may only choose among the candidates of a block that the table leaves open."""
    for index, ruling in enumerate(ward.rulings):
        at: Path = ("rulings", index)
        chome = ward.chome(ruling.town, ruling.chome)
        if chome is None:
            yield Fault(at, "その町丁目はありません", "no such town and chome")
            continue
        verdict = chome.find(ruling.ban, ruling.go[0] if ruling.go else None)
        if verdict.basis is not Basis.AMBIGUOUS or (ruling.go is None and chome.splits(ruling.ban)):
            yield Fault(at, "境界表で決まっている街区です", "the table already settles this block")
        elif ruling.district not in verdict.candidates:
            yield Fault(
                (*at, "district"), "その街区の候補にない地区です", "not a candidate for this block"
            )
        for other in ward.rulings[:index]:
            if other.covers(ruling.town, ruling.chome, ruling.ban, None) or (
                ruling.go
                and any(other.covers(ruling.town, ruling.chome, ruling.ban, g) for g in ruling.go)
            ):
                yield Fault(at, "同じ街区の裁定が二つあります", "this block is ruled twice")


MAP_RULES: tuple[Callable[[Ward], Iterator[Fault]], ...] = (_shares, _blocks, _town_names, _rulings)
