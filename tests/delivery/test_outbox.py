"""Queued e-mails are sent by a real SMTP server, retried, never lost, and sent once."""

import signal
import socket
from collections.abc import Callable, Iterator

import pytest

from support.databases import TestDatabase
from support.mail import MailServer, notify, smtp, status_of
from support.servers import Person, Server, register, wait_until


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, mail_database: TestDatabase, post_office: MailServer
) -> Iterator[Server]:
    """The server of this file's alice and bob; its first account, the admin, is unused."""
    made = Server(tmp_path_factory.mktemp("mailing"), mail_database.url, **smtp(post_office.port)).start()
    register(made, "admin")
    yield made
    made.stop()


def test_a_refused_mail_is_not_retried(
    alice: Person, bob: Person, post_office: MailServer, mail_database: TestDatabase
) -> None:
    post_office.refusals["RCPT"] = ["550 No such user"]

    notify(alice, bob, "to nobody")
    notify(alice, bob, "to somebody")

    assert post_office.next_text() == "to somebody\n"
    assert status_of(mail_database, "to nobody") == ("failed", 1)
    assert any("refused: 550 No such user" in line for line in alice.server.lines)


def test_the_reason_of_a_refusal_is_stored_in_one_line(
    alice: Person, bob: Person, post_office: MailServer, mail_database: TestDatabase
) -> None:
    post_office.refusals["RCPT"] = ["550-No\x00 such\r\n550 user" + " ever" * 200]

    notify(alice, bob, "to nobody at all")
    notify(alice, bob, "to somebody else")

    assert post_office.next_text() == "to somebody else\n"
    ((reason,),) = mail_database.query("SELECT last_error FROM notifications WHERE message = 'to nobody at all'")
    assert reason.startswith("550 No such user ever ever")
    assert len(reason) == 500


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
def test_a_deferred_mail_is_sent_later(
    alice: Person, bob: Person, post_office: MailServer, mail_database: TestDatabase, command: str
) -> None:
    post_office.refusals[command] = ["451 Greylisted", "450 Greylisted"]

    notify(alice, bob, f"later, {command}")

    mail = post_office.next_mail()
    assert mail.get_content().endswith(f"\n\nlater, {command}\n")
    wait_until(lambda: status_of(mail_database, f"later, {command}") == ("sent", 3))


def test_every_attempt_has_the_same_message_id(
    alice: Person, bob: Person, post_office: MailServer, mail_database: TestDatabase
) -> None:
    notify(alice, bob, "one")
    notify(alice, bob, "two")
    one, two = post_office.next_mail(), post_office.next_mail()

    (first,) = mail_database.query("SELECT id FROM notifications WHERE message = 'one'")
    assert one["Message-ID"] != two["Message-ID"]
    assert f"notification-{first[0]}" in one["Message-ID"]
    assert one["Message-ID"].endswith("@example.com>")


def test_an_error_at_quit_does_not_send_the_mail_twice(
    alice: Person, bob: Person, post_office: MailServer, mail_database: TestDatabase
) -> None:
    post_office.refusals["QUIT"] = ["421 I am tired"]

    notify(alice, bob, "only once")
    post_office.next_mail()
    wait_until(lambda: status_of(mail_database, "only once") == ("sent", 1))
    notify(alice, bob, "the next")

    assert post_office.next_text() == "the next\n"


def test_after_days_of_delay_a_mail_is_given_up(
    alice: Person, bob: Person, post_office: MailServer, mail_database: TestDatabase
) -> None:
    post_office.refusals["RCPT"] = ["451 Not now"] * 3
    mail_database.query("ALTER TABLE notifications ALTER attempts SET DEFAULT 79")

    notify(alice, bob, "for days")

    wait_until(lambda: status_of(mail_database, "for days") == ("failed", 80))
    mail_database.query("ALTER TABLE notifications ALTER attempts SET DEFAULT 0")
    post_office.refusals["RCPT"] = []


def test_a_mail_server_that_is_down_is_retried(
    make_server: Callable[..., Server], mail_server: Callable[..., MailServer]
) -> None:
    gone = mail_server()
    gone.stop()
    server = make_server(**smtp(gone.port)).start()
    alice, bob = register(server, "alice"), register(server, "bob")
    notify(alice, bob, "patience")
    server.wait_for_line("delayed")

    back = mail_server(port=gone.port)

    assert back.next_text() == "patience\n"


def test_without_a_mail_server_the_log_says_not_sent(
    make_server: Callable[..., Server], make_database: Callable[[], TestDatabase]
) -> None:
    database = make_database()
    server = make_server(database=database).start()
    alice, bob = register(server, "alice"), register(server, "bob")

    notify(alice, bob, "hello")

    assert bob.email in server.wait_for_line("not sent")
    wait_until(lambda: status_of(database, "hello")[0] == "not_sent")


def test_a_mail_server_that_hangs_blocks_nothing_else(make_server: Callable[..., Server]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = make_server(**smtp(silent.getsockname()[1])).start()
        alice, bob = register(server, "alice"), register(server, "bob")
        notify(alice, bob, "hello?")
        silent.accept()

        notify(alice, bob, "are you there?")
        sent = alice.client.post("/messages", json={"recipient_id": bob.id, "content": "by chat, then"})
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)

        assert sent.status_code == 200
        assert server.process.wait(10) in (0, -signal.SIGTERM)


def test_what_was_queued_when_the_server_was_killed_is_sent_after_a_restart(
    make_server: Callable[..., Server],
    make_database: Callable[[], TestDatabase],
    mail_server: Callable[..., MailServer],
) -> None:
    database = make_database()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = make_server("first", database, **smtp(silent.getsockname()[1])).start()
        alice, bob = register(server, "alice"), register(server, "bob")
        notify(alice, bob, "in mid-sending")
        silent.accept()
        notify(alice, bob, "queued")
        server.kill()
    up = mail_server()

    make_server("second", database, **smtp(up.port)).start()

    assert {up.next_text() for _ in range(2)} == {"in mid-sending\n", "queued\n"}


def test_two_servers_on_one_database_send_each_mail_once(
    make_server: Callable[..., Server],
    make_database: Callable[[], TestDatabase],
    mail_server: Callable[..., MailServer],
) -> None:
    database, up = make_database(), mail_server()
    first = make_server("first", database, **smtp(up.port)).start()
    second = make_server("second", database, **smtp(up.port), SECRET_KEY=key_of(first)).start()
    alice, bob = register(first, "alice"), register(first, "bob")
    with second.client() as on_second:
        on_second.headers.update(alice.headers)
        for number in range(20):
            body = {"email": bob.email, "message": str(number)}
            assert (alice.client if number % 2 else on_second).post("/send-notification", json=body).status_code == 200

        received = sorted(int(up.next_text()) for _ in range(20))
        wait_until(lambda: database.query("SELECT 1 FROM notifications WHERE status <> 'sent'") == [])

    assert received == list(range(20))
    assert up.received.empty()


def key_of(server: Server) -> str:
    return (server.folder / "data" / "secret_key").read_text().strip()
