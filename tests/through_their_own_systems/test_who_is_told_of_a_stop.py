"""When nothing more is sent to an agency's own system somebody is told, whichever agency it is."""

from datetime import UTC, datetime

import pytest

from schemas.deliveries import DeliveryGivenUp, Undelivered
from services.delivery.notice import recipients
from tests.builders import BUNKYO, HUB, an_id
from wards.model import Ward

CORE = BUNKYO.core
NOON = datetime(2026, 11, 20, 3, tzinfo=UTC)


def told(agency: str, *with_an_address: str) -> set[str]:
    said = {name: getattr(BUNKYO, name) for name in Ward.model_fields}
    said["agencies"] = tuple(
        a.model_copy(update={"mail": f"{a.id}@example.jp" if a.id in with_an_address else None})
        for a in BUNKYO.agencies
    )
    given_up = DeliveryGivenUp(
        agency=agency, sender=HUB, event=an_id("an event"), inbox_number=1,
        reason=Undelivered.HANGS, attempts=3, since=NOON,
    )  # fmt: skip
    return set(recipients(given_up, Ward(**said)))


@pytest.mark.parametrize(
    ("agency", "addresses", "whom"),
    [
        (HUB, (HUB, CORE), {f"@{HUB}", f"@{CORE}"}),
        (HUB, (HUB,), {f"@{HUB}", "core-desk"}),
        (HUB, (), {"core-desk"}),
        (CORE, (CORE,), {f"@{CORE}"}),
        (CORE, (), {"core-desk"}),
    ],
)
def test_the_agency_is_told_and_the_core_centre_or_its_first_desk(
    agency: str, addresses: tuple[str, ...], whom: set[str]
) -> None:
    assert told(agency, *addresses) == whom
