"""The district of a referral beside its state, and an index of the open ones: the ward at a glance.
Deploy order: before the code that uses them. What an older writer writes meanwhile counts as in no
district until something happens to it again."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("referrals", sa.Column("district", sa.String(length=64), nullable=True))
    op.add_column(
        "referrals",
        sa.Column("protected", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        district, kind = "state::json #>> '{district,id}'", "state::json ->> 'address_kind'"
    else:
        district, kind = (
            "json_extract(state, '$.district.id')",
            "json_extract(state, '$.address_kind')",
        )
    op.execute(f"UPDATE referrals SET district = {district}, protected = ({kind} = 'protected')")
    op.create_index(
        "referrals_open", "referrals", ["stage", "seq", "custodian", "district", "protected"]
    )
