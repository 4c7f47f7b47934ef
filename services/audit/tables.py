"""What audit keeps. Entries and checkpoints are written once: the database itself refuses to change
or remove them (triggers, in the first migration). The column names are on disk."""

import sqlalchemy as sa

from runtime.reading import reading_tables

metadata = sa.MetaData()
_Big = sa.BigInteger().with_variant(sa.Integer, "sqlite")

journals = reading_tables(metadata)

entries = sa.Table(
    "entries",
    metadata,
    sa.Column("idx", _Big, primary_key=True, autoincrement=False),
    sa.Column("leaf", sa.LargeBinary, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("event_id", sa.String(36), nullable=False, unique=True),
    sa.Column("producer", sa.String(64), nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("referral", sa.String(36), nullable=True),
    sa.Index("entries_referral", "referral", "idx"),
)

checkpoints = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("size", _Big, primary_key=True, autoincrement=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("signed_at", sa.String(32), nullable=False),
)

# Derived from the entries, kept so that appending need not read them again.
frontier = sa.Table(
    "frontier",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("hashes", sa.LargeBinary, nullable=False),
)

# The referral's number that people say, for finding its entries.
numbers = sa.Table(
    "numbers",
    metadata,
    sa.Column("number", sa.String(32), primary_key=True),
    sa.Column("referral", sa.String(36), nullable=False),
)

# Gaps in a producer's journal, while they last and after.
gaps = sa.Table(
    "gaps",
    metadata,
    sa.Column("producer", sa.String(64), primary_key=True),
    sa.Column("first", sa.BigInteger, primary_key=True),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.Column("since", sa.String(32), nullable=False),
    sa.Column("healed_at", sa.String(32), nullable=True),
)
