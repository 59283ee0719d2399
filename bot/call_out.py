"""`python server.py call-out NUMBER`: have the running server's bot call somebody, over its API."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp

from bot.settings import Settings

ANSWER_SECONDS = 15.0
LOOK_SECONDS = 1.0


async def call_out(
    settings: Settings,
    number: str,
    *,
    from_: str | None = None,
    purpose: str = "",
    server: str | None = None,
    wait: bool = False,
    say: Callable[[str], None] = print,
) -> int:
    """Order the call, and say what comes of it.

    Args:
        settings: Where the server listens, and the console's password.
        number: Who is to be called.
        from_: Our number that they see.
        purpose: What the call is for.
        server: The server's address, where it is not on this machine.
        wait: Whether to wait until the call is over, and those that follow where it is in vain.
        say: Takes what is to be told.

    Returns:
        The process's exit status.
    """
    host = settings.host if settings.host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104 - compared, not bound
    url = (server or f"http://{f'[{host}]' if ':' in host else host}:{settings.port}").rstrip("/")
    password = settings.console_password.get_secret_value() if settings.console_password else None
    headers = {} if password is None else {"Authorization": aiohttp.encode_basic_auth("call-out", password)}
    limits = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    asked = {"to": number, "purpose": purpose} | ({} if from_ is None else {"from": from_})
    try:
        async with aiohttp.ClientSession(timeout=limits, headers=headers) as http:
            async with http.post(f"{url}/api/calls", json=asked) as answer:
                told: Mapping[str, Any] = await answer.json(content_type=None)
                if answer.status != 202:
                    say(f"Nobody is called: {told.get('detail', answer.reason)}")
                    return 1
            say(_in_words(told))
            while wait and told["done_at"] is None:
                await asyncio.sleep(LOOK_SECONDS)
                async with http.get(f"{url}/api/calls/orders/{told['order']}") as answer:
                    answer.raise_for_status()
                    before, told = told, await answer.json()
                if _in_words(told) != _in_words(before):
                    say(_in_words(told))
    except (aiohttp.ClientError, OSError, ValueError) as error:
        say(f"The server at {url} gives no answer ({type(error).__name__}). Start it with `python server.py`.")
        return 1
    return 0


def _in_words(order: Mapping[str, Any]) -> str:
    to, sid = order["to"], order["call_sid"]
    if order["outcome"] is not None:
        return f"{to}: {order['outcome'].replace('_', ' ')}, after {order['tries']} calls." + (f" {sid}" if sid else "")
    if sid is not None:
        return f"{to} is being called: {sid}"
    return f"{to} is called at {order['due_at']} or soon after; order {order['order']}"
