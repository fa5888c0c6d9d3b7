"""Bad luck across machines: servers that share PostgreSQL, Redis, a broker and an S3 store alone. All of it breaks.

How to repeat a run and to make it longer: support/chaos.py.
"""

import asyncio
import contextlib
import random
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest

from support.celery import Worker, make_worker
from support.chaos import SECONDS, SECRET_KEY, SETTLE_SECONDS, Book, Deed, House, Player, check_everything, play, start
from support.outages import FragilePostgres, fragile_postgres
from support.pdfs import make_pdf
from support.redis import RedisServer
from support.servers import Server
from support.stores import Line, S3Server

MACHINES = 2
BREAKS_SECONDS = (0.2, 1.5)  # how long something is away or frozen
BROKEN = b"%PDF-1.4 and nothing more"

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(int(SECONDS) + 240)]


@dataclass
class Parts:
    """What the machines share, and the worker."""

    postgres: FragilePostgres
    redis: RedisServer
    broker: RedisServer
    store: Line
    worker: Worker


@pytest.fixture
def postgres() -> Iterator[FragilePostgres]:
    with fragile_postgres() as server:
        yield server


@pytest.fixture
def house(tmp_path: Path, postgres: FragilePostgres, s3: S3Server) -> Iterator[tuple[House, Parts]]:
    with contextlib.ExitStack() as stack:
        redis, broker = RedisServer().start(), RedisServer().start()
        stack.callback(redis.stop)
        stack.callback(broker.stop)
        line = stack.enter_context(closing(Line(s3.endpoint)))
        settings = {
            "SECRET_KEY": SECRET_KEY,
            "REDIS_URL": redis.url,
            "CELERY_BROKER_URL": broker.url,
            "PDF_WORKERS": "1",
            **s3.make_bucket().behind(line).variables,
        }
        servers = [Server(tmp_path / f"machine{n}", postgres.url, **settings) for n in range(MACHINES)]
        worker = make_worker(tmp_path / "worker", servers[0])
        for each in (*servers, worker):
            stack.callback(each.kill)
            each.start()
        yield House(servers, list(servers)), Parts(postgres, redis, broker, line, worker)


@dataclass
class Upload:
    """What was promised of a document: *word* is on its first page, None if it cannot be read."""

    data: bytes
    word: str | None
    is_ready: bool = False
    is_deleted: bool = False
    is_doubtful: bool = False  # its deletion was asked for and not confirmed


