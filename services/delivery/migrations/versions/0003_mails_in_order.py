"""Mails in the order of what they tell. Deploy order: before the code that uses it.

``number`` is the event's in its journal. Those that wait are given theirs; of those that are done nobody
asks. The index finds what else waits about a call.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("mails", sa.Column("number", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column(
        "mails", sa.Column("superseded", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.create_index("ix_mails_escalation", "mails", ["escalation"])
    _number_what_waits(op.get_bind())


def _number_what_waits(connection: sa.Connection) -> None:
    mails = sa.table("mails", sa.column("event"), sa.column("number"), sa.column("next_at"))
    events = sa.table("events", sa.column("id"), sa.column("body"))
    waiting = sa.select(mails.c.event).where(mails.c.next_at.is_not(None))
    query = sa.select(events).where(events.c.id.in_(waiting))
    for row in connection.execute(query).all():
        number = json.loads(row.body)["number"]
        connection.execute(sa.update(mails).where(mails.c.event == row.id).values(number=number))
