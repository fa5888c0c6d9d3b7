"""What containers and services run with is what the server knows."""

import re
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from settings import Settings
from test_floors import FLOOR_OF

HOUSE = Path(__file__).parent.parent
SETTINGS = {name.upper() for name in Settings.model_fields}
DOCKERFILE = (HOUSE / "Dockerfile").read_text()


def test_the_image_has_every_package_and_runs_as_somebody_without_rights() -> None:
    packages = {place for place in FLOOR_OF if (HOUSE / place).is_dir()}
    taken = set(re.findall(r"^!([a-z]+)$", (HOUSE / ".dockerignore").read_text(), re.MULTILINE))

    assert taken == packages
    assert all(f" {package}" in DOCKERFILE.split("compileall")[1].splitlines()[0] for package in packages)
    assert re.findall(r"^USER (\w+)$", DOCKERFILE, re.MULTILINE) == ["pagewire"]
    assert DOCKERFILE.index("USER pagewire") < DOCKERFILE.index("CMD")


def test_the_image_sets_what_the_server_knows() -> None:
    names = set(re.findall(r"\b([A-Z][A-Z_]+)=", DOCKERFILE.split("\nENV ")[1].split("\nVOLUME")[0]))

    assert names - {"PATH", "PYTHONDONTWRITEBYTECODE"} <= SETTINGS


def test_compose_names_every_part_and_sets_what_the_server_knows() -> None:
    compose = yaml.safe_load((HOUSE / "compose.yaml").read_text())

    services = compose["services"]
    assert set(services) == {"app", "worker", "postgres", "valkey", "s3"}
    assert all(":" in service["image"] for name, service in services.items() if name not in ("app", "worker"))
    assert set(compose["x-pagewire"]["environment"]) <= SETTINGS | {"REDIS_URL", "CELERY_BROKER_URL"}
    assert {*services["app"]["depends_on"]} == {"postgres", "valkey", "s3"}


def test_the_service_sets_what_the_server_knows() -> None:
    service = (HOUSE / "docs" / "pagewire.service").read_text()

    assert set(re.findall(r"\b([A-Z_]{4,})=", service.split("Environment=")[1].splitlines()[0])) <= SETTINGS
    assert "RestartPreventExitStatus=3" in service  # a wrong setting does not get better by itself
