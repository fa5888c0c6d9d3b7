"""E-mail to users: stored before the answer, sent after it by a real SMTP server, never lost, never to anybody else."""

import asyncio
import contextlib
import datetime
import json
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from delivery.smtp import Mail, MailDelayedError, Mailer, MailRefusedError
from settings import Settings
from support.databases import TestDatabase
from support.mail import MailServer, read_mail, smtp
from support.servers import WAIT_SECONDS, Person, Server, register, wait_until


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


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, mail_database: TestDatabase, post_office: MailServer
) -> Iterator[Server]:
    """The server of this file's alice and bob; its first account, the admin, is nobody's."""
    made = Server(tmp_path_factory.mktemp("mailing"), mail_database.url, **smtp(post_office.port)).start()
    register(made, "admin")
    yield made
    made.stop()


def notify(sender: Person, recipient: Person | str, message: str = "The invoice is in.") -> None:
    address = recipient if isinstance(recipient, str) else recipient.email
    answer = sender.client.post("/send-notification", json={"email": address, "message": message})
    assert (answer.status_code, answer.json()) == (200, {"message": "Notification queued"})


def status_of(database: TestDatabase, message: str) -> tuple[Any, ...]:
    """The status and the attempts of a notification, by its message."""
    (row,) = database.query("SELECT status, attempts FROM notifications WHERE message = %s", message)
    return row


# Asking for it


def test_a_notification_is_an_email(alice: Person, bob: Person, post_office: MailServer) -> None:
    notify(alice, bob, "The invoice is in.\n.\nA line with a dot alone is above; ü 文 😀")

    received = post_office.received.get(timeout=WAIT_SECONDS)
    mail = read_mail(received)
    assert (received.mail_from, received.rcpt_tos) == ("pagewire@example.com", [bob.email])
    assert (mail["From"], mail["To"]) == ("Pagewire <pagewire@example.com>", bob.email)
    assert mail["Subject"] == "A message from Alice"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content() == "The invoice is in.\n.\nA line with a dot alone is above; ü 文 😀\n"


@pytest.mark.parametrize(
    "how",
    [
        {"params": {"email": "EMAIL", "message": "hello & goodbye"}},
        {"data": {"email": "EMAIL", "message": "hello & goodbye"}},
        {"files": {"email": (None, "EMAIL"), "message": (None, "hello & goodbye")}},
        {"json": {"email": "EMAIL", "message": "hello & goodbye"}},
        {"params": {"email": "EMAIL"}, "json": {"message": "hello & goodbye"}},
        {"params": {"email": "EMAIL", "message": "from the query"}, "data": {"message": "hello & goodbye"}},
        {"params": {"email": "EMAIL", "message": "hello & goodbye"}, "json": {}},
        {"params": {"email": "EMAIL", "message": "hello & goodbye"}, "json": None},
    ],
    ids=["query", "form", "multipart", "JSON", "query and JSON", "body over query", "empty object", "nothing"],
)
def test_it_may_stand_in_the_query_a_form_or_json(
    alice: Person, bob: Person, post_office: MailServer, how: dict[str, Any]
) -> None:
    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: fill(inner) for key, inner in value.items()}
        return (None, fill(value[1])) if isinstance(value, tuple) else bob.email if value == "EMAIL" else value

    answer = alice.client.post("/send-notification", **fill(how))

    assert (answer.status_code, answer.json()) == (200, {"message": "Notification queued"})
    mail = post_office.next_mail()
    assert (mail["To"], mail.get_content()) == (bob.email, "hello & goodbye\n")


def test_the_case_of_an_address_does_not_count(alice: Person, bob: Person, post_office: MailServer) -> None:
    notify(alice, bob.email.upper())

    assert post_office.next_mail()["To"].lower() == bob.email


def test_only_users_are_written_to(alice: Person) -> None:
    answer = alice.client.post("/send-notification", json={"email": "stranger@example.com", "message": "buy"})

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_an_admin_writes_to_anybody(server: Server, mail_database: TestDatabase, post_office: MailServer) -> None:
    admin = register(server, "alice")
    mail_database.query("UPDATE users SET is_admin = true WHERE id = %s", admin.id)

    notify(admin, "stranger@example.com")

    assert post_office.next_mail()["To"] == "stranger@example.com"


def test_a_stranger_writes_to_nobody(server: Server, bob: Person) -> None:
    answer = server.client().post("/send-notification", json={"email": bob.email, "message": "hello"})

    assert answer.status_code == 401


