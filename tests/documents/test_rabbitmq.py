"""RabbitMQ as the broker, where the system has one."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.celery import start_worker
from support.documents import documents_of
from support.mail import MailServer, notify, smtp
from support.pdfs import make_pdf
from support.rabbitmq import PROGRAM, RabbitServer
from support.servers import Server, register, wait_until

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="RabbitMQ is not installed")


@pytest.fixture
def rabbit(tmp_path: Path) -> Iterator[RabbitServer]:
    server = RabbitServer(tmp_path)
    try:
        yield server.start()
    finally:
        server.stop()


def test_what_was_asked_while_rabbitmq_was_killed_is_done_when_it_is_back(
    rabbit: RabbitServer, make_server: Callable[..., Server], post_office: MailServer, tmp_path: Path
) -> None:
    server = make_server(CELERY_BROKER_URL=rabbit.url, **smtp(post_office.port)).start()
    worker = start_worker(tmp_path / "worker", server)
    try:
        alice, bob = register(server, "alice"), register(server, "bob")
        assert alice.upload(make_pdf("With a broker")).json()["text_preview"] == "With a broker"
        notify(alice, bob, "With a broker")
        assert post_office.next_text().strip() == "With a broker"

        rabbit.kill()
        assert alice.upload(make_pdf("Without")).status_code in (200, 202)  # the worker also looks in the database
        notify(alice, bob, "Without")
        rabbit.start()

        assert post_office.next_text().strip() == "Without"
        wait_until(lambda: len(documents_of(alice, status="ready")) == 2)
        server.wait_for_line("the broker is back")
        assert alice.upload(make_pdf("Again")).json()["text_preview"] == "Again"
        notify(alice, bob, "Again")
        assert post_office.next_text().strip() == "Again"
    finally:
        worker.stop()
