"""The real thing for every test: one PostgreSQL for the run, one server a worker, and people."""

import asyncio
import contextlib
import gc
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import certifi
import httpx
import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from pdf import PdfEngine
from postgres.embedded import EmbeddedServer
from postgres.postmaster import OPTIONS
from postgres.roles import APPLICATION
from support.databases import EMPTY, TestDatabase
from support.documents import documents_of, locked
from support.engines import FileReader, Run, open_engine
from support.mail import MailServer
from support.pdfs import make_book, make_pdf
from support.servers import WAIT_SECONDS, Person, Server, register, wait_until
from support.stores import S3Server, run_s3_server
from support.tabs import SECRET_KEY

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from support.browser import Visit
    from support.redis import RedisServer

TESTS = Path(__file__).parent
MEMORY = Path("/dev/shm")  # a file system in memory, where Linux has one
MEMORY_BYTES = 4 << 30  # free in it; a run needs a quarter of that

SLOW = [  # modules that take most of a run's time, the longest first
    "test_hostile",
    "test_running",
    "test_pdf_costs",
    "messages/test_put_back",
    "test_faults",
    "test_openapi",
    "documents/test_celery",
    "edge/test_deadlines",
    "upkeep/test_backup",
    "documents/test_readings",
    "postgres/test_embedded",
    "documents/test_s3",
    "upkeep/test_moving",
    "test_cables",
    "test_pdf",
    "documents/test_rabbitmq",
    "test_chaos",
    "test_chaos_machines",
]
AT_ONCE = 80  # tests of a slow module that one worker takes

_database_numbers = count(1)


def pytest_configure(config: pytest.Config) -> None:
    """Give the run a folder for its files, in memory if there is room: on a disk, a database costs ten times more."""
    gc.disable()  # what is imported and collected stays
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    if gone := [name for name in SLOW if not (TESTS / f"{name}.py").exists()]:
        raise pytest.UsageError(f"SLOW in tests/conftest.py names {', '.join(gone)}")
    in_memory = "TMPDIR" not in os.environ and _has_room(MEMORY)
    folder = tempfile.mkdtemp(prefix="pagewire-", dir=MEMORY if in_memory else None)
    Path(folder).chmod(0o711)  # PostgreSQL's user may enter
    os.environ["TMPDIR"] = tempfile.tempdir = folder  # for the processes that it starts, and for itself
    os.environ["SSL_CERT_FILE"] = _write_one_authority(folder)
    config.add_cleanup(partial(shutil.rmtree, folder, ignore_errors=True))


def _write_one_authority(folder: str) -> str:
    """Write a file with one of the authorities that httpx trusts: it reads all of them for each client, in 40 ms."""
    first, end, _ = Path(certifi.where()).read_text().partition("-----END CERTIFICATE-----\n")
    file = Path(folder, "authority.pem")
    file.write_text(first + end)
    return str(file)


def _has_room(folder: Path) -> bool:
    try:
        state = os.statvfs(folder)
    except OSError:
        return False
    return state.f_bavail * state.f_frsize >= MEMORY_BYTES and not state.f_flag & os.ST_NOEXEC


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each worker begin with slow modules, so that they run beside each other and quick tests end the run.

    With --dist worksteal, each worker is given an equal share of the tests, in order.
    """
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    slow: dict[str, list[pytest.Item]] = {name: [] for name in SLOW}
    quick: deque[pytest.Item] = deque()
    for item in items:
        name = str(item.path.relative_to(TESTS).with_suffix(""))
        slow.get(name, quick).append(item)
    parts = [each[first : first + AT_ONCE] for each in slow.values() for first in range(0, len(each), AT_ONCE)]
    left, ordered = len(items), []
    for worker in range(count):
        share = [item for part in parts[worker::count] for item in part]
        size = left // (count - worker)
        share += [quick.popleft() for _ in range(min(size - len(share), len(quick)))]
        left -= size
        ordered += share
    items[:] = [*ordered, *quick]


def pytest_collection_finish() -> None:
    """Let no collection of garbage look through all tests again: that took a fifth of a worker's time."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedServer]:
    """One PostgreSQL for every worker of the run; the last one out stops it."""
    embedded = EmbeddedServer(Path(tempfile.gettempdir()) / "pg")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(OPTIONS, "max_connections", "500")  # of all the servers that the workers keep
        patch.setitem(OPTIONS, "fsync", "off")  # nobody cuts the power; what kills PostgreSQL has one of its own
        embedded.ensure_started()
    yield embedded
    embedded.release()


