"""What delivery keeps: each agency's numbered events."""

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
