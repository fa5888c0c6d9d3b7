"""What schema.sql makes, read from its text: tables with their columns, and functions."""

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

SCHEMA_FILE = Path(__file__).parent.parent / "schema.sql"
CREATED_TABLE = re.compile(r"^CREATE (?:UNLOGGED )?TABLE IF NOT EXISTS (\w+) \((.*?)^\)", re.MULTILINE | re.DOTALL)
ALTERED_TABLE = re.compile(r"^ALTER TABLE (\w+)((?:\s+ADD COLUMN IF NOT EXISTS .*)+)", re.MULTILINE)
COLUMN = re.compile(r"^ +([a-z]\w*) ([a-z]\w*(?:\[\])?)", re.MULTILINE)
ADDED_COLUMN = re.compile(r"ADD COLUMN IF NOT EXISTS (\w+) (\w+(?:\[\])?)")
FUNCTION = re.compile(r"^CREATE OR REPLACE FUNCTION (\w+)", re.MULTILINE)
VERSION = re.compile(r"^-- schema version: (\d+)$", re.MULTILINE)
LONG_NAMES = {"timestamptz": "timestamp with time zone"}


class Schema(NamedTuple):
    text: str
    version: int
    content_hash: str
    tables: dict[str, dict[str, str]]  # by name: the type of each column, as format_type() names it
    first_columns: dict[str, dict[str, str]]  # those that a table is created with; the others are added
    functions: list[str]


def read_schema() -> Schema:
    text = SCHEMA_FILE.read_text(encoding="utf-8")
    version = VERSION.search(text)
    assert version is not None
    first_columns = _read_columns(text, CREATED_TABLE, COLUMN)
    added_columns = _read_columns(text, ALTERED_TABLE, ADDED_COLUMN)
    return Schema(
        text,
        int(version[1]),
        hashlib.sha256(text.encode()).hexdigest(),
        {table: columns | added_columns.get(table, {}) for table, columns in first_columns.items()},
        first_columns,
        sorted(set(FUNCTION.findall(text))),
    )


def _read_columns(text: str, tables: re.Pattern[str], column: re.Pattern[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for table, block in tables.findall(text):
        found.setdefault(table, {}).update({name: LONG_NAMES.get(kind, kind) for name, kind in column.findall(block)})
    return found
