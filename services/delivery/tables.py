"""What delivery keeps: its own journal, each agency's numbered events, what of them waits to be carried,
and the mails to the desks that are called."""

import sqlalchemy as sa

from runtime.credentials import credential_tables
from runtime.journal import journal_tables
from runtime.reading import reading_tables

metadata = sa.MetaData()

journals = reading_tables(metadata)
journal = journal_tables(metadata)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)

# One numbering per agency, contiguous from 1. ``head``: SHA-256 over all up to this one, in hex
# (``services.delivery.proof``); empty where it was numbered before there were heads.
inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("agency", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("event", sa.String(36), nullable=False),
    sa.Column("head", sa.String(64), nullable=False, server_default=""),
)

# What is to be carried to an agency's own system: one row for each event and agency that wants to be
# sent its events. ``next_at``: when it is tried next; none: it is done (``delivered_at``), or given up
# (``given_up_at``). Of one referral the events go one after the other; ``thread`` is the referral, or
# the event itself where it is about none.
deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("agency", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("event", sa.String(36), nullable=False),
    sa.Column("thread", sa.String(36), nullable=False),
    sa.Column("queued_at", sa.String(32), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_at", sa.String(32)),
    sa.Column("delivered_at", sa.String(32)),
    sa.Column("given_up_at", sa.String(32)),
    sa.Column("reason", sa.String(32)),
    sa.Column("status", sa.Integer),
    sa.Index("deliveries_next", "agency", "next_at"),
    sa.Index("deliveries_thread", "agency", "thread", "number"),
)

# How each agency's own system stands. ``disabled_at``: nothing is sent there until a test arrives.
endpoints = sa.Table(
    "endpoints",
    metadata,
    sa.Column("agency", sa.String(64), primary_key=True),
    sa.Column("disabled_at", sa.String(32)),
    sa.Column("last_delivered_at", sa.String(32)),
    sa.Column("tested_on", sa.String(10)),  # the day in Japan of the newest daily test
)

# Each day's manifest, a signed note (C2SP), and the inbox that it speaks of.
manifests = sa.Table(
    "manifests",
    metadata,
    sa.Column("agency", sa.String(64), primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("head", sa.String(64), nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("signed_at", sa.String(32), nullable=False),
)

# What is carried once more, as an operator asked. ``state``: running, paused, ended, cancelled;
# ``done_to``: the newest number that it has dealt with.
redrives = sa.Table(
    "redrives",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("agency", sa.String(64), nullable=False),
    sa.Column("first", sa.Integer),
    sa.Column("last", sa.Integer, nullable=False),
    sa.Column("referral", sa.String(64)),
    sa.Column("reason", sa.String(32)),
    sa.Column("per_second", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("asked_at", sa.String(32), nullable=False),
    sa.Column("started_at", sa.String(32)),
    sa.Column("ended_at", sa.String(32)),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("done_to", sa.Integer, nullable=False),
    sa.Column("delivered", sa.Integer, nullable=False),
    sa.Column("failed", sa.Integer, nullable=False),
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

# The secrets that each agency's webhooks are signed with, sealed (migration 0005).
credentials = credential_tables(metadata)
