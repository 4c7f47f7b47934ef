"""What the console keeps: who may come in, who is here, what somebody has begun to write, and its
journal of looks (閲覧の記録). Nothing of a referral: that it asks for. The column names are on disk.

Moments are UTC text (``runtime.clock.utc_text``), so that they sort as they passed.
"""

import sqlalchemy as sa

from runtime.journal import journal_tables
from runtime.sole_writer import writer_table

metadata = sa.MetaData()

writer = writer_table(metadata)
journal = journal_tables(metadata)

# 職員. ``password``: argon2's own text; none: only by the provider (OpenID Connect), or not set yet.
# ``subject``: who it is at the provider. ``invited``: SHA-256 of the code by which a password may be set
# once, until ``invited_until``. ``screen``: no person, but a screen on a wall.
accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("login", sa.String(64), nullable=False, unique=True),
    sa.Column("agency", sa.String(64), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("screen", sa.Boolean, nullable=False),
    sa.Column("password", sa.Text, nullable=True),
    sa.Column("subject", sa.String(255), nullable=True, unique=True),
    sa.Column("invited", sa.String(64), nullable=True, unique=True),
    sa.Column("invited_until", sa.String(32), nullable=True),
    sa.Column("made_at", sa.String(32), nullable=False),
    sa.Column("left_at", sa.String(32), nullable=True),
)

# Wrong passwords, by SHA-256 of the login that was typed: it need not exist, so that whoever is locked out
# learns nothing. Until ``locked_until`` nobody is asked for a password.
failures = sa.Table(
    "failures",
    metadata,
    sa.Column("login", sa.String(64), primary_key=True),
    sa.Column("failed", sa.Integer, nullable=False),
    sa.Column("last_at", sa.String(32), nullable=False),
    sa.Column("locked_until", sa.String(32), nullable=True),
)

# ``id``: SHA-256 of the token in the cookie: whoever reads this table cannot come in with it.
sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("account", sa.String(36), nullable=False),
    sa.Column("began_at", sa.String(32), nullable=False),
    sa.Column("seen_at", sa.String(32), nullable=False),
    sa.Column("ends_at", sa.String(32), nullable=False),
    sa.Index("sessions_account", "account"),
)

# 開示: a referral's personal data is open to one session, on a basis, for a while.
openings = sa.Table(
    "openings",
    metadata,
    sa.Column("session", sa.String(64), primary_key=True),
    sa.Column("referral", sa.String(36), primary_key=True),
    sa.Column("basis", sa.String(64), nullable=False),
    sa.Column("until", sa.String(32), nullable=False),
)

# 下書き: sealed with the console's own key, for a draft says who needs help.
drafts = sa.Table(
    "drafts",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("account", sa.String(36), nullable=False),
    sa.Column("updated_at", sa.String(32), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Index("drafts_account", "account", "updated_at"),
)

# 受信箱をどこまで見たか: the newest number of the agency's inbox that somebody was shown, and, for the session
# that is on, which it was when that began: what came since is marked as new.
inboxes_seen = sa.Table(
    "inboxes_seen",
    metadata,
    sa.Column("account", sa.String(36), primary_key=True),
    sa.Column("session", sa.String(64), nullable=False),
    sa.Column("before", sa.BigInteger, nullable=False),
    sa.Column("newest", sa.BigInteger, nullable=False),
)
