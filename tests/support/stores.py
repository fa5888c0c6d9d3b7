"""Places for uploaded files: a folder, and an S3 store that runs in this process (moto's)."""

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from documents.storage import Storage
from settings import Settings

KEYS = {"AWS_ACCESS_KEY_ID": "alice-key", "AWS_SECRET_ACCESS_KEY": "alice-secret"}
_buckets = count(1)


@dataclass
class S3Server:
    """A real HTTP server that answers as S3 does."""

    endpoint: str

    def make_bucket(self) -> "Bucket":
        name = f"bucket-{os.getpid()}-{next(_buckets)}"
        with urlopen(Request(f"{self.endpoint}/{name}", method="PUT")):
            pass
        return Bucket(self.endpoint, name)


@dataclass
class Bucket:
    endpoint: str
    name: str

    @property
    def url(self) -> str:
        return f"s3://{self.name}/some/prefix?endpoint={self.endpoint}"

    def behind(self, line: "Line") -> "Bucket":
        return Bucket(line.endpoint, self.name)

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a server that stores its files here."""
        return {"STORAGE_URL": self.url, **KEYS}

    def settings(self, folder: Path, **changes: Any) -> Settings:
        given: dict[str, Any] = {name.lower(): value for name, value in self.variables.items()}
        return Settings.model_validate({"data_dir": folder, **given, **changes})

    def names(self) -> list[str]:
        """The names of the objects, without their folders, in order."""
        return sorted(key.rpartition("/")[2] for key in self.keys())

    def keys(self) -> list[str]:
        return sorted(self._objects())

    def read(self, name: str) -> bytes:
        (key,) = [key for key in self.keys() if key.endswith(name)]
        return bytes(self._objects()[key].value)

    def _objects(self) -> Any:
        from moto.s3.models import s3_backends

        return s3_backends["123456789012"]["aws"].buckets[self.name].keys


@contextmanager
def run_s3_server(address: str = "127.0.0.1") -> Iterator[S3Server]:
    from moto.server import ThreadedMotoServer  # here: it takes a second to import

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address=address, port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield S3Server(f"http://{host}:{port}")
    server.stop()


@dataclass
class Store:
    """A storage, and what can be seen of it from outside."""

    storage: Storage
    names: Callable[[], list[str]]  # of the files in it, half stored ones too
    read: Callable[[str], bytes]


class Line:
    """The network between a server and the S3 store: it can be cut, and something else can answer by it."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: set[socket.socket] = set()
        self._answer: bytes | None = b""
        self.received_bytes = 0  # from the store
        self.mend()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Every connection is closed at once."""
        self._answer = b""
        for end in list(self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def refuse(self, status: str, code: str) -> None:
        """Each request is refused by the store."""
        self.cut()
        body = f"<Error><Code>{code}</Code></Error>"
        self._answer = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()

    def mend(self) -> None:
        self._answer = None

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._answer is None:
                far = socket.create_connection(self._target)
                self._open |= {near, far}
                threading.Thread(target=self._pass_on, args=(near, far), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(far, near, True), daemon=True).start()
            else:
                threading.Thread(target=self._send_away, args=(near, self._answer), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, is_from_store: bool = False) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(65536):
                self.received_bytes += len(part) if is_from_store else 0
                target.sendall(part)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._open.discard(source)
        source.close()

    @staticmethod
    def _send_away(near: socket.socket, answer: bytes) -> None:
        with near, contextlib.suppress(OSError):
            near.settimeout(1)
            head = b""
            while answer and b"\r\n\r\n" not in head:
                head += near.recv(65536)
            near.sendall(answer)
            while answer and near.recv(65536):  # the rest of a body: closing before its end would lose the answer
                pass
