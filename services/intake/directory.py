"""The directory (名簿): who is on the network, as any agency may read it. Pure."""

from datetime import date, timedelta

from schemas.base import JsonObject
from wards.agencies import Hours
from wards.model import Ward

VOCABULARIES = (
    "functions",
    "topics",
    "outcomes",
    "decline_reasons",
    "consent_bases",
    "requested_actions",
)


def directory(ward: Ward, today: date) -> JsonObject:
    """Districts with their hubs today, agencies and desks with their hours, and the ward's codes."""
    return {
        "ward": {"code": ward.code, "name": ward.name},
        "districts": [
            {"id": d.id, "name": d.name, "hub": ward.hub_of(d.id, today)} for d in ward.districts
        ],
        "agencies": [
            {
                "id": a.id,
                "name": a.name,
                "name_en": a.name_en,
                "kind": a.kind.value,
                "functions": list(a.functions),
                "hours": _hours(a.hours),
                "phone": a.phone,
                "sample": a.sample,
                "active": a.active_on(today),
            }
            for a in ward.agencies
        ],
        "desks": [
            {
                "id": d.id,
                "agency": d.agency,
                "name": d.name,
                "name_en": d.name_en,
                "hours": _hours(d.hours),
            }
            for d in ward.desks
        ],
        "escalation_reasons": [
            {"code": r.code, "ja": r.ja, "en": r.en, "then_ja": r.then_ja, "then_en": r.then_en}
            for r in ward.escalation_reasons
        ],
        **{
            name: [{"code": x.code, "ja": x.ja, "en": x.en} for x in getattr(ward, name)]
            for name in VOCABULARIES
        },
    }


def _hours(hours: Hours) -> str:
    """Opening hours as people write them: ``mon tue wed thu fri 10:00-17:30``."""
    return "; ".join(
        f"{' '.join(span.days)} {_clock(span.open)}-{_clock(span.close)}" for span in hours.week
    )


def _clock(since_midnight: timedelta) -> str:
    minutes = int(since_midnight.total_seconds()) // 60
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
