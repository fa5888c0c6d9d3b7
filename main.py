"""The wiring: settings in, engines opened and closed in order, routes, errors; `python main.py` serves it."""

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Match, Route

import auth
import chat
import db
import documents
import exports
import notifications
import pages
import protocol
import questions
import sockets
from answers import error_response, may_fail, operation_id
from auth import Gatekeeper, Greeting
from bus import Bus
from deps import AllEngines, Engines, Rates
from envelope import CrashBoundary, Envelope, logger
from errors import BusyError, DatabaseUnavailableError, PagewireError, StartupError
from jobs import Jobs
from mail import Mailer
from messenger import Messenger
from observe import configure_logging
from pdf import PdfEngine
from pool import Database, OperationalError
from postgres import locate_database
from rates import RateLimiter
from receiving import PATHS_WITH_LARGE_BODIES
from settings import Settings, get_settings
from storage import Storage

VERSION = "0.1.0"
DESCRIPTION = "Accounts, a PDF library and live chat in one process."
CONNECT_SECONDS = 30.0  # for a database that is still starting when we do
# When the server stops: all in all less than ten seconds, which is what containers are given.
DRAIN_SECONDS = 2.0  # for sockets to close
REQUEST_SECONDS = 5.0  # for these and for requests to end
JOB_SECONDS = 2.0  # then, for mails and extractions
TAGS = [
    {"name": "app", "description": "Is it there?"},
    {"name": "accounts", "description": "Who is who, and tokens."},
    {"name": "documents", "description": "The PDF library."},
    {"name": "messages", "description": "Chat; live by WebSocket at `/ws/{user_id}`."},
    {"name": "notifications", "description": "E-mail to users."},
]
ROOMS = (auth, documents, questions, pages, exports, chat, sockets, notifications)
HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 408: "request_timeout", 413: "payload_too_large"}

# Opening and closing


@asynccontextmanager
async def open_engines(app: FastAPI, settings: Settings) -> AsyncIterator[Engines]:
    """Open everything in order, close it in reverse; what cannot be opened is a StartupError."""
    async with AsyncExitStack() as stack:
        app.state.gatekeeper = gatekeeper = Gatekeeper(settings)
        stack.callback(gatekeeper.close)

        location = locate_database(settings)
        server = location.server
        if server is not None:
            await asyncio.to_thread(server.ensure_started)
            stack.push_async_callback(asyncio.to_thread, server.release)
        database = Database(
            location.connect_kwargs, size=settings.db_pool_size, revive=server.ensure_started if server else None
        )
        stack.push_async_callback(database.close)
        await _reach(database, location.description)
        await db.apply_schema(database)

        storage = Storage(settings.upload_dir, mark=await db.get_installation_mark(database))
        storage.open()
        stack.callback(storage.close)
        engine = PdfEngine.from_settings(settings)
        engine.start()
        stack.push_async_callback(asyncio.to_thread, engine.close)
        mailer = Mailer(settings)
        bus = Bus(database)
        messenger = Messenger(database, bus)
        await messenger.start()
        stack.push_async_callback(messenger.close)
        jobs = Jobs(
            database,
            engine,
            storage,
            mailer,
            messenger,
            worker_id=bus.worker_id,
            mail_retry_seconds=settings.smtp_retry_seconds,
        )
        await jobs.start()
        stack.push_async_callback(jobs.close, seconds=JOB_SECONDS)

        logger.info("Pagewire %s", VERSION)
        logger.info("database: %s", location.description)
        logger.info("uploads:  %s (at most %d MB a file)", settings.upload_dir.absolute(), settings.max_upload_mb)
        logger.info("mail:     %s", f"by {settings.smtp_host}" if mailer.is_configured else "off, SMTP_HOST is not set")
        if settings.registration == "closed":
            logger.info("accounts: registration is closed")
        yield Engines(
            settings=settings,
            database=database,
            storage=storage,
            pdf=engine,
            jobs=jobs,
            bus=bus,
            messenger=messenger,
            limiter=RateLimiter(),
            rates=Rates(settings),
        )


async def _reach(database: Database, description: str) -> None:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            (await database.open_connection()).close()
    except TimeoutError:
        raise StartupError(f"{description} does not answer.") from None
    except OperationalError as error:
        raise StartupError(f"{description}: {' '.join(str(error).split())}") from None


