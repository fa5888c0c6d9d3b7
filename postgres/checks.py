"""Reasons why a database cannot serve, each in one line that names the remedy."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from errors import StartupError
from postgres.catalog import CONVERTIBLE, Catalog
from postgres.queries import AccountRow, RelationRow, ServerRow

MIN_SERVER_VERSION = 130000
KINDS = {  # of pg_class.relkind: what it is, and its name in ALTER
    "v": ("a view", "VIEW"),
    "m": ("a materialized view", "MATERIALIZED VIEW"),
    "f": ("a foreign table", "FOREIGN TABLE"),
    "p": ("a partitioned table", "TABLE"),
    "S": ("a sequence", "SEQUENCE"),
    "c": ("a type", "TYPE"),
}
AN_INDEX = ("an index", "INDEX")
NAMED_PAIRS = 10
EQUIVALENT = {"integer": {"bigint"}}
READ_ONLY_REMEDIES = {  # by pg_settings.source
    "user": "ALTER ROLE {role} RESET default_transaction_read_only",
    "database": "ALTER DATABASE {database} RESET default_transaction_read_only",
    "database user": "ALTER ROLE {role} IN DATABASE {database} RESET default_transaction_read_only",
    "client": "remove it from the options in DATABASE_URL or PGOPTIONS",
}


def check_server(server: ServerRow) -> None:
    if server.version < MIN_SERVER_VERSION:
        raise StartupError(f"PostgreSQL {server.version // 10000} is too old: install 13 or newer")
    if server.encoding != "UTF8":
        raise StartupError(
            f"the database's encoding is {server.encoding}, which cannot hold every character: create one with "
            "CREATE DATABASE pagewire TEMPLATE template0 ENCODING 'UTF8', and name it in DATABASE_URL"
        )
    if server.is_standby:
        raise StartupError("the server is a standby, which is read-only: name the primary server in DATABASE_URL")
    if server.is_read_only:
        remedy = READ_ONLY_REMEDIES.get(server.read_only_source, "set it to off in postgresql.conf")
        raise StartupError(
            f"{server.role} may only read, because default_transaction_read_only is on: "
            f"{remedy.format(role=server.role, database=server.database)}"
        )
    if server.schema is None:
        raise StartupError(
            f"{server.role} may use no schema of its search_path: GRANT USAGE, CREATE ON SCHEMA public TO {server.role}"
        )


def check_may_change(server: ServerRow, catalog: Catalog) -> None:
    """Refuse a role that may not create tables, or not alter those that are there."""
    if not server.may_create:
        raise StartupError(
            f"{server.role} may not create tables in the schema {server.schema}: "
            f"GRANT CREATE ON SCHEMA {server.schema} TO {server.role}"
        )
    others = [(f"TABLE {row.name}", row.owner) for row in catalog.relations if not row.is_ours]
    others += [(f"FUNCTION {row.name}", row.owner) for row in catalog.functions if not row.is_ours]
    if others:
        owners = ", ".join(sorted({owner for _, owner in others}))
        remedy = "; ".join(f"ALTER {thing} OWNER TO {server.role}" for thing, _ in others)
        raise StartupError(f"{server.role} may not change what belongs to {owners}: {remedy}")


def check_may_write(server: ServerRow, catalog: Catalog) -> None:
    closed = [row.name for row in catalog.relations if not row.may_write]
    if closed:
        raise StartupError(
            f"{server.role} may not read and write {', '.join(closed)}: "
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {server.schema} TO {server.role}; "
            f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {server.schema} TO {server.role}"
        )


# Tables of another program


def check_kinds(server: ServerRow, relations: Iterable[RelationRow]) -> None:
    """Refuse views and the like under the name of a table."""
    for row in relations:
        if row.kind != "r":
            kind, keyword = KINDS.get(row.kind, AN_INDEX)
            raise StartupError(
                f"{row.name} in the schema {server.schema} is {kind}, and Pagewire needs a table of that name: "
                f"{_make_room(server, row.name, keyword)}"
            )


def check_present(server: ServerRow, catalog: Catalog, tables: Mapping[str, Collection[str]]) -> None:
    """Refuse a table that lacks some of the columns that *tables* gives it."""
    for row in catalog.relations:
        missing = [name for name in tables.get(row.name, ()) if name not in catalog.columns_of(row.name)]
        if missing:
            _refuse_table(server, row.name, f"{row.name} has no column {missing[0]}")


def check_types(
    server: ServerRow, catalog: Catalog, tables: Mapping[str, Mapping[str, str]], *, convertible: bool
) -> None:
    """Refuse a column that is of another type than *tables* says; *convertible*: and cannot be converted to it."""
    for column in catalog.columns:
        wanted = tables.get(column.relation, {}).get(column.name, column.type)
        accepted = {wanted, *EQUIVALENT.get(wanted, ()), *(CONVERTIBLE.get(wanted, ()) if convertible else ())}
        if column.type not in accepted:
            _refuse_table(
                server,
                column.relation,
                f"{column.relation}.{column.name} is of type {column.type}, and Pagewire needs {wanted}",
            )


def check_extra(catalog: Catalog, tables: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse columns that Pagewire does not know and that no row may be without."""
    for column in catalog.columns:
        if column.name not in tables.get(column.relation, {}) and column.is_required and not column.has_default:
            raise StartupError(
                f"no row of {column.relation} may be without {column.name}, which Pagewire does not know: "
                f"ALTER TABLE {column.relation} ALTER {_quote(column.name)} DROP NOT NULL"
            )


def _quote(name: str) -> str:
    return name if re.fullmatch("[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


def _refuse_table(server: ServerRow, table: str, difference: str) -> None:
    raise StartupError(
        f"{difference}; the table in the schema {server.schema} is another program's: "
        f"{_make_room(server, table, 'TABLE')}"
    )


def _make_room(server: ServerRow, name: str, keyword: str) -> str:
    return (
        f"name a database of Pagewire's own in DATABASE_URL (CREATE DATABASE pagewire), "
        f"or ALTER {keyword} {server.schema}.{name} RENAME TO {name}_old"
    )


# Addresses


def describe_collisions(collisions: Sequence[tuple[AccountRow, AccountRow]]) -> str:
    pairs = [f"{one.email} (id {one.id}) and {other.email} (id {other.id})" for one, other in collisions[:NAMED_PAIRS]]
    if len(collisions) > NAMED_PAIRS:
        pairs.append(f"{len(collisions) - NAMED_PAIRS} more")
    remedy = f"UPDATE users SET email = 'other@example.com' WHERE id = {collisions[0][1].id}"  # noqa: S608  shown only
    return (
        f"some accounts have one address in different spellings, and would become one: {', '.join(pairs)}; "
        f"change one of each two, as by {remedy}"
    )
