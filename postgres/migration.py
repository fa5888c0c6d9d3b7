"""Bring a database up to schema.sql, checked before and after; one that is refused stays as it was."""

from db import Connection, Database, SqlError, fold, fold_address, fold_filename
from errors import StartupError
from postgres import checks, queries
from postgres.catalog import Catalog, read_catalog
from postgres.classic import migrate_classic_tables
from postgres.expected import Schema, read_schema
from postgres.queries import AccountRow, DocumentNameRow, ServerRow

MIGRATION_SECONDS = 600.0
ROWS_AT_ONCE = 10_000
MIN_ID = -(2**63)
FEATURE_NOT_SUPPORTED = "0A000"


async def apply_schema(database: Database) -> None:
    """Bring the database up to schema.sql; any number of processes may do so at once.

    Raises:
        StartupError: if it cannot serve, or was made by a newer Pagewire; DatabaseUnavailableError.
    """
    schema = read_schema()
    try:
        async with database.transaction(seconds=MIGRATION_SECONDS) as tx:
            await _apply(tx, schema)
    except SqlError as error:
        raise StartupError(f"the schema cannot be applied: {_describe(error)}") from error


async def _apply(tx: Connection, schema: Schema) -> None:
    server = await queries.get_server(tx)
    checks.check_server(server)
    await queries.lock_schema(tx)
    catalog = await read_catalog(tx, schema)
    checks.check_kinds(server, catalog.relations)
    current = await _find_version(tx, server, catalog, schema)
    if current is not None and current.version > schema.version:
        raise StartupError(
            f"the database has schema version {current.version}, this program knows {schema.version}: "
            "start a newer Pagewire"
        )
    if current is None or current.content_hash != schema.content_hash:
        catalog = await _migrate(tx, server, catalog, schema, is_new=current is None)
    checks.check_extra(catalog, schema.tables)
    checks.check_may_write(server, catalog)


async def _find_version(
    tx: Connection, server: ServerRow, catalog: Catalog, schema: Schema
) -> queries.VersionRow | None:
    if not catalog.has("schema_version"):
        return None
    checks.check_present(server, catalog, {"schema_version": schema.tables["schema_version"]})
    checks.check_may_write(server, catalog)  # to read it, too
    return await queries.find_version(tx)


async def _migrate(tx: Connection, server: ServerRow, catalog: Catalog, schema: Schema, *, is_new: bool) -> Catalog:
    checks.check_types(server, catalog, schema.tables, convertible=True)
    if is_new:  # of older versions, some columns had other names
        checks.check_present(server, catalog, schema.first_columns)
    checks.check_may_change(server, catalog)
    await migrate_classic_tables(tx, catalog, schema.tables)
    await tx.execute(schema.text)
    await _fold_accounts(tx)
    await _fold_document_names(tx)
    await queries.insert_version(tx, version=schema.version, content_hash=schema.content_hash)
    migrated = await read_catalog(tx, schema)
    checks.check_present(server, migrated, schema.tables)
    checks.check_types(server, migrated, schema.tables, convertible=False)
    return migrated


async def _fold_accounts(tx: Connection) -> None:
    """Write the keys of accounts that have none, or others than this program would give them."""
    first: dict[str, AccountRow] = {}  # of each address
    collisions: list[tuple[AccountRow, AccountRow]] = []
    rows: list[AccountRow] = []
    while rows := await queries.list_accounts(tx, after_id=rows[-1].id if rows else MIN_ID, limit=ROWS_AT_ONCE):
        changed = []
        for row in rows:
            folded = row._replace(email_key=fold_address(row.email), name_key=fold(row.name))
            if folded != row:
                changed.append(folded)
            if (other := first.setdefault(str(folded.email_key), row)) is not row:
                collisions.append((other, row))
        if not collisions:
            await queries.set_keys(
                tx,
                user_ids=[row.id for row in changed],
                email_keys=[str(row.email_key) for row in changed],
                name_keys=[str(row.name_key) for row in changed],
            )
    if collisions:
        raise StartupError(checks.describe_collisions(collisions))


async def _fold_document_names(tx: Connection) -> None:
    """Write the keys of documents that have none, or others than this program would give them."""
    rows: list[DocumentNameRow] = []
    while rows := await queries.list_document_names(tx, after_id=rows[-1].id if rows else MIN_ID, limit=ROWS_AT_ONCE):
        changed = [(row.id, key) for row in rows if (key := fold_filename(row.filename)) != row.name_key]
        await queries.set_name_keys(
            tx, document_ids=[document_id for document_id, _ in changed], name_keys=[key for _, key in changed]
        )


def _describe(error: SqlError) -> str:
    """The server's reason, on one line, with a remedy where there is a common one."""
    reason = " ".join((error.diag.message_primary or str(error)).split())
    if error.diag.message_detail:
        reason += f" ({' '.join(error.diag.message_detail.split())})"
    if error.pgcode == FEATURE_NOT_SUPPORTED:
        reason += "; drop what depends on the column, start Pagewire, and create it again"
    return reason
