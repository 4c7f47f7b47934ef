"""What delivery did (tests, manifests, re-drives, dead letters) is bound into the ledger beside the cases, and
disturbs none of them."""

import json
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID, uuid5

import pytest
from sqlalchemy.engine import Engine

from runtime.clock import ManualClock
from schemas.base import NETWORK
from schemas.deliveries import (
    DeliveryEvent,
    DeliveryGivenUp,
    DeliveryTested,
    EndpointEnabled,
    ManifestSigned,
    RedriveEnded,
    RedrivePaused,
    RedriveResumed,
    RedriveStarted,
    Undelivered,
)
from schemas.journal import AnyEntry, DeliveryEntry
from services.audit.ledger import check_entry
from services.audit.replay import fold_ward
from tests.book import Book, as_read
from tests.builders import BUNKYO, CORE, FRIDAY_AFTERNOON, HUB, a_referral, an_id

TEST, REDRIVE = an_id("a test"), an_id("a redrive")
HAPPENED: tuple[DeliveryEvent, ...] = (
    DeliveryTested(agency=HUB, daily=True),
    DeliveryGivenUp(
        agency=HUB,
        sender=CORE,
        event=an_id("an event"),
        inbox_number=7,
        reason=Undelivered.REFUSED,
        status=500,
        attempts=40,
        since=FRIDAY_AFTERNOON,
    ),
    EndpointEnabled(agency=HUB, test=TEST),
    RedriveStarted(redrive=REDRIVE, agency=HUB, count=1, first=7, last=7, per_second=10),
    RedrivePaused(redrive=REDRIVE, agency=HUB, inbox_number=7, reason=Undelivered.REFUSED),
    RedriveResumed(redrive=REDRIVE, agency=HUB, skipped=7, asked_by="desk-2"),
    RedriveEnded(redrive=REDRIVE, agency=HUB, delivered=1, failed=0),
    ManifestSigned(agency=HUB, size=7, head="ab" * 32),
)


def an_entry(number: int, event: DeliveryEvent) -> DeliveryEntry:
    concerns = () if isinstance(event, ManifestSigned) else (CORE, HUB)
    return DeliveryEntry(
        ward=BUNKYO.code,
        number=number,
        id=uuid5(UUID(int=0), f"delivery {number}"),
        occurred_at=FRIDAY_AFTERNOON + timedelta(seconds=number),
        actor=NETWORK,
        command=an_id(f"command {number}"),
        concerns=concerns,
        event=event,
    )


DELIVERY = [an_entry(number, event) for number, event in enumerate(HAPPENED, 1)]


@pytest.fixture
def book(database_of: Callable[[str], Engine], clock: ManualClock) -> Book:
    return Book(database_of("audit"), clock)


@pytest.mark.parametrize("entry", DELIVERY, ids=lambda entry: entry.event.type)
def test_the_ledger_can_hold_whatever_happens_to_deliveries(entry: DeliveryEntry) -> None:
    body = entry.to_json()
    check_entry(body, json.loads(body))


def test_a_ledger_with_deliveries_between_cases_is_whole_and_replays_the_same(book: Book) -> None:
    case = a_referral().accepted_by(HUB).closed()
    cases: list[AnyEntry] = list(case.town.entries)
    mixed: list[AnyEntry] = []
    for at, entry in enumerate(cases):
        mixed += [entry, *DELIVERY[at : at + 1]]
    mixed += DELIVERY[len(cases) :]
    for entry in mixed:
        book.append([entry])
    book.ledger.sign()
    report = book.verified()
    assert (report.kind, report.entries) == (None, len(cases) + len(DELIVERY))
    assert fold_ward(book.bodies()) == {str(k): state for k, state in case.town.states.items()}


def test_an_entry_of_no_case_that_claims_a_version_is_refused() -> None:
    value = as_read(DELIVERY[0]).value
    spoiled = {**value, "version": 3}
    with pytest.raises(ValueError, match="version"):
        check_entry(json.dumps(spoiled).encode(), spoiled)
