"""The server's application: what is mounted where."""

from fastapi import FastAPI, Response

from bot.line import Line
from bot.signatures import Signatures
from web.api import calls_api
from web.metrics import metrics_page
from web.outage import outage_switch
from web.person_page import person_page
from web.twilio import twilio_routes


def create_app(line: Line) -> FastAPI:
    """The application of one open line."""
    settings = line.settings
    signatures = Signatures(settings.twilio_auth_token.get_secret_value(), settings.public_url)
    password = settings.console_password.get_secret_value() if settings.console_password else None
    app = FastAPI(title="Putthrough")
    app.include_router(twilio_routes(line, signatures))
    app.include_router(
        calls_api(
            line.switchboard.ledger,
            targets=line.receptions.targets,
            request_handoff=line.switchboard.request_handoff,
            password=password,
        )
    )
    app.include_router(person_page(line.switchboard, line.switchboard.ledger.record))
    app.include_router(outage_switch(line.admission, password=password))
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
