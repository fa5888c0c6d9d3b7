"""The routes of the app itself: a welcome, the documentation, and the health checks."""

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from edge.answers import may_fail, operation_id
from edge.client import is_browser, to_client
from edge.engines import opened
from errors import BusyError, DatabaseUnavailableError

DOCS_POLICY = (  # Swagger UI has styles and pictures in itself
    "default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

router = APIRouter(generate_unique_id_function=operation_id)


class Greeting(BaseModel):
    """A line of text."""

    message: str = Field(examples=["Hello user 2"])


class Readiness:
    """Whether this process can serve; each of *checks* raises the reason why it cannot."""

    def __init__(self, checks: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
        self.is_draining = False  # the server is stopping
        self._checks = checks

    async def check(self) -> dict[str, str]:
        """Return "ok" for each check.

        Raises:
            BusyError: if the server is stopping; whatever a check raises.
        """
        if self.is_draining:
            raise BusyError("The server is stopping.", retry_after=10)
        for check in self._checks.values():
            await check()
        return dict.fromkeys(("status", *self._checks), "ok")


@router.get(
    "/",
    tags=["app"],
    summary="A welcome",
    response_model=Greeting,
    responses={307: {"description": "A browser (Accept: text/html) is sent to the web client at /app/"}},
)
async def read_root(request: Request, response: Response) -> Greeting | Response:
    if is_browser(request.headers.get("accept", "")):
        return to_client()
    response.headers["Vary"] = "Accept"
    return Greeting(message="Welcome to the API")


@router.get("/app", include_in_schema=False)
async def read_app() -> Response:
    return to_client()


@router.get("/docs", include_in_schema=False)
async def read_docs() -> HTMLResponse:
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="Pagewire",
        swagger_js_url="/docs/assets/swagger-ui-bundle.js",
        swagger_css_url="/docs/assets/swagger-ui.css",
        swagger_favicon_url="/docs/assets/favicon-32x32.png",
    )
    scripts = re.findall(rb"<script>(.*?)</script>", bytes(page.body), re.DOTALL)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'" for script in scripts]
    page.headers["Content-Security-Policy"] = DOCS_POLICY.format(scripts=" ".join(hashes))
    return page


@router.get("/healthz", tags=["app"], summary="Is the process alive?")
async def read_health() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/readyz", tags=["app"], summary="Can it serve?", responses=may_fail(BusyError, DatabaseUnavailableError))
async def read_readiness(readiness: Annotated[Readiness, opened(Readiness)]) -> dict[str, str]:
    """The database, the upload folder and the message bus respond, and the server is not stopping."""
    return await readiness.check()
