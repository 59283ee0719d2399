"""`/metrics` for Prometheus, for whoever may read the record."""

from collections.abc import Callable

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST

from web.api import console_access


def metrics_page(page: Callable[[], bytes], *, password: str | None) -> APIRouter:
    """Make the route.

    Args:
        page: Makes the page.
        password: See `console_access`.
    """
    router = APIRouter(dependencies=[Depends(console_access(password))])

    @router.get("/metrics", responses={401: {}, 403: {}})
    async def metrics() -> Response:
        """What happens to calls, as figures."""
        return Response(page(), media_type=CONTENT_TYPE_LATEST)

    return router
