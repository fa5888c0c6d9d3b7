"""Asking for an e-mail to a user: who may, how, and what its contents cannot change."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.accounts import address as new_address
from support.accounts import sign_up
from support.databases import TestDatabase
from support.mail import MailServer, notify, read_mail, smtp, status_of
from support.servers import WAIT_SECONDS, Person, Server, register


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, mail_database: TestDatabase, post_office: MailServer
) -> Iterator[Server]:
    """The server of this file's alice and bob; its first account, the admin, is unused."""
    made = Server(tmp_path_factory.mktemp("mailing"), mail_database.url, **smtp(post_office.port)).start()
    register(made, "admin")
    yield made
    made.stop()


def test_a_notification_is_an_email(alice: Person, bob: Person, post_office: MailServer) -> None:
    notify(alice, bob, "The invoice is in.\n.\nA line with a dot alone is above; ü 文 😀")

    received = post_office.received.get(timeout=WAIT_SECONDS)
    mail = read_mail(received)
    assert (received.mail_from, received.rcpt_tos) == ("pagewire@example.com", [bob.email])
    assert (mail["From"], mail["To"]) == ("Pagewire <pagewire@example.com>", bob.email)
    assert mail["Subject"] == "A message from Alice"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content() == (
        f"Alice, with the unconfirmed address {alice.email}, wrote to you in Pagewire:\n\n"
        "The invoice is in.\n.\nA line with a dot alone is above; ü 文 😀\n"
    )
    assert mail["Reply-To"] is None


def test_who_has_confirmed_the_address_is_answered_there(
    alice: Person, bob: Person, mail_database: TestDatabase, post_office: MailServer
) -> None:
    mail_database.query("UPDATE users SET verified_at = now() WHERE id = %s", alice.id)

    notify(alice, bob, "hello")

    mail = post_office.next_mail()
    assert mail["Reply-To"] == alice.email
    assert mail.get_content() == f"Alice <{alice.email}> wrote to you in Pagewire:\n\nhello\n"


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
def test_it_may_come_in_the_query_a_form_or_json(
    alice: Person, bob: Person, post_office: MailServer, how: dict[str, Any]
) -> None:
    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: fill(inner) for key, inner in value.items()}
        return (None, fill(value[1])) if isinstance(value, tuple) else bob.email if value == "EMAIL" else value

    answer = alice.client.post("/send-notification", **fill(how))

    assert (answer.status_code, answer.json()) == (200, {"message": "Notification queued"})
    mail = post_office.next_mail()
    assert (mail["To"], mail.get_content().rpartition("\n\n")[2]) == (bob.email, "hello & goodbye\n")


@pytest.mark.parametrize("sender", ["a user", "an admin"])
@pytest.mark.parametrize("change", [str.upper, str.title, lambda email: f" Bob <{email.upper()}> "])
def test_an_email_goes_to_the_address_as_it_was_registered(
    alice: Person,
    bob: Person,
    mail_database: TestDatabase,
    post_office: MailServer,
    sender: str,
    change: Callable[[str], str],
) -> None:
    mail_database.query("UPDATE users SET is_admin = %s WHERE id = %s", sender == "an admin", alice.id)

    notify(alice, change(bob.email))

    received = post_office.received.get(timeout=WAIT_SECONDS)
    assert (received.rcpt_tos, read_mail(received)["To"]) == ([bob.email], bob.email)


@pytest.mark.parametrize(("look_alike", "status"), [("İ", 403), ("I", 200), ("ı", 403), ("\u212a", 200)])
def test_an_address_that_only_looks_like_a_users_receives_nothing(
    alice: Person, post_office: MailServer, look_alike: str, status: int
) -> None:
    stored = new_address("ik")
    sign_up(alice.client, stored)
    typed = stored.replace("k" if look_alike == "\u212a" else "i", look_alike)

    answer = alice.client.post("/send-notification", json={"email": typed, "message": "hello"})
    notify(alice, stored, "the next")

    assert answer.status_code == status
    expected = [stored] * (2 if status == 200 else 1)
    assert [post_office.next_mail()["To"] for _ in expected] == expected
    assert post_office.received.empty()


