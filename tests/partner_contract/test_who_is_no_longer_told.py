"""What somebody once knew, or never may, reaches them by no other way."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from runtime.clock import ManualClock
from schemas.codes import AddressKind
from services.intake.api import Api
from services.intake.counter import Counter
from services.intake.edge import Edge
from services.intake.metrics import Metrics
from tests import builders
from tests.builders import ANSHIN, BUNKYO, CORE, HUB, between
from tests.doors import a_door
from tests.network import RunningNetwork
from tests.partners import Partner, a_referral
from wards.model import Ward

Agency = Callable[[str], Partner]
PROTECTED = AddressKind.PROTECTED


def leaving(agency_id: str, last_day: date) -> Ward:
    """Bunkyo, whose agency leaves the network after ``last_day``."""
    agencies = tuple(
        agency.model_copy(update={"valid_to": last_day}) if agency.id == agency_id else agency
        for agency in BUNKYO.agencies
    )
    kept = {name: getattr(BUNKYO, name) for name in Ward.model_fields}
    return Ward.model_validate({**kept, "agencies": agencies})


@pytest.mark.parametrize(
    ("now", "status"),
    [
        (datetime(2026, 11, 20, 14, 59, 59, tzinfo=UTC), 200),  # 23:59:59 of its last day in Japan
        (datetime(2026, 11, 20, 15, 0, tzinfo=UTC), 401),
    ],
)
def test_an_agency_is_let_in_until_the_end_of_its_last_day_and_refused_from_then_on(
    now: datetime, status: int
) -> None:
    nothing: Any = None
    ward, clock = leaving(HUB, date(2026, 11, 20)), ManualClock(now)
    access = a_door(ward, clock, {HUB: "their-key", CORE: "core-key"}).callers
    counter = Counter(nothing, nothing, ward, clock)
    api = Api(Edge(access, Metrics()), counter, nothing, nothing, openapi=b"", docs=b"")
    with TestClient(Litestar(api.handlers(), openapi_config=None)) as client:

        def asking(key: str) -> Any:
            return client.get("/v1/directory", headers={"Authorization": f"Bearer {key}"})

        assert asking("their-key").status_code == status
        assert asking("core-key").status_code == 200
        for path in ("/v1/inbox", "/v1/referrals", "/v1/referrals/x", "/v1/referrals/x/history"):
            if status == 401:
                refused = client.get(path, headers={"Authorization": "Bearer their-key"})
                assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")


def test_of_a_protected_cases_district_core_alone_is_told() -> None:
    town = builders.Town()
    builders.a_referral(town=town, address_kind=PROTECTED)
    case = builders.a_referral(
        town=town, address_kind=PROTECTED, finding=between("motofuji", "otsuka")
    )
    case.ruled("otsuka")
    told = [
        entry.concerns
        for entry in town.entries
        if entry.event.type in ("district_found", "ruling_requested", "district_ruled")
    ]
    assert told == [(), (CORE,), (CORE,)]


def test_a_district_that_is_no_secret_is_told_to_the_sender_too() -> None:
    case = builders.a_referral(finding=between("motofuji", "otsuka")).ruled("otsuka")
    told = {entry.event.type: entry.concerns for entry in case.town.entries}
    assert told["ruling_requested"] == told["district_ruled"] == (ANSHIN, CORE)


def test_no_inbox_but_cores_tells_the_district_of_a_protected_case(
    network: RunningNetwork, partner: Agency
) -> None:
    hidden = a_referral().by_address("文京区春日二丁目1番1号", kind="protected")
    sent = partner("anshin-motofuji").posts(hidden)
    ruled = partner("core").rules(sent.id, "otsuka")
    assert (sent.status, ruled.status) == (201, 200)
    network.settle()

    def told(agency: str) -> list[str]:
        """Types of what the inbox says of the case's district."""
        items = [i for i in partner(agency).whole_inbox() if sent.id in str(i)]
        assert items
        return sorted(i["event"]["type"] for i in items if "district" in str(i))

    assert "tsunagu.district_ruled.v1" in told("core")
    for agency in ("anshin-motofuji", "hub-otsuka"):
        assert told(agency) == []


def test_the_senders_own_reference_is_in_no_history_and_no_inbox_but_its_own(
    network: RunningNetwork, partner: Agency
) -> None:
    sent = partner("anshin-motofuji").posts(a_referral().having(sender_reference="OUR-71828"))
    partner("hub-motofuji").accepts(sent.handoff())
    for agency in ("anshin-motofuji", "core"):
        assert "OUR-71828" in partner(agency).history(sent.id).raw.decode()
    for agency in ("hub-motofuji", "auditor"):
        history = partner(agency).history(sent.id)
        assert history.status == 200
        assert "sender_reference" not in history.raw.decode()
    network.settle()
    assert "OUR-71828" not in str(partner("hub-motofuji").whole_inbox())
