"""Callers who are to be called back."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_OPEN = sa.text("done_at IS NULL")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "callbacks",
        sa.Column("uid", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("call_sid", sa.Text, nullable=False),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("asked_at", sa.Double, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("done_at", sa.Double),
        sa.Column("state", sa.JSON, nullable=False),
    )
    op.create_index("callbacks_by_call", "callbacks", ["call_sid"])
    op.create_index("callbacks_by_time", "callbacks", ["asked_at"])
    op.create_index("callbacks_open", "callbacks", ["due_at"], sqlite_where=_OPEN, postgresql_where=_OPEN)


def downgrade() -> None:
    """Call nobody back."""
    op.drop_table("callbacks")
