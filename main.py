"""The wiring: settings in, engines opened and closed in order, routes, errors; `python main.py` serves them."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.middleware.cors import CORSMiddleware

import db
from accounts import administration, audit, keys, me, notifications, sessions
from accounts import routes as accounts
from accounts.audit_trail import AuditTrail
from accounts.commands import COMMANDS as ACCOUNT_COMMANDS
from accounts.commands import run_command as run_account_command
from accounts.installation import Installation
from accounts.people import People
from accounts.queries import account_exists
from accounts.sign_ins import SignIns
from auth import Gatekeeper
from db import Database, OperationalError
from delivery import polling
from delivery.bus import Bus
from delivery.feed import Feed
from delivery.outbox import Outbox
from delivery.protocol import ABSURD_FRAME_BYTES
from delivery.queries import get_line
from delivery.smtp import Mailer
from documents import pages, questions, sharing, tables
from documents import routes as documents
from documents.library import Library
from documents.passwords import FilePasswords
from documents.quotas import Quotas
from documents.readings import LocalReadings, Readings
from documents.storage import Storage
from documents.stores import make_storage
from edge import health, metrics
from edge.answers import add_error_handlers, operation_id, routes_for_head
from edge.browsers import SessionCookie
from edge.client import Client
from edge.connections import raise_descriptor_limit
from edge.draining import drain_before_exit, find_server
from edge.engines import Engines
from edge.envelope import CrashBoundary, Envelope, logger
from edge.forms import list_paths_with_files
from edge.health import Readiness
from edge.hosts import Hosts
from edge.limits import Counter, RateLimits
from edge.logs import configure_logging
from edge.metrics import Level, Metrics
from edge.shared_limits import SharedHits
from edge.tracing import describe_telemetry
from errors import BusyError, DatabaseUnavailableError, PagewireError, StartupError
from extraction.recent import SharedAnswers
from messages import boot, sockets
from messages import routes as messages
from messages.messenger import Messenger
from messages.presence import Presence
from pdf import REMEMBERED_SECONDS, PdfEngine
from postgres.location import DatabaseLocation, locate_database
from postgres.opening import opened_database, warn_of_other_roles
from postgres.queries import get_installation_mark
from search import routes as search
from search.finder import Finder
from search.indexer import Indexer
from search.vocabulary import Vocabulary
from settings import Settings, get_settings, readable_by_others

if TYPE_CHECKING:
    from delivery.task_queue import TaskQueue
    from edge.redis_client import RedisClient

VERSION = "0.1.0"
KEEP_ALIVE_SECONDS = 75  # longer than clients keep an idle connection: else a request may meet its end
DESCRIPTION = "Accounts, a PDF library and live chat in one process."
TAGS = [
    {"name": "app", "description": "Welcome and health."},
    {"name": "accounts", "description": "Registration, sign-in and access tokens."},
    {"name": "sessions", "description": "Where one is signed in; the browser's cookie."},
    {"name": "documents", "description": "The PDF library."},
    {"name": "search", "description": "One search over pages and messages."},
    {"name": "messages", "description": "Chat; live by WebSocket at `/ws/{user_id}`."},
    {"name": "notifications", "description": "E-mail to users."},
]
ROUTERS = (
    health.router,
    metrics.router,
    accounts.router,
    me.router,
    sessions.router,
    keys.router,
    administration.router,
    audit.router,
    boot.router,
    documents.router,
    sharing.router,
    questions.router,
    pages.router,
    tables.router,
    search.router,
    messages.router,
    sockets.router,
    polling.router,
    notifications.router,
)
ROUTES = [route for router in ROUTERS for route in router.routes]
ROUTES += routes_for_head(ROUTES)  # at the end, where a GET is not compared with them


# Opening and closing


@asynccontextmanager
async def open_engines(settings: Settings) -> AsyncIterator[Engines]:
    """Open everything in order, and close it in reverse.

    Raises:
        StartupError: if something cannot be opened.
    """
    async with AsyncExitStack() as stack:
        location = locate_database(settings)
        database = await stack.enter_async_context(opened_database(location, size=settings.db_pool_size))

        if location.server is None:
            await warn_of_other_roles(database)
        mark = await get_installation_mark(database)
        redis = await stack.enter_async_context(open_redis(settings, database))
        gatekeeper = Gatekeeper(settings, mark=mark)
        stack.callback(gatekeeper.close)
        installation = Installation(gatekeeper, mark=mark, version=VERSION)
        storage = make_storage(settings.storage, settings, mark=mark)
        await asyncio.to_thread(storage.open)
        stack.callback(storage.close)
        engine = PdfEngine.from_settings(settings, shared=_share_answers(gatekeeper, redis))
        if settings.celery_broker_url is None:
            engine.start()  # else with the first picture or search
        stack.push_async_callback(asyncio.to_thread, engine.close)
        mailer = Mailer(settings)
        bus = make_bus(database, redis)
        hits = _share_limits(gatekeeper, database, redis)
        limits = RateLimits(settings, shared=hits, has_other_nodes=bus.has_other_nodes)
        feed = Feed(database, bus)
        presence = Presence(database, feed, bus)
        messenger = Messenger(database, feed, bus, presence, limits)
        sign_ins = SignIns(settings, gatekeeper, database, feed)
        audit_trail = AuditTrail(settings, database)
        tasks = open_tasks(settings)
        if tasks is not None:
            tasks.start()
            stack.push_async_callback(asyncio.to_thread, tasks.close)
        outbox = _make_outbox(settings, database, mailer, bus, tasks)
        quotas = Quotas(settings)
        passwords = FilePasswords.of_installation(gatekeeper)
        await passwords.seal_older(database)
        readings: Readings
        if tasks is None:
            readings = LocalReadings(database, engine, storage, feed, quotas, passwords)
        else:
            from documents.remote_readings import RemoteReadings

            readings = RemoteReadings(database, storage, feed, tasks)
        library = Library(database, storage, readings, feed, messenger, quotas, passwords)
        farewells = (library.forget_person, messenger.forget_person)
        people = People(settings, gatekeeper, database, feed, sign_ins, outbox, audit_trail, farewells)
        vocabulary = Vocabulary()
        indexer = Indexer(database, engine, vocabulary)
        bus.on_settled(outbox.look)
        await bus.start()
        stack.push_async_callback(bus.close)
        feed.start()
        stack.push_async_callback(feed.close)
        presence.start()
        stack.push_async_callback(presence.close)
        messenger.start()
        stack.push_async_callback(messenger.close)
        sign_ins.start()
        stack.push_async_callback(sign_ins.close)
        stack.push_async_callback(people.close)
        limits.start()
        stack.push_async_callback(limits.close)
        audit_trail.start()
        stack.push_async_callback(audit_trail.close)
        stack.push_async_callback(_close_together, outbox.close, readings.close, library.close, indexer.close)
        outbox.start()
        await readings.start()
        indexer.start()
        figures = Metrics(settings, _list_levels(feed, messenger, database, engine, readings, storage))
        figures.start()
        stack.push_async_callback(figures.close)

        _log_start(settings, location, storage)
        if not await account_exists(database):
            code = installation.setup_code
            logger.info("accounts: none yet; make the first one on this machine, or with the setup code %s", code)
        yield Engines(
            settings,
            gatekeeper,
            installation,
            SessionCookie(mark),
            sign_ins,
            people,
            audit_trail,
            database,
            storage,
            engine,
            feed,
            presence,
            messenger,
            outbox,
            library,
            quotas,
            Finder(database, vocabulary),
            indexer,
            limits,
            figures,
            Readiness({"database": partial(db.ping, database), "storage": storage.ping, "bus": bus.ping}),
        )


def _list_levels(
    feed: Feed, messenger: Messenger, database: Database, engine: PdfEngine, readings: Readings, storage: Storage
) -> dict[str, Level]:
    """What /metrics asks the engines for."""
    return {
        "pagewire_sockets": Level("Open sockets and long polls.", feed.connections.count),
        "pagewire_messages_queued": Level("Messages that wait to be stored.", lambda: messenger.queued),
        "pagewire_database_callers": Level("Callers that hold or await a connection.", lambda: database.callers),
        "pagewire_pdf_tasks_waiting": Level("Tasks that wait for a PDF process.", lambda: engine.waiting),
        "pagewire_extractions": Level("Extractions under way or waiting.", lambda: readings.count),
        "pagewire_storage_free_bytes": Level(
            "Free space on the disk of the uploads, or of what is fetched from S3.", storage.free_bytes
        ),
    }


async def _close_together(*closing: Callable[[], Awaitable[None]]) -> None:
    """Close engines that wait for what they have under way: at the same time, since the server has to end in time."""
    await asyncio.gather(*(close() for close in closing))


@asynccontextmanager
async def open_redis(settings: Settings, database: Database) -> AsyncIterator["RedisClient | None"]:
    if settings.redis_url is None:
        yield None
        return
    from edge.redis_client import RedisClient  # here: a server without Redis does not load its client

    client = RedisClient(settings.redis_url.get_secret_value(), prefix=(await get_line(database)).channel)
    try:
        yield client
    finally:
        await client.close()


def _share_answers(gatekeeper: Gatekeeper, redis: "RedisClient | None") -> SharedAnswers | None:
    if redis is None:
        return None
    from edge.redis_answers import RedisAnswers

    secret = gatekeeper.tokens.derive_secret("remembered answers", "")
    return RedisAnswers(redis, secret=secret, seconds=REMEMBERED_SECONDS)


def _share_limits(gatekeeper: Gatekeeper, database: Database, redis: "RedisClient | None") -> Counter:
    hide = partial(gatekeeper.tokens.derive_secret, "rate limits")
    if redis is None:
        return SharedHits(database, hide=hide)
    from edge.redis_limits import RedisHits

    return RedisHits(redis, hide=hide)


def open_tasks(settings: Settings) -> "TaskQueue | None":
    if settings.celery_broker_url is None:
        return None
    from delivery.task_queue import TaskQueue

    return TaskQueue(settings.celery_broker_url.get_secret_value())


def _make_outbox(settings: Settings, database: Database, mailer: Mailer, bus: Bus, tasks: "TaskQueue | None") -> Outbox:
    retry_seconds = settings.smtp_retry_seconds
    if tasks is None:
        return Outbox(database, mailer, node_id=bus.node_id, retry_seconds=retry_seconds)
    from delivery.remote_outbox import RemoteOutbox

    return RemoteOutbox(database, mailer, tasks, node_id=bus.node_id, retry_seconds=retry_seconds)


def make_bus(database: Database, redis: "RedisClient | None") -> Bus:
    if redis is None:
        return Bus(database)
    from delivery.redis_bus import RedisBus

    return RedisBus(database, redis)


def _log_start(settings: Settings, location: DatabaseLocation, storage: Storage) -> None:
    logger.info("Pagewire %s", VERSION)
    logger.info("database: %s", location.description)
    logger.info("uploads:  %s (at most %d MB a file)", storage.description, settings.max_upload_mb)
    if settings.redis_url is not None:
        logger.info("events:   between servers over Redis")
    if settings.celery_broker_url is not None:
        logger.info("tasks:    Celery workers extract documents and send e-mails")
    logger.info("mail:     %s", f"by {settings.smtp_host}" if settings.smtp_host else "off, SMTP_HOST is not set")
    if (path := readable_by_others(Path(".env"))) is not None:
        logger.warning("%s holds secrets, and others on this machine may read it: chmod 600 %s", path, path)
    if settings.registration == "closed":
        logger.info("accounts: registration is closed")


@asynccontextmanager
async def lifespan(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    configure_logging(settings)
    async with AsyncExitStack() as stack:
        with _named_if_lost():
            engines = await stack.enter_async_context(open_engines(settings))
        app.state.engines = engines
        _collect_less()
        _limit_server(settings)
        with drain_before_exit(engines[Readiness], engines[Feed].connections):
            yield


def _limit_server(settings: Settings) -> None:
    if (server := find_server()) is None:
        raise_descriptor_limit()
        return
    from edge.uvicorn import limit_server  # here: the app alone needs no httptools

    limit_server(server, connections_each=settings.connections_per_network, frame_bytes=ABSURD_FRAME_BYTES)


@contextmanager
def _named_if_lost() -> Iterator[None]:
    """A database that is lost in the middle of the start ends it with one line, too."""
    try:
        yield
    except (DatabaseUnavailableError, BusyError, OperationalError, TimeoutError) as error:
        reason = " ".join(str(error.__cause__ or error).split()) or "no answer in time"
        raise StartupError(f"the database was lost during the start: {reason}") from error


def _collect_less() -> None:
    """Collect garbage less often, and never scan what stays for good: saves a tenth of chat's CPU time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


