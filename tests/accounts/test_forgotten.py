"""Forgotten passwords and new addresses: links by mail, each works once."""

import re
from collections.abc import Callable, Iterator
from email.message import EmailMessage

import httpx
import pytest

from support.accounts import address, forget, problem, sign_in
from support.browsers import Browser
from support.databases import TestDatabase
from support.mail import MailServer, smtp
from support.servers import PASSWORD, Person, Server, wait_until

PUBLIC_URL = "https://pagewire.example.com"
NEW_PASSWORD = "a longer horse battery"


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, mail_database: TestDatabase, post_office: MailServer
) -> Iterator[Server]:
    """A server that sends mail, and knows its own address."""
    made = Server(
        tmp_path_factory.mktemp("mail"), mail_database.url, PUBLIC_URL=PUBLIC_URL, **smtp(post_office.port)
    ).start()
    yield made
    made.stop()


def token_in(mail: EmailMessage, page: str) -> str:
    found = re.search(rf"{re.escape(PUBLIC_URL)}/app/{page}#token=([\w-]+)\s", mail.get_content())
    assert found is not None, mail.get_content()
    return found[1]


def next_link(post_office: MailServer, page: str) -> str:
    """The token of the next mail with a link; mails about changed passwords come between them."""
    while "#token=" not in (mail := post_office.next_mail()).get_content():
        pass
    return token_in(mail, page)


def reset(server: Server, token: str, password: str = NEW_PASSWORD) -> httpx.Response:
    return httpx.post(f"{server.url}/reset-password", json={"token": token, "password": password})


def test_a_link_brings_a_new_password_and_ends_everything(
    server: Server, alice: Person, post_office: MailServer
) -> None:
    browser = Browser(alice)
    key = alice.client.post("/api-keys", json={"name": "script"}).json()["key"]

    assert forget(server, alice.email.upper()).status_code == 202
    token = next_link(post_office, "reset-password")
    answer = reset(server, token)

    assert answer.status_code == 204
    assert sign_in(alice.client, alice.email, NEW_PASSWORD).json()["user"]["verified"] is True
    assert sign_in(alice.client, alice.email).status_code == 401
    assert alice.client.get("/me").status_code == 401
    assert browser.ask("GET", "/me").status_code == 401
    assert httpx.get(f"{server.url}/me", headers={"Authorization": f"Bearer {key}"}).status_code == 401
    assert problem(reset(server, token)) == (
        400,
        "This link is not valid any more; ask for a new one.",
        "link_expired",
    )


def test_a_link_goes_to_the_address_as_it_was_registered(
    server: Server, alice: Person, post_office: MailServer
) -> None:
    forget(server, alice.email.upper())

    while "#token=" not in (mail := post_office.next_mail()).get_content():
        pass
    assert mail["To"] == alice.email


def by_link(alice: Person, post_office: MailServer) -> None:
    forget(alice.server, alice.email)
    assert reset(alice.server, next_link(post_office, "reset-password")).status_code == 204


def by_oneself(alice: Person, post_office: MailServer) -> None:
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert alice.client.post("/me/password", json=body).status_code == 204


@pytest.mark.parametrize("change", [by_link, by_oneself])
def test_who_has_a_new_password_is_told_by_mail(
    alice: Person, post_office: MailServer, change: Callable[[Person, MailServer], None]
) -> None:
    change(alice, post_office)

    while (mail := post_office.next_mail())["To"] != alice.email:
        pass
    assert "was changed" in mail.get_content()
    assert "http" not in mail.get_content()
    assert NEW_PASSWORD not in mail.get_content()


def test_an_unknown_address_gets_the_same_answer_and_no_mail(
    server: Server, alice: Person, post_office: MailServer
) -> None:
    nobody = address("nobody")
    unknown, known = forget(server, nobody), forget(server, alice.email)

    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
    while (mail := post_office.next_mail())["To"] != alice.email:
        assert mail["To"] != nobody
    assert "#token=" in mail.get_content()
    assert post_office.received.empty()


def test_of_two_links_the_newer_one_works(server: Server, alice: Person, post_office: MailServer) -> None:
    forget(server, alice.email)
    older = next_link(post_office, "reset-password")
    forget(server, alice.email)
    newer = next_link(post_office, "reset-password")

    assert reset(server, older).status_code == 400
    assert reset(server, newer).status_code == 204


def test_a_link_expires(server: Server, alice: Person, post_office: MailServer, mail_database: TestDatabase) -> None:
    forget(server, alice.email)
    token = next_link(post_office, "reset-password")
    mail_database.query("UPDATE links SET expires_at = now() WHERE user_id = %s", alice.id)

    assert reset(server, token).status_code == 400


