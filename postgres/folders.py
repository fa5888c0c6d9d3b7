"""The embedded server's folders, made so that the user that runs PostgreSQL can reach them and others cannot."""

import contextlib
import hashlib
import os
import shlex
import shutil
import stat
import tempfile
import time
from pathlib import Path

from errors import StartupError
from postgres.host import Account, add_account, find_account, may_enter

PORT = 5432  # names the socket file; nothing listens on the network
SOCKET_PATH_BYTES = 100  # longer paths do not fit into sockaddr_un everywhere (Linux 107, macOS 103)
ROOT_PLACE = Path("/var/lib/pagewire")  # for root, if PostgreSQL's user cannot enter DATA_DIR


class Folders:
    """Paths of one DATA_DIR's server, all in DATA_DIR/postgres; nothing is created before it is needed.

        gate      locked by the process that is starting or stopping the server
        use       share-locked by each process that uses it; the kernel drops the lock however the process dies
        cluster   PostgreSQL's data folder; created under another name and renamed when complete
        pgpass    the password of the role that Pagewire works as; the superuser's is in the cluster
        run       the socket (in a private folder under /tmp if the path is too long for one, or has a comma)

    PostgreSQL refuses to run as root. Started by root, it runs as the owner of the data if there is any, else
    as `pagewire` if that user exists, else as the system's `postgres`, else as a system user `pagewire` created with
    useradd (no home, no login, no password), and as `nobody` only where even that is impossible, because other daemons
    may be `nobody` too. If that user cannot enter DATA_DIR (root's home is closed to all others), DATA_DIR/postgres
    is a link to a folder under /var/lib/pagewire; if it cannot enter the folder of the programs, they are copied
    beside the data. Permissions of existing folders are never loosened for this.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = Path(os.path.realpath(data_dir))
        self.home = self.data_dir / "postgres"
        self.cluster = self.home / "cluster"
        self.passfile = self.home / "pgpass"
        self.run_dir = self.home / "run"
        if len(os.fsencode(self.socket)) > SOCKET_PATH_BYTES or "," in str(self.run_dir):  # libpq: a list of hosts
            digest = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:16]
            self.run_dir = Path(f"/tmp/pagewire-{digest}")  # noqa: S108  one place for all users; its owner is checked

    @property
    def socket(self) -> Path:
        return self.run_dir / f".s.PGSQL.{PORT}"

    @property
    def resolved_cluster(self) -> Path:
        """The cluster by a path that PostgreSQL's user can follow: DATA_DIR may be closed to it."""
        return self.home.resolve() / "cluster"

    def choose_account(self) -> Account:
        """Return the user that runs PostgreSQL: ourselves, unless we are root."""
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

    def make_home(self, account: Account) -> None:
        """Make DATA_DIR/postgres such that *account* can pass through it; for root perhaps a link to elsewhere."""
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
            raise StartupError(_describe_closed(account, self.home))

    def _make_home_elsewhere(self) -> None:
        """Link DATA_DIR/postgres to a new folder under /var/lib/pagewire.

        Only the link says which folder is whose: it moves with DATA_DIR, and a new DATA_DIR begins with an empty
        database.
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

    def make_run_dir(self, account: Account) -> None:
        with contextlib.suppress(FileExistsError):
            self.run_dir.mkdir(mode=0o700)
        found = self.run_dir.lstat()
        if found.st_uid == os.geteuid() != account.uid:
            os.chown(self.run_dir, account.uid, account.gid, follow_symlinks=False)
        elif found.st_uid != account.uid or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077:
            raise StartupError(
                f"{self.run_dir} belongs to another user (number {found.st_uid}): "
                "start Pagewire as that user, or set another DATA_DIR."
            )

    def remove_run_dir(self) -> None:
        """Remove the folder under /tmp, if that is where the socket was."""
        if self.run_dir.parent != self.home:
            self.run_dir.rmdir()


def _describe_closed(account: Account, home: Path) -> str:
    """Which folder on the way to *home* keeps *account* out, and what to do about it."""
    path = home.resolve()
    closed = next((folder for folder in (*reversed(path.parents), path) if not may_enter(account, folder)), path)
    return (
        f"The system user {account.name}, which runs PostgreSQL, cannot enter {closed}, on the way to the database in "
        f"{path}: let others pass through it (chmod o+x {shlex.quote(str(closed))}), or move DATA_DIR elsewhere."
    )


def _make_passage(parent: Path, prefix: str) -> Path:
    """Make a folder in *parent* that any user can pass through but not list."""
    made = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    made.chmod(0o711)
    return made


def _remove_temporary_places() -> None:
    """Remove the databases of deleted DATA_DIRs in the system's temporary folder, such as those of tests."""
    for place in ROOT_PLACE.iterdir():
        with contextlib.suppress(OSError):
            data_dir = (place / "data_dir").readlink()
            is_old = time.time() - place.stat().st_mtime > 60
            if is_old and data_dir.is_relative_to(tempfile.gettempdir()) and not (data_dir / "postgres").exists():
                shutil.rmtree(place)
