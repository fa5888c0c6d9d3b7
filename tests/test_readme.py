"""The README tells the truth: its curl lines run as they stand, its tables name what is there."""

import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

from fpdf import FPDF

from settings import Settings
from support.servers import Server
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
    assert (tmp_path / "copy.pdf").read_bytes() == (tmp_path / "invoice.pdf").read_bytes()


def test_the_table_names_every_setting() -> None:
    named = set(re.findall(r"`([A-Z][A-Z_]+)`", README.split("## Settings")[1].split("## Run it")[0]))

    assert named == {name.upper() for name in Settings.model_fields}


def test_the_tour_names_every_place() -> None:
    table = (HOUSE / "CONTRIBUTING.md").read_text().split("| place |")[1].split("\n\n")[0]

    named = {name.removesuffix("/").removesuffix(".py") for name in re.findall(r"`(\w+(?:/|\.py))`", table)}
    assert named >= set(FLOOR_OF)


def test_the_licence_is_mit_and_the_version_is_one() -> None:
    version = tomllib.loads((HOUSE / "pyproject.toml").read_text())["project"]["version"]

    assert (HOUSE / "LICENSE").read_text().startswith("MIT License")
    assert f'VERSION = "{version}"' in (HOUSE / "main.py").read_text()
    assert f"## {version}" in (HOUSE / "CHANGELOG.md").read_text()