@pytest.mark.parametrize(
    "address",
    [
        "",
        "bob",
        "@",
        "bob@",
        "a@example.com,b@example.com",
        "a@example.com, b@example.com",
        "a@example.com;b@example.com",
        "bob@example.com\n",
        "bob@example.com\r\nBcc: eve@example.com",
        "bob@example.com\x00",
        "bob@exam\tple.com",
        '"a@example.com,b"@example.com',
        "<bob@example.com>",
        "Bob <bob@example.com>",
        "bob@[127.0.0.1]",
        "bob@example.com>\r\nRCPT TO:<eve@example.com",
        "x" * 65 + "@example.com",
        "\ud83d@example.com",
    ],
)
@pytest.mark.parametrize("place", ["json", "params", "data"])
def test_what_is_not_one_address_is_a_422(alice: Person, place: str, address: str) -> None:
    if place == "json":
        body = json.dumps({"email": address, "message": "hello"})
        answer = alice.client.post("/send-notification", content=body)
    else:
        options: dict[str, Any] = {place: {"email": address.encode("utf-8", "replace").decode(), "message": "hello"}}
        answer = alice.client.post("/send-notification", **options)

    assert answer.status_code in (403, 422)  # a display name may be dropped, and then it is nobody's address


@pytest.mark.parametrize("message", ["", " \n", "x" * 10_001, "a\x00b", 5, None, ["hi"]])
def test_a_message_has_1_to_10_000_characters(alice: Person, bob: Person, message: object) -> None:
    answer = alice.client.post("/send-notification", json={"email": bob.email, "message": message})

    assert answer.status_code == 422


