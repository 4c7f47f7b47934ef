"""Messages that could not be understood: kept with the reason, counted, never silently dropped.

They are rows in the database of the service that refused them, written in the same transaction as
the neighbours of their batch: losing the broker does not lose them.
"""

import logging
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from runtime.clock import utc_text
from runtime.database import reading
from runtime.observability import log

_LARGEST = 65_536


def dead_letters_table(metadata: sa.MetaData) -> sa.Table:
    return sa.Table(
        "dead_letters",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("received_at", sa.String(32), nullable=False),
    )


def bury(
    connection: Connection, table: sa.Table, subject: str, body: bytes, reason: str, now: datetime
) -> None:
    """Keep a message that cannot be handled. ``reason`` names the fault, never a value."""
    log("message_buried", level=logging.WARNING, subject=subject[:200], reason=reason)
    row: dict[str, Any] = {
        "subject": subject[:500],
        "reason": reason,
        "size": len(body),
        "body": body[:_LARGEST],
        "received_at": utc_text(now),
    }
    connection.execute(sa.insert(table), [row])


def count(engine: Engine, table: sa.Table) -> int:
    with reading(engine) as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
