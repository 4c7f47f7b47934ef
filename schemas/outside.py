"""How an event looks from the outside: a CloudEvent (CloudEvents 1.0, JSON)."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from schemas.base import JsonObject
from schemas.journal import AnyEntry

JAPAN = ZoneInfo("Asia/Tokyo")


def local_text(moment: datetime) -> str:
    """RFC 3339 in Japan's time, as people and partners read it; a moment at the very end of the
    calendar, which Japan's time would push out of it, as it was given."""
    try:
        return moment.astimezone(JAPAN).isoformat()
    except OverflowError:
        return moment.isoformat()


def local_day(moment: datetime) -> date:
    """Which day it is in Japan."""
    return moment.astimezone(JAPAN).date()


def cloud_event(entry: AnyEntry) -> JsonObject:
    """``type`` tsunagu.<event>.v1, ``source`` the ward, ``subject`` the referral (or the agency whose
    deliveries it is about), ``data`` the event with its version and actor, and of its fields those that it
    was recorded with: what a later release adds is not said of events before it, or their hashes, which
    agencies keep, would be others."""
    about = entry.referral if entry.referral is not None else entry.event.agency
    place: JsonObject = {"version": entry.version} if entry.version is not None else {}
    return {
        "specversion": "1.0",
        "id": str(entry.id),
        "type": f"tsunagu.{entry.event.type}.v1",
        "source": f"/wards/{entry.ward}",
        "subject": str(about),
        "time": local_text(entry.occurred_at),
        "datacontenttype": "application/json",
        "data": {
            **place,
            "actor": entry.actor,
            "type": entry.event.type,
            **entry.event.model_dump(mode="json", exclude_none=True, exclude_unset=True),
        },
    }


def numbered(event: JsonObject, number: int) -> JsonObject:
    """A CloudEvent as it is pushed to an agency: with the agency's own number of it, as an extension
    attribute (CloudEvents 1.0, 3.2: lower-case letters and digits)."""
    return {**event, "agencynumber": number}
