"""The secrets that webhooks are signed with. Deploy order: before the code that signs."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "credentials",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("agency", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("material", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.Text()),
        sa.Column("made_at", sa.String(length=32), nullable=False),
        sa.Column("valid_from", sa.String(length=32), nullable=False),
        sa.Column("valid_to", sa.String(length=32)),
        sa.Column("revoked_at", sa.String(length=32)),
        sa.Column("label", sa.String(length=128), nullable=False),
        sa.Column("last_used_at", sa.String(length=32)),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_credentials_agency", "credentials", ["agency"])
    op.create_table(
        "credentials_revision",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
