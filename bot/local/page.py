"""The telephone's page on the development runner: call from the browser, and play everybody who is rung.

Beside Pipecat's own page, which loads a script from the internet and shows what RTVI tells; this one needs neither.
"""

from pathlib import Path

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from bot.local.desk import Act, Desk

DESKS: dict[str, Desk] = {}
"""The calls that are on, by the runner's session id, in order."""

PATH = "/telephone"

_PAGE = Path(__file__).with_name("telephone.html")


class Choice(BaseModel):
    """What somebody does."""

    act: Act


def telephone_routes() -> APIRouter:
    """The page, and what it asks for."""
    router = APIRouter(prefix=PATH, include_in_schema=False)

    @router.get("")
    async def page() -> HTMLResponse:
        return HTMLResponse(_PAGE.read_text(encoding="utf-8"))

    @router.get("/calls")
    async def calls() -> dict[str, dict[str, object]]:
        return {
            name: {"lines": list(desk.lines), "question": desk.question, "acts": list(desk.acts)}
            for name, desk in DESKS.items()
        }

    @router.post("/calls/{name}")
    async def do(name: str, choice: Choice) -> dict[str, bool]:
        if (desk := DESKS.get(name)) is None:
            raise HTTPException(404, "there is no such call")
        if not desk.do(choice.act):
            raise HTTPException(409, "nobody can do that now")
        return {"done": True}

    return router
