"""Extraction and e-mail by Celery workers: as without them, whatever happens to the broker and to the workers."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from delivery.task_queue import EXTRACT, MAIL, TaskQueue, make_celery
from support.celery import COMMAND, start_worker
from support.databases import TestDatabase
from support.mail import MailServer, notify, smtp
from support.outages import children_of
from support.pdfs import make_book, make_encrypted_pdf, make_pdf
from support.redis import RedisServer
from support.servers import Person, Server, register, wait_until
from support.tabs import Tab

BROKEN = b"%PDF-1.4 and nothing more"


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory,
    own_database: TestDatabase,
    own_redis: RedisServer,
    post_office: MailServer,
) -> Iterator[Server]:
    settings = {"CELERY_BROKER_URL": own_redis.url, **smtp(post_office.port)}
    started = Server(tmp_path_factory.mktemp("server"), own_database.url, **settings).start()
    register(started, "admin")
    yield started
    started.stop()


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Server]:
    started = start_worker(tmp_path_factory.mktemp("worker"), server)
    yield started
    started.stop()


def upload_later(person: Person, data: bytes) -> int:
    files = {"file": ("book.pdf", data, "application/pdf")}
    answer = person.client.post("/upload-pdf", files=files, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    return int(answer.json()["document_id"])


def status_of(person: Person, document_id: int) -> str:
    return str(person.client.get(f"/documents/{document_id}").json()["status"])


def pages_of(person: Person, document_id: int) -> list[Any]:
    pages: list[Any] = person.client.get(f"/documents/{document_id}/pages").json()["pages"]
    return pages


@pytest.mark.usefixtures("worker")
def test_an_upload_is_answered_when_a_worker_has_extracted_it(server: Server, alice: Person) -> None:
    answer = alice.upload(make_pdf("Extracted elsewhere"))

    assert (answer.status_code, answer.json()["text_preview"]) == (200, "Extracted elsewhere")
    assert server.process is not None
    assert children_of(server.process.pid) == []


@pytest.mark.usefixtures("worker")
def test_a_worker_opens_what_the_server_got_the_password_of(alice: Person) -> None:
    answer = alice.upload(make_encrypted_pdf("Locked up", user_password="open sesame"), password="open sesame")

    assert (answer.status_code, answer.json().get("text_preview")) == (200, "Locked up")


@pytest.mark.usefixtures("worker")
def test_what_cannot_be_extracted_is_refused_and_leaves_nothing_behind(server: Server, alice: Person) -> None:
    before = server.files()

    answer = alice.upload(BROKEN)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_pdf")
    assert alice.client.get("/documents").json()["documents"] == []
    wait_until(lambda: server.files() == before)


@pytest.mark.usefixtures("worker")
def test_who_does_not_wait_sees_a_document_fail(alice: Person) -> None:
    with Tab(alice) as tab:
        document_id = upload_later(alice, BROKEN)

        assert tab.expect("document.failed")["document_id"] == document_id
    assert status_of(alice, document_id) == "failed"


@pytest.mark.usefixtures("worker")
def test_the_first_pages_progress_and_the_end_of_a_long_document_are_announced(alice: Person) -> None:
    with Tab(alice) as tab:
        document_id = upload_later(alice, make_book(120))

        assert tab.expect("document.progress")["document_id"] == document_id
        assert pages_of(alice, document_id)
        assert tab.expect("document.ready")["document_id"] == document_id
    assert len(pages_of(alice, document_id)) == 120


@pytest.mark.usefixtures("worker")
def test_a_deleted_document_is_extracted_no_further(alice: Person, own_database: TestDatabase) -> None:
    with Tab(alice) as tab:
        document_id = upload_later(alice, make_book(400))
        tab.expect("document.progress")

        alice.client.delete(f"/documents/{document_id}")

        assert tab.expect("document.deleted", "document.ready")["type"] == "document.deleted"
    assert own_database.query("SELECT 1 FROM pages WHERE document_id = %s", document_id) == []


@pytest.mark.usefixtures("worker")
def test_a_task_that_comes_twice_is_harmless(
    alice: Person, bob: Person, own_redis: RedisServer, post_office: MailServer, own_database: TestDatabase
) -> None:
    document_id = alice.upload(make_pdf("Once")).json()["document_id"]
    notify(alice, bob, "Only once.")
    assert post_office.next_text().strip() == "Only once."
    ((notification_id,),) = own_database.query("SELECT id FROM notifications WHERE message = 'Only once.'")

    again = make_celery(own_redis.url)
    for kind, ref_id in ((EXTRACT, document_id), (MAIL, notification_id), (EXTRACT, 10**9), (MAIL, 10**9)):
        again.send_task(kind.name, args=[ref_id], queue=kind.queue)
    notify(alice, bob, "And the next.")

    assert post_office.next_text().strip() == "And the next."
    assert len(pages_of(alice, document_id)) == 1


@pytest.mark.usefixtures("worker")
def test_without_the_broker_uploads_are_kept_and_extracted_later(alice: Person, own_redis: RedisServer) -> None:
    with Tab(alice) as tab:
        own_redis.kill()
        try:
            waiting = alice.upload(make_pdf("Meanwhile"))
            later = upload_later(alice, make_pdf("Later"))
        finally:
            own_redis.start()

        assert (waiting.status_code, waiting.json()["status"]) == (202, "processing")
        ready = {tab.expect("document.ready")["document_id"] for _ in range(2)}
        assert ready == {waiting.json()["document_id"], later}


def test_what_a_killed_worker_left_is_extracted_by_another(
    tmp_path: Path, server: Server, worker: Server, alice: Person
) -> None:
    with Tab(alice) as tab:
        document_id = upload_later(alice, make_book(400))
        tab.expect("document.progress")
        worker.kill()

        other = start_worker(tmp_path / "other", server)
        try:
            assert tab.expect("document.ready")["document_id"] == document_id
            assert len(pages_of(alice, document_id)) == 400
        finally:
            other.stop()


def test_a_worker_without_a_broker_says_what_is_missing(server: Server, tmp_path: Path) -> None:
    settings = {name: value for name, value in server.environment.items() if name != "CELERY_BROKER_URL"}

    ended = subprocess.run(COMMAND, env=settings, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ended.returncode == 3
    assert ended.stderr.splitlines() == ["CELERY_BROKER_URL: name the broker, as for the servers"]


def test_a_worker_that_cannot_open_what_it_needs_ends_and_says_why(
    server: Server, make_database: Callable[..., TestDatabase], tmp_path: Path
) -> None:
    settings = {**server.environment, "DATABASE_URL": make_database("CONNECTION LIMIT 1").url}

    ended = subprocess.run(COMMAND, env=settings, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ended.returncode == 3
    assert "too many connections for database" in ended.stderr.splitlines()[-1]


def test_a_worker_ends_in_time_while_its_broker_hangs(
    server: Server, own_redis: RedisServer, alice: Person, tmp_path: Path
) -> None:
    worker = start_worker(tmp_path, server)
    assert alice.upload(make_pdf("It works")).status_code == 200

    with own_redis.frozen():
        ended = worker.stop()

    assert ended == 0


def test_publishing_waits_for_no_broker_and_is_made_up_for() -> None:
    own = RedisServer().start()
    tasks = TaskQueue(own.url)

    async def publish() -> list[bool]:
        tasks.start()
        first = await tasks.publish(EXTRACT, 1)
        os.kill(pid, signal.SIGSTOP)
        held_up = [tasks.publish(EXTRACT, ref_id) for ref_id in range(2, 200)]  # each would take a second
        found = [first, *(await asyncio.gather(*held_up))]
        os.kill(pid, signal.SIGCONT)
        return found

    pid = own.pid
    try:
        assert asyncio.run(publish()) == [True, *[False] * 198]
        wait_until(lambda: own.ask("LLEN", EXTRACT.queue) >= 199)
    finally:
        tasks.close()
        own.stop()
