"""What is to be told to the operator's own systems."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_COUNTED = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_WAITS = sa.text("done_at IS NULL")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "outbox",
        sa.Column("id", _COUNTED, primary_key=True),
        sa.Column("uid", sa.Text, nullable=False),
        sa.Column("call_sid", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("done_at", sa.Double),
        sa.Column("failure", sa.Text),
    )
    op.create_index("outbox_by_uid", "outbox", ["uid"], unique=True)
    op.create_index("outbox_waiting", "outbox", ["call_sid", "id"], sqlite_where=_WAITS, postgresql_where=_WAITS)


def downgrade() -> None:
    """Tell nobody."""
    op.drop_table("outbox")