@pytest.fixture(scope="session")
def make_database(postgres: EmbeddedServer) -> Callable[..., TestDatabase]:
    def create(options: str) -> TestDatabase:
        name = f"test_{os.getpid()}_{next(_database_numbers)}"
        with contextlib.closing(psycopg2.connect(make_dsn(**postgres.superuser_kwargs))) as connection:
            connection.autocommit = True
            connection.cursor().execute(f"CREATE DATABASE {name} OWNER {APPLICATION} STRATEGY file_copy {options}")
        return TestDatabase({**postgres.connect_kwargs, "dbname": name}, {**postgres.superuser_kwargs, "dbname": name})

    template = create(EMPTY)
    with ThreadPoolExecutor(1) as thread:  # in this one, a browser's loop may run
        thread.submit(asyncio.run, template.update()).result()

    def make(options: str = "") -> TestDatabase:
        """One with our schema, as a first start leaves it; or without, with *options* as CREATE DATABASE has them."""
        if options:
            return create(options)
        copy = create(f"TEMPLATE {template.keywords['dbname']}")
        copy.query("DELETE FROM installation; INSERT INTO installation DEFAULT VALUES")  # it is no other's twin
        return copy

    return make


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    with run_s3_server() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator["RedisServer"]:
    """One Redis for each worker of the run; who breaks it mends it."""
    from support.redis import RedisServer  # here: most workers need none

    started = RedisServer().start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def own_redis() -> Iterator["RedisServer"]:
    """One for tests that break it."""
    from support.redis import RedisServer  # here: most workers need none

    started = RedisServer().start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def own_database(make_database: Callable[[], TestDatabase]) -> TestDatabase:
    """One for the servers of a module."""
    return make_database()


@pytest.fixture(scope="session")
def run() -> Iterator[Run]:
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture(scope="session")
def engine() -> Iterator[PdfEngine]:
    """An engine takes half a second of processor time to start: most tests share one."""
    with open_engine() as opened:
        yield opened


@pytest.fixture(scope="session")
def reader(engine: PdfEngine, run: Run, tmp_path_factory: pytest.TempPathFactory) -> FileReader:
    """Reads PDFs that are given as bytes."""
    return FileReader(engine, run, tmp_path_factory.mktemp("pdfs"))


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def tables(make_database: Callable[[], TestDatabase]) -> TestDatabase:
    """A database with our schema, and no server on it."""
    return make_database()


@pytest.fixture(scope="session")
def database(make_database: Callable[[], TestDatabase]) -> TestDatabase:
    """The database of the shared server."""
    return make_database()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, database: TestDatabase) -> Iterator[Server]:
    """The server that most tests share; its first account, the admin, is nobody's."""
    shared = Server(tmp_path_factory.mktemp("server"), database.url).start()
    register(shared, "admin")
    yield shared
    shared.stop()


@pytest.fixture
def make_server(tmp_path: Path, make_database: Callable[[], TestDatabase]) -> Iterator[Callable[..., Server]]:
    """Servers of the test's own, each with a database of its own unless given one; ended with the test."""
    servers: list[Server] = []

    def make(folder: str = "server", database: TestDatabase | None = None, **environment: str) -> Server:
        made = Server(tmp_path / folder, (database or make_database()).url, **environment)
        servers.append(made)
        return made

    yield make
    for made in servers:
        made.kill()


@pytest.fixture(scope="session")
def hello() -> bytes:
    return make_pdf("Hello world\nfrom the first page", "and the second", title="A greeting")


