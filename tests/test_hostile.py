"""Hostile files by every route: each is read or clearly refused, and no one else notices."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import httpx
import pytest

from support.databases import TestDatabase
from support.hostile import HOSTILE, make_hostile
from support.outages import children_of
from support.pdfs import make_table_pdf
from support.reference_client import ReferenceClient
from support.servers import WAIT_SECONDS, Person, Server, register, wait_until

WORKERS = 6  # so that a file keeps no other waiting
PROCESSES = 2  # of the engine while it is idle: the one that forks workers, and the next worker
GOOD = make_table_pdf([["a neighbour's", "table"], ["1", "2"]])
QUESTIONS = ("/pdf-info", "/search-pdf?search_term=e", "/extract", "/extract/tables?format=xlsx")
PARTS = (
    "",
    "/text",
    "/pages/1?words=true",
    "/pages/1/image?width=200",
    "/pages/1/image?q=e&format=webp",
    "/tables",
    "/tables?merge=true",
    "/tables/0.csv",
    "/tables.xlsx",
    "/search?q=e",
    "/file",
)


class Conversation:
    """Two people who keep writing to each other over v2 sockets; a context manager."""

    def __init__(self, alice: Person, bob: Person) -> None:
        self._people = (alice, bob)
        self._clients = {person.id: ReferenceClient(person.token, lambda: alice.server.url) for person in self._people}
        self._acknowledged: dict[int, set[int]] = {person.id: set() for person in self._people}  # ids by recipient
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        alice, bob = self._people
        work = [*(client.run() for client in self._clients.values()), self._talk(alice, bob), self._talk(bob, alice)]
        self._thread.start()
        self._tasks = [asyncio.run_coroutine_threadsafe(each, self._loop) for each in work]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(WAIT_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _talk(self, sender: Person, recipient: Person) -> None:
        client = self._clients[sender.id]
        await client.wait_for(lambda: any(frame["type"] == "ready" for frame in client.others))
        while True:
            answer = await client.ask(recipient_id=recipient.id, content="Did you notice anything?")
            assert answer["type"] == "ack", answer
            self._acknowledged[recipient.id].add(answer["id"])
            await asyncio.sleep(0.1)  # the pace of the conversation

    def catch_up(self) -> None:
        """Return when both have received what was acknowledged so far, and something new."""
        for task in self._tasks:
            assert not task.done(), task.exception()
        asyncio.run_coroutine_threadsafe(self._receive_all(), self._loop).result(WAIT_SECONDS)

    async def _receive_all(self) -> None:
        await asyncio.gather(*map(self._receive, self._people))

    async def _receive(self, person: Person) -> None:
        client, expected = self._clients[person.id], set(self._acknowledged[person.id])
        count = len(client.inbox.frames)
        await client.wait_for(lambda: len(client.inbox.frames) > count)
        await client.wait_for(lambda: expected <= {frame["id"] for frame in client.inbox.frames})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, make_database: Callable[[], TestDatabase]) -> Iterator[Server]:
    """A server with little processor time for PDFs."""
    folder = tmp_path_factory.mktemp("besieged")
    (folder / "temporary").mkdir()
    besieged = Server(
        folder,
        make_database().url,
        TMPDIR=str(folder / "temporary"),
        PDF_WORKERS=str(WORKERS),
        PDF_OPENING_SECONDS="0.25",
        PDF_CPU_SECONDS="0.5",
        PDF_MEMORY_MB="128",
    ).start()
    yield besieged
    besieged.stop()


@pytest.fixture(scope="module")
def mallory(server: Server) -> Person:
    return register(server, "mallory")


@pytest.fixture(scope="module")
def neighbour(server: Server) -> Person:
    return register(server, "carol")


@pytest.fixture(scope="module")
def conversation(server: Server) -> Iterator[Conversation]:
    with Conversation(register(server, "alice"), register(server, "bob")) as held:
        yield held


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_read_or_refused_and_nobody_notices(
    server: Server, mallory: Person, neighbour: Person, conversation: Conversation, name: str
) -> None:
    data = make_hostile(name)

    with ThreadPoolExecutor(WORKERS) as crowd:
        beside = crowd.submit(read_good_file, neighbour)
        uploaded = crowd.submit(mallory.upload, data)
        answers = list(crowd.map(lambda path: ask(mallory, path, data), QUESTIONS))
    if uploaded.result().status_code == 200:
        document = f"/documents/{uploaded.result().json()['document_id']}"
        with ThreadPoolExecutor(WORKERS) as crowd:
            answers += crowd.map(lambda part: mallory.client.get(document + part), PARTS)
        assert mallory.client.delete(document).status_code == 204

    for answer in (uploaded.result(), *answers):
        assert_read_or_refused(answer)
    assert beside.result() == 1
    conversation.catch_up()
    assert_nothing_is_left(server)


def ask(person: Person, path: str, data: bytes) -> httpx.Response:
    return person.client.post(path, files={"file": ("hostile.pdf", data, "application/pdf")})


def read_good_file(person: Person) -> int:
    """Return the number of tables found in it."""
    answer = person.upload(GOOD)
    assert answer.status_code == 200, answer.text
    assert person.client.delete(f"/documents/{answer.json()['document_id']}").status_code == 204
    return int(answer.json()["tables_found"])


def assert_read_or_refused(answer: httpx.Response) -> None:
    if answer.status_code == 200:
        return
    assert answer.status_code in (400, 404, 422), answer.text
    body = answer.json()
    assert set(body) - {"error"} == {"detail", "code", "request_id"}
    assert isinstance(body["detail"], str), body


def assert_nothing_is_left(server: Server) -> None:
    """No file, no process, and the server is the one that was started."""
    assert server.process is not None
    pid = server.process.pid
    assert server.process.poll() is None
    assert server.files() == []
    assert list(Path(server.environment["TMPDIR"]).iterdir()) == []
    wait_until(lambda: len(children_of(pid)) == PROCESSES)
    assert not [line for line in server.lines if "ERROR" in line or "Traceback" in line]
