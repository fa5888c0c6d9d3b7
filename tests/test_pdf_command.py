"""`python pdf.py`: PDFs extracted without a server."""

import csv
import io
import json
import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from support.pdfs import HELLO, SCAN, make_book, make_encrypted_pdf, make_pdf, make_table_pdf, write_pages
from support.servers import HOUSE, WAIT_SECONDS


def run(*arguments: str | Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(HOUSE / "pdf.py"), *map(str, arguments)]
    environment = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=4 * WAIT_SECONDS, check=False
    )


def test_it_writes_the_text_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(make_pdf("first page", "second page"))

    done = run("a.pdf", folder=tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, "first page\fsecond page\n", "")


def test_it_says_what_it_could_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(write_pages([HELLO, SCAN]))

    done = run("a.pdf", folder=tmp_path)

    assert (done.returncode, done.stdout) == (0, "Hello\f\n")
    assert done.stderr.startswith("a.pdf: There are pictures but no text on page 2")
    assert done.stderr.count("\n") == 1


def test_it_writes_tables_as_csv(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(make_table_pdf([["item", "price"], ["tea, green", "3"]]))

    done = run("--tables", "a.pdf", folder=tmp_path)

    assert list(csv.reader(io.StringIO(done.stdout))) == [["item", "price"], ["tea, green", "3"]]


def test_it_writes_everything_as_a_line_of_json_a_file(tmp_path: Path) -> None:
    for name in ("a.pdf", "b.pdf"):
        (tmp_path / name).write_bytes(make_pdf(f"the text of {name}", title="A title"))

    done = run("--json", "a.pdf", "b.pdf", folder=tmp_path)

    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["filename"], one["text"]) for one in found] == [
        ("a.pdf", "the text of a.pdf"),
        ("b.pdf", "the text of b.pdf"),
    ]
    assert found[0]["metadata"]["Title"] == "A title"


def test_it_goes_on_after_a_file_that_cannot_be_read_and_fails_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.7 nothing")
    (tmp_path / "good.pdf").write_bytes(make_pdf("still read"))

    done = run("gone.pdf", "bad.pdf", "good.pdf", folder=tmp_path)

    assert (done.returncode, done.stdout) == (1, "still read\n")
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["gone.pdf", "bad.pdf"]


@pytest.mark.parametrize(("password", "code"), [("open sesame", 0), ("wrong", 1)])
def test_it_opens_what_is_protected(tmp_path: Path, password: str, code: int) -> None:
    (tmp_path / "a.pdf").write_bytes(make_encrypted_pdf("the secret", user_password="open sesame"))

    done = run("--password", password, "a.pdf", folder=tmp_path)

    assert done.returncode == code
    assert ("the secret" in done.stdout) == (code == 0)


def test_it_draws_a_bar_on_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(make_book(40))
    terminal, ours = pty.openpty()

    command = [sys.executable, str(HOUSE / "pdf.py"), "a.pdf"]
    subprocess.run(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=ours, timeout=4 * WAIT_SECONDS, check=True)
    os.close(ours)
    drawn = os.read(terminal, 65536).decode()
    os.close(terminal)

    assert "] 40/40 a.pdf" in drawn
    assert drawn.endswith("\r\x1b[K")


def test_it_ends_quietly_when_nobody_reads_on(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(make_book(40))
    command = f"{shlex.join([sys.executable, str(HOUSE / 'pdf.py')])} a.pdf a.pdf | head -n 1"

    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=4 * WAIT_SECONDS, check=True
    )

    assert (done.stdout, done.stderr) == ("Chapter 1\n", "")
