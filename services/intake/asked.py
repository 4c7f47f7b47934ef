"""What a reader asks for, from the query string and the headers. Pure; a mistake names the field and
repeats no value."""

from typing import Any

from pydantic import ValidationError

from schemas import queries as q
from schemas.codes import EscalationState
from schemas.problems import Refusal, invalid

STATES: dict[str, tuple[EscalationState, ...]] = {
    "open": (EscalationState.RAISED, EscalationState.ACKNOWLEDGED),
    "raised": (EscalationState.RAISED,),
    "acknowledged": (EscalationState.ACKNOWLEDGED,),
    "resolved": (EscalationState.RESOLVED,),
    "all": tuple(EscalationState),
}
"""What a partner may ask for, and the states that it means."""


def asked_of_board(agency: str, given: dict[str, str]) -> q.ListEscalations | Refusal:
    """``after`` is the next page of the list: what is before it."""
    state = given.get("state", "open")
    if state not in STATES:
        return _not_valid("state")
    asked: dict[str, Any] = {
        name: given[name] for name in ("code", "district", "custodian", "limit") if name in given
    }
    whose = {"agency": agency, "states": STATES[state], "before": given.get("after")}
    try:
        return q.ListEscalations.model_validate({**asked, **whose})
    except ValidationError as error:
        return _bad_query(error)


def asked_of_inbox(agency: str, given: dict[str, str]) -> q.ReadInbox | Refusal:
    try:
        return q.ReadInbox.model_validate({**given, "agency": agency})
    except ValidationError as error:
        return _bad_query(error)


def asked_of_list(agency: str, given: dict[str, str]) -> q.ListReferrals | Refusal:
    asked: dict[str, Any] = dict(given)
    asked["before"] = asked.pop("after", None)
    try:
        return q.ListReferrals.model_validate({**asked, "agency": agency})
    except ValidationError as error:
        return _bad_query(error)


def last_event_id(given: str | None) -> int | Refusal | None:
    """Where a reader says it stopped; None when it says nothing."""
    if given is None:
        return None
    if given.isascii() and given.isdecimal() and len(given) <= 16:
        number = int(given)
        if number <= q.LARGEST_NUMBER:
            return number
    return invalid(
        "", "Last-Event-ID は受け取った最後の番号です / Last-Event-ID is the last number received"
    )


def beyond_inbox(head: int) -> Refusal:
    """The reader stands at a number that its inbox has not come to."""
    return invalid(
        "",
        f"after・Last-Event-ID がこの受信箱の最後の番号 {head} より先です / "
        f"after or Last-Event-ID is beyond the newest number of this inbox, {head}",
    )


def _bad_query(error: ValidationError) -> Refusal:
    names = {str(fault["loc"][0]) for fault in error.errors(include_input=False)}
    # As the partner knows it.
    return _not_valid(*sorted("after" if name == "before" else name for name in names))


def _not_valid(*names: str) -> Refusal:
    return invalid("", f"検索条件が正しくありません / not a valid query: {', '.join(names)}")