@pytest.fixture
def processing(alice: Person, database: TestDatabase, hello: bytes) -> Iterator[int]:
    """A document of alice's that is still processing."""
    with ThreadPoolExecutor(1) as threads:
        with locked(database, "pages"):
            upload = threads.submit(alice.upload, hello)
            wait_until(lambda: documents_of(alice))
            yield documents_of(alice)[0]
        upload.result(WAIT_SECONDS)


@pytest.fixture
def nothing_is_left(server: Server, database: TestDatabase) -> Iterator[None]:
    """After the test there are the files and documents that there were before."""

    def find() -> tuple[list[str], list[tuple[Any, ...]]]:
        return server.files(), database.query("SELECT id FROM documents ORDER BY id")  # others' may still be extracted

    before = find()
    yield
    assert find() == before


@pytest.fixture(scope="module")
def post_office() -> Iterator[MailServer]:
    mail_server = MailServer().start()
    yield mail_server
    mail_server.stop()


@pytest.fixture
def mail_server() -> Iterator[Callable[..., MailServer]]:
    """Mail servers of the test's own."""
    with contextlib.ExitStack() as stack:

        def make(**options: Any) -> MailServer:
            made = MailServer(**options).start()
            stack.callback(made.stop)
            return made

        yield make


@pytest.fixture(scope="module")
def mail_database(make_database: Callable[[], TestDatabase]) -> TestDatabase:
    return make_database()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as open_client:
        yield open_client


@pytest.fixture
def alice(server: Server) -> Person:
    return register(server, "alice")


@pytest.fixture
def bob(server: Server) -> Person:
    return register(server, "bob")


@pytest.fixture
def carol(server: Server) -> Person:
    return register(server, "carol")


# Two nodes


@pytest.fixture(scope="session")
def shared(make_database: Callable[[], TestDatabase]) -> TestDatabase:
    """The database of two nodes."""
    return make_database()


@pytest.fixture(scope="session")
def here(tmp_path_factory: pytest.TempPathFactory, shared: TestDatabase) -> Iterator[Server]:
    """A node of an installation with two; a file whose people live on it makes it its `server`."""
    node = Server(tmp_path_factory.mktemp("here"), shared.url, SECRET_KEY=SECRET_KEY).start()
    register(node, "admin")
    yield node
    node.stop()


@pytest.fixture(scope="session")
def there(tmp_path_factory: pytest.TempPathFactory, shared: TestDatabase, here: Server) -> Iterator[Server]:
    """The other node, on the same database."""
    node = Server(tmp_path_factory.mktemp("there"), shared.url, SECRET_KEY=SECRET_KEY).start()
    yield node
    node.stop()


@pytest.fixture
def admin(alice: Person, shared: TestDatabase) -> Person:
    """Alice, made an admin of the two nodes."""
    shared.query("UPDATE users SET is_admin = true WHERE id = %s", alice.id)
    return alice


@pytest.fixture(scope="module")
def shared_alice(server: Server) -> Person:
    """One alice for the tests of a file that change nothing."""
    return register(server, "alice")


# Browsers (make test-web)


@pytest.fixture(scope="session")
def chromium() -> Iterator["Browser"]:
    from support.browser import running_chromium  # here: the other tests need no Playwright

    with running_chromium() as browser:
        yield browser


@pytest.fixture
def visit(chromium: "Browser", server: Server) -> Iterator["Visit"]:
    """Visitors of the client; nothing may go wrong in their pages."""
    from support.browser import visitors

    with visitors(chromium, server) as make:
        yield make


@pytest.fixture
def empty_server(make_server: Callable[..., Server]) -> Server:
    """A server without an account."""
    return make_server().start()


@pytest.fixture
def book(alice: Person) -> int:
    """A document of alice's with twelve pages."""
    document_id: int = alice.upload(make_book(12), "Book.pdf").json()["document_id"]
    return document_id


@pytest.fixture(scope="module")
def module_people(server: Server) -> tuple[Person, Person]:
    return register(server, "amelia"), register(server, "ben")