@asynccontextmanager
async def lifespan(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    configure_logging(settings)
    async with open_engines(app, settings) as engines:
        app.state.engines = engines
        _collect_seldom()
        with _drain_before_exit(engines):
            yield


def _collect_seldom() -> None:
    """Look for cycles more seldom, and not among what is there for good: a tenth of chat's processor time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@contextlib.contextmanager
def _drain_before_exit(engines: Engines) -> Any:
    """On SIGTERM or SIGINT say goodbye to the sockets and refuse /readyz, then let the server go down as it would."""
    loop = asyncio.get_running_loop()
    servers_own: dict[int, Callable[[int, FrameType | None], Any]] = {}
    asked: set[int] = set()
    draining: list[asyncio.Task[None]] = []

    async def drain(number: int) -> None:
        began = loop.time()
        engines.draining = True
        engines.messenger.hub.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await engines.messenger.hub.wait_until_empty()
        _limit_wait(servers_own[number], REQUEST_SECONDS - (loop.time() - began))
        servers_own[number](number, None)

    def on_signal(number: int, frame: FrameType | None) -> None:
        if number in asked:  # twice: at once
            servers_own[number](number, frame)
        elif not asked:  # Ctrl-C reaches us directly, and again as its supervisor's SIGTERM
            loop.call_soon_threadsafe(lambda: draining.append(loop.create_task(drain(number))))
        asked.add(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        handler = signal.getsignal(number)
        if callable(handler):
            with contextlib.suppress(ValueError):  # not in the main thread: whoever runs us there stops us
                signal.signal(number, on_signal)
                servers_own[number] = handler
    try:
        yield
    finally:
        for signal_number, handler in servers_own.items():
            signal.signal(signal_number, handler)


def _limit_wait(handler: Callable[[int, FrameType | None], Any], seconds: float) -> None:
    """uvicorn waits for requests and readers for ever, unless the one who started it knew."""
    server = getattr(handler, "__self__", None)
    if isinstance(server, uvicorn.Server) and server.config.timeout_graceful_shutdown is None:
        server.config.timeout_graceful_shutdown = max(1, round(seconds))


# Errors


async def answer_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, PagewireError)
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return error_response(request.scope, error.status, error.code, error.detail, headers=headers)


async def answer_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = HTTP_CODES.get(error.status_code, "bad_request" if error.status_code < 500 else "internal_error")
    headers = dict(error.headers or {})
    if error.status_code == 405:  # the router names the methods of the first route of this path only
        headers["Allow"] = ", ".join(sorted(_methods_of(request)))
    return error_response(request.scope, error.status_code, code, error.detail, headers=headers)


def _methods_of(request: Request) -> set[str]:
    return {
        method
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }


async def answer_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    detail = [
        {"type": e["type"], "loc": e["loc"], "msg": e["msg"]} for e in error.errors()
    ]  # what was sent may be secret
    return error_response(request.scope, 422, "validation_error", detail)


# The app


def create_app(settings: Settings) -> FastAPI:
    app = FastAPI(
        title="Pagewire",
        version=VERSION,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # an unknown path is a 404; and a Location would be made of the Host header
        lifespan=partial(lifespan, settings=settings),
        generate_unique_id_function=operation_id,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.add_middleware(CrashBoundary)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_credentials=True,
        allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        allow_headers=["*"],
        expose_headers=["Content-Disposition", "ETag", "Location", "Retry-After", "X-Next-Cursor", "X-Request-ID"],
    )
    app.add_middleware(Envelope, max_upload_bytes=settings.max_upload_bytes, large_bodies=PATHS_WITH_LARGE_BODIES)
    app.add_exception_handler(PagewireError, answer_error)
    app.add_exception_handler(HTTPException, answer_http_exception)
    app.add_exception_handler(RequestValidationError, answer_validation_error)
    for room in ROOMS:  # not include_router: it matches each path twice (25 µs)
        app.router.routes.extend(room.router.routes)
    app.mount("/docs/assets", StaticFiles(packages=[("fastapi_swagger", "resources")]))

    @app.get("/", tags=["app"], summary="A welcome")
    async def read_root() -> Greeting:
        return Greeting(message="Welcome to the API")

    @app.get("/docs", include_in_schema=False)
    async def read_docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="Pagewire",
            swagger_js_url="/docs/assets/swagger-ui-bundle.js",
            swagger_css_url="/docs/assets/swagger-ui.css",
            swagger_favicon_url="/docs/assets/favicon-32x32.png",
        )

    @app.get("/healthz", tags=["app"], summary="Is the process alive?")
    async def read_health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", tags=["app"], summary="Can it serve?", responses=may_fail(BusyError, DatabaseUnavailableError))
    async def read_readiness(engines: AllEngines) -> dict[str, str]:
        """The database, the upload folder and the other processes answer, and the server is not about to stop."""
        if engines.draining:
            raise BusyError("The server is stopping.", retry_after=10)
        await db.ping(engines.database)
        await engines.storage.ping()
        if not engines.bus.is_connected:
            raise BusyError("The connection to the other processes is lost; it is looked for.", retry_after=2)
        return {"status": "ok", "database": "ok", "storage": "ok", "bus": "ok"}

    return app


def __getattr__(name: str) -> FastAPI:
    """`main:app`, made when a server first asks for it, so that importing this file needs nothing."""
    if name != "app":
        raise AttributeError(name)
    try:
        globals()["app"] = app = create_app(get_settings())
    except StartupError as error:
        print(error.detail, file=sys.stderr)  # noqa: T201
        raise SystemExit(3) from None  # uvicorn's code for "could not start": its supervisors do not try again
    return app


def serve() -> None:
    """Run Pagewire under uvicorn, with the limits that only the server itself can keep."""
    from server import BoundedHttpProtocol, BoundedWebSocketProtocol  # they need uvicorn's C parser; others do not

    app = __getattr__("app")
    settings = get_settings()
    configure_logging(settings)
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        http=BoundedHttpProtocol,
        ws=BoundedWebSocketProtocol,
        ws_max_size=protocol.MAX_FRAME_BYTES,
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        server_header=False,
        workers=1,  # not WEB_CONCURRENCY's: uvicorn would want to import the app by its name
    )


if __name__ == "__main__":
    serve()
