"""A database that cannot serve is refused in one line that names the reason and the remedy, and stays as it was."""

import asyncio
import os
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from db import Database
from errors import StartupError
from postgres.embedded import EmbeddedServer
from postgres.opening import open_schema
from support.classic import CLASSIC
from support.databases import EMPTY, TestDatabase
from support.outages import open_folder

HERE = "PostgreSQL at h:5432/d"

_numbers = count(1)


async def opened(keywords: dict[str, str]) -> None:
    database = Database(keywords, size=2)
    try:
        await open_schema(database, description=HERE)
    finally:
        await database.close()


def start_on(keywords: dict[str, str]) -> None:
    asyncio.run(opened(keywords))


def refusal(keywords: dict[str, str]) -> str:
    """Why a start on this database is refused."""
    with pytest.raises(StartupError) as raised:
        start_on(keywords)
    assert "\n" not in raised.value.detail
    assert raised.value.detail.startswith(f"{HERE}: ")
    return raised.value.detail.removeprefix(f"{HERE}: ")


def remedy(line: str) -> str:
    """The SQL that a line ends with."""
    return line.rpartition(": ")[2]


@pytest.fixture
def fresh(make_database: Callable[..., TestDatabase]) -> TestDatabase:
    return make_database(EMPTY)


@pytest.fixture
def role(fresh: TestDatabase) -> Iterator[str]:
    """Somebody who may connect, and use what is everybody's."""
    name = f"role_{os.getpid()}_{next(_numbers)}"
    fresh.administer(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    yield name
    fresh.administer(f"REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name}; DROP ROLE {name}")


def as_role(database: TestDatabase, name: str) -> dict[str, str]:
    return {**database.keywords, "user": name, "password": "secret"}


# The server and the role


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_another_encoding_than_utf8_is_refused(make_database: Callable[..., TestDatabase], encoding: str) -> None:
    narrow = make_database(f"TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C' ENCODING '{encoding}'")

    line = refusal(narrow.keywords)

    assert f"encoding is {encoding}" in line
    assert "CREATE DATABASE pagewire TEMPLATE template0 ENCODING 'UTF8'" in line


def test_an_encoding_without_a_way_to_utf8_is_refused_at_once(
    make_database: Callable[..., TestDatabase], caplog: pytest.LogCaptureFixture
) -> None:
    mule = make_database("TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C' ENCODING 'MULE_INTERNAL'")

    line = refusal(mule.keywords)

    assert "MULE_INTERNAL" in line
    assert "ENCODING 'UTF8'" in line
    assert caplog.messages == []


def test_a_role_that_may_not_connect_is_refused(fresh: TestDatabase, role: str) -> None:
    fresh.query(f"REVOKE CONNECT ON DATABASE {fresh.keywords['dbname']} FROM PUBLIC")

    line = refusal(as_role(fresh, role))

    assert line.endswith("GRANT CONNECT ON DATABASE to this user")


def test_a_role_that_may_not_create_tables_is_refused(fresh: TestDatabase, role: str) -> None:
    line = refusal(as_role(fresh, role))

    assert line.startswith(f"{role} may not create tables in the schema public: ")
    fresh.query(remedy(line))
    start_on(as_role(fresh, role))


@pytest.mark.parametrize("setting", ["ALTER ROLE {role} SET", "ALTER DATABASE {database} SET"])
def test_a_read_only_role_is_refused(fresh: TestDatabase, role: str, setting: str) -> None:
    fresh.query(f"GRANT CREATE ON SCHEMA public TO {role}")
    changed = setting.format(role=role, database=fresh.keywords["dbname"])
    fresh.administer(f"{changed} default_transaction_read_only = on")

    line = refusal(as_role(fresh, role))

    assert line.startswith(f"{role} may only read")
    fresh.administer(f"SET TRANSACTION READ WRITE; {remedy(line)}")
    start_on(as_role(fresh, role))


def test_read_only_by_the_url_is_refused(fresh: TestDatabase) -> None:
    line = refusal({**fresh.keywords, "options": "-c default_transaction_read_only=on"})

    assert "remove it from the options in DATABASE_URL" in line


def test_a_database_that_became_read_only_is_refused(fresh: TestDatabase) -> None:
    start_on(fresh.keywords)

    line = refusal({**fresh.keywords, "options": "-c default_transaction_read_only=on"})

    assert "may only read" in line


def test_a_standby_is_refused() -> None:
    with open_folder() as folder:
        server = EmbeddedServer(folder / "data")
        server.ensure_started()
        server.release()
        (server.folders.cluster / "standby.signal").touch()
        server.ensure_started()

        line = refusal(server.connect_kwargs)
        server.release()

    assert line == "the server is a standby, which is read-only: name the primary server in DATABASE_URL"


def test_a_role_without_a_schema_is_refused(fresh: TestDatabase, role: str) -> None:
    fresh.query("REVOKE ALL ON SCHEMA public FROM PUBLIC")

    line = refusal(as_role(fresh, role))

    assert line.startswith(f"{role} may use no schema of its search_path")
    fresh.query(remedy(line))
    start_on(as_role(fresh, role))


def test_a_role_that_may_have_one_connection_only_is_refused(fresh: TestDatabase, role: str) -> None:
    fresh.administer(f"GRANT CREATE ON SCHEMA public TO {role}; ALTER ROLE {role} CONNECTION LIMIT 1")

    line = refusal(as_role(fresh, role))

    assert f'too many connections for role "{role}"' in line
    assert line.endswith("raise max_connections or the role's limit, or lower DB_POOL_SIZE")


def test_tables_of_another_owner_are_refused(fresh: TestDatabase, role: str) -> None:
    start_on(fresh.keywords)
    fresh.query("UPDATE schema_version SET content_hash = 'of an older file'")
    fresh.query(f"GRANT CREATE ON SCHEMA public TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")

    line = refusal(as_role(fresh, role))

    assert line.startswith(f"{role} may not change what belongs to pagewire_app: ALTER TABLE announcements OWNER TO ")
    fresh.administer(remedy(line))
    start_on(as_role(fresh, role))


def test_a_role_that_may_read_and_write_is_enough_for_a_schema_that_is_there(fresh: TestDatabase, role: str) -> None:
    start_on(fresh.keywords)

    line = refusal(as_role(fresh, role))

    assert line.startswith(f"{role} may not read and write announcements, ")
    fresh.query(remedy(line))
    start_on(as_role(fresh, role))


# Tables of another program


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        ("CREATE VIEW users AS SELECT 1 AS id", "VIEW"),
        ("CREATE MATERIALIZED VIEW users AS SELECT 1 AS id", "MATERIALIZED VIEW"),
        ("CREATE TABLE users (id bigint PRIMARY KEY) PARTITION BY RANGE (id)", "TABLE"),
        ("CREATE SEQUENCE users", "SEQUENCE"),
        ("CREATE TYPE users AS (id bigint)", "TYPE"),
    ],
)
def test_another_thing_under_the_name_of_a_table_is_refused(fresh: TestDatabase, made: str, kind: str) -> None:
    fresh.query(made)

    line = refusal(fresh.keywords)

    assert line.startswith("users in the schema public is a ")
    fresh.query(line[line.rindex(f"ALTER {kind} ") :])
    start_on(fresh.keywords)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ("CREATE TABLE users (id uuid PRIMARY KEY, email text)", "users.id is of type uuid, and Pagewire needs bigint"),
        ("CREATE TABLE events (id bigint, starts_at timestamptz)", "events has no column user_id"),
        ("CREATE TABLE pages (document_id bigint, page_number text)", "pages.page_number is of type text"),
        ("CREATE TABLE documents (id bigint PRIMARY KEY, title text)", "documents has no column user_id"),
        (
            "CREATE TABLE schema_version (version text, script text)",
            "schema_version has no column content_hash",
        ),
        ("CREATE TABLE users (id bigint PRIMARY KEY, email jsonb)", "users.email is of type jsonb"),
    ],
)
def test_a_table_of_another_program_is_refused_and_left_alone(fresh: TestDatabase, made: str, reason: str) -> None:
    fresh.query(made)

    line = refusal(fresh.keywords)

    assert line.startswith(reason)
    assert fresh.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(1,)]
    fresh.query(line[line.rindex("ALTER TABLE ") :])
    start_on(fresh.keywords)


