"""Servers and commands that start without importing: one process imports `main`, and forks each time it is asked.

A start by `python main.py` takes a second of processor time, nearly all of it to import, and the tests start hundreds.
Each server is a process of its own, as by that command; only its modules were imported before. Its PDF workers start
with the first PDF, and their first forkserver was forked with the server, warm. What is about the command itself starts
it: `Server.start(*COMMAND)`.
"""

import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

HOUSE = Path(__file__).parent.parent.parent


class Preloaded:
    """The process that forks, as a test's process sees it."""

    def __init__(self) -> None:
        self._control, far = socket.socketpair()
        self._ordering = threading.Lock()
        with far:
            self._process = subprocess.Popen(
                [sys.executable, __file__],
                cwd=HOUSE,
                env={"PATH": os.environ["PATH"]},
                stdin=far.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )

    def fork(self, folder: Path, environment: dict[str, str]) -> "ForkedServer":
        """A server in *folder*, with *environment* alone."""
        with Path(os.devnull).open("wb") as nothing:
            return self._fork(folder, environment, (), nothing.fileno())

    def run(
        self, folder: Path, environment: dict[str, str], words: Sequence[str]
    ) -> "subprocess.CompletedProcess[str]":
        """`python main.py` with *words*: a command, from its beginning to its end."""
        with tempfile.TemporaryFile("w+") as output:
            process = self._fork(folder, environment, words, output.fileno())
            with process.stderr as log:
                complaints = log.read()
            output.seek(0)
            return subprocess.CompletedProcess(words, process.wait(), output.read(), complaints)

    def _fork(self, folder: Path, environment: dict[str, str], words: Sequence[str], output: int) -> "ForkedServer":
        log, far_log = os.pipe()
        status, far_status = socket.socketpair()
        with far_status:
            order = json.dumps([str(folder), environment, words]).encode()
            with self._ordering:
                socket.send_fds(self._control, [len(order).to_bytes(4)], [output, far_log, far_status.fileno()])
                self._control.sendall(order)
        os.close(far_log)
        return ForkedServer(status, log)

    def close(self) -> None:
        self._control.close()
        self._process.wait()


class ForkedServer:
    """What `subprocess.Popen` has, as far as tests need it: the process is another's child."""

    def __init__(self, status: socket.socket, log: int) -> None:
        self._status = status
        self.stderr = open(log)  # noqa: SIM115  its reader closes it
        self.pid = int.from_bytes(_receive(status, 4))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"server {self.pid}", timeout or 0)
            self.returncode = int.from_bytes(_receive(self._status, 4), signed=True)
            self._status.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _receive(channel: socket.socket, length: int) -> bytes:
    received = b""
    while len(received) < length:  # a child that ends interrupts even MSG_WAITALL
        part = channel.recv(length - len(received))
        if not part:
            raise EOFError
        received += part
    return received


def _fork_until_closed(control: socket.socket) -> list[str]:
    """Fork as asked; return in each child, with the words of its command, and exit when the tests are through."""
    waking, woken = socket.socketpair()
    for end in (waking, woken):
        end.setblocking(False)
    signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    children: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([control, waking], [], [])
        if waking in ready:
            waking.recv(1024)
            _tell_who_ended(children)
        if control not in ready:
            continue
        length, descriptors, _, _ = socket.recv_fds(control, 4, 3)
        if not length:
            os._exit(0)
        folder, environment, words = json.loads(_receive(control, int.from_bytes(length)))
        output, log, status = descriptors
        told = socket.socket(fileno=status)
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            control.detach()  # its number becomes the standard input's
            for each in (waking, woken, told, *children.values()):
                each.close()
            _become(output, log, folder, environment)
            return list(words)
        os.close(output)
        os.close(log)
        children[pid] = told
        told.sendall(pid.to_bytes(4))


def _tell_who_ended(children: dict[int, socket.socket]) -> None:
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            pid, status = ended
            with children.pop(pid) as told, contextlib.suppress(OSError):  # nobody waits for it
                told.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, signed=True))


def _become(output: int, log: int, folder: str, environment: dict[str, str]) -> None:
    """Be a process as a shell would have started it."""
    os.setsid()
    for descriptor, number in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (log, 2)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)


class _WarmForkserver:
    """A forkserver that was forked with its server, and waits until that starts one.

    One of its own program takes a third of a second of processor time until it is warm.
    """

    def __init__(self) -> None:
        self._orders, orders = socket.socketpair()
        self._pid = os.fork()
        if self._pid == 0:
            self._orders.close()
            self._work(orders)
        orders.close()

    def _work(self, orders: socket.socket) -> None:
        """Be the program that the server runs when it starts one; end with the server."""
        nothing = os.open(os.devnull, os.O_WRONLY)
        for output in (1, 2):
            os.dup2(nothing, output)
        with contextlib.suppress(OSError, ValueError):
            environment, (control,), _, _ = socket.recv_fds(orders, 1 << 16, 1)
            os.setsid()
            os.dup2(control, 0)
            os.close(control)
            orders.close()
            os.environ.clear()
            os.environ.update(json.loads(environment))
            os.chdir("/")
            warming.warm_up = lambda: None
            forkserver.main()
        os._exit(0)

    def run(self, command: Sequence[str], **options: Any) -> "subprocess.Popen[bytes] | _WarmForkserver":
        """What `subprocess.Popen` does; the first time without starting anything."""
        if self._orders.fileno() < 0:
            return subprocess.Popen(command, **options)
        socket.send_fds(self._orders, [json.dumps(options["env"]).encode()], [options["stdin"]])
        self._orders.close()
        return self

    def poll(self) -> int | None:
        return self.wait(os.WNOHANG)

    def wait(self, options: int = 0) -> int | None:
        with contextlib.suppress(ChildProcessError):  # it was waited for
            if os.waitpid(self._pid, options) == (0, 0):
                return None
        return 0

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self._pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.path[0] = str(HOUSE)
    gc.disable()  # what is imported stays
    import main
    from edge import uvicorn  # noqa: F401
    from extraction.workers import forkserver, pool, warming
    from pdf import PdfEngine

    PdfEngine.start = lambda self: None  # type: ignore[method-assign]
    warming.warm_up()
    tempfile.tempdir = None  # each server has its own
    gc.freeze()  # else each server's first collection copies all that was imported
    gc.enable()
    words = _fork_until_closed(socket.socket(fileno=0))
    if words:
        main.command(words)
        sys.exit()
    if "CELERY_BROKER_URL" not in os.environ:  # else it may need none
        programs = SimpleNamespace(Popen=_WarmForkserver().run, DEVNULL=subprocess.DEVNULL)
        pool.subprocess = programs  # type: ignore[assignment, attr-defined]
    main.serve()