@pytest.mark.parametrize("body", ["{", "[]", '"text"', "1", "[" * 100_000, '{"email": 1, "message": 2}'])
def test_a_body_that_is_not_a_notification_is_refused(alice: Person, body: str) -> None:
    answer = alice.client.post("/send-notification", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in (400, 422)


def test_who_writes_too_much_is_told_when_to_go_on(make_server: Callable[..., Server]) -> None:
    server = make_server(NOTIFICATION_RATE_LIMIT="2/hour").start()
    alice, bob = register(server, "alice"), register(server, "bob")

    notify(alice, bob)
    notify(alice, bob)
    answer = alice.client.post("/send-notification", json={"email": bob.email, "message": "one too many"})

    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert int(answer.headers["Retry-After"]) > 0


# What is in it adds nothing to it


@pytest.mark.parametrize(
    "name",
    [
        "Alice\r\nBcc: eve@example.com",
        "Alice\nBcc: eve@example.com",
        "Alice\u2028Bcc: eve@example.com",
        "Alice\x0b\x0c\x1c\x85Bcc: eve@example.com",
        "=?utf-8?q?Alice=0ABcc:_eve@example.com?=",
        "Alice, Bob <eve@example.com>",
        "Ä" * 200,
    ],
)
def test_a_senders_name_adds_no_headers(
    server: Server, mail_database: TestDatabase, post_office: MailServer, name: str
) -> None:
    alice, bob = register(server, "alice"), register(server, "bob")
    mail_database.query("UPDATE users SET name = %s WHERE id = %s", name, alice.id)

    notify(alice, bob)

    received = post_office.received.get(timeout=WAIT_SECONDS)
    mail = read_mail(received)
    assert received.rcpt_tos == [bob.email]
    assert {key.lower() for key in mail.keys()} == {  # noqa: SIM118
        "from",
        "to",
        "subject",
        "message-id",
        "date",
        "auto-submitted",
        "content-type",
        "content-transfer-encoding",
        "mime-version",
    }
    assert mail["Subject"].startswith("A message from ")


@pytest.mark.parametrize(
    "text", ["a\r\n.\r\nMAIL FROM:<eve@example.com>", "a\n.\nb", "\r\n\r\nBcc: x", "x" * 9999, "\r"]
)
def test_a_message_ends_where_it_ends(alice: Person, bob: Person, post_office: MailServer, text: str) -> None:
    notify(alice, bob, "Dear Bob, " + text[:9000])

    mail = post_office.next_mail()
    assert mail["To"] == bob.email
    lines = mail.get_content().splitlines()
    assert lines == ("Dear Bob, " + text[:9000]).splitlines()


@pytest.mark.parametrize(
    "address",
    [
        "=?utf-8?q?x=0Abcc=3Aeve?=@example.com",
        "=?utf-8?q?b=6Fb?=@example.com",
        "bob.=?utf-8?q?x=0Abcc=3Aeve?=@example.com",
        "bob@example.com, eve@example.com",
        "bob@example.com\nBcc: eve@example.com",
        "müller@example.com",
    ],
)
def test_an_address_that_a_header_would_change_is_refused(
    server: Server, mail_database: TestDatabase, post_office: MailServer, address: str
) -> None:
    mail_database.query("INSERT INTO notifications (email, message) VALUES (%s, %s)", address, f"to {address!r}")
    notify(register(server, "alice"), register(server, "bob"), "the next")

    assert post_office.next_mail().get_content() == "the next\n"
    assert status_of(mail_database, f"to {address!r}") == ("failed", 1)


def test_an_address_with_letters_of_its_own_country(
    server: Server, mail_database: TestDatabase, post_office: MailServer
) -> None:
    alice, bob = register(server, "alice"), register(server, "bob")
    mail_database.query("UPDATE users SET email = %s WHERE id = %s", "bob@bücher.example.com", bob.id)

    notify(alice, "bob@bücher.example.com")

    received = post_office.received.get(timeout=WAIT_SECONDS)
    assert received.rcpt_tos == ["bob@xn--bcher-kva.example.com"]


# When the mail server does not want it


def test_what_is_refused_for_good_is_not_sent_again(
    alice: Person, bob: Person, post_office: MailServer, mail_database: TestDatabase
) -> None:
    post_office.refusals["RCPT"] = ["550 No such user"]

    notify(alice, bob, "to nobody")
    notify(alice, bob, "to somebody")

    assert post_office.next_mail().get_content() == "to somebody\n"
    assert status_of(mail_database, "to nobody") == ("failed", 1)
    assert any("refused: 550 No such user" in line for line in alice.server.lines)


def test_whatever_a_mail_server_says_is_written_down_in_one_line(
    alice: Person, bob: Person, post_office: MailServer, mail_database: TestDatabase
) -> None:
    post_office.refusals["RCPT"] = ["550-No\x00 such\r\n550 user" + " ever" * 200]

    notify(alice, bob, "to nobody at all")
    notify(alice, bob, "to somebody else")

    assert post_office.next_mail().get_content() == "to somebody else\n"
    ((reason,),) = mail_database.query("SELECT last_error FROM notifications WHERE message = 'to nobody at all'")
    assert reason.startswith("550 No such user ever ever")
    assert len(reason) == 500


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
def test_what_is_deferred_is_sent_later(
    alice: Person, bob: Person, post_office: MailServer, mail_database: TestDatabase, command: str
) -> None:
    post_office.refusals[command] = ["451 Greylisted", "450 Greylisted"]

    notify(alice, bob, f"later, {command}")

    mail = post_office.next_mail()
    assert mail.get_content() == f"later, {command}\n"
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


def test_a_bad_goodbye_does_not_make_a_second_mail(
    alice: Person, bob: Person, post_office: MailServer, mail_database: TestDatabase
) -> None:
    post_office.refusals["QUIT"] = ["421 I am tired"]

    notify(alice, bob, "only once")
    post_office.next_mail()
    wait_until(lambda: status_of(mail_database, "only once") == ("sent", 1))
    notify(alice, bob, "the next")

    assert post_office.next_mail().get_content() == "the next\n"


def test_after_days_of_delay_it_is_given_up(
    alice: Person, bob: Person, post_office: MailServer, mail_database: TestDatabase
) -> None:
    post_office.refusals["RCPT"] = ["451 Not now"] * 3
    mail_database.query("ALTER TABLE notifications ALTER attempts SET DEFAULT 79")

    notify(alice, bob, "for days")

    wait_until(lambda: status_of(mail_database, "for days") == ("failed", 80))
    mail_database.query("ALTER TABLE notifications ALTER attempts SET DEFAULT 0")
    post_office.refusals["RCPT"] = []


def test_a_mail_server_that_is_down_is_tried_again(
    make_server: Callable[..., Server], mail_server: Callable[..., MailServer]
) -> None:
    gone = mail_server()
    gone.stop()
    server = make_server(**smtp(gone.port)).start()
    alice, bob = register(server, "alice"), register(server, "bob")
    notify(alice, bob, "patience")
    server.wait_for_line("delayed")

    back = mail_server(port=gone.port)

    assert back.next_mail().get_content() == "patience\n"


def test_without_a_mail_server_the_log_says_not_sent(
    make_server: Callable[..., Server], make_database: Callable[[], TestDatabase]
) -> None:
    database = make_database()
    server = make_server(database=database).start()
    alice, bob = register(server, "alice"), register(server, "bob")

    notify(alice, bob, "hello")

    assert bob.email in server.wait_for_line("not sent")
    wait_until(lambda: status_of(database, "hello")[0] == "not_sent")


def test_a_mail_server_that_hangs_holds_up_nobody(make_server: Callable[..., Server]) -> None:
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

    assert {up.next_mail().get_content() for _ in range(2)} == {"in mid-sending\n", "queued\n"}


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

        received = sorted(int(up.next_mail().get_content()) for _ in range(20))
        wait_until(lambda: database.query("SELECT 1 FROM notifications WHERE status <> 'sent'") == [])

    assert received == list(range(20))
    assert up.received.empty()


def key_of(server: Server) -> str:
    return (server.folder / "data" / "secret_key").read_text().strip()


# Ways to sign in, and to be sure whom one talks to


class Authority:
    """Certificates for 127.0.0.1, and the file that says whom to trust."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example.com")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.certificate_file = folder / "certificate.pem"
        self.certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file = folder / "key.pem"
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate_file, key_file)


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """Trusted, as an operator does it: by SSL_CERT_FILE."""
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.certificate_file))
    return made


def only_alice(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (b"alice", b"s3cret"), handled=False)


HELLO = Mail("<1@example.com>", "bob@example.com", "Hello", "text")


def deliver(server: MailServer, **settings: str) -> None:
    """Hand one mail to *server*, as the jobs do."""
    asyncio.run(mailer(server.port, **settings).send(HELLO))


def mailer(port: int, **settings: str) -> Mailer:
    wanted: dict[str, Any] = {name.lower(): value for name, value in smtp(port, **settings).items()}
    return Mailer(Settings(_env_file=None, **wanted))  # type: ignore[call-arg]


def test_mail_goes_by_starttls(mail_server: Callable[..., MailServer], authority: Authority) -> None:
    server = mail_server(tls_context=authority.context, require_starttls=True)

    deliver(server, SMTP_SECURITY="starttls")

    assert server.next_mail()["Subject"] == "Hello"


def test_mail_goes_by_tls(mail_server: Callable[..., MailServer], authority: Authority) -> None:
    server = mail_server(tls=authority.context)

    deliver(server, SMTP_SECURITY="tls")

    assert server.next_mail()["Subject"] == "Hello"


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_server_that_nobody_vouches_for_gets_nothing(
    mail_server: Callable[..., MailServer], authority: Authority, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    options = {"tls": authority.context} if security == "tls" else {"tls_context": authority.context}
    server = mail_server(**options)

    with pytest.raises(MailDelayedError, match="certificate verify failed"):
        deliver(server, SMTP_SECURITY=security)

    assert server.received.empty()


def test_a_mail_server_without_tls_gets_nothing_in_the_clear(mail_server: Callable[..., MailServer]) -> None:
    server = mail_server()

    with pytest.raises(MailDelayedError, match="STARTTLS"):
        deliver(server, SMTP_SECURITY="starttls")

    assert server.received.empty()


def test_who_must_sign_in_does(mail_server: Callable[..., MailServer], authority: Authority) -> None:
    server = mail_server(tls_context=authority.context, authenticator=only_alice, auth_required=True)

    deliver(server, SMTP_SECURITY="starttls", SMTP_USER="alice", SMTP_PASSWORD="s3cret")

    assert server.next_mail()["Subject"] == "Hello"


def test_a_wrong_password_may_be_put_right(mail_server: Callable[..., MailServer], authority: Authority) -> None:
    server = mail_server(tls_context=authority.context, authenticator=only_alice, auth_required=True)

    with pytest.raises(MailDelayedError, match="SMTP_USER and SMTP_PASSWORD") as raised:
        deliver(server, SMTP_SECURITY="starttls", SMTP_USER="alice", SMTP_PASSWORD="wr0ng")

    assert "wr0ng" not in str(raised.value)


def test_that_nobody_signed_in_may_be_put_right(mail_server: Callable[..., MailServer], authority: Authority) -> None:
    server = mail_server(tls_context=authority.context, authenticator=only_alice, auth_required=True)

    with pytest.raises(MailDelayedError, match="530"):
        deliver(server, SMTP_SECURITY="starttls")


def test_a_refused_recipient_is_refused_for_good(mail_server: Callable[..., MailServer]) -> None:
    server = mail_server()
    server.refusals["RCPT"] = ["550 5.1.1 No such user"]

    with pytest.raises(MailRefusedError, match=r"550 5\.1\.1 No such user"):
        deliver(server)


def test_a_refused_message_is_refused_for_good(mail_server: Callable[..., MailServer]) -> None:
    server = mail_server()
    server.refusals["DATA"] = ["554 Looks like spam"]

    with pytest.raises(MailRefusedError, match="554 Looks like spam"):
        deliver(server)


def test_a_server_that_is_not_one_for_mail_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        threading.Thread(target=lambda: other.accept()[0].sendall(b"SSH-2.0-OpenSSH_9.9\r\n"), daemon=True).start()

        with pytest.raises(MailDelayedError):
            asyncio.run(mailer(other.getsockname()[1]).send(HELLO))