# The app


def create_app(settings: Settings) -> FastAPI:
    app = FastAPI(
        title="Pagewire",
        version=VERSION,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # an unknown path is a 404, and a Location would come from the Host header
        lifespan=partial(lifespan, settings=settings),
        generate_unique_id_function=operation_id,
        telemetry=describe_telemetry(),
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
    app.add_middleware(
        Envelope,
        hosts=Hosts(settings),
        max_upload_bytes=settings.max_upload_bytes,
        large_bodies=list_paths_with_files(ROUTES),
    )
    add_error_handlers(app)
    app.router.routes.extend(ROUTES)  # not include_router: it matches each path twice (25 µs)
    app.mount("/app", Client())
    app.mount("/docs/assets", StaticFiles(packages=[("fastapi_swagger", "resources")]))
    return app


def __getattr__(name: str) -> FastAPI:
    """`main:app`, created when a server first asks for it, so that importing this file needs nothing."""
    if name != "app":
        raise AttributeError(name)
    globals()["app"] = app = _create_app_or_exit()
    return app


def _create_app_or_exit() -> FastAPI:
    try:
        return create_app(get_settings())
    except StartupError as error:
        print(error.detail, file=sys.stderr)  # noqa: T201
        raise SystemExit(3) from None  # uvicorn's code for "could not start": its supervisors do not retry


def serve() -> None:
    """Run Pagewire under uvicorn, with the limits that only the server can enforce."""
    from edge.uvicorn import BoundedHttpProtocol, BoundedWebSocketProtocol, count_connections

    app = _create_app_or_exit()
    settings = get_settings()
    configure_logging(settings)
    reserve = count_connections(each=settings.connections_per_network)
    uvicorn.run(
        app,
        backlog=reserve // 2,  # so many are accepted before the first of them is counted
        host=settings.host,
        port=settings.port,
        http=BoundedHttpProtocol,
        ws=BoundedWebSocketProtocol,
        ws_max_size=ABSURD_FRAME_BYTES,
        ws_per_message_deflate=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        log_config=None,
        access_log=False,
        server_header=False,
        workers=1,  # ignore WEB_CONCURRENCY: for more, uvicorn must import the app by name
    )


def command(words: list[str]) -> None:
    """A command for who runs the server: what it did goes to standard output, why it could not to standard error."""
    from upkeep.commands import COMMANDS as UPKEEP_COMMANDS  # here: a server needs none of it
    from upkeep.commands import run_command as run_upkeep

    commands = {**dict.fromkeys(ACCOUNT_COMMANDS, "EMAIL"), **UPKEEP_COMMANDS}
    if len(words) != 2 or words[0] not in commands:
        usage = " | ".join(f"{name} {what}" for name, what in commands.items())
        print(f"usage: python main.py [{usage}]", file=sys.stderr)  # noqa: T201
        raise SystemExit(2)

    async def run() -> str:
        settings = get_settings()
        location = locate_database(settings)
        if words[0] in UPKEEP_COMMANDS:
            return await run_upkeep(settings, location, version=VERSION, command=words[0], argument=words[1])
        base = settings.public_url or f"http://{settings.host}:{settings.port}"
        async with opened_database(location, size=2) as database:
            return await run_account_command(database, base=base, command=words[0], email=words[1])

    try:
        print(asyncio.run(run()))  # noqa: T201
    except (PagewireError, StartupError) as error:
        print(error.detail, file=sys.stderr)  # noqa: T201
        raise SystemExit(3) from None


if __name__ == "__main__":
    command(sys.argv[1:]) if sys.argv[1:] else serve()
