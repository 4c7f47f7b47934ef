"""What delivery keeps: each agency's numbered events, and the mails to the desks that are called."""

import sqlalchemy as sa

from runtime.reading import reading_tables

metadata = sa.MetaData()

journals = reading_tables(metadata)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)

# One numbering per agency, contiguous from 1.
inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("agency", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("event", sa.String(36), nullable=False),
)

# What a mail says of a referral and of a call: nothing else of either is kept.
referrals = sa.Table(
    "referrals",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("number", sa.String(64), nullable=False),
    sa.Column("urgency", sa.String(16), nullable=False),
)

calls = sa.Table(
    "calls",
    metadata,
    sa.Column("escalation", sa.String(36), primary_key=True),
    sa.Column("referral", sa.String(36), nullable=False),
    sa.Column("code", sa.String(64), nullable=False),
    sa.Column("restricted", sa.Boolean, nullable=False),
)

desks_called = sa.Table(
    "desks_called",
    metadata,
    sa.Column("escalation", sa.String(36), primary_key=True),
    sa.Column("desk", sa.String(64), primary_key=True),
)

# No address and no text: both are made from the ward file when the mail is sent. ``number``: of the
# event in its journal, so mails about one call go in that order. ``next_at``: when it is tried next;
# none: it is done: sent (``sent_at``), ``superseded`` by what happened since, or given up. What is done
# is deleted after a while.
mails = sa.Table(
    "mails",
    metadata,
    sa.Column("event", sa.String(36), primary_key=True),
    sa.Column("desk", sa.String(64), primary_key=True),
    sa.Column("escalation", sa.String(36), nullable=False, index=True),
    sa.Column("happened", sa.String(64), nullable=False),
    sa.Column("occurred_at", sa.String(32), nullable=False),
    sa.Column("due_at", sa.String(32)),
    sa.Column("queued_at", sa.String(32), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_at", sa.String(32), index=True),
    sa.Column("sent_at", sa.String(32)),
    sa.Column("number", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("superseded", sa.Boolean, nullable=False, server_default=sa.false()),
)
