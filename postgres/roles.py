"""The two roles of the embedded server: the superuser that sets it up, and the one that Pagewire works as.

To a superuser, one slip in SQL is a program run (COPY … PROGRAM) or a file read; the other role owns a database.
"""

import contextlib
import os
import secrets
from pathlib import Path

import psycopg2
from psycopg2.extensions import make_dsn
from psycopg2.sql import SQL, Identifier, Literal

DATABASE = "pagewire"
SUPERUSER = "pagewire"  # by initdb
APPLICATION = "pagewire_app"
PATIENCE = "10s"  # for sessions of an older version to let go of a table

# Everything of the application's that somebody else owns; a table takes its indexes and sequences along
_FOREIGN = """
WITH ours AS (
    SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), parts AS (  -- of extensions, and of tables
    SELECT classid, objid FROM pg_depend WHERE deptype IN ('a', 'e', 'i')
)
SELECT CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
       oid::regclass::text
  FROM pg_class
 WHERE relnamespace IN (SELECT oid FROM ours) AND relowner <> %(role)s::regrole
   AND relkind IN ('r', 'p', 'v', 'm', 'S') AND ('pg_class'::regclass, oid) NOT IN (SELECT classid, objid FROM parts)
UNION ALL
SELECT CASE prokind WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END, oid::regprocedure::text
  FROM pg_proc
 WHERE pronamespace IN (SELECT oid FROM ours) AND proowner <> %(role)s::regrole
   AND ('pg_proc'::regclass, oid) NOT IN (SELECT classid, objid FROM parts)
UNION ALL
SELECT 'TYPE', oid::regtype::text
  FROM pg_type
 WHERE typnamespace IN (SELECT oid FROM ours) AND typowner <> %(role)s::regrole AND typtype IN ('d', 'e')
   AND ('pg_type'::regclass, oid) NOT IN (SELECT classid, objid FROM parts)
"""


def read_password(passfile: Path) -> str:
    """Return the application's password; where there is none yet, make one that no other user can read."""
    with contextlib.suppress(FileNotFoundError):
        return passfile.read_text().strip().rpartition(":")[2]
    password = secrets.token_hex(32)
    new = passfile.with_name(f"{passfile.name}.new-{secrets.token_hex(8)}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as file:
        file.write(f"*:*:*:{APPLICATION}:{password}\n")
        file.flush()
        os.fsync(file.fileno())
    new.rename(passfile)
    return password


def make_application_role(superuser: dict[str, str], password: str) -> None:
    """Let the application's role own the database and all that is in it: all at once, or not at all.

    *superuser* has the keywords of psycopg2.connect, without a database.
    """
    with contextlib.closing(psycopg2.connect(make_dsn(**{**superuser, "dbname": "postgres"}))) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,))
        if not cursor.rowcount:
            cursor.execute(SQL("CREATE DATABASE {}").format(Identifier(DATABASE)))
    with (
        contextlib.closing(psycopg2.connect(make_dsn(**{**superuser, "dbname": DATABASE}))) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(SQL("SET LOCAL lock_timeout = {}").format(Literal(PATIENCE)))
        cursor.execute("SET LOCAL log_statement = 'none'; SET LOCAL log_min_error_statement = 'panic'")
        if connection.server_version >= 160000:  # nobody guesses 32 random bytes: more would cost a connection 2 ms
            cursor.execute("SET LOCAL scram_iterations = 1")
        cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", (APPLICATION,))
        verb = SQL("ALTER ROLE") if cursor.rowcount else SQL("CREATE ROLE")
        attributes = SQL("LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD {}")
        cursor.execute(SQL("{} {} ").format(verb, Identifier(APPLICATION)) + attributes.format(Literal(password)))
        cursor.execute(SQL("ALTER DATABASE {} OWNER TO {}").format(Identifier(DATABASE), Identifier(APPLICATION)))
        cursor.execute(_FOREIGN, {"role": APPLICATION})
        for kind, name in cursor.fetchall():  # quoted by the server
            cursor.execute(f"ALTER {kind} {name} OWNER TO {APPLICATION}")
