"""Attacks on forgotten passwords, addresses and redirects."""

import re
from collections.abc import Iterator

import httpx
import pytest

from support.accounts import address, forget, sign_in, sign_up
from support.databases import TestDatabase
from support.mail import MailServer, smtp
from support.raw_http import exchange, head
from support.servers import PASSWORD, Person, Server
from support.tabs import connect_to

PUBLIC_URL = "https://pagewire.example.com"
NEW_PASSWORD = "a longer horse battery"


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, mail_database: TestDatabase, post_office: MailServer
) -> Iterator[Server]:
    """A server that sends mail."""
    made = Server(
        tmp_path_factory.mktemp("mail"), mail_database.url, PUBLIC_URL=PUBLIC_URL, **smtp(post_office.port)
    ).start()
    yield made
    made.stop()


def recipients(post_office: MailServer, last: Person) -> list[str]:
    """To whom mails went until one for *last*, who asked for it at the end."""
    found: list[str] = []
    while last.email not in found:
        found.append(str(post_office.next_mail()["To"]))
    return found


# Timing and enumeration


def test_what_a_forgotten_password_takes_is_done_after_the_answer(
    server: Server, alice: Person, post_office: MailServer, mail_database: TestDatabase
) -> None:
    """No answer takes longer where there is an account: while nobody may look for one, all are answered."""
    with connect_to(mail_database) as holder:
        holder.cursor().execute("LOCK TABLE users, links, notifications IN ACCESS EXCLUSIVE MODE")

        answers = [forget(server, email) for email in (alice.email, address("nobody"))]
    holder.close()

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].content == answers[1].content
    assert recipients(post_office, alice) == [alice.email]


def test_a_link_tells_nothing_of_whose_it_is(server: Server) -> None:
    answers = [
        httpx.post(f"{server.url}{path}", json={"token": token, **more})
        for path, more in (("/reset-password", {"password": NEW_PASSWORD}), ("/confirm-email", {}))
        for token in ("x", "x" * 43)
    ]

    assert {answer.json()["detail"] for answer in answers} == {"This link is not valid any more; ask for a new one."}


# Look-alikes

LOOK_ALIKES = {
    "Cyrillic a": ("alice", "\u0430lice"),
    "dotless i": ("alice", "al\u0131ce"),
    "accent": ("alice", "alic\u00e9"),
    "full width": ("alice", "\uff41lice"),
    "ligature": ("fiona", "\ufb01ona"),
    "long s": ("sam", "\u017fam"),
    "Kelvin": ("kim", "\u212aim"),
    "sharp s": ("strasse", "stra\u00dfe"),
}


@pytest.mark.parametrize("kind", LOOK_ALIKES)
def test_an_address_that_looks_like_anothers_gets_neither_account_nor_mail(
    server: Server, bob: Person, post_office: MailServer, kind: str
) -> None:
    name, alike = LOOK_ALIKES[kind]
    email = address(name)
    lookalike = email.replace(name, alike)
    with server.client() as client:
        owner = sign_up(client, email).json()["user"]["id"]
        forget(server, lookalike)
        forget(server, bob.email)
        mails = recipients(post_office, bob)
        signed_in = sign_in(client, lookalike)
        registered = sign_up(client, lookalike, password="mallory's own horse")

    about = [mail for mail in mails if mail.endswith(email.removeprefix(name))]  # one of the test before may come late
    assert set(about) <= {email}
    assert signed_in.status_code == 401 or signed_in.json()["user"]["id"] == owner
    assert registered.status_code in (400, 422) or registered.json()["user"]["id"] != owner
    with server.client() as client:
        assert sign_in(client, email).json()["user"]["email"] == email


# Redirects

ELSEWHERE = [
    "//evil.example",
    "//evil.example/app/",
    "/\\evil.example",
    "/%5cevil.example",
    "/%2f%2fevil.example",
    "/app//evil.example",
    "/app/..//evil.example",
    "/app?next=//evil.example",
    "/?next=https://evil.example",
    "/?url=//evil.example",
    "/app/%0d%0aLocation:%20https://evil.example",
    "https://evil.example/",
    "/.//evil.example",
    "/documents/",
    "/me/",
]


@pytest.mark.parametrize("path", ELSEWHERE)
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_no_address_leads_to_another_site(server: Server, path: str, accept: str) -> None:
    status, headers, _ = exchange(server, head("GET", path, None, Accept=accept, X_Forwarded_Host="evil.example"))

    assert status < 500
    assert headers.get("Location") in (None, "/app/")
    assert headers.get("Refresh") is None


# Logs and Referer


def test_no_secret_of_a_link_is_in_the_log_or_leaves_with_the_page(
    server: Server, alice: Person, post_office: MailServer
) -> None:
    forget(server, alice.email)
    while (found := re.search(r"#token=([\w-]+)", post_office.next_mail().get_content())) is None:
        pass
    page = httpx.get(f"{server.url}/app/reset-password")
    answers = [
        httpx.post(f"{server.url}/reset-password", json={"token": found[1], "password": password})
        for password in ("short", NEW_PASSWORD, NEW_PASSWORD)
    ]

    assert [answer.status_code for answer in answers] == [422, 204, 400]
    assert page.headers["referrer-policy"] in ("same-origin", "no-referrer")
    assert sum("POST /reset-password" in line for line in server.lines) >= 3
    assert [line for line in server.lines if found[1] in line or NEW_PASSWORD in line or PASSWORD in line] == []
    assert not any(found[1] in answer.text for answer in answers)


@pytest.mark.parametrize("path", ["/reset-password", "/confirm-email", "/refresh", "/login", "/session"])
def test_no_secret_is_taken_from_an_address(server: Server, path: str) -> None:
    answer = httpx.post(f"{server.url}{path}?token=a&password=b&refresh_token=c&email=d")

    assert answer.status_code in (400, 422)
