"""`python -m bot`: Pipecat's development runner. `-t webrtc` for its page, `-t twilio -x host` for a telephone.

The page needs no Twilio: microphone and loudspeaker are the browser's, and whoever is rung is played on `/telephone`.
An eval harness connects to `ws://localhost:7860/ws` where `EVALS` is on.
"""

import sys

from pipecat.runner.run import app, main

from bot import bot
from bot.local.page import telephone_routes

__all__ = ["bot"]  # the runner looks for it here

UNPROTECTED = """This route is for trying things out: no signature and no token is checked, and when this process ends,
the caller is cut off, because the runner's document holds nobody to dial then. Callbacks of a hand-off go to
PUBLIC_URL, where a `python server.py` on the same DATABASE_URL must answer. It alone is meant for real callers."""

if __name__ == "__main__":
    if "twilio" in sys.argv:
        print(UNPROTECTED, file=sys.stderr)
    app.include_router(telephone_routes())
    main()
