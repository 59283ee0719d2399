"""Orders for calls that the bot makes."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COUNTED = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_OPEN = sa.text("done_at IS NULL")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "outbound",
        sa.Column("id", _COUNTED, primary_key=True),
        sa.Column("uid", sa.Text, nullable=False),
        sa.Column("callee", sa.Text, nullable=False),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("asked_at", sa.Double, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("call_sid", sa.Text),
        sa.Column("done_at", sa.Double),
        sa.Column("outcome", sa.Text),
    )
    op.create_index("outbound_by_uid", "outbound", ["uid"], unique=True)
    op.create_index("outbound_open", "outbound", ["due_at"], sqlite_where=_OPEN, postgresql_where=_OPEN)


def downgrade() -> None:
    """Call nobody."""
    op.drop_table("outbound")
