"""Two accounts of one call, by processes that could not ask the record: which is further, and what both tell together.

Pure: no clock, no I/O.
"""

from bot.call import Call, Outcome, Phase, over


def is_further(call: Call, than: Call) -> bool:
    """Whether one account of a call is further than another: its end, its media stream, its hand-offs, its attempts.

    A call never goes back to an earlier hand-off.
    """
    if Phase.ENDED in (call.phase, than.phase):
        return than.phase is not Phase.ENDED
    return _reached(call) > _reached(than)


def combined(account: Call, known: Call) -> Call:
    """What is known of a call once another account of it has come: `known`, where that has nothing to add.

    A call that has ended in one of them has ended. Whoever was told of its end may not know what had been done for it;
    then how it ended follows from who had the caller in the account that does.
    """
    if Phase.ENDED not in (account.phase, known.phase):
        return account if is_further(account, known) else known
    ended_at = min((each.ended_at for each in (account, known) if each.ended_at is not None), default=known.started_at)
    told, kept = over(account, ended_at), over(known, ended_at)
    if _told(told) == _told(kept):
        return kept if known.phase is Phase.ENDED else told
    return max(told, kept, key=_told)


def _reached(call: Call) -> tuple[int, int, int]:
    return call.leg, len(call.handoffs), len(call.attempts)


def _told(call: Call) -> tuple[int, ...]:
    """How much an account of a call tells. That the caller went, of an attempt, is what its end alone makes of it."""
    times = [(each.rang_at, each.answered_at, each.accepted_at, each.bridged_at) for each in call.attempts]
    known = sum(at is not None for attempt in times for at in attempt)
    outcomes = sum(each.outcome not in (None, Outcome.CALLER_GONE) for each in call.attempts)
    heard = sum(each.seconds is not None for each in call.recordings)
    return (
        *_reached(call),
        outcomes,
        known,
        call.message is not None,
        len(call.wishes),
        len(call.recordings),
        len(call.joins),
        len(call.falls),
        heard,
    )
