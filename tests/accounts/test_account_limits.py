"""Rate limits of signing in and registering."""

import os
from collections.abc import Callable, Iterator
from itertools import count

import httpx
import pytest

from support.accounts import address, problem, sign_in, sign_up
from support.databases import TestDatabase
from support.servers import PASSWORD, WAIT_SECONDS, Person, Server, register

_hosts = count(1)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, make_database: Callable[[], TestDatabase]) -> Iterator[Server]:
    """A server that lets an address sign in three times a minute, and an IP register twice an hour."""
    server = Server(
        tmp_path_factory.mktemp("strict"),
        make_database().url,
        LOGIN_RATE_LIMIT="3/minute",
        REGISTER_RATE_LIMIT="2/hour",
    ).start()
    yield server
    server.stop()


@pytest.fixture
def elsewhere(strict: Server) -> Iterator[Callable[[], httpx.Client]]:
    """Clients of the strict server, each with an IP of its own."""
    clients: list[httpx.Client] = []

    def make() -> httpx.Client:
        transport = httpx.HTTPTransport(local_address=f"127.0.{os.getpid() % 250 + 1}.{next(_hosts)}")
        clients.append(httpx.Client(base_url=strict.url, transport=transport, timeout=WAIT_SECONDS))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def assert_limited(answer: httpx.Response, seconds: int) -> None:
    assert problem(answer) == (429, "Too many requests; slow down.", "rate_limited")
    assert 0 < int(answer.headers["retry-after"]) <= seconds


def test_logins_to_one_address_are_limited(elsewhere: Callable[[], httpx.Client]) -> None:
    email = address()
    sign_up(elsewhere(), email)
    tries = [sign_in(elsewhere(), email, "wrong horse battery").status_code for _ in range(3)]

    right = sign_in(elsewhere(), email)

    assert tries == [401, 401, 401]
    assert_limited(right, 60)


def test_the_spellings_of_an_address_are_counted_together(elsewhere: Callable[[], httpx.Client]) -> None:
    email = address()
    spellings = [email.upper(), f" {email} ", f"Alice <{email}>"]
    for spelling in spellings:
        sign_in(elsewhere(), spelling)

    answer = sign_in(elsewhere(), email)

    assert_limited(answer, 60)


def test_login_and_token_share_one_limit(elsewhere: Callable[[], httpx.Client]) -> None:
    email, client = address(), elsewhere()
    for path in ("/login", "/token", "/login"):
        client.post(path, data={"username": email, "password": PASSWORD})

    answer = client.post("/token", json={"email": email, "password": PASSWORD})

    assert_limited(answer, 60)


def test_an_ip_may_try_six_times_as_often_as_an_address(elsewhere: Callable[[], httpx.Client]) -> None:
    client = elsewhere()
    tries = [sign_in(client, address()).status_code for _ in range(18)]

    refused = sign_in(client, address())
    another = sign_in(elsewhere(), address())

    assert tries == [401] * 18
    assert_limited(refused, 60)
    assert another.status_code == 401


def test_registrations_from_one_ip_are_limited(elsewhere: Callable[[], httpx.Client]) -> None:
    client = elsewhere()
    accounts = [sign_up(client, address()).status_code for _ in range(2)]

    refused = sign_up(client, address())

    assert accounts == [200, 200]
    assert_limited(refused, 3600)


def test_an_untrusted_forwarded_for_does_not_change_whose_limit_it_is(elsewhere: Callable[[], httpx.Client]) -> None:
    client = elsewhere()
    for number in range(18):
        client.headers["X-Forwarded-For"] = f"203.0.113.{number}"
        sign_in(client, address())

    refused = sign_in(client, address())

    assert_limited(refused, 60)


def test_who_is_called_by_no_address_has_no_limit_of_their_own(strict: Server) -> None:
    with strict.client() as client:
        answers = [
            sign_in(client, address()) for client.headers["X-Forwarded-For"] in map("nobody-{}".format, range(19))
        ]

    assert_limited(answers[-1], 60)


def test_limits_that_are_off_limit_nothing(client: httpx.Client, alice: Person) -> None:
    answers = {sign_in(client, alice.email, "wrong horse battery").status_code for _ in range(70)}

    assert answers == {401}


# Mails that a change brings about


@pytest.fixture(scope="module")
def careful_database(make_database: Callable[[], TestDatabase]) -> TestDatabase:
    return make_database()


@pytest.fixture(scope="module")
def careful(tmp_path_factory: pytest.TempPathFactory, careful_database: TestDatabase) -> Iterator[Server]:
    """A server that limits the mails to an address that nobody has confirmed: six an hour. They stay in its outbox."""
    mail = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": "1", "PUBLIC_URL": "http://127.0.0.1"}
    folder = tmp_path_factory.mktemp("careful")
    server = Server(folder, careful_database.url, NOTIFICATION_RATE_LIMIT="60/hour", **mail).start()
    yield server
    server.stop()


def to_new_address(person: Person, email: str) -> int:
    return person.client.patch("/me", json={"email": email, "current_password": PASSWORD}).status_code


def test_an_address_gets_few_mails_when_others_claim_it(careful: Server) -> None:
    email = address()
    people = [register(careful, name) for name in ("alice", "bob", "carol", "dave")]

    statuses = [to_new_address(person, email) for person in people for _ in range(2)]

    assert statuses == [200] * 6 + [429] * 2


def test_mails_from_others_keep_nobody_from_a_new_password(careful: Server) -> None:
    alice, mallory = register(careful, "alice"), register(careful, "mallory")
    change = {"current_password": PASSWORD, "new_password": PASSWORD}

    taken = [to_new_address(mallory, alice.email) for _ in range(7)]
    notified = [
        mallory.client.post("/send-notification", json={"email": alice.email, "message": "x"}).status_code
        for _ in range(7)
    ]

    assert taken == [400] * 7
    assert notified == [200] * 6 + [429]
    assert alice.client.post("/me/password", json=change).status_code == 204


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_an_address_gets_few_mails_about_the_passwords_of_who_claimed_it(careful: Server, method: str) -> None:
    alice = register(careful, "alice")
    path = f"/users/{alice.id}" if method == "PUT" else "/me/password"
    new = (
        {"email": alice.email, "name": "Alice", "password": PASSWORD} if method == "PUT" else {"new_password": PASSWORD}
    )

    statuses = [
        alice.client.request(method, path, json={**new, "current_password": PASSWORD}).status_code for _ in range(7)
    ]

    assert (set(statuses[:6]), statuses[6]) == ({200 if method == "PUT" else 204}, 429)


def test_a_confirmed_address_hears_of_every_change(careful: Server, careful_database: TestDatabase) -> None:
    alice = register(careful, "alice")
    careful_database.query("UPDATE users SET verified_at = now() WHERE id = %s", alice.id)
    change = {"current_password": PASSWORD, "new_password": PASSWORD}

    statuses = [alice.client.post("/me/password", json=change).status_code for _ in range(7)]

    assert statuses == [204] * 7
