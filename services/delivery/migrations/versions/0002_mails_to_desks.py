"""Mails to the desks that are called. Deploy order: before the code that uses them.

What was taken in before is entered, so that a mail about a later change can name it: referrals with
their numbers, calls with their codes. Which desks were called before is not: no mail went to them.
"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_AT_ONCE = 500


def upgrade() -> None:
    referrals = op.create_table(
        "referrals",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.String(length=64), nullable=False),
        sa.Column("urgency", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    calls = op.create_table(
        "calls",
        sa.Column("escalation", sa.String(length=36), nullable=False),
        sa.Column("referral", sa.String(length=36), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("restricted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("escalation"),
    )
    op.create_table(
        "desks_called",
        sa.Column("escalation", sa.String(length=36), nullable=False),
        sa.Column("desk", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("escalation", "desk"),
    )
    op.create_table(
        "mails",
        sa.Column("event", sa.String(length=36), nullable=False),
        sa.Column("desk", sa.String(length=64), nullable=False),
        sa.Column("escalation", sa.String(length=36), nullable=False),
        sa.Column("happened", sa.String(length=64), nullable=False),
        sa.Column("occurred_at", sa.String(length=32), nullable=False),
        sa.Column("due_at", sa.String(length=32), nullable=True),
        sa.Column("queued_at", sa.String(length=32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.String(length=32), nullable=True),
        sa.Column("sent_at", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("event", "desk"),
    )
    op.create_index("ix_mails_next_at", "mails", ["next_at"])
    known = {"referral_submitted": referrals, "escalation_raised": calls}
    _enter_what_is_known(op.get_bind(), known)


def _enter_what_is_known(connection: sa.Connection, tables: dict[str, sa.Table]) -> None:
    events = sa.table("events", sa.column("id"), sa.column("body"))
    for happened, table in tables.items():
        query = sa.select(events.c.body).where(events.c.body.like(f'%"{happened}"%'))
        for bodies in connection.execute(query).scalars().partitions(_AT_ONCE):
            entries = [json.loads(body) for body in bodies]
            rows = [_row(entry) for entry in entries if entry["event"]["type"] == happened]
            if rows:
                connection.execute(sa.insert(table), rows)


def _row(entry: dict[str, Any]) -> dict[str, Any]:
    event = entry["event"]
    if event["type"] == "referral_submitted":
        return {"id": entry["referral"], "number": event["number"], "urgency": event["urgency"]}
    return {
        "escalation": event["escalation"],
        "referral": entry["referral"],
        "code": event["code"],
        "restricted": event.get("restricted", False),
    }
