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
    sa.Column("head", sa.String(64), nullable=False, server_default=sa.text("''")),
)

# What is to be carried to an agency's own system: one row for each event and agency that wants to be
# sent its events. ``next_at``: when it is tried next; none: it is done (``delivered_at``), given up
# (``given_up_at``), or set aside because the agency has its events another way now. Of one referral the
# events go one after the other; ``thread`` is the referral, or the event itself where it is about none.
# ``test``: a test event, which is tried once even where nothing else is sent. ``give_up_at``: since the
# first failure; ``not_before``: until when the receiver has asked for time.
deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("agency", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("event", sa.String(36), nullable=False),
    sa.Column("thread", sa.String(36), nullable=False),
    sa.Column("test", sa.Boolean, nullable=False),
    sa.Column("queued_at", sa.String(32), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("first_tried_at", sa.String(32)),
    sa.Column("next_at", sa.String(32)),
    sa.Column("not_before", sa.String(32)),
    sa.Column("give_up_at", sa.String(32)),
    sa.Column("delivered_at", sa.String(32)),
    sa.Column("given_up_at", sa.String(32)),
    sa.Column("reason", sa.String(32)),
    sa.Column("status", sa.Integer),
)
_waiting = deliveries.c.next_at.is_not(None)
_given_up = deliveries.c.given_up_at.is_not(None)
TRIED = "(first_tried_at IS NOT NULL OR test)"
for _name, _columns, _rows in (
    ("deliveries_next", ("agency", "next_at", "number"), _waiting),
    ("deliveries_tried", ("agency", "next_at", "number"), _waiting & sa.text(TRIED)),
    ("deliveries_thread", ("agency", "thread", "number"), _waiting),
    ("deliveries_given_up", ("agency", "number"), _given_up),
):
    # Only of the rows that are looked for: nearly all are done.
    sa.Index(
        _name,
        *(deliveries.c[column] for column in _columns),
        sqlite_where=_rows,
        postgresql_where=_rows,
    )

# How each agency's own system stands. ``disabled_at``: nothing is sent there until a test arrives.
endpoints = sa.Table(
    "endpoints",
    metadata,
    sa.Column("agency", sa.String(64), primary_key=True),
    sa.Column("disabled_at", sa.String(32)),
    sa.Column("last_delivered_at", sa.String(32)),
)

# Manifests: signed notes (C2SP), and the inbox that each speaks of. ``day``: Japan's, for which it was
# made; of one day there are several where the agency asked for more.
manifests = sa.Table(
    "manifests",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("agency", sa.String(64), nullable=False),
    sa.Column("day", sa.String(10), nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("head", sa.String(64), nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("signed_at", sa.String(32), nullable=False),
    sa.Index("manifests_newest", "agency", "size"),
)

# What happens once a day, and the newest day (in Japan) that was dealt with.
days = sa.Table(
    "days",
    metadata,
    sa.Column("what", sa.String(32), primary_key=True),
    sa.Column("day", sa.String(10), nullable=False),
)

# Test events: the day's own, and those that somebody asked for. ``id`` is the event's. ``number``: in
# the agency's inbox; none: an operator has asked for it, and it is not made yet. ``key``: the agency's
# own name for its request, by which a repeated one is known.
tests = sa.Table(
    "tests",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("agency", sa.String(64), nullable=False),
    sa.Column("daily", sa.Boolean, nullable=False),
    sa.Column("asked_at", sa.String(32), nullable=False),
    sa.Column("number", sa.Integer),
    sa.Column("key", sa.String(128)),
    sa.Index("tests_newest", "agency", "asked_at"),
)

# What is carried once more, as an operator asked. ``state``: asked, running, paused, cancelling, ended,
# cancelled. ``done_to``: the newest number that it has dealt with. ``failing``: how often the next one
# has failed in a row (``held_at``, ``held_because``). ``total``: how many there were when it began.
# ``asked_by``: as the operator named who started it, or cancelled it.
redrives = sa.Table(
    "redrives",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("agency", sa.String(64), nullable=False),
    sa.Column("first", sa.Integer, nullable=False),
    sa.Column("last", sa.Integer, nullable=False),
    sa.Column("referral", sa.String(36)),
    sa.Column("reason", sa.String(32)),
    sa.Column("given_up", sa.Boolean, nullable=False),
    sa.Column("per_second", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("asked_at", sa.String(32), nullable=False),
    sa.Column("started_at", sa.String(32)),
    sa.Column("ended_at", sa.String(32)),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("done_to", sa.Integer, nullable=False),
    sa.Column("delivered", sa.Integer, nullable=False),
    sa.Column("failed", sa.Integer, nullable=False),
    sa.Column("failing", sa.Integer, nullable=False),
    sa.Column("held_at", sa.Integer),
    sa.Column("held_because", sa.String(32)),
    sa.Column("asked_by", sa.String(63)),
)

# What operators did to re-drives and is not on record yet: events of delivery's journal, which only the
# running service writes.
redrive_orders = sa.Table(
    "redrive_orders",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
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