def test_a_column_that_every_row_needs_and_pagewire_does_not_know_is_refused(fresh: TestDatabase) -> None:
    fresh.query(CLASSIC)
    fresh.query("""ALTER TABLE users ADD "userName" text NOT NULL DEFAULT ''""")
    fresh.query("""ALTER TABLE users ALTER "userName" DROP DEFAULT""")

    line = refusal(fresh.keywords)

    assert line.startswith("no row of users may be without userName")
    fresh.query(remedy(line))
    start_on(fresh.keywords)


def test_a_view_that_keeps_a_column_from_being_widened_is_named(fresh: TestDatabase) -> None:
    fresh.query(CLASSIC)
    fresh.query("CREATE VIEW people AS SELECT id, name FROM users")

    line = refusal(fresh.keywords)

    assert "view people" in line
    assert fresh.query("SELECT pg_typeof(sender_id)::text FROM messages LIMIT 1") == [("integer",)]


def test_a_view_over_the_users_of_a_schema_that_is_there_does_no_harm(fresh: TestDatabase) -> None:
    start_on(fresh.keywords)
    fresh.query("CREATE VIEW people AS SELECT id, name FROM users")
    fresh.query("UPDATE schema_version SET content_hash = 'of an older file'")

    start_on(fresh.keywords)


def test_a_schema_in_the_search_path_other_than_public_will_do(fresh: TestDatabase) -> None:
    fresh.query("CREATE TABLE users (id uuid); CREATE SCHEMA mine")

    start_on({**fresh.keywords, "options": "-c search_path=mine,public"})

    assert fresh.query("SELECT count(*) FROM mine.users") == [(0,)]
