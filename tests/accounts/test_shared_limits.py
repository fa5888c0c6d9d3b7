"""Rate limits hold for all nodes of an installation together."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, cycle
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from support.accounts import address, problem, sign_in, sign_up
from support.databases import TestDatabase
from support.servers import WAIT_SECONDS, Server, register, wait_until
from support.tabs import SECRET_KEY, connect_to

RATES = {
    "LOGIN_RATE_LIMIT": "3/minute",
    "REGISTER_RATE_LIMIT": "2/hour",
    "RESET_RATE_LIMIT": "2/hour",
    "NOTIFICATION_RATE_LIMIT": "2/hour",
}
_hosts = count(1)


class Pair(NamedTuple):
    """Two nodes of one installation."""

    database: TestDatabase
    nodes: list[Server]

    def clients(self) -> Iterator[httpx.Client]:
        """Of one and the other node in turn, from one address that nobody else has."""
        host = f"127.1.{os.getpid() % 250 + 1}.{next(_hosts)}"
        return cycle(
            httpx.Client(base_url=node.url, transport=httpx.HTTPTransport(local_address=host), timeout=WAIT_SECONDS)
            for node in self.nodes
        )

    def is_counted_together(self) -> bool:
        """Whether the first node counts what comes next for both."""
        self.database.query("DELETE FROM rate_hits")
        sign_in(next(self.clients()), address())
        return self.database.query("SELECT 1 FROM rate_hits") != []


def start_pair(folder: Path, database: TestDatabase) -> Pair:
    nodes = [Server(folder / name, database.url, SECRET_KEY=SECRET_KEY, **RATES).start() for name in ("one", "two")]
    pair = Pair(database, nodes)
    wait_until(pair.is_counted_together)
    return pair


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, make_database: Callable[[], TestDatabase]) -> Iterator[Pair]:
    made = start_pair(tmp_path_factory.mktemp("pair"), make_database())
    yield made
    for node in made.nodes:
        node.stop()


def assert_limited(answer: httpx.Response, seconds: int) -> None:
    assert problem(answer) == (429, "Too many requests; slow down.", "rate_limited")
    assert 0 < int(answer.headers["retry-after"]) <= seconds


def test_logins_to_one_address_are_limited(pair: Pair) -> None:
    email, clients = address(), pair.clients()

    tries = [sign_in(next(clients), email).status_code for _ in range(3)]

    assert tries == [401, 401, 401]
    assert_limited(sign_in(next(clients), email), 60)
    assert_limited(sign_in(next(clients), email), 60)


def test_logins_from_one_network_are_limited(pair: Pair) -> None:
    clients = pair.clients()

    tries = [sign_in(next(clients), address()).status_code for _ in range(20)]

    assert tries == [401] * 18 + [429] * 2


def test_of_many_logins_at_once_no_more_than_the_limit_count(pair: Pair) -> None:
    email, clients = address(), pair.clients()

    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda client: sign_in(client, email), [next(clients) for _ in range(12)]))

    assert sorted(answer.status_code for answer in answers) == [401] * 3 + [429] * 9


def test_registrations_from_one_network_are_limited(pair: Pair) -> None:
    clients = pair.clients()

    tries = [sign_up(next(clients), address()) for _ in range(3)]

    assert [answer.status_code for answer in tries] == [200, 200, 429]
    assert_limited(tries[-1], 3600)


def test_forgotten_passwords_are_limited(pair: Pair) -> None:
    email, clients = address(), pair.clients()

    tries = [next(clients).post("/forgot-password", json={"email": email}) for _ in range(3)]

    assert [answer.status_code for answer in tries] == [202, 202, 429]


def test_mails_to_users_are_limited(pair: Pair) -> None:
    clients = pair.clients()
    headers = {"Authorization": f"Bearer {sign_up(next(clients), email := address()).json()['access_token']}"}

    tries = [
        next(clients).post("/send-notification", json={"email": email, "message": "hi"}, headers=headers)
        for _ in range(3)
    ]

    assert [answer.status_code for answer in tries] == [200, 200, 429]


def test_no_typed_login_name_is_stored(pair: Pair) -> None:
    sign_in(next(pair.clients()), "correct horse battery")

    assert pair.database.query("SELECT 1 FROM rate_hits WHERE rate_hits::text ILIKE '%%horse%%'") == []


def test_who_cannot_be_counted_is_asked_to_come_back(pair: Pair) -> None:
    email, clients = address(), pair.clients()
    with connect_to(pair.database) as holder:
        holder.cursor().execute("LOCK TABLE rate_hits IN ACCESS EXCLUSIVE MODE")

        answer = next(clients).post("/forgot-password", json={"email": email})
    holder.close()

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    tries = [next(clients).post("/forgot-password", json={"email": email}).status_code for _ in range(3)]
    assert tries == [202, 202, 429]


def test_who_is_left_alone_counts_alone(tmp_path: Path, make_database: Callable[[], TestDatabase]) -> None:
    pair = start_pair(tmp_path, make_database())
    try:
        pair.nodes[1].stop()

        wait_until(lambda: not pair.is_counted_together())
    finally:
        pair.nodes[0].stop()


def test_a_node_alone_stores_nothing(
    make_server: Callable[..., Server], make_database: Callable[[], TestDatabase]
) -> None:
    database = make_database()
    server = make_server(database=database, **RATES).start()

    person = register(server, "alice")

    assert sign_in(person.client, person.email, "wrong horse battery").status_code == 401
    assert database.query("SELECT 1 FROM rate_hits") == []
