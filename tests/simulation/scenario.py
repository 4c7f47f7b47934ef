"""What a seed brings: the ward, who comes when, with what, and what goes wrong on the way."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, TypeVar

from schemas import commands as c
from schemas.codes import AddressKind, Household, ReportedBy, Urgency
from schemas.outside import JAPAN
from schemas.sealed import Group
from tests.builders import BUNKYO, an_id, between, settled_in, words
from wards.model import Ward

BEGINS = datetime(2026, 4, 1, tzinfo=JAPAN).astimezone(UTC)
ENDS = datetime(2027, 4, 1, tzinfo=JAPAN).astimezone(UTC)
REFERRALS = 24
"""How many come in a year."""

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DISTRICTS = tuple(district.id for district in BUNKYO.districts)
HUBS = tuple(district.hub for district in BUNKYO.districts)
BRANCH = "hub-otsuka"
"""The core centre's own branch: its calls must reach a desk where its people do not sit."""

_BLOCKS = (
    (("otsuka", "tomisaka"), "01"),
    (("komagome", "tomisaka"), "02"),
    (("komagome", "motofuji"), "03"),
    (("komagome", "motofuji", "tomisaka"), "04"),
    (("motofuji", "tomisaka"), "05"),
    (("otsuka", "tomisaka"), None),
)
_SENDERS = (
    *("anshin-motofuji", "anshin-komagome", "anshin-tomisaka", "anshin-otsuka") * 3,
    *("ward-office",) * 3, *HUBS, BRANCH, "lien-bunkyo", "sample-hospital", "core",
)  # fmt: skip
_LEAVERS = ("hub-komagome", "hub-tomisaka", "anshin-tomisaka", "sample-home", "lien-bunkyo")
_STAFFED = ((), (), ("core-desk",), ("core-on-call",))
_FEASTS = (date(2026, 4, 29), date(2026, 9, 19), date(2026, 12, 29))

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A referral that somebody will send. ``name`` stands for it in all years of all seeds."""

    name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Outage:
    """The decider is down, and then builds its memory anew. It may be back at once."""

    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Jitter:
    """This referral's messages are held up, doubled, and overtake each other."""

    name: str


Disturbance = Outage | Jitter
Unsaid = tuple[str, str]


@dataclass(frozen=True)
class Scenario:
    """A year. ``unsaid``: what, of what somebody would say, is never said: (referral, what)."""

    seed: int
    ward: Ward
    arrivals: tuple[Arrival, ...]
    disturbances: tuple[Disturbance, ...]
    unsaid: frozenset[Unsaid] = frozenset()

    def of(self, **changes: Any) -> "Scenario":
        return replace(self, **changes)


def scenario(seed: int, referrals: int = REFERRALS) -> Scenario:
    names = [f"r{n:02}" for n in range(1, referrals + 1)]
    arrivals = sorted((Arrival(name, _arrives(seed, name)) for name in names), key=lambda a: a.at)
    jitter = [Jitter(name) for name in names]
    return Scenario(seed, _ward(seed), tuple(arrivals), (*_outages(seed), *jitter))


def _ward(seed: int) -> Ward:
    rng = random.Random(f"{seed}/ward")
    leaver = rng.choice(_LEAVERS)
    last_day = (BEGINS + rng.randint(60, 300) * DAY).astimezone(JAPAN).date()
    return _variant(leaver, last_day, rng.choice(_STAFFED))


@cache
def _variant(leaver: str, last_day: date, staffed: tuple[str, ...]) -> Ward:
    """Bunkyo, but an agency leaves, and the branch's people sit at some of the desks too."""
    agencies = tuple(
        a.model_copy(update={"valid_to": last_day}) if a.id == leaver else a
        for a in BUNKYO.agencies
    )
    desks = tuple(
        d.model_copy(update={"staffed_by": (d.agency, BRANCH)}) if d.id in staffed else d
        for d in BUNKYO.desks
    )
    fields = {name: getattr(BUNKYO, name) for name in Ward.model_fields}
    return Ward.model_construct(**fields | {"agencies": agencies, "desks": desks})


def leaves(ward: Ward) -> tuple[str, date]:
    """Who leaves in the middle of the year, and its last day."""
    return next((a.id, a.valid_to) for a in ward.agencies if a.valid_to is not None)