class Librarian(Player):
    """Who also uploads, reads, finds and deletes documents."""

    pause_seconds = 0.15

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.uploads: dict[int, Upload] = {}  # by document id
        self._unanswered: list[tuple[str, Upload]] = []  # with the client_id of each

    def list_deeds(self) -> dict[Deed, int]:
        return {
            **super().list_deeds(),
            self._upload: 12,
            self._open: 8,
            self._find: 8,
            self._delete: 4,
        }

    async def _upload(self, other: int, http: httpx.AsyncClient) -> None:
        """Something new, the same again, something that cannot be read, or what was not answered."""
        self._number += 1
        client_id, word = f"upload {self._number}", f"{self.person.name}x{self._number:06}"
        kind = self._luck.choices(["new", "long", "same", "broken", "again"], weights=[50, 10, 15, 10, 15])[0]
        kept = [upload for upload in self.uploads.values() if upload.word is not None]
        if kind == "again" and self._unanswered:
            client_id, upload = self._unanswered.pop()
        elif kind == "same" and kept:
            same = self._luck.choice(kept)
            upload = Upload(same.data, same.word)
        elif kind == "broken":
            upload = Upload(BROKEN, None)
        else:
            more = [f"and page {number}" for number in range(2, 40 if kind == "long" else 2)]
            upload = Upload(make_pdf(f"The {word} is here", *more), word)
        headers = {**self.person.headers, **({"Prefer": "respond-async"} if self._luck.random() < 0.5 else {})}
        self._unanswered.append((client_id, upload))
        answer = await http.post(
            self._house.url(self._luck) + "/upload-pdf",
            files={"file": ("book.pdf", upload.data, "application/pdf")},
            data={"client_id": client_id},
            headers=headers,
        )
        if answer.status_code >= 500:
            return
        self._unanswered.remove((client_id, upload))
        if upload.word is None and answer.status_code == 400:
            self._book.deeds["uploads refused"] += 1
            return
        assert answer.is_success, answer.text
        self._book.deeds["uploads acknowledged"] += 1
        document_id = answer.json()["document_id"]
        promised = self.uploads.setdefault(document_id, upload)
        assert promised.data == upload.data
        promised.is_ready |= answer.status_code == 200

    def _choose(self) -> int | None:
        """One of my documents that is certainly there."""
        certain = [key for key, upload in self.uploads.items() if not upload.is_deleted and not upload.is_doubtful]
        return self._luck.choice(certain) if certain else None

    async def _open(self, other: int, http: httpx.AsyncClient) -> None:
        if (document_id := self._choose()) is not None:
            await self._check_file(http, self._house.url(self._luck), document_id)

    async def _check_file(self, http: httpx.AsyncClient, url: str, document_id: int) -> bool:
        """Whether the file could be read; then it is the one that was uploaded."""
        answer = await http.get(f"{url}/documents/{document_id}/file", headers=self.person.headers)
        if answer.status_code >= 500:
            return False
        assert answer.status_code == 200, f"document {document_id} was acknowledged: {answer.text}"
        assert answer.content == self.uploads[document_id].data
        self._book.deeds["files read"] += 1
        return True

    async def _find(self, other: int, http: httpx.AsyncClient) -> None:
        document_id = self._choose()
        if document_id is not None and self.uploads[document_id].is_ready:
            await self._check_found(http, self._house.url(self._luck), document_id)

    async def _check_found(self, http: httpx.AsyncClient, url: str, document_id: int) -> bool:
        query: dict[str, Any] = {"q": self.uploads[document_id].word, "limit": 100}
        answer = await http.get(f"{url}/search", params=query, headers=self.person.headers)
        if answer.status_code >= 500:
            return False
        assert answer.status_code == 200, answer.text
        found = {hit.get("document_id") for hit in answer.json()["results"]}
        assert document_id in found, f"document {document_id} is not found by {query}: {answer.text}"
        self._book.deeds["found"] += 1
        return True

    async def _delete(self, other: int, http: httpx.AsyncClient) -> None:
        if not self.uploads:
            return
        document_id = self._luck.choice(list(self.uploads))
        upload = self.uploads[document_id]
        if upload.is_deleted:
            return
        was_doubtful, upload.is_doubtful = upload.is_doubtful, True
        answer = await http.delete(
            f"{self._house.url(self._luck)}/documents/{document_id}", headers=self.person.headers
        )
        if answer.status_code >= 500:
            return
        assert answer.is_success or was_doubtful, f"document {document_id} was acknowledged: {answer.text}"
        upload.is_deleted = True
        self._book.deeds["documents deleted"] += 1

    async def look_back(self, http: httpx.AsyncClient) -> None:
        for document_id, upload in self.uploads.items():
            if not upload.is_doubtful:
                async with asyncio.timeout(SETTLE_SECONDS):
                    await self._check_end(http, document_id, upload)
            elif upload.is_deleted:
                for server in self._house.servers:
                    answer = await http.get(f"{server.url}/documents/{document_id}", headers=self.person.headers)
                    assert answer.status_code == 404, "it was deleted"

    async def _check_end(self, http: httpx.AsyncClient, document_id: int, upload: Upload) -> None:
        """It was extracted to its end, or failed if it cannot be read; on each machine it is there, and found."""
        first, *_ = self._house.servers
        while True:
            answer = await http.get(f"{first.url}/documents/{document_id}", headers=self.person.headers)
            assert answer.status_code == 200 or answer.status_code >= 500, answer.text
            if answer.status_code == 200 and answer.json()["status"] != "processing":
                break
            await asyncio.sleep(0.1)
        assert answer.json()["status"] == ("failed" if upload.word is None else "ready"), answer.text
        for server in self._house.servers:
            await self._insist(lambda: self._check_file(http, server.url, document_id))  # noqa: B023  awaited at once
            if upload.word is not None:
                await self._insist(lambda: self._check_found(http, server.url, document_id))  # noqa: B023

    async def _insist(self, check: Callable[[], Awaitable[bool]]) -> None:
        """What was away comes back."""
        async with asyncio.timeout(SETTLE_SECONDS):
            while not await check():  # noqa: ASYNC110  asked of another process
                await asyncio.sleep(0.1)


