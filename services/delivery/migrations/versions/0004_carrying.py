"""Delivery's own journal, and the carrying of events to agencies' own systems. Deploy order: before the
code that uses them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "journal",
        sa.Column(
            "number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("thread", sa.String(length=36), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )  # fmt: skip
    op.create_index("journal_thread", "journal", ["thread", "number"])
    op.create_table(
        "published",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.add_column(
        "inbox", sa.Column("head", sa.String(64), nullable=False, server_default=sa.text("''"))
    )
    op.create_table(
        "deliveries",
        sa.Column("agency", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("event", sa.String(length=36), nullable=False),
        sa.Column("thread", sa.String(length=36), nullable=False),
        sa.Column("test", sa.Boolean(), nullable=False),
        sa.Column("queued_at", sa.String(length=32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("first_tried_at", sa.String(length=32)),
        sa.Column("next_at", sa.String(length=32)),
        sa.Column("not_before", sa.String(length=32)),
        sa.Column("give_up_at", sa.String(length=32)),
        sa.Column("delivered_at", sa.String(length=32)),
        sa.Column("given_up_at", sa.String(length=32)),
        sa.Column("reason", sa.String(length=32)),
        sa.Column("status", sa.Integer()),
        sa.PrimaryKeyConstraint("agency", "number"),
    )
    for name, columns, rows in (
        ("deliveries_next", ["agency", "next_at", "number"], "next_at IS NOT NULL"),
        (
            "deliveries_tried",
            ["agency", "next_at", "number"],
            "next_at IS NOT NULL AND (first_tried_at IS NOT NULL OR test)",
        ),
        ("deliveries_thread", ["agency", "thread", "number"], "next_at IS NOT NULL"),
        ("deliveries_given_up", ["agency", "number"], "given_up_at IS NOT NULL"),
    ):
        op.create_index(
            name, "deliveries", columns, sqlite_where=sa.text(rows), postgresql_where=sa.text(rows)
        )
    op.create_table(
        "endpoints",
        sa.Column("agency", sa.String(length=64), nullable=False),
        sa.Column("disabled_at", sa.String(length=32)),
        sa.Column("last_delivered_at", sa.String(length=32)),
        sa.PrimaryKeyConstraint("agency"),
    )
    op.create_table(
        "manifests",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("agency", sa.String(length=64), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("head", sa.String(length=64), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("signed_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("manifests_newest", "manifests", ["agency", "size"])
    op.create_table(
        "days",
        sa.Column("what", sa.String(length=32), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.PrimaryKeyConstraint("what"),
    )
    op.create_table(
        "tests",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("agency", sa.String(length=64), nullable=False),
        sa.Column("daily", sa.Boolean(), nullable=False),
        sa.Column("asked_at", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer()),
        sa.Column("key", sa.String(length=128)),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("tests_newest", "tests", ["agency", "asked_at"])
    op.create_table(
        "redrives",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("agency", sa.String(length=64), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.Column("referral", sa.String(length=36)),
        sa.Column("reason", sa.String(length=32)),
        sa.Column("given_up", sa.Boolean(), nullable=False),
        sa.Column("per_second", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("asked_at", sa.String(length=32), nullable=False),
        sa.Column("started_at", sa.String(length=32)),
        sa.Column("ended_at", sa.String(length=32)),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done_to", sa.Integer(), nullable=False),
        sa.Column("delivered", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("failing", sa.Integer(), nullable=False),
        sa.Column("held_at", sa.Integer()),
        sa.Column("held_because", sa.String(length=32)),
        sa.Column("asked_by", sa.String(length=63)),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "redrive_orders",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
