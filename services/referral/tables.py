"""What the referral service keeps. Journal, state, worklist and answers change in one transaction."""

import sqlalchemy as sa

from runtime.dead_letters import dead_letters_table
from runtime.journal import journal_tables
from runtime.sole_writer import writer_table

metadata = sa.MetaData()
_Big = sa.BigInteger().with_variant(sa.Integer, "sqlite")

journal = journal_tables(metadata)
dead_letters = dead_letters_table(metadata)
writer = writer_table(metadata)

referrals = sa.Table(
    "referrals",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("number", sa.String(32), nullable=False, unique=True),
    # The journal number of the submission: the order in which referrals came.
    sa.Column("seq", _Big, nullable=False, unique=True),
    sa.Column("year", sa.Integer, nullable=False),
    sa.Column("stage", sa.String(32), nullable=False),
    sa.Column("function", sa.String(64), nullable=False),
    sa.Column("urgency", sa.String(32), nullable=False),
    sa.Column("custodian", sa.String(64), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    # Settled so far; and whether it is told to few (住所秘匿).
    sa.Column("district", sa.String(64)),
    sa.Column("protected", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("referrals_year", "year", "number"),
    sa.Index("referrals_open", "stage", "seq", "custodian", "district", "protected"),
)

handoffs = sa.Table(
    "handoffs",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("referral", sa.String(36), nullable=False),
)

# One row per agency and referral that it has, or had, a part in.
worklist = sa.Table(
    "worklist",
    metadata,
    sa.Column("agency", sa.String(64), primary_key=True),
    sa.Column("seq", _Big, primary_key=True),
    sa.Column("referral", sa.String(36), nullable=False),
)

# Every call to the core centre. ``change``: a numbering of their changes, 1, 2, 3 …, by which a board
# that knows one moment learns what changed since.
escalations = sa.Table(
    "escalations",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("referral", sa.String(36), nullable=False),
    sa.Column("change", _Big, nullable=False, unique=True),
    sa.Column("state", sa.String(32), nullable=False),
    sa.Column("code", sa.String(64), nullable=False),
    sa.Column("district", sa.String(64)),
    # Whether the district is told to few (住所秘匿).
    sa.Column("protected", sa.Boolean, nullable=False),
    sa.Column("custodian", sa.String(64), nullable=False),
    # The agencies whose desks were called, each between blanks.
    sa.Column("called", sa.Text, nullable=False),
    sa.Index("escalations_state", "state", "change"),
)

# Every clock that runs (``schemas.referral.LiveClock``). ``strike_at``: when it is looked at: when it
# is due, or a little later where deciding it failed.
clocks = sa.Table(
    "clocks",
    metadata,
    sa.Column("subject", sa.String(36), primary_key=True),
    sa.Column("referral", sa.String(36), nullable=False),
    sa.Column("due_at", sa.String(32), nullable=False),
    sa.Column("strike_at", sa.String(32), nullable=False),
    sa.Index("clocks_strike", "strike_at", "subject"),
)

# What every command was answered, for ever.
answers = sa.Table(
    "answers",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("agency", sa.String(64), nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)

# Ciphertext, apart from the journal so that it can be erased without touching a record.
sealed = sa.Table(
    "sealed",
    metadata,
    sa.Column("event", sa.String(36), primary_key=True),
    sa.Column("grp", sa.String(32), primary_key=True),
    sa.Column("referral", sa.String(36), nullable=False, index=True),
    sa.Column("commitment", sa.String(64), nullable=False),
    sa.Column("ciphertext", sa.Text, nullable=False),
)

# The core centre's rulings that are to be remembered, by the block's keyed hash.
rulings = sa.Table(
    "rulings",
    metadata,
    sa.Column("block_key", sa.String(64), primary_key=True),
    sa.Column("district", sa.String(64), nullable=False),
    sa.Column("ruling", sa.String(36), nullable=False),
)
