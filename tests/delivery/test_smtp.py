"""Handing one e-mail to an SMTP server, safely."""

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult

from delivery.smtp import Mail, MailDelayedError, Mailer, MailRefusedError
from settings import Settings
from support.certificates import Authority
from support.mail import MailServer, smtp


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """Trusted by SSL_CERT_FILE, as an operator would do it."""
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.certificate_file))
    return made


def only_alice(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (b"alice", b"s3cret"), handled=False)


HELLO = Mail("<1@example.com>", "bob@example.com", "Hello", "text")


def deliver(server: MailServer, **settings: str) -> None:
    """Hand one mail to *server*, as the outbox does."""
    asyncio.run(mailer(server.port, **settings).send(HELLO))


def mailer(port: int, **settings: str) -> Mailer:
    wanted: dict[str, Any] = {name.lower(): value for name, value in smtp(port, **settings).items()}
    return Mailer(Settings(_env_file=None, **wanted))  # type: ignore[call-arg]


def test_mail_is_sent_by_starttls(mail_server: Callable[..., MailServer], authority: Authority) -> None:
    server = mail_server(tls_context=authority.context, require_starttls=True)

    deliver(server, SMTP_SECURITY="starttls")

    assert server.next_mail()["Subject"] == "Hello"


def test_mail_is_sent_by_tls(mail_server: Callable[..., MailServer], authority: Authority) -> None:
    server = mail_server(tls=authority.context)

    deliver(server, SMTP_SECURITY="tls")

    assert server.next_mail()["Subject"] == "Hello"


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_an_untrusted_mail_server_gets_nothing(
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


def test_credentials_are_sent_where_the_server_wants_them(
    mail_server: Callable[..., MailServer], authority: Authority
) -> None:
    server = mail_server(tls_context=authority.context, authenticator=only_alice, auth_required=True)

    deliver(server, SMTP_SECURITY="starttls", SMTP_USER="alice", SMTP_PASSWORD="s3cret")

    assert server.next_mail()["Subject"] == "Hello"


def test_a_wrong_password_only_delays_the_mail(mail_server: Callable[..., MailServer], authority: Authority) -> None:
    server = mail_server(tls_context=authority.context, authenticator=only_alice, auth_required=True)

    with pytest.raises(MailDelayedError, match="SMTP_USER and SMTP_PASSWORD") as raised:
        deliver(server, SMTP_SECURITY="starttls", SMTP_USER="alice", SMTP_PASSWORD="wr0ng")

    assert "wr0ng" not in str(raised.value)


def test_missing_credentials_only_delay_the_mail(mail_server: Callable[..., MailServer], authority: Authority) -> None:
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


def test_a_server_of_another_protocol_only_delays_the_mail() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        threading.Thread(target=lambda: other.accept()[0].sendall(b"SSH-2.0-OpenSSH_9.9\r\n"), daemon=True).start()

        with pytest.raises(MailDelayedError):
            asyncio.run(mailer(other.getsockname()[1]).send(HELLO))
