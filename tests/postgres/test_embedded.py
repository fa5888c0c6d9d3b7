"""The embedded server is started, shared, revived and stopped."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from errors import StartupError
from postgres import cluster, folders, host, programs
from postgres.embedded import EmbeddedServer
from postgres.host import Account
from support.servers import HOUSE

PARTICIPANT = """
import os, pathlib, sys
from postgres.embedded import EmbeddedServer

def fork_a_child_that_releases():
    released, child_released = os.pipe()
    parent_is_gone, parent_is_here = os.pipe()
    if os.fork() == 0:
        server.release()
        os.write(child_released, b".")
        os.close(parent_is_here)
        os.read(parent_is_gone, 1)
        os._exit(0)
    os.read(released, 1)

server = EmbeddedServer(pathlib.Path(sys.argv[1]))
print("here", flush=True)
for line in sys.stdin:
    globals().get(line.strip(), getattr(server, line.strip(), None))()
    print("done", flush=True)
"""


class Participant:
    """Another process that uses the embedded server of *data_dir*."""

    def __init__(self, data_dir: Path) -> None:
        command = [sys.executable, "-c", PARTICIPANT, str(data_dir)]
        self.process = subprocess.Popen(command, cwd=HOUSE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._expect("here")

    def ask(self, method: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(method + "\n")
        self.process.stdin.flush()

    def wait(self) -> None:
        self._expect("done")

    def do(self, method: str) -> None:
        self.ask(method)
        self.wait()

    def kill(self) -> None:
        self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        self.process.wait()

    def _expect(self, word: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == word


def postmaster_pid(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])


def ask(server: EmbeddedServer, question: str) -> list[Any]:
    keywords: dict[str, Any] = {**server.connect_kwargs}
    connection = psycopg2.connect(**keywords)
    try:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(question)
        return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def times_started(data_dir: Path) -> int:
    logs = (data_dir / "postgres" / "cluster" / "log").glob("*.log")
    return sum(log.read_text().count("starting PostgreSQL") for log in logs)


def is_running(server: EmbeddedServer) -> bool:
    try:
        return bool(ask(server, "SELECT 1"))
    except psycopg2.OperationalError:
        return False


@contextlib.contextmanager
def empty_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user can enter; run by root, pytest's tmp_path is closed to it."""
    folder = Path(tempfile.mkdtemp(prefix="pagewire-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def stop(data_dir: Path) -> None:
    """Stop the server of *data_dir* that killed processes left running."""
    if (data_dir / "postgres" / "cluster" / "postmaster.pid").exists():
        server = EmbeddedServer(data_dir)
        server.ensure_started()
        server.release()


@pytest.fixture
def folder() -> Iterator[Path]:
    with empty_folder() as made:
        yield made
        for home in made.glob("**/postgres"):
            stop(home.parent)


@pytest.fixture(scope="module")
def kept_data_dir() -> Iterator[Path]:
    with empty_folder() as made:
        yield made / "data"


@pytest.fixture
def data_dir(kept_data_dir: Path) -> Iterator[Path]:
    """A DATA_DIR whose server is stopped; the first test that starts it creates the database for all."""
    yield kept_data_dir
    stop(kept_data_dir)


@pytest.fixture
def server_in() -> Iterator[Callable[[Path], EmbeddedServer]]:
    servers: list[EmbeddedServer] = []

    def make(data_dir: Path) -> EmbeddedServer:
        servers.append(EmbeddedServer(data_dir))
        return servers[-1]

    yield make
    for server in servers:
        server.release()


@pytest.fixture
def server(data_dir: Path, server_in: Callable[[Path], EmbeddedServer]) -> EmbeddedServer:
    return server_in(data_dir)


@pytest.fixture
def participant_in() -> Iterator[Callable[[Path], Participant]]:
    participants: list[Participant] = []

    def start(data_dir: Path) -> Participant:
        participants.append(Participant(data_dir))
        return participants[-1]

    yield start
    for participant in participants:
        participant.kill()


# The first start


def test_the_first_start_makes_a_database(folder: Path, server_in: Callable[[Path], EmbeddedServer]) -> None:
    server = server_in(folder / "not yet" / "data")

    server.ensure_started()

    assert ask(server, "SELECT current_database(), current_user") == [("pagewire", "pagewire_app")]


@pytest.mark.parametrize("name", ["""it's "quoted" \\ 50 % Käse 文書""", "a comma, say", "long" * 40])
def test_any_path_will_do(folder: Path, server_in: Callable[[Path], EmbeddedServer], name: str) -> None:
    server = server_in(folder / name)

    server.ensure_started()

    assert is_running(server)


def test_a_start_that_is_killed_halfway_leaves_nothing_broken(
    folder: Path,
    server_in: Callable[[Path], EmbeddedServer],
    participant_in: Callable[[Path], Participant],
) -> None:
    home = folder / "data" / "postgres"
    starter = participant_in(folder / "data")
    starter.ask("ensure_started")
    while not list(home.glob("cluster.new-*/cluster/base")):  # initdb is running
        os.sched_yield()
    starter.kill()
    server = server_in(folder / "data")

    server.ensure_started()

    assert is_running(server)
    assert {path.name for path in home.iterdir()} >= {"cluster", "gate", "run", "start.log", "use"}


def test_other_users_cannot_read_the_data_or_the_password(data_dir: Path, server: EmbeddedServer) -> None:
    server.ensure_started()

    cluster = data_dir / "postgres" / "cluster"
    assert cluster.stat().st_mode & 0o077 == 0
    assert (cluster / "pgpass").stat().st_mode & 0o777 == 0o600


def test_the_password_is_not_written_through_a_link_that_initdb_s_user_made(
    folder: Path, server_in: Callable[[Path], EmbeddedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = folder / "victim"
    victim.write_text("precious")
    victim.chmod(0o644)

    def run_program(command: list[str], account: Account) -> "subprocess.CompletedProcess[str]":
        """As an attacker who became that user would have it."""
        result = host.run_program(command, account)
        (Path(command[command.index("-D") + 1]) / "pgpass").symlink_to(victim)
        return result

    monkeypatch.setattr(cluster, "run_program", run_program)
    server = server_in(folder / "data")

    server.ensure_started()

    assert is_running(server)
    assert (victim.read_text(), victim.stat().st_uid) == ("precious", os.geteuid())
    assert not (folder / "data" / "postgres" / "cluster" / "pgpass").is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another user")
def test_root_whose_folder_and_programs_are_closed_to_other_users_gets_a_place_elsewhere(
    folder: Path, server_in: Callable[[Path], EmbeddedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    installed = programs.find_programs().parent.parent
    shutil.copytree(installed, closed / installed.name)
    for libraries in installed.parent.glob(f"{installed.name}.libs"):
        shutil.copytree(libraries, closed / libraries.name)
    monkeypatch.setattr(programs, "find_programs", lambda: closed / installed.name / "pginstall" / "bin")
    monkeypatch.setattr(folders, "ROOT_PLACE", folder / "place")
    server = server_in(closed / "data")

    server.ensure_started()

    assert is_running(server)
    assert (closed / "data" / "postgres").resolve().parent == folder / "place"
    assert closed.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another user")
@pytest.mark.parametrize("closed", ["app", "app/data", "app/data/postgres"])
def test_a_folder_that_was_closed_to_the_user_that_runs_it_is_named(folder: Path, closed: str) -> None:
    (folder / "app").mkdir(mode=0o755)
    server = EmbeddedServer(folder / "app" / "data")
    server.ensure_started()
    server.release()
    before = (folder / closed).stat().st_mode
    (folder / closed).chmod(0o700)

    with pytest.raises(StartupError) as raised:
        server.ensure_started()

    assert f"cannot enter {folder / closed}, " in raised.value.detail
    assert f"(chmod o+x {folder / closed})" in raised.value.detail
    (folder / closed).chmod(before | 0o001)
    server.ensure_started()
    server.release()


# What it promises while it runs


def test_commits_are_on_disk_and_nothing_listens_on_the_network(server: EmbeddedServer) -> None:
    server.ensure_started()

    kept = "fsync', 'full_page_writes', 'synchronous_commit', 'listen_addresses"
    found = ask(server, f"SELECT setting FROM pg_settings WHERE name IN ('{kept}') ORDER BY name")

    assert found == [("on",), ("on",), ("",), ("on",)]


def test_a_wrong_password_is_rejected(server: EmbeddedServer) -> None:
    server.ensure_started()

    keywords: dict[str, Any] = {**server.connect_kwargs, "password": "guessed"}
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(**keywords)


def test_passwords_for_other_databases_in_the_environment_do_no_harm(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PGPASSWORD": "other", "PGHOST": "other", "PGPORT": "1", "PGUSER": "other"}.items():
        monkeypatch.setenv(name, value)

    server.ensure_started()

    assert is_running(server)


def test_ctrl_c_in_the_terminal_does_not_reach_it(data_dir: Path, server: EmbeddedServer) -> None:
    server.ensure_started()

    assert os.getsid(postmaster_pid(data_dir)) != os.getsid(0)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_it_inherits_none_of_our_open_files(data_dir: Path, server: EmbeddedServer) -> None:
    with tempfile.NamedTemporaryFile() as ours:
        os.set_inheritable(ours.fileno(), True)
        server.ensure_started()

        opened = [path.readlink() for path in Path(f"/proc/{postmaster_pid(data_dir)}/fd").iterdir()]

    assert not {Path(ours.name), data_dir / "postgres" / "use", data_dir / "postgres" / "gate"} & set(opened)


# Many processes, one server


def test_six_processes_that_start_at_once_share_one_server(
    folder: Path, participant_in: Callable[[Path], Participant]
) -> None:
    data_dir = folder / "data"
    participants = [participant_in(data_dir) for _ in range(6)]

    for participant in participants:
        participant.ask("ensure_started")
    for participant in participants:
        participant.wait()

    assert times_started(data_dir) == 1


def test_threads_that_start_it_at_once_share_one_server(data_dir: Path, server: EmbeddedServer) -> None:
    before = times_started(data_dir)
    threads = [threading.Thread(target=server.ensure_started) for _ in range(6)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert times_started(data_dir) == before + 1


def test_the_last_one_out_stops_it(
    data_dir: Path, server: EmbeddedServer, participant_in: Callable[[Path], Participant]
) -> None:
    other = participant_in(data_dir)
    server.ensure_started()
    other.do("ensure_started")

    server.release()
    running_for_the_other = is_running(server)
    other.do("release")

    assert running_for_the_other
    assert not is_running(server)


def test_what_was_stored_is_there_after_a_restart(server: EmbeddedServer) -> None:
    server.ensure_started()
    ask(server, "CREATE TABLE kept_by_stop AS SELECT 'here' AS word")

    server.release()
    server.ensure_started()

    assert ask(server, "SELECT word FROM kept_by_stop") == [("here",)]


def test_a_server_whose_only_user_was_killed_is_adopted(
    data_dir: Path, server: EmbeddedServer, participant_in: Callable[[Path], Participant]
) -> None:
    owner = participant_in(data_dir)
    owner.do("ensure_started")
    before = postmaster_pid(data_dir)
    owner.kill()

    server.ensure_started()

    assert postmaster_pid(data_dir) == before
    server.release()
    assert not is_running(server)


def test_a_forked_child_neither_keeps_the_server_nor_stops_it(
    data_dir: Path, server: EmbeddedServer, participant_in: Callable[[Path], Participant]
) -> None:
    parent = participant_in(data_dir)
    parent.do("ensure_started")

    parent.do("fork_a_child_that_releases")
    running_for_the_parent = is_running(server)
    parent.do("release")

    assert running_for_the_parent
    assert not is_running(server)


# Accidents


def test_a_killed_server_is_revived(data_dir: Path, server: EmbeddedServer) -> None:
    server.ensure_started()
    ask(server, "CREATE TABLE kept_by_kill AS SELECT 'here' AS word")
    os.kill(postmaster_pid(data_dir), signal.SIGKILL)

    server.ensure_started()

    assert ask(server, "SELECT word FROM kept_by_kill") == [("here",)]


def test_a_postmaster_pid_that_another_process_has_now_does_no_harm(data_dir: Path, server: EmbeddedServer) -> None:
    server.ensure_started()
    server.release()
    (data_dir / "postgres" / "cluster" / "postmaster.pid").write_text(
        f"{os.getppid()}\n{data_dir}/postgres/cluster\n1790000000\n5432\n{data_dir}/postgres/run\n\n  1 1\nready\n"
    )

    server.ensure_started()

    assert postmaster_pid(data_dir) != os.getppid()
    assert is_running(server)


def test_a_server_that_waits_for_its_clients_before_it_stops_is_restarted(
    data_dir: Path, server: EmbeddedServer
) -> None:
    server.ensure_started()
    before = postmaster_pid(data_dir)
    keywords: dict[str, Any] = {**server.connect_kwargs}
    client = psycopg2.connect(**keywords)
    os.kill(before, signal.SIGTERM)  # a "smart" shutdown, as when the machine shuts down
    while is_running(server):
        os.sched_yield()

    server.ensure_started()

    assert postmaster_pid(data_dir) != before
    client.close()


def test_a_folder_that_is_renamed_under_its_running_server_keeps_it(
    data_dir: Path, server_in: Callable[[Path], EmbeddedServer]
) -> None:
    server_in(data_dir).ensure_started()
    before = postmaster_pid(data_dir)
    renamed = data_dir.rename(data_dir.with_name("renamed"))
    try:
        server_in(renamed).ensure_started()

        assert postmaster_pid(renamed) == before
    finally:
        renamed.rename(data_dir)


def test_releasing_after_the_folder_is_gone_is_quiet(data_dir: Path, server: EmbeddedServer) -> None:
    server.ensure_started()
    renamed = data_dir.rename(data_dir.with_name("renamed"))
    try:
        server.release()

        assert not data_dir.exists()
    finally:
        renamed.rename(data_dir)


def cluster_with(folder: Path, **files: str) -> Path:
    """A DATA_DIR whose cluster holds only these files."""
    cluster = folder / "data" / "postgres" / "cluster"
    cluster.mkdir(parents=True)
    for part in (folder / "data", folder / "data" / "postgres"):
        part.chmod(0o711)
    cluster.chmod(0o700)
    for name, text in files.items():
        (cluster / name).write_text(text)
    return folder / "data"


def test_data_of_another_postgresql_is_left_alone_and_the_error_says_how_to_move_it(folder: Path) -> None:
    data_dir = cluster_with(folder, PG_VERSION="12\n")

    with pytest.raises(StartupError, match=r"written by PostgreSQL 12.*pg_dump.*psql") as raised:
        EmbeddedServer(data_dir).ensure_started()

    assert "\n" not in raised.value.detail


def test_a_folder_that_holds_something_else_is_left_alone(folder: Path) -> None:
    data_dir = cluster_with(folder, diary="Dear diary")

    with pytest.raises(StartupError, match="not a PostgreSQL data folder"):
        EmbeddedServer(data_dir).ensure_started()


def test_a_server_that_cannot_start_says_why_in_one_line(folder: Path, server: EmbeddedServer) -> None:
    server.ensure_started()
    major = ask(server, "SELECT current_setting('server_version_num')::int / 10000")[0][0]
    data_dir = cluster_with(folder, PG_VERSION=f"{major}\n", **{"postgresql.conf": "work_mem = 'a lot'\n"})

    with pytest.raises(StartupError, match=r"did not start: .*postgresql\.conf") as raised:
        EmbeddedServer(data_dir).ensure_started()

    assert "\n" not in raised.value.detail


def test_a_start_that_failed_holds_no_lock(folder: Path) -> None:
    data_dir = cluster_with(folder, PG_VERSION="12\n")
    with contextlib.suppress(StartupError):
        EmbeddedServer(data_dir).ensure_started()

    with (data_dir / "postgres" / "use").open("rb") as use:
        fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_data_dir_that_is_a_file_is_reported_in_one_line(folder: Path) -> None:
    (folder / "data").write_text("")

    with pytest.raises(StartupError, match=f"File exists: {folder / 'data'}"):
        EmbeddedServer(folder / "data").ensure_started()
