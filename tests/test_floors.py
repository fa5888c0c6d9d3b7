"""The house stands: a place imports from lower floors only, no modules in circles, one door for each outside system."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent
FLOORS = [
    {"errors"},
    {"settings"},
    {"chat", "extraction"},
    {"db", "pdf"},
    {"index", "postgres"},
    {"edge"},
    {"auth"},
    {"delivery"},
    {"accounts"},
    {"messages"},
    {"documents"},
    {"search", "upkeep"},
    {"main"},
    {"worker"},
]
DOORS = {
    "psycopg2": {"db", "postgres.dumping", "postgres.embedded", "postgres.location", "postgres.roles"},
    "pypdfium2": {
        "extraction.page.annotations",
        "extraction.page.native",
        "extraction.page.pdfium",
        "extraction.page.textpage",
    },
    "pdfplumber": {"extraction.page.chars", "extraction.plumber"},
    "pikepdf": {f"extraction.page.{name}" for name in ("boxes", "layers", "repair", "structure", "typed")},
    "PIL": {"extraction.pictures"},
    "xlsxwriter": {"extraction.tables.tabular"},
    "smtplib": {"delivery.smtp"},
    "limits": {"edge.limits", "edge.redis_limits", "settings"},
    "celery": {"delivery.task_queue", "worker"},
    "redis": {"edge.redis_answers", "edge.redis_client", "edge.redis_limits"},
    "bcrypt": {"auth"},
    "jwt": {"auth"},
    "cryptography": {"documents.passwords"},
    "obstore": {"documents.s3"},
    "uvicorn": {"main", "edge.uvicorn", "edge.draining"},
}
INNER_FLOORS = ["extraction.page", "extraction.tables", "extraction.workers"]  # none imports those after it
OTHER_LOGGERS = {"edge.logs"}  # configures uvicorn's loggers, besides our own
FLOOR_OF = {place: floor for floor, places in enumerate(FLOORS) for place in places}


@cache
def _nodes_of(source: str) -> list[ast.AST]:
    return list(ast.walk(ast.parse(source)))


def find_modules(house: Path) -> dict[str, Path]:
    """Every module of the product by its dotted name."""
    roots = {path.stem: path for path in house.glob("*.py")}
    inner = {
        ".".join(path.relative_to(house).with_suffix("").parts): path
        for folder in house.iterdir()
        if (folder / "__init__.py").exists() and folder.name != "bench"
        for path in folder.rglob("*.py")
        if path.stem != "__init__"
    }
    return roots | inner


def find_imports(path: Path, modules: dict[str, Path]) -> set[str]:
    """The dotted names that a module imports: of the product's modules, else of the outside package."""
    found: set[str] = set()
    for node in _nodes_of(path.read_text()):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & set(modules)
            found |= inner or {node.module}
    return {name if name in modules else name.partition(".")[0] for name in found}


def place_of(module: str) -> str:
    return module.partition(".")[0]


def inner_floor_of(module: str) -> int:
    """Which of INNER_FLOORS; -1 for every other place."""
    package = module.rpartition(".")[0]
    return INNER_FLOORS.index(package) if package in INNER_FLOORS else -1


def find_climbs(house: Path) -> Iterator[str]:
    """Each import of a place beside or above the one that imports."""
    modules = find_modules(house)
    for module, path in modules.items():
        for name in find_imports(path, modules):
            here, there = place_of(module), place_of(name)
            if here != there and there in FLOOR_OF and FLOOR_OF[there] >= FLOOR_OF.get(here, 0):
                yield f"{module} imports {name}"
            if inner_floor_of(name) > inner_floor_of(module) >= 0:
                yield f"{module} imports {name}"


def find_circle(house: Path) -> list[str]:
    """The modules of one circle of imports; empty if there is none."""
    modules = find_modules(house)
    try:
        tuple(
            TopologicalSorter(
                {module: find_imports(path, modules) & set(modules) for module, path in modules.items()}
            ).static_order()
        )
    except CycleError as error:
        return list(error.args[1])
    return []


def find_stray_loggers(house: Path) -> Iterator[str]:
    """Each logger outside the tree "pagewire", which alone is configured, or of a name that is not written out."""
    for module, path in find_modules(house).items():
        if module in OTHER_LOGGERS:
            continue
        for node in _nodes_of(path.read_text()):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "getLogger":
                name = ast.literal_eval(node.args[0]) if node.args and isinstance(node.args[0], ast.Constant) else None
                if str(name).partition(".")[0] != "pagewire":
                    yield f"{module}: {ast.unparse(node)}"


def test_every_place_has_a_floor() -> None:
    assert {place_of(module) for module in find_modules(HOUSE)} == set(FLOOR_OF)


def test_a_place_imports_from_lower_floors_only() -> None:
    assert list(find_climbs(HOUSE)) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert find_circle(HOUSE) == []


@pytest.mark.parametrize("system", sorted(DOORS))
def test_an_outside_system_has_one_door(system: str) -> None:
    modules = find_modules(HOUSE)

    assert {module for module, path in modules.items() if system in find_imports(path, modules)} == DOORS[system]


def test_every_logger_is_in_the_tree_that_is_configured() -> None:
    assert list(find_stray_loggers(HOUSE)) == []


@pytest.fixture
def planted_house(tmp_path: Path) -> Path:
    """A house of two places, with nothing wrong."""
    (tmp_path / "errors.py").touch()
    (tmp_path / "edge").mkdir()
    (tmp_path / "edge" / "__init__.py").touch()
    (tmp_path / "edge" / "forms.py").write_text("from errors import PagewireError")
    (tmp_path / "edge" / "fields.py").touch()
    return tmp_path


def test_a_planted_upward_import_is_found(planted_house: Path) -> None:
    (planted_house / "errors.py").write_text("def work() -> None:\n    from edge import forms")

    assert list(find_climbs(planted_house)) == ["errors imports edge.forms"]


def test_a_planted_circle_inside_a_package_is_found(planted_house: Path) -> None:
    (planted_house / "edge" / "forms.py").write_text("from edge.fields import Id")
    (planted_house / "edge" / "fields.py").write_text("import edge.forms")

    assert set(find_circle(planted_house)) == {"edge.forms", "edge.fields"}


@pytest.mark.parametrize("call", ["getLogger(__name__)", "logging.getLogger()", "logging.getLogger('pagewires')"])
def test_a_planted_stray_logger_is_found(planted_house: Path, call: str) -> None:
    (planted_house / "edge" / "forms.py").write_text(call)

    assert list(find_stray_loggers(planted_house)) == [f"edge.forms: {call}"]


def test_a_house_with_nothing_wrong_is_found_sound(planted_house: Path) -> None:
    (planted_house / "edge" / "logs.py").write_text("import logging\nlogging.getLogger('uvicorn')")
    (planted_house / "edge" / "answers.py").write_text("import logging\nlogging.getLogger('pagewire.edge')")

    assert list(find_climbs(planted_house)) == []
    assert find_circle(planted_house) == []
    assert list(find_stray_loggers(planted_house)) == []
