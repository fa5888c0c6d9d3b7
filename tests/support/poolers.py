"""What may stand between Pagewire and PostgreSQL: PgBouncer, or TCP without TLS."""

import contextlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from postgres.embedded import EmbeddedServer
from support.outages import open_folder
from support.servers import wait_until

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")


@contextlib.contextmanager
def pooled(server: EmbeddedServer, **options: object) -> Iterator[dict[str, str]]:
    """PgBouncer before *server*, with *options* of its own; yields how to connect, but for the database."""
    assert PGBOUNCER is not None
    password = server.folders.passfile.read_text().strip().rpartition(":")[2]
    user = server.connect_kwargs["user"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with open_folder() as folder:
        (folder / "users").write_text(f'"{user}" "{password}"\n')
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": port,
            "unix_socket_dir": "",
            "auth_type": "plain",
            "auth_file": folder / "users",
        }
        behind = f"host={server.folders.run_dir.resolve()} port=5432 user={user} password={password}"
        lines = ["[databases]", f"* = {behind}", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in {**settings, **options}.items()]
        (folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        owner = (
            server.folders.socket.stat()
        )  # who alone may enter the socket's folder; and PgBouncer refuses to be root
        for file in folder.iterdir():
            os.chown(file, owner.st_uid, owner.st_gid)
        process = subprocess.Popen(
            [PGBOUNCER, "-q", folder / "pgbouncer.ini"],
            stderr=subprocess.DEVNULL,
            user=owner.st_uid if os.geteuid() == 0 else None,
        )
        try:
            wait_until(lambda: _listens(port))
            yield {"host": "127.0.0.1", "port": str(port), "user": user, "password": password}
        finally:
            process.terminate()
            process.wait()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@contextlib.contextmanager
def relayed(path: Path) -> Iterator[int]:
    """The server whose socket is *path*, by TCP, without TLS; yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_relay, args=(listener, path), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _relay(listener: socket.socket, path: Path) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(path))
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=_copy, args=(source, target), daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