def test_a_changed_password_ends_pending_links(server: Server, alice: Person, post_office: MailServer) -> None:
    forget(server, alice.email)
    token = next_link(post_office, "reset-password")

    alice.client.post("/me/password", json={"current_password": PASSWORD, "new_password": NEW_PASSWORD})

    assert reset(server, token, "yet another battery").status_code == 400


def test_links_are_stored_nowhere_once_the_mail_is_sent(
    server: Server, alice: Person, post_office: MailServer, mail_database: TestDatabase
) -> None:
    forget(server, alice.email)
    token = next_link(post_office, "reset-password")

    sql = "SELECT message FROM notifications WHERE email = %s AND status = 'sent'"
    wait_until(lambda: mail_database.query(sql, alice.email) == [("",)])
    assert mail_database.query("SELECT 1 FROM links WHERE hash = %s", token) == []
    assert not any(token in line for line in server.lines)


def test_a_new_address_counts_once_its_link_comes_back(server: Server, alice: Person, post_office: MailServer) -> None:
    new = address("alicia")

    answer = alice.client.patch("/me", json={"email": new, "current_password": PASSWORD, "name": "Alicia"})

    assert answer.json()["email"] == alice.email
    assert (answer.json()["pending_email"], answer.json()["name"]) == (new, "Alicia")
    mails = {str(mail["To"]): mail for mail in (post_office.next_mail(), post_office.next_mail())}
    assert new in mails[alice.email].get_content()
    assert "#token=" not in mails[alice.email].get_content()
    token = token_in(mails[new], "confirm-email")
    assert httpx.post(f"{server.url}/confirm-email", json={"token": token}).status_code == 204
    assert httpx.post(f"{server.url}/confirm-email", json={"token": token}).status_code == 400
    assert alice.client.get("/me").json() | {"email": new, "verified": True} == alice.client.get("/me").json()


def test_a_link_for_one_purpose_is_none_for_the_other(server: Server, alice: Person, post_office: MailServer) -> None:
    forget(server, alice.email)
    token = next_link(post_office, "reset-password")

    assert httpx.post(f"{server.url}/confirm-email", json={"token": token}).status_code == 400
    assert reset(server, token).status_code == 204


def test_an_address_that_was_taken_meanwhile_is_not_confirmed(
    server: Server, alice: Person, bob: Person, post_office: MailServer
) -> None:
    new = address("alicia")
    alice.client.patch("/me", json={"email": new, "current_password": PASSWORD})
    mails = {str(mail["To"]): mail for mail in (post_office.next_mail(), post_office.next_mail())}
    httpx.post(f"{server.url}/register", json={"email": new, "password": PASSWORD, "name": "Eve"})

    answer = httpx.post(f"{server.url}/confirm-email", json={"token": token_in(mails[new], "confirm-email")})

    assert problem(answer)[2] == "email_taken"
    assert alice.client.get("/me").json()["email"] == alice.email


@pytest.mark.parametrize("host", ["evil.localhost", "127.0.0.2:9"])
def test_links_name_the_configured_address_whatever_the_host_header(
    server: Server, alice: Person, post_office: MailServer, host: str
) -> None:
    httpx.post(f"{server.url}/forgot-password", json={"email": alice.email}, headers={"Host": host})

    assert host not in post_office.next_mail().get_content()


def test_without_a_public_address_nothing_is_sent(
    make_server: Callable[..., Server], mail_server: Callable[..., MailServer]
) -> None:
    own = mail_server()
    server = make_server(**smtp(own.port)).start()
    httpx.post(f"{server.url}/register", json={"email": "a@example.com", "password": PASSWORD, "name": "Alice"})

    assert forget(server, "a@example.com").status_code == 202
    assert own.received.empty()


def test_forgotten_passwords_are_limited_whether_the_address_exists_or_not(
    make_server: Callable[..., Server],
) -> None:
    server = make_server(RESET_RATE_LIMIT="2/hour").start()

    assert [forget(server, "nobody@example.com").status_code for _ in range(3)] == [202, 202, 429]


@pytest.mark.parametrize("value", ["example.com", "ftp://example.com", "https://", "https://a?b", "https://u@a"])
def test_an_odd_public_address_stops_the_start(make_server: Callable[..., Server], value: str) -> None:
    with pytest.raises(AssertionError, match="PUBLIC_URL: "):
        make_server(PUBLIC_URL=value).start()
