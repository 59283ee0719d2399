"""Exactly once: what tells a second writing of the same thing from a first, and what webhooks were answered with.

Every new column may be left out: a process of the version before goes on writing while others start with this one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns and a table; no row is rewritten."""
    op.add_column("calls", sa.Column("conversation_leg", sa.Integer))
    op.add_column("journal", sa.Column("late", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("journal", sa.Column("uid", sa.Text))
    op.create_index("journal_by_uid", "journal", ["uid"], unique=True)
    op.add_column("transcript", sa.Column("uid", sa.Text))
    op.create_index("transcript_by_uid", "transcript", ["uid"], unique=True)
    op.create_table(
        "answers",
        sa.Column("call_sid", sa.Text, primary_key=True),
        sa.Column("token", sa.Text, primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Back to the tables of 0001."""
    op.drop_table("answers")
    op.drop_index("transcript_by_uid", "transcript")
    op.drop_column("transcript", "uid")
    op.drop_index("journal_by_uid", "journal")
    op.drop_column("journal", "uid")
    op.drop_column("journal", "late")
    op.drop_column("calls", "conversation_leg")
