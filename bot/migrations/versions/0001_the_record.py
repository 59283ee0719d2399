"""The record: calls, their journal and their transcript.

A database whose tables were made before there were migrations is at this revision.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_COUNTED = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "calls",
        sa.Column("sid", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("called", sa.Text, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("end", sa.Text),
        sa.Column("state", sa.JSON, nullable=False),
        sa.Column("conversation", sa.JSON),
    )
    op.create_index("calls_by_start", "calls", ["started_at"])
    op.create_index("calls_by_phase", "calls", ["phase", "started_at"])
    op.create_table(
        "journal",
        sa.Column("id", _COUNTED, primary_key=True),
        sa.Column("call_sid", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("changed", sa.Boolean, nullable=False),
    )
    op.create_index("journal_by_call", "journal", ["call_sid", "id"])
    op.create_table(
        "transcript",
        sa.Column("id", _COUNTED, primary_key=True),
        sa.Column("call_sid", sa.Text, nullable=False),
        sa.Column("leg", sa.Integer, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_index("transcript_by_call", "transcript", ["call_sid", "id"])


def downgrade() -> None:
    """Forget all calls."""
    for table in ("transcript", "journal", "calls"):
        op.drop_table(table)