def _outages(seed: int) -> list[Outage]:
    """In four parts of the year, so that none meets another."""
    rng = random.Random(f"{seed}/outages")
    found = []
    for part in range(4):
        begins = BEGINS + (part * 91 + 2) * DAY + timedelta(minutes=rng.randrange(86 * 24 * 60))
        lasts = rng.choice((timedelta(), 7 * MINUTE, rng.randint(1, 9) * HOUR, DAY + 2 * HOUR))
        found.append(Outage(begins, begins + lasts))
    return found


def _arrives(seed: int, name: str) -> datetime:
    rng = random.Random(f"{seed}/{name}/arrives")
    day = BEGINS.astimezone(JAPAN) + rng.randrange(364) * DAY
    pick = rng.random()
    if pick < 0.12:
        feast = rng.choice(_FEASTS)
        day = datetime(feast.year, feast.month, feast.day, tzinfo=JAPAN) + rng.randrange(6) * DAY
    if pick < 0.45:
        minute = rng.randrange(24 * 60)
    else:
        while day.weekday() > 4:
            day += DAY
        minute = rng.randint(9 * 60 + 30, 18 * 60)
    second = rng.choice((0, rng.randrange(60)))
    return (day + timedelta(minutes=minute, seconds=second)).astimezone(UTC)


def some(rng: random.Random, pairs: dict[T, int]) -> T:
    return rng.choices(list(pairs), weights=list(pairs.values()))[0]


_URGENCY = {
    Urgency.EMERGENCY: 34, Urgency.URGENT: 26, Urgency.ROUTINE: 32, Urgency.INFORMATION: 8,
}  # fmt: skip
_REPORTED = {
    ReportedBy.AGENCY: 5, ReportedBy.FAMILY: 3, ReportedBy.SELF: 2, ReportedBy.NEIGHBOUR: 2,
}  # fmt: skip
_CONSENT = {"C1": 6, "C2": 6, "C3": 2, "E27-1-1": 1, "E27-1-2": 3, "A69-2-2": 1}
_TOPICS = ("family_relations", "loneliness", "after_parents", "neighbours", "not_seen", "housing")


def submission(seed: int, name: str, rng: random.Random) -> tuple[str, c.SubmitReferral]:
    """Who sends it, and what."""
    urgency = some(rng, _URGENCY)
    functions = ("consultation", "experience", "specialist", "community")
    reported = some(rng, _REPORTED)
    topics = rng.sample(_TOPICS, rng.choice((0, 1, 1, 2, 3, 4)))
    if reported is ReportedBy.NEIGHBOUR and "not_seen" not in topics and rng.random() < 0.6:
        topics.append("not_seen")
    if rng.random() < 0.01:
        topics.append("no_such_topic")
    given: dict[str, Any] = {
        "referral": an_id(f"{seed}/{name}"),
        "function": "emergency" if urgency is Urgency.EMERGENCY else rng.choice(functions),
        "urgency": urgency,
        "topics": tuple(topics),
        "reported_by": reported,
        "household": rng.choice(tuple(Household)),
        "address_kind": AddressKind.REGISTERED,
        "consent_basis": some(rng, _CONSENT),
        "unregistered": rng.random() < 0.12,
        "sealed": (words(name, Group.IDENTITY), words(name, Group.SITUATION)),
    }
    pick = rng.random()
    if pick < 0.52:
        given["finding"] = settled_in(rng.choice(DISTRICTS))
    elif pick < 0.84:
        candidates, block = rng.choice(_BLOCKS)
        key = hashlib.sha256(block.encode()).hexdigest() if block else None
        given["finding"] = between(*candidates, block=key)
    else:
        given["address_kind"] = AddressKind.NONE
    if rng.random() < 0.12:
        given["to_agency"] = rng.choice((*HUBS, "ward-office", "core", "lien-bunkyo", "auditor"))
    elif given.get("finding") is None and rng.random() < 0.4:
        given["to_district"] = rng.choice((*DISTRICTS, *DISTRICTS, "atlantis"))
    return rng.choice(_SENDERS), c.SubmitReferral(**given)


def outages(disturbances: Sequence[Disturbance]) -> list[Outage]:
    return [d for d in disturbances if isinstance(d, Outage)]
