"""Answers about PDFs that several nodes remember together, in Redis."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from edge.redis_answers import RedisAnswers
from edge.redis_client import RedisClient
from errors import BusyError
from pdf import PdfEngine, PdfFile
from support.engines import save_pdf
from support.pdfs import make_pdf
from support.redis import RedisServer
from support.servers import WAIT_SECONDS, wait_until

pytestmark = pytest.mark.anyio

SHA256 = "5" * 64
ASK = {
    "search": lambda engine, file: engine.search(file, "world"),
    "inspection": lambda engine, file: engine.inspect(file),
    "picture": lambda engine, file: engine.render_page(file, 1, width=100, image_format="png"),
    "extraction": lambda engine, file: engine.extract_json(file),
}


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[RedisClient]:
    redis_server.ask("FLUSHALL")
    opened = RedisClient(redis_server.url, prefix="pagewire_test")
    yield opened
    await opened.close()


@pytest.fixture
def answers(client: RedisClient) -> RedisAnswers:
    return RedisAnswers(client, secret="a secret", seconds=60)


@pytest.fixture
def make_engine(answers: RedisAnswers) -> Iterator[Callable[[], PdfEngine]]:
    with ExitStack() as stack:

        def make() -> PdfEngine:
            limits: dict[str, Any] = {"deadline_seconds": 20, "cpu_seconds": 20, "memory_bytes": 600 << 20}
            engine = PdfEngine(workers=1, max_pages=100, shared=answers, **limits)
            stack.callback(engine.close)
            return engine

        yield make


@pytest.fixture
def file(tmp_path: Path) -> PdfFile:
    return save_pdf(tmp_path, make_pdf("Hello world", title="Greeting"), sha256=SHA256, user_id=7)


@pytest.mark.parametrize("what", sorted(ASK))
async def test_another_node_knows_the_answer_without_a_worker(
    make_engine: Callable[[], PdfEngine], file: PdfFile, redis_server: RedisServer, what: str
) -> None:
    answer = await ASK[what](make_engine(), file)
    await wait_for_answers(redis_server)
    without_workers = make_engine()
    without_workers.close()

    assert await ask_until_found(lambda: ASK[what](without_workers, file)) == answer


async def test_nobody_gets_an_answer_that_is_kept_for_somebody_else(
    make_engine: Callable[[], PdfEngine], file: PdfFile, redis_server: RedisServer
) -> None:
    await make_engine().search(file, "world")
    await wait_for_answers(redis_server)
    without_workers = make_engine()
    without_workers.close()

    with pytest.raises(BusyError):
        await without_workers.search(file._replace(user_id=8), "world")


async def test_a_forged_answer_is_none(answers: RedisAnswers, redis_server: RedisServer) -> None:
    key = (SHA256, None, "search")
    answers.keep(key, b"true")
    await wait_for_answers(redis_server)
    assert await answers.find(key) == b"true"
    (name,) = redis_server.ask("KEYS", "*")

    for forged in (b"", b"false", redis_server.ask("GET", name)[:16] + b"false"):
        redis_server.ask("SET", name, forged)

        assert await answers.find(key) is None


async def test_neither_password_nor_hash_can_be_read_in_redis(answers: RedisAnswers, redis_server: RedisServer) -> None:
    answers.keep((SHA256, "a password", "search"), b"true")
    await wait_for_answers(redis_server)

    (name,) = redis_server.ask("KEYS", "*")
    assert b"password" not in name
    assert SHA256.encode() not in name


async def test_an_answer_is_forgotten_in_time(answers: RedisAnswers, redis_server: RedisServer) -> None:
    answers.keep((SHA256, None, "search"), b"true")
    await wait_for_answers(redis_server)

    (name,) = redis_server.ask("KEYS", "*")
    assert 0 < redis_server.ask("PTTL", name) <= 60_000


async def wait_for_answers(redis_server: RedisServer) -> None:
    await asyncio.to_thread(wait_until, lambda: redis_server.ask("DBSIZE"))


async def ask_until_found(ask: Callable[[], Awaitable[Any]]) -> Any:
    """Redis that is slow to answer is taken as away for a moment: on a busy machine it is asked again."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            with suppress(BusyError):
                return await ask()
            await asyncio.sleep(0.05)
