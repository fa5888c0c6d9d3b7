"""The role that Pagewire works as: owner of its database, and of nothing else on the machine."""

import contextlib
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from postgres.embedded import EmbeddedServer
from postgres.roles import APPLICATION, SUPERUSER
from support.outages import FragilePostgres


@pytest.fixture(scope="module")
def server() -> Iterator[FragilePostgres]:
    folder = Path(tempfile.mkdtemp(prefix="pagewire-test-"))
    folder.chmod(0o711)  # PostgreSQL's user passes through it
    started = FragilePostgres(folder / "data")
    started.ensure_started()
    yield started
    started.release()
    shutil.rmtree(folder)


def as_application(server: EmbeddedServer, sql: str) -> list[tuple[object, ...]]:
    with contextlib.closing(psycopg2.connect(make_dsn(**server.connect_kwargs))) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []


@pytest.mark.parametrize(
    "slip",
    [
        "COPY (SELECT 1) TO PROGRAM 'touch /tmp/pagewire-was-here'",
        "COPY (SELECT 1) TO '/tmp/pagewire-was-here'",
        "SELECT pg_read_file('postgresql.conf')",
        "SELECT pg_ls_dir('.')",
        "SELECT lo_import('/etc/passwd')",
        "ALTER SYSTEM SET archive_command = 'touch /tmp/pagewire-was-here'",
        "CREATE FUNCTION run(cstring) RETURNS int AS '/lib/x86_64-linux-gnu/libc.so.6', 'system' LANGUAGE c",
        f"ALTER ROLE {APPLICATION} SUPERUSER",
        f"SET ROLE {SUPERUSER}",
        "CREATE ROLE another LOGIN",
        "CREATE DATABASE another",
        "SELECT rolpassword FROM pg_authid",
        "LOAD 'auto_explain'",
    ],
)
def test_a_slip_in_sql_reaches_nothing_but_the_database(server: FragilePostgres, slip: str) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        as_application(server, slip)


def test_the_application_owns_its_database(server: FragilePostgres) -> None:
    as_application(server, "CREATE TABLE mine (id serial PRIMARY KEY); DROP TABLE mine")

    assert as_application(server, "SELECT current_user::text") == [(APPLICATION,)]


def test_nobody_else_can_read_its_password(server: FragilePostgres) -> None:
    assert stat.S_IMODE(server.folders.passfile.stat().st_mode) == 0o600


def test_its_password_cannot_be_guessed_and_is_checked_quickly(server: FragilePostgres) -> None:
    password = server.folders.passfile.read_text().strip().rpartition(":")[2]

    ((kept,),) = server.ask(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{APPLICATION}'")

    assert len(bytes.fromhex(password)) == 32
    assert kept.startswith("SCRAM-SHA-256$1:")


def test_the_database_of_an_older_version_is_handed_over_at_the_next_start(server: FragilePostgres) -> None:
    as_superuser = server.ask
    as_superuser(f"DROP OWNED BY {APPLICATION}")
    as_superuser(f"ALTER DATABASE pagewire OWNER TO {SUPERUSER}")
    as_superuser(f"DROP ROLE {APPLICATION}")
    server.folders.passfile.unlink()
    for statement in (
        'CREATE TABLE "Old" (id serial PRIMARY KEY, mood text)',
        "INSERT INTO \"Old\" (mood) VALUES ('fine')",
        'CREATE VIEW seen AS SELECT * FROM "Old"',
        "CREATE TYPE mood AS ENUM ('fine')",
        "CREATE SEQUENCE alone",
        "CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n'",
    ):
        as_superuser(statement)

    server.ensure_started()

    as_application(server, 'ALTER TABLE "Old" ADD COLUMN more int; INSERT INTO "Old" (mood) VALUES (\'x\')')
    as_application(server, "DROP FUNCTION twice(int); DROP VIEW seen; DROP TYPE mood; DROP SEQUENCE alone")
    assert as_application(server, 'SELECT id, mood FROM "Old" ORDER BY id') == [(1, "fine"), (2, "x")]
    as_application(server, 'DROP TABLE "Old"')


def test_a_lost_password_is_made_anew(server: FragilePostgres) -> None:
    server.folders.passfile.unlink()

    server.ensure_started()

    assert as_application(server, "SELECT 1") == [(1,)]


def test_the_password_is_not_in_the_servers_log(server: FragilePostgres) -> None:
    password = server.folders.passfile.read_text().strip().rpartition(":")[2]
    logs = "".join(path.read_text() for path in (server.folders.cluster / "log").glob("*.log"))

    assert password not in logs
    assert re.search("starting PostgreSQL", logs)
