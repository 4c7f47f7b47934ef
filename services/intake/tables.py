"""The key store, a database of its own: a data key per referral, wrapped by the key-encryption key;
and by what the agencies are known.

Whoever has the other services' databases but not this one, or this one but not the key file, has no
one's name. Deleting a row of ``data_keys`` erases the person.
"""

import sqlalchemy as sa

from runtime.credentials import credential_tables

metadata = sa.MetaData()

data_keys = sa.Table(
    "data_keys",
    metadata,
    sa.Column("referral", sa.String(36), primary_key=True),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
    # Which key-encryption key wrapped it, so that it can be changed one row at a time.
    sa.Column("wrapped_by", sa.String(16), nullable=False),
)

# Written anew by the readiness probe.
probes = sa.Table("probes", metadata, sa.Column("id", sa.Integer, primary_key=True))

credentials = credential_tables(metadata)

# Assertions (RFC 7523) by which a token was got, until they run out: none is good twice. ``jti``: its
# SHA-256, for the field may be of any length.
assertions = sa.Table(
    "assertions",
    metadata,
    sa.Column("agency", sa.String(64), primary_key=True),
    sa.Column("jti", sa.LargeBinary, primary_key=True),
    sa.Column("expires_at", sa.String(32), nullable=False, index=True),
)

# The files that are stored, by what they are stored under. An attachment that was sent twice has two
# until it is settled which one is on record. ``state``: ``kept`` (nothing asked yet), ``asked`` (the
# command is on its way), ``settled`` (on record), ``gone`` (infected, and deleted). ``scan``: what the
# scanner says: ``unscanned``, ``clean`` or ``infected``. No personal data.
attachments = sa.Table(
    "attachments",
    metadata,
    sa.Column("ciphertext_sha256", sa.String(64), primary_key=True),
    sa.Column("attachment", sa.String(36), nullable=False),
    sa.Column("referral", sa.String(36), nullable=False),
    sa.Column("agency", sa.String(64), nullable=False),
    sa.Column("request", sa.String(36), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("scan", sa.String(16), nullable=False),
    sa.Column("kept_at", sa.String(32), nullable=False),
    sa.Index("attachments_attachment", "attachment"),
    sa.Index("attachments_referral", "referral"),
    sa.Index("attachments_scan", "scan", "state", "kept_at"),
)
