"""Messages that are to be written down."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_LEFT = sa.text("\"end\" = 'message_left'")


def upgrade() -> None:
    """Make the table, and what finds calls with a message."""
    op.create_table(
        "messages",
        sa.Column("call_sid", sa.Text, primary_key=True),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("done_at", sa.Double),
    )
    op.create_index("calls_by_end", "calls", ["ended_at"])
    op.create_index("calls_with_message", "calls", ["ended_at"], sqlite_where=_LEFT, postgresql_where=_LEFT)


def downgrade() -> None:
    """Write none down."""
    op.drop_index("calls_with_message", "calls")
    op.drop_index("calls_by_end", "calls")
    op.drop_table("messages")
