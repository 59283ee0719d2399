"""The outage switch, and what finds calls without an end and the calls of one caller quickly."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table and two indexes; no row is rewritten."""
    op.create_table(
        "switches",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("on", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    without_end = sa.text("ended_at IS NULL")
    op.create_index(
        "calls_without_end", "calls", ["started_at"], sqlite_where=without_end, postgresql_where=without_end
    )
    op.create_index("calls_by_caller", "calls", ["caller", "started_at"])


def downgrade() -> None:
    """Back to the tables of 0002."""
    op.drop_index("calls_by_caller", "calls")
    op.drop_index("calls_without_end", "calls")
    op.drop_table("switches")
