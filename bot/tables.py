"""The tables of the record. What `bot/migrations/` makes of an empty database is exactly this; a test holds it.

`calls` has one row per call, the whole pure `Call` with a version; `journal` has what happened, in order, and is only
ever appended to; `transcript` has what was said; `answers` has what Twilio's webhooks were answered with; and
`switches` has what an operator turned on or off for all processes. `outbound` and `callbacks` have whom we are to call,
and `messages` what is to be written down.
"""

import sqlalchemy as sa

from bot.record import encodable


class _Plain(sa.TypeDecorator[str]):
    """Text that every database takes: no NUL, which PostgreSQL refuses, and no half of a surrogate pair."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else encodable(value.replace("\0", ""))


METADATA = sa.MetaData()
_COUNTED = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite counts up a primary key of the type INTEGER only
_WITHOUT_END = sa.text("ended_at IS NULL")
_LEFT = sa.text("\"end\" = 'message_left'")

CALLS = sa.Table(
    "calls",
    METADATA,
    sa.Column("sid", _Plain, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("phase", _Plain, nullable=False),
    sa.Column("caller", _Plain, nullable=False),
    sa.Column("called", _Plain, nullable=False),
    sa.Column("started_at", sa.Double, nullable=False),
    sa.Column("ended_at", sa.Double),
    sa.Column("end", _Plain),
    sa.Column("state", sa.JSON, nullable=False),
    sa.Column("conversation", sa.JSON(none_as_null=True)),
    sa.Column("conversation_leg", sa.Integer),  # an earlier leg's, told late, does not replace a later one's
    sa.Index("calls_by_start", "started_at"),
    sa.Index("calls_by_phase", "phase", "started_at"),
    sa.Index("calls_without_end", "started_at", sqlite_where=_WITHOUT_END, postgresql_where=_WITHOUT_END),
    sa.Index("calls_by_caller", "caller", "started_at"),
    sa.Index("calls_by_end", "ended_at"),
    sa.Index("calls_with_message", "ended_at", sqlite_where=_LEFT, postgresql_where=_LEFT),
)

# No foreign keys: what happens to a call whose first row could not be written is kept all the same.
JOURNAL = sa.Table(
    "journal",
    METADATA,
    sa.Column("id", _COUNTED, primary_key=True),
    sa.Column("call_sid", _Plain, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("event", _Plain, nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sa.Column("phase", _Plain, nullable=False),
    sa.Column("changed", sa.Boolean, nullable=False),
    sa.Column("late", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("uid", _Plain),  # whoever writes it twice has written it once; null in rows of older versions
    sa.Index("journal_by_call", "call_sid", "id"),
    sa.Index("journal_by_uid", "uid", unique=True),
)

TRANSCRIPT = sa.Table(
    "transcript",
    METADATA,
    sa.Column("id", _COUNTED, primary_key=True),
    sa.Column("call_sid", _Plain, nullable=False),
    sa.Column("leg", sa.Integer, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("role", _Plain, nullable=False),
    sa.Column("text", _Plain, nullable=False),
    sa.Column("uid", _Plain),
    sa.Index("transcript_by_call", "call_sid", "id"),
    sa.Index("transcript_by_uid", "uid", unique=True),
)

ANSWERS = sa.Table(
    "answers",
    METADATA,
    sa.Column("call_sid", _Plain, primary_key=True),
    sa.Column("token", _Plain, primary_key=True),
    sa.Column("document", _Plain, nullable=False),
)

SWITCHES = sa.Table(
    "switches",
    METADATA,
    sa.Column("name", _Plain, primary_key=True),
    sa.Column("on", sa.Boolean, nullable=False),
    sa.Column("reason", _Plain, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
)

_WAITS = sa.text("done_at IS NULL")

OUTBOX = sa.Table(
    "outbox",
    METADATA,
    sa.Column("id", _COUNTED, primary_key=True),
    sa.Column("uid", _Plain, nullable=False),  # what a receiver knows a repetition by
    sa.Column("call_sid", _Plain, nullable=False),
    sa.Column("type", _Plain, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("due_at", sa.Double, nullable=False),  # not before then; whoever is sending it has put it off
    sa.Column("done_at", sa.Double),
    sa.Column("failure", _Plain),  # why it was given up, or failed last
    sa.Index("outbox_by_uid", "uid", unique=True),
    sa.Index("outbox_waiting", "call_sid", "id", sqlite_where=_WAITS, postgresql_where=_WAITS),
)

_OPEN = sa.text("done_at IS NULL")

OUTBOUND = sa.Table(
    "outbound",
    METADATA,
    sa.Column("id", _COUNTED, primary_key=True),
    sa.Column("uid", _Plain, nullable=False),
    sa.Column("callee", _Plain, nullable=False),
    sa.Column("number", _Plain, nullable=False),  # ours, which they see
    sa.Column("purpose", _Plain, nullable=False),
    sa.Column("asked_at", sa.Double, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("due_at", sa.Double, nullable=False),  # not before then; whoever is making the call has put it off
    sa.Column("call_sid", _Plain),  # of the latest call, while nobody has drawn a conclusion from its end
    sa.Column("done_at", sa.Double),
    sa.Column("outcome", _Plain),
    sa.Index("outbound_by_uid", "uid", unique=True),
    sa.Index("outbound_open", "due_at", sqlite_where=_OPEN, postgresql_where=_OPEN),
)

CALLBACKS = sa.Table(
    "callbacks",
    METADATA,
    sa.Column("uid", _Plain, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("call_sid", _Plain, nullable=False),  # the call in which it was asked for
    sa.Column("number", _Plain, nullable=False),
    sa.Column("asked_at", sa.Double, nullable=False),
    sa.Column("due_at", sa.Double, nullable=False),
    sa.Column("done_at", sa.Double),
    sa.Column("state", sa.JSON, nullable=False),
    sa.Index("callbacks_by_call", "call_sid"),
    sa.Index("callbacks_by_time", "asked_at"),
    sa.Index("callbacks_open", "due_at", sqlite_where=_OPEN, postgresql_where=_OPEN),
)

MESSAGES = sa.Table(
    "messages",
    METADATA,
    sa.Column("call_sid", _Plain, primary_key=True),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("due_at", sa.Double, nullable=False),  # not before then; whoever is at it has put it off
    sa.Column("done_at", sa.Double),
)
