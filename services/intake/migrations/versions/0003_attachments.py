"""Which files are kept of which referral, and what a scanner says of them. Deploy order: before the code
that uses it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attachments",
        sa.Column("ciphertext_sha256", sa.String(length=64), nullable=False),
        sa.Column("attachment", sa.String(length=36), nullable=False),
        sa.Column("referral", sa.String(length=36), nullable=False),
        sa.Column("agency", sa.String(length=64), nullable=False),
        sa.Column("request", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("scan", sa.String(length=16), nullable=False),
        sa.Column("kept_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("ciphertext_sha256"),
    )
    op.create_index("attachments_attachment", "attachments", ["attachment"])
    op.create_index("attachments_referral", "attachments", ["referral"])
    op.create_index("attachments_scan", "attachments", ["scan", "state", "kept_at"])
