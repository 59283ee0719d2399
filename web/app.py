"""The server's application: what is mounted where."""

from pathlib import Path

from fastapi import FastAPI, Response
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from loguru import logger
from starlette.exceptions import HTTPException

from bot.line import Line
from bot.news import News
from bot.signatures import Signatures
from web.api import calls_api
from web.callback_webhooks import callback_routes
from web.callbacks import callbacks_api
from web.console.access import Access
from web.console.acts import acts, note_switch
from web.console.callbacks import callback_pages
from web.console.console import Console
from web.console.gate import Elsewhere, Gate, Refused, turned_away
from web.console.headers import Headers, Heads
from web.console.join import joining
from web.console.listen import listening
from web.console.playing import playing
from web.console.routes import pages
from web.metrics import metrics_page
from web.outage import outage_switch
from web.outbound import outbound_api
from web.person_page import person_page
from web.queue_webhooks import queue_routes
from web.queues import queues_api
from web.recordings import recording_routes
from web.twilio import twilio_routes

_STATIC = Path(__file__).parent / "console" / "static"


def create_app(line: Line) -> FastAPI:
    """The application of one open line. Its `state.console` is to be closed before the server waits for its clients."""
    settings = line.settings
    signatures = Signatures(settings.twilio_auth_token.get_secret_value(), settings.public_url)
    password = settings.console_password.get_secret_value() if settings.console_password else None
    app = FastAPI(title="Putthrough", docs_url=None, redoc_url=None)  # their pages load scripts of another host
    app.include_router(twilio_routes(line, signatures))
    app.include_router(callback_routes(line, signatures))
    app.include_router(queue_routes(line, signatures))
    app.include_router(recording_routes(line, signatures))
    app.include_router(
        calls_api(
            line.switchboard.ledger,
            targets=line.receptions.targets,
            request_handoff=line.desk.request_handoff,
            password=password,
        )
    )
    app.include_router(callbacks_api(line.callbacks, password=password))
    app.include_router(queues_api(line, password=password))
    app.include_router(outbound_api(line.outbound, password=password))
    app.include_router(person_page(line.switchboard, line.switchboard.ledger.record))

    async def turned(on: bool, reason: str, at: float) -> None:
        await note_switch(line, on, reason, "the API", at)

    app.include_router(outage_switch(line.admission, turned=turned, password=password))
    _mount_console(app, line)
    app.include_router(metrics_page(line.metrics.page, password=password))

    @app.get("/health")
    async def health() -> dict[str, str]:
        """The process lives."""
        return {"status": "ok"}

    @app.get("/ready")
    async def ready(response: Response) -> dict[str, str | int]:
        """The process takes calls: from the moment that it listens until it is told to end."""
        draining = line.switchboard.draining
        response.status_code = 503 if draining else 200
        return {"status": "draining" if draining else "ready", "calls": line.switchboard.live}

    return app


def _mount_console(app: FastAPI, line: Line) -> None:
    settings = line.settings
    auth_token = settings.twilio_auth_token.get_secret_value()
    access = Access(settings.console_password, settings.console_viewer_password, auth_token=auth_token)
    if access.open_here:
        logger.warning("CONSOLE_PASSWORD is not set: the console and the record are open to this machine alone")
    console = app.state.console = Console(line)
    gate = Gate(access)

    def heard(news: News) -> None:
        if news.kind == "logged_out":  # here, or in another process
            access.end(news.data["nonce"], news.data["until"])

    line.feed.subscribe(heard)
    refused, elsewhere, mistaken = turned_away(console.page)
    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(Elsewhere, elsewhere)
    app.add_exception_handler(HTTPException, mistaken)
    app.add_exception_handler(RequestValidationError, mistaken)
    app.add_middleware(Headers)
    app.add_middleware(Heads)
    app.mount("/console/static", StaticFiles(directory=_STATIC), name="static")
    app.include_router(pages(line, console, gate))
    app.include_router(acts(line, gate))
    app.include_router(callback_pages(line, console, gate))
    app.include_router(listening(line, gate))
    app.include_router(joining(line, gate))
    app.include_router(playing(line, console, gate))
