"""Where the database is: DATABASE_URL, DB_*, or the embedded server."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from errors import StartupError
from postgres.location import locate_database
from settings import Settings


@pytest.fixture
def settings_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Settings]:
    monkeypatch.chdir(tmp_path)  # where there is no .env

    def make(**variables: str) -> Settings:
        for name in list(os.environ):
            if name.startswith("DB_") or name in ("DATABASE_URL", "DATA_DIR"):
                monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return Settings()

    return make


def test_database_url_takes_precedence_over_the_db_variables(settings_for: Callable[..., Settings]) -> None:
    settings = settings_for(DATABASE_URL="postgres://bob:s3cret@db.example:6543/team", DB_HOST="elsewhere.example")

    location = locate_database(settings)

    keywords = {"host": "db.example", "port": "6543", "dbname": "team", "user": "bob", "password": "s3cret"}
    assert location.connect_kwargs == keywords
    assert location.server is None


def test_the_description_names_the_database_and_no_secret(settings_for: Callable[..., Settings]) -> None:
    location = locate_database(settings_for(DATABASE_URL="postgresql://bob:s3cret@db.example/team"))

    assert location.description == "PostgreSQL at db.example:5432/team"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+asyncpg"])
def test_database_url_may_be_written_as_sqlalchemy_writes_it(
    settings_for: Callable[..., Settings], scheme: str
) -> None:
    location = locate_database(settings_for(DATABASE_URL=f"{scheme}://bob:p%40ss@db.example/team?sslmode=require"))

    assert location.connect_kwargs["password"] == "p@ss"
    assert location.connect_kwargs["sslmode"] == "require"


@pytest.mark.parametrize(
    "url", ["mysql://bob:s3cret@db/x", "s3cret", "postgresql://bob:s3cret@[db/x", "postgresql://bob:s3cret@db/x?pool=1"]
)
def test_a_malformed_database_url_is_reported_without_its_password(
    settings_for: Callable[..., Settings], url: str
) -> None:
    with pytest.raises(StartupError) as raised:
        locate_database(settings_for(DATABASE_URL=url))

    assert raised.value.detail.startswith("DATABASE_URL: ")
    assert "\n" not in raised.value.detail
    assert "s3cret" not in raised.value.detail


def test_the_db_variables_name_the_database(settings_for: Callable[..., Settings]) -> None:
    settings = settings_for(DB_HOST="db.example", DB_NAME="team", DB_USER="bob", DB_PASSWORD="a 'b", DB_PORT="6543")

    location = locate_database(settings)

    keywords = {"host": "db.example", "port": "6543", "dbname": "team", "user": "bob", "password": "a 'b"}
    assert location.connect_kwargs == keywords
    assert location.description == "PostgreSQL at db.example:6543/team"


def test_without_either_it_is_the_embedded_server_not_started_yet(
    settings_for: Callable[..., Settings], tmp_path: Path
) -> None:
    location = locate_database(settings_for(DATA_DIR=str(tmp_path / "data")))

    assert location.server is not None
    assert location.description == f"embedded PostgreSQL in {tmp_path}/data/postgres"
    assert not (tmp_path / "data").exists()
