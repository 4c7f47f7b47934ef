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
