"""Addresses and names are folded by Pagewire, whatever the locale of the database."""

import asyncio
from collections.abc import Callable, Iterator

import httpx
import pytest

from db import Database
from errors import StartupError
from postgres.migration import apply_schema
from support.accounts import problem, sign_in, sign_up, unique
from support.classic import CLASSIC
from support.databases import EMPTY, TestDatabase
from support.servers import Person, Server, register

PLAIN = "TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C'"  # lower() leaves all but A to Z as they are
OLDER = """
    UPDATE schema_version SET version = 4, content_hash = 'of version 4';
    DROP TRIGGER users_fold_account ON users;
    ALTER TABLE users DROP COLUMN email_key, DROP COLUMN name_key;
    CREATE UNIQUE INDEX users_email_lower ON users (lower(email));
"""


@pytest.fixture(scope="module")
def database(make_database: Callable[..., TestDatabase]) -> TestDatabase:
    return make_database(PLAIN)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, database: TestDatabase) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("plain"), database.url).start()
    register(started, "admin")
    yield started
    started.stop()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("müller.{}@example.com", "MÜLLER.{}@example.com"),
        ("МАША.{}@example.com", "маша.{}@example.com"),
        ("οδυσσευς.{}@example.com", "ΟΔΥΣΣΕΥΣ.{}@example.com"),
    ],
)
def test_an_address_is_one_account_in_any_case(client: httpx.Client, one: str, other: str) -> None:
    mark = unique()
    registered = sign_up(client, one.format(mark))

    again = sign_up(client, other.format(mark))
    signed_in = sign_in(client, other.format(mark))

    assert problem(again) == (400, "Email already registered", "email_taken")
    assert signed_in.json()["user"] == registered.json()["user"]


@pytest.mark.parametrize(
    ("name", "q"),
    [
        ("Jürgen Müller {}", "MÜLLER {}"),
        ("ÉLODIE {}", "élodie {}"),
        ("Frau Straße {}", "STRASSE {}"),
        ("Zoe\u0308 {}", "ZO\u00cb {}"),
    ],
)
def test_people_are_found_by_name_in_any_case(client: httpx.Client, alice: Person, name: str, q: str) -> None:
    mark = unique()
    found_id = sign_up(client, f"{mark}@example.com", name=name.format(mark)).json()["user"]["id"]

    found = alice.client.get("/users", params={"q": q.format(mark)}).json()

    assert [user["id"] for user in found] == [found_id]


def test_people_are_found_by_address_in_any_case(client: httpx.Client, alice: Person) -> None:
    mark = unique()
    found_id = sign_up(client, f"müller.{mark}@bücher.example.com").json()["user"]["id"]

    found = alice.client.get("/users", params={"q": f"MÜLLER.{mark}@BÜCHER"}).json()

    assert [user["id"] for user in found] == [found_id]


def test_a_message_in_any_script_is_stored(alice: Person, bob: Person) -> None:
    text = "5 € for “tea” 🙂 茶"

    answer = alice.client.post("/messages", json={"recipient_id": bob.id, "content": text})

    assert answer.status_code == 200
    assert [message["content"] for message in bob.client.get(f"/messages/{alice.id}").json()] == [text]


def test_a_row_that_is_written_by_hand_can_sign_in(database: TestDatabase, client: httpx.Client) -> None:
    mark = unique()
    sign_up(client, f"{mark}@example.com")
    database.query("UPDATE users SET email = %s WHERE email = %s", f"New.{mark}@Example.com", f"{mark}@example.com")

    assert sign_in(client, f"new.{mark}@example.com").status_code == 200


# Existing installations


def apply(made: TestDatabase) -> None:
    async def run() -> None:
        pool = Database(made.keywords, size=1)
        try:
            await apply_schema(pool)
        finally:
            await pool.close()

    asyncio.run(run())


@pytest.fixture
def older(make_database: Callable[..., TestDatabase]) -> TestDatabase:
    """An installation from before addresses were folded here, with two people."""
    made = make_database(PLAIN)
    apply(made)
    made.query(OLDER)
    made.query(
        "INSERT INTO users (email, password_hash, name) VALUES "
        "('MÜLLER@example.com', '', 'Jürgen MÜLLER'), ('bob@example.com', '', 'Bob')"
    )
    return made


def test_accounts_that_are_there_are_folded_at_the_next_start(older: TestDatabase) -> None:
    apply(older)

    assert older.query("SELECT email, email_key, name_key FROM users ORDER BY id") == [
        ("MÜLLER@example.com", "müller@example.com", "jürgen müller"),
        ("bob@example.com", "bob@example.com", "bob"),
    ]


def test_accounts_that_would_become_one_are_named_and_kept(older: TestDatabase) -> None:
    older.query("INSERT INTO users (email, password_hash, name) VALUES ('müller@example.com', '', 'Other')")

    with pytest.raises(StartupError, match=r"MÜLLER@example\.com \(id 1\) and müller@example\.com \(id 3\)") as raised:
        apply(older)

    assert "\n" not in raised.value.detail
    assert older.query("SELECT count(*) FROM users") == [(3,)]
    older.query(raised.value.detail.rpartition("as by ")[2])
    apply(older)


def test_classic_accounts_that_would_become_one_are_named(make_database: Callable[..., TestDatabase]) -> None:
    classic = make_database(EMPTY)
    classic.query(CLASSIC)
    classic.query("INSERT INTO users (email, password_hash) VALUES ('alice@example.com', '$2b$12$')")

    with pytest.raises(StartupError, match=r"Alice@Example\.com \(id 1\) and alice@example\.com \(id 3\)"):
        apply(classic)
