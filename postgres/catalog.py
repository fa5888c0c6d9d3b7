"""What a database has under the names of schema.sql."""

from typing import NamedTuple

from db import Executor
from postgres import queries
from postgres.expected import Schema
from postgres.queries import ColumnRow, FunctionRow, RelationRow

WITHOUT_ZONE = "timestamp without time zone"
CONVERTIBLE = {  # to the type that schema.sql names: those that the migration widens
    "bigint": {"integer", "smallint"},
    "integer": {"smallint"},
    "text": {"character varying", "citext"},
    "timestamp with time zone": {WITHOUT_ZONE},
}


class Catalog(NamedTuple):
    relations: list[RelationRow]
    columns: list[ColumnRow]
    functions: list[FunctionRow]

    def has(self, relation: str) -> bool:
        return any(row.name == relation for row in self.relations)

    def columns_of(self, table: str) -> dict[str, ColumnRow]:
        return {column.name: column for column in self.columns if column.relation == table}


async def read_catalog(conn: Executor, schema: Schema) -> Catalog:
    names = list(schema.tables)
    return Catalog(
        await queries.list_relations(conn, names=names),
        await queries.list_columns(conn, names=names),
        await queries.list_functions(conn, names=schema.functions),
    )
