"""Settings: read from the environment, rejected when invalid, and all of them in `.env.example`."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from errors import StartupError
from settings import Settings, load_settings
from support.servers import Server

HOUSE = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def example() -> dict[str, tuple[str, str]]:
    lines = re.findall(r"^(\w+)=(.*?)\s*# (.+)$", (HOUSE / ".env.example").read_text(), re.MULTILINE)
    return {name: (value, comment) for name, value, comment in lines}


def test_the_example_names_every_setting_and_no_other() -> None:
    assert set(example()) == {name.upper() for name in Settings.model_fields}


def test_the_example_shows_the_defaults(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text((HOUSE / ".env.example").read_text())

    assert load_settings().model_dump() == Settings.model_construct().model_dump()


def test_a_dotenv_file_is_read_and_the_environment_overrides_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("PORT=9001\nHOST=0.0.0.0\nUNKNOWN=1\n")
    monkeypatch.setenv("PORT", "9002")

    settings = load_settings()

    assert (settings.host, settings.port) == ("0.0.0.0", 9002)


def test_a_byte_order_mark_before_a_dotenv_file_is_ignored(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=9001\n", encoding="utf-8-sig")

    assert load_settings().port == 9001


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_dotenv_file_in_another_encoding_is_rejected_by_name(tmp_path: Path, encoding: str) -> None:
    (tmp_path / ".env").write_text("DB_PASSWORD=größer\n", encoding=encoding)

    with pytest.raises(StartupError, match=r"^\.env: not UTF-8"):
        load_settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("MAX_UPLOAD_MB", "0"),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "-1"),
        ("REGISTRATION", "maybe"),
        ("LOGIN_RATE_LIMIT", "ten a minute"),
        ("LOGIN_RATE_LIMIT", "0/minute"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://a.example,*"),
        ("CORS_ORIGINS", "null"),
        ("CORS_ORIGINS", "https://*.example.com"),
        ("CORS_ORIGINS", "a.example"),
        ("CORS_ORIGINS", "https://a.example/page"),
        ("ALLOWED_HOSTS", "*"),
        ("ALLOWED_HOSTS", "pagewire.example.com:8000"),
        ("ALLOWED_HOSTS", "https://pagewire.example.com"),
        ("SMTP_SECURITY", "ssl3"),
        ("SMTP_FROM", "nobody"),
        ("SMTP_FROM", "a@example.com\nBcc: b@example.com"),
        ("SECRET_KEY", "short"),
        ("SECRET_KEY", "your-secret-key-change-in-production-please"),
        ("SECRET_KEY", "a" * 64),
    ],
)
def test_an_invalid_value_is_one_line_that_names_the_variable(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(StartupError) as caught:
        load_settings()

    assert caught.value.detail.startswith(f"{variable}: ")
    assert "\n" not in caught.value.detail
    assert variable != "SECRET_KEY" or value not in caught.value.detail.replace("shorter", "")


def test_an_empty_value_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("PORT", "")

    settings = load_settings()

    assert (settings.database_url, settings.port) == (None, 8000)


def test_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example, https://B.example:8443/,http://[::1]:3000")

    assert load_settings().cors_origins == ("https://a.example", "https://b.example:8443", "http://[::1]:3000")


def test_secrets_do_not_show_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "4f1d7a9c0b2e6385f7a1c3d5e9b80246")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hush@h/d")

    assert not {"4f1d7a9c", "hush"} & set(re.findall(r"4f1d7a9c|hush", repr(load_settings())))


@pytest.mark.parametrize(("mode", "warns"), [(0o600, False), (0o640, True)])
def test_a_start_warns_of_secrets_that_others_may_read(
    make_server: Callable[..., Server], mode: int, warns: bool
) -> None:
    server = make_server()
    server.folder.mkdir()
    (server.folder / ".env").write_text("LOG_LEVEL=info\n")
    (server.folder / ".env").chmod(mode)

    server.start()

    assert any(".env holds secrets" in line for line in server.lines) is warns


UNUSED = {"pypdfium2_raw", "obstore", "redis", "celery", "opentelemetry.sdk", "upkeep"}  # by a plain start


def test_importing_main_has_no_effect_and_needs_no_environment(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", f"import main, sys; print({UNUSED} & set(sys.modules))"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(HOUSE), "PORT": "nonsense"},
        capture_output=True,
        text=True,
    )

    assert (found.returncode, found.stdout, list(tmp_path.iterdir())) == (0, "set()\n", [])


def test_the_command_says_in_one_line_which_variable_is_invalid(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, HOUSE / "main.py"], cwd=tmp_path, env={"PORT": "nonsense"}, capture_output=True, text=True
    )

    assert found.returncode == 3
    assert found.stderr.startswith("PORT: ")
    assert found.stderr.count("\n") == 1
