"""How an event looks from the outside: a CloudEvent (CloudEvents 1.0, JSON)."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from schemas.base import JsonObject
from schemas.journal import JournalEntry

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


def cloud_event(entry: JournalEntry) -> JsonObject:
    """``type`` tsunagu.<event>.v1, ``source`` the ward, ``subject`` the referral, ``data`` the event
    with its version and actor."""
    return {
        "specversion": "1.0",
        "id": str(entry.id),
        "type": f"tsunagu.{entry.event.type}.v1",
        "source": f"/wards/{entry.ward}",
        "subject": str(entry.referral),
        "time": local_text(entry.occurred_at),
        "datacontenttype": "application/json",
        "data": {
            "version": entry.version,
            "actor": entry.actor,
            **entry.event.model_dump(mode="json", exclude_none=True),
        },
    }