class BadLuck:
    """What happens to each kind of part; the kinds break beside each other."""

    def __init__(self, house: House, parts: Parts, book: Book, luck: random.Random, over: asyncio.Event) -> None:
        self._house = house
        self._parts = parts
        self._book = book
        self._luck = luck
        self._over = over

    async def _wait(self, least: float, most: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._luck.uniform(least, most)):
                await self._over.wait()

    async def _break(self) -> None:
        await self._wait(*BREAKS_SECONDS)

    async def strike(self, **faults: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """One of *faults* after the other until it is over; what was begun is ended."""
        while not self._over.is_set():
            name = self._luck.choice(list(faults))
            self._book.faults[name.replace("_", " ")] += 1
            await faults[name]()
            await self._wait(0.3, 1.2)

    def list_all(self) -> list[Coroutine[Any, Any, None]]:
        redis, broker = self._parts.redis, self._parts.broker
        return [
            self.strike(server_killed=self.kill_server, server_frozen=self.freeze_server),
            self.strike(worker_killed=self.kill_worker, worker_frozen=self.freeze_worker),
            self.strike(redis_killed=lambda: self.kill(redis), redis_frozen=lambda: self.freeze(redis)),
            self.strike(broker_killed=lambda: self.kill(broker), broker_frozen=lambda: self.freeze(broker)),
            self.strike(
                sessions=self.end_sessions,
                listeners=self.end_listeners,
                postgres_restarted=self.restart_postgres,
                postgres_frozen=self.freeze_postgres,
            ),
            self.strike(store_cut=self.cut_store, store_stopped=self.stop_store, store_refuses=self.refuse_to_store),
        ]

    async def kill_server(self) -> None:
        server = self._luck.choice(self._house.servers)
        self._house.alive.remove(server)
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(start, server)
        self._house.alive.append(server)

    async def freeze_server(self) -> None:
        server = self._luck.choice(self._house.servers)
        server.freeze()
        await self._break()
        server.thaw()

    async def kill_worker(self) -> None:
        await asyncio.to_thread(self._parts.worker.kill)
        await self._break()
        await asyncio.to_thread(start, self._parts.worker)

    async def freeze_worker(self) -> None:
        self._parts.worker.freeze()
        await self._break()
        self._parts.worker.thaw()

    async def kill(self, redis: RedisServer) -> None:
        await asyncio.to_thread(redis.kill)
        await self._break()
        await asyncio.to_thread(redis.start)

    async def freeze(self, redis: RedisServer) -> None:
        with redis.frozen():
            await self._break()

    async def end_sessions(self, which: str = "true") -> None:
        with contextlib.suppress(psycopg2.Error):
            await asyncio.to_thread(
                self._parts.postgres.ask,
                f"""SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND {which}""",
            )

    async def end_listeners(self) -> None:
        await self.end_sessions("query LIKE 'LISTEN%%'")

    async def restart_postgres(self) -> None:
        await asyncio.to_thread(self._parts.postgres.restart)

    async def freeze_postgres(self) -> None:
        await asyncio.to_thread(self._parts.postgres.freeze)
        await self._break()
        await asyncio.to_thread(self._parts.postgres.thaw)

    async def cut_store(self) -> None:
        self._parts.store.cut()
        self._parts.store.mend()

    async def stop_store(self) -> None:
        self._parts.store.cut()
        await self._break()
        self._parts.store.mend()

    async def refuse_to_store(self) -> None:
        self._parts.store.refuse("503 Service Unavailable", "SlowDown")
        await self._break()
        self._parts.store.mend()


def print_strange_lines(servers: Sequence[Server]) -> None:
    """What pytest shows where something was lost."""
    for server in servers:
        strange = [line for line in server.lines if re.search(r"epoch|given up|nrecoverable|Error|Traceback", line)]
        print(server.folder.name, *strange, "…", *server.lines[-15:], sep="\n    ")


async def test_across_machines_nothing_is_lost_whatever_breaks(
    house: tuple[House, Parts], postgres: FragilePostgres, capsys: pytest.CaptureFixture[str]
) -> None:
    machines, parts = house
    book = Book()

    def list_bad_luck(luck: random.Random, over: asyncio.Event) -> list[Coroutine[Any, Any, None]]:
        return BadLuck(machines, parts, book, luck, over).list_all()

    try:
        with capsys.disabled():
            players = await play(machines, postgres, book, Librarian, list_bad_luck)
        check_everything(postgres, book, players)
    finally:
        print_strange_lines([*machines.servers, parts.worker])
