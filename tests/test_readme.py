"""The README tells the truth: its curl lines run as they stand, its tables name what is there."""

import json
import re
import subprocess
import tomllib
from collections.abc import Callable
from importlib.metadata import entry_points, packages_distributions
from pathlib import Path

import pytest
from fpdf import FPDF

from settings import Settings
from support.javascript import node
from support.servers import Server, register
from test_floors import FLOOR_OF

HOUSE = Path(__file__).parent.parent
README = (HOUSE / "README.md").read_text()


def test_the_curl_lines_run_as_they_stand(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server().start()
    invoice = FPDF()
    invoice.add_page()
    invoice.set_font("helvetica")
    invoice.cell(text="Invoice 57. Total due: 1,250.00")
    invoice.output(str(tmp_path / "invoice.pdf"))
    script = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))

    run = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script.replace("http://127.0.0.1:8000", server.url)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert run.returncode == 0, run.stderr
    assert "Invoice 57. Total due: 1,250.00" in run.stdout
    assert '"total_matches":1' in run.stdout
    assert '"Message sent successfully"' in run.stdout
    events, _ = json.JSONDecoder().raw_decode(run.stdout, run.stdout.index('{"events"'))
    card = next(frame for frame in events["events"] if frame.get("content") == "Look!")
    assert {"text": "Total", "hit": True} in card["attachment"]["snippet"]
    assert (tmp_path / "marked.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "copy.pdf").read_bytes() == (tmp_path / "invoice.pdf").read_bytes()


def test_the_lines_for_a_browser_run_as_they_stand(make_server: Callable[..., Server], tmp_path: Path) -> None:
    if (found := node()) is None:
        pytest.skip("no node with WebSocket: 22 or newer, or 20 that has it as an experiment")
    server = make_server().start()
    alice, bob = register(server, "alice"), register(server, "bob")
    (lines,) = re.findall(r"```js\n(.*?)```", README, re.DOTALL)
    assert "ws://127.0.0.1:8000" in lines
    script = (
        "const token = process.argv[2];\nconst show = (...said) => console.log(JSON.stringify(said));\n"
        + lines.replace("ws://127.0.0.1:8000", server.url.replace("http", "ws"))
    )
    (tmp_path / "page.mjs").write_text(script)

    with subprocess.Popen([*found, str(tmp_path / "page.mjs"), alice.token], stdout=subprocess.PIPE, text=True) as page:
        assert page.stdout is not None
        shown = json.loads(page.stdout.readline())
        page.kill()

    assert bob.id == 2
    assert shown[:2] == [alice.id, "hi"]
    assert shown[2] == bob.client.get(f"/messages/{alice.id}").json()[0]["created_at"]


def test_what_starts_the_server_is_installed_with_it() -> None:
    locked = set(re.findall(r"^([\w-]+)==", (HOUSE / "requirements.lock").read_text(), re.MULTILINE))
    commands = re.findall(r"^    (\w+) main:app", README, re.MULTILINE)
    workers = re.findall(r"^    gunicorn .*-k (\w+)\.", README, re.MULTILINE)

    scripts = [script for command in commands for script in entry_points(group="console_scripts", name=command)]
    named = {script.dist.name for script in scripts if script.dist}
    named |= {package for worker in workers for package in packages_distributions()[worker]}

    assert named == {"uvicorn", "gunicorn", "uvicorn-worker"}
    assert named <= locked


def test_the_table_names_every_setting() -> None:
    named = set(re.findall(r"`([A-Z][A-Z_]+)`", README.split("## Settings")[1].split("## Run it")[0]))

    assert named == {name.upper() for name in Settings.model_fields}


def test_the_tour_names_every_place() -> None:
    table = (HOUSE / "CONTRIBUTING.md").read_text().split("| place |")[1].split("\n\n")[0]

    named = {name.removesuffix("/").removesuffix(".py") for name in re.findall(r"`(\w+(?:/|\.py))`", table)}
    assert named >= set(FLOOR_OF)


def test_the_tour_names_every_module_of_a_package() -> None:
    table = (HOUSE / "CONTRIBUTING.md").read_text().split("| package |")[1].split("\n\n")[0]

    for row in table.splitlines()[2:]:
        _, package, modules, _ = row.split("|")
        folder = HOUSE / package.strip().strip("`/")
        there = {path.stem for path in folder.glob("*.py")} - {"__init__", "routes", "queries"}
        assert set(re.findall(r"`(\w+)`", modules)) - {"routes"} == there, package


def test_the_licence_is_mit_and_the_version_is_one() -> None:
    version = tomllib.loads((HOUSE / "pyproject.toml").read_text())["project"]["version"]

    assert (HOUSE / "LICENSE").read_text().startswith("MIT License")
    assert f'VERSION = "{version}"' in (HOUSE / "main.py").read_text()
    assert f"## {version}" in (HOUSE / "CHANGELOG.md").read_text()
