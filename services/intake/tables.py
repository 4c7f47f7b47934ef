"""The key store, a database of its own: a data key per referral, wrapped by the key-encryption key.

Whoever has the other services' databases but not this one, or this one but not the key file, has no
one's name. Deleting a row erases the person.
"""

import sqlalchemy as sa

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
