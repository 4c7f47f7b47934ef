"""What the core centre ruled for a block holds for the next address there, until it rules anew: from
whichever case, the first one or one that only followed."""

from collections.abc import Callable

from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from schemas import commands as c
from schemas.codes import Basis
from services.referral import tables as t
from tests.builders import ANSHIN, BLOCK, CORE, Case, Town, a_command, a_referral, between
from tests.builders import a_submission as submission
from tests.desk import Desk

SHARED = between("otsuka", "tomisaka")


def settled(case: Case) -> tuple[str | None, Basis]:
    assert case.state.district is not None
    return case.state.district.id, case.state.district.basis


def test_a_ruling_revised_from_a_case_that_followed_it_holds_for_the_next_address() -> None:
    town = Town()
    first = a_referral(town=town, finding=SHARED).ruled("otsuka", remember=True)
    followed = a_referral(town=town, finding=SHARED)
    assert followed.state.district.block_key == BLOCK
    assert followed.state.district.ruling == first.state.district.ruling
    followed.ruled("tomisaka", remember=True)
    (ruled,) = (x for x in followed.happened if x.type == "district_ruled")
    assert (ruled.remember, ruled.block_key) == (True, BLOCK)
    assert ruled.revises == first.state.district.ruling
    following = a_referral(town=town, finding=SHARED)
    assert settled(following) == ("tomisaka", Basis.RULED)
    assert following.state.district.ruling == followed.state.district.ruling
    # And so on: also the one that followed the second can be ruled anew.
    following.ruled("otsuka", remember=True)
    assert settled(a_referral(town=town, finding=SHARED)) == ("otsuka", Basis.RULED)
    # What followed the old one stays as it was.
    assert settled(first) == ("otsuka", Basis.RULED)
    assert settled(followed) == ("tomisaka", Basis.RULED)


def test_a_remembered_ruling_that_was_overturned_settles_no_other_address() -> None:
    """Also where nobody asked for the new one to be remembered: a block lies in one district."""
    town = Town()
    a_referral(town=town, finding=SHARED).ruled("otsuka", remember=True)
    a_referral(town=town, finding=SHARED).ruled("tomisaka")
    assert settled(a_referral(town=town, finding=SHARED)) == ("tomisaka", Basis.RULED)


def test_a_ruling_that_was_not_remembered_is_overturned_for_its_own_case_only() -> None:
    town = Town()
    a_referral(town=town, finding=SHARED).ruled("otsuka").ruled("tomisaka")
    assert a_referral(town=town, finding=SHARED).state.district.id is None


def test_the_revised_ruling_is_what_is_remembered_after_a_restart(
    database_of: Callable[[str], Engine], clock: ManualClock
) -> None:
    with Desk(database_of("referral"), clock) as desk:

        def submitted() -> c.SubmitReferral:
            action = submission(finding=SHARED)
            assert desk.tell(a_command(action, ANSHIN))[0].status == 201
            return action

        for district in ("otsuka", "tomisaka", "otsuka"):
            rule = c.RuleDistrict(referral=submitted().referral, district=district, remember=True)
            assert desk.tell(a_command(rule, CORE))[0].status == 200
            desk.restart()
            ((key, kept),) = [(row.block_key, row.district) for row in desk.rows(t.rulings)]
            assert (key, kept) == (BLOCK, district)
            following = submitted().referral
            state = desk.states()[following]
            assert state.district is not None
            assert (state.district.id, state.district.basis) == (district, Basis.RULED)