def test_only_users_can_be_notified(alice: Person) -> None:
    answer = alice.client.post("/send-notification", json={"email": "stranger@example.com", "message": "buy"})

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_an_admin_may_notify_any_address(server: Server, mail_database: TestDatabase, post_office: MailServer) -> None:
    admin = register(server, "alice")
    mail_database.query("UPDATE users SET is_admin = true WHERE id = %s", admin.id)

    notify(admin, "stranger@example.com")

    assert post_office.next_mail()["To"] == "stranger@example.com"


def test_without_a_token_nothing_is_sent(server: Server, bob: Person) -> None:
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

    assert answer.status_code in (403, 422)  # without its display name it is an address, but no user's


@pytest.mark.parametrize("message", ["", " \n", "x" * 10_001, "a\x00b", 5, None, ["hi"]])
def test_a_message_has_1_to_10_000_characters(alice: Person, bob: Person, message: object) -> None:
    answer = alice.client.post("/send-notification", json={"email": bob.email, "message": message})

    assert answer.status_code == 422


@pytest.mark.parametrize("body", ["{", "[]", '"text"', "1", "[" * 100_000, '{"email": 1, "message": 2}'])
def test_a_body_that_is_not_a_notification_is_refused(alice: Person, body: str) -> None:
    answer = alice.client.post("/send-notification", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in (400, 422)


def test_notifications_are_limited_and_the_answer_says_when_to_retry(make_server: Callable[..., Server]) -> None:
    server = make_server(NOTIFICATION_RATE_LIMIT="2/hour").start()
    alice, bob = register(server, "alice"), register(server, "bob")

    notify(alice, bob)
    notify(alice, bob)
    answer = alice.client.post("/send-notification", json={"email": bob.email, "message": "one too many"})

    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert int(answer.headers["Retry-After"]) > 0


def test_one_recipient_gets_no_more_from_a_crowd_than_from_one(make_server: Callable[..., Server]) -> None:
    server = make_server(NOTIFICATION_RATE_LIMIT="2/hour").start()
    crowd = [register(server, name) for name in ("alice", "carol", "dave")]
    bob = register(server, "bob")

    answers = [
        sender.client.post("/send-notification", json={"email": bob.email, "message": "buy"}).status_code
        for sender in crowd
    ]

    assert answers == [200, 200, 429]


def test_an_address_that_nobody_has_confirmed_gets_fewer(make_server: Callable[..., Server]) -> None:
    server = make_server(NOTIFICATION_RATE_LIMIT="60/hour").start()
    alice, bob = register(server, "alice"), register(server, "bob")

    for _ in range(6):
        notify(alice, bob)
    answer = alice.client.post("/send-notification", json={"email": bob.email, "message": "one too many"})

    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")


# Contents that would change the e-mail


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
    lines = mail.get_content().partition("in Pagewire:\n\n")[2].splitlines()
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

    assert post_office.next_text() == "the next\n"
    assert status_of(mail_database, f"to {address!r}") == ("failed", 1)


@pytest.mark.parametrize(
    ("domain", "in_ascii"),
    [
        ("bücher.example.com", "xn--bcher-kva.example.com"),
        ("straße.example.com", "xn--strae-oqa.example.com"),  # IDNA 2003 would write to strasse.example.com
        ("ελλάς.example.com", "xn--hxarsa0b.example.com"),
    ],
)
def test_an_international_domain_is_sent_to_in_ascii(
    server: Server, post_office: MailServer, domain: str, in_ascii: str
) -> None:
    alice = register(server, "alice")
    email = new_address("bob").replace("example.com", domain)
    sign_up(alice.client, email)

    notify(alice, email)

    received = post_office.received.get(timeout=WAIT_SECONDS)
    assert received.rcpt_tos == [email.replace(domain, in_ascii)]
