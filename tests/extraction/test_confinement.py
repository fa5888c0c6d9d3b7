"""A file that has taken over its worker: what it tries, and that it cannot."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from extraction.workers.answers import TaskFailedError
from extraction.workers.pool import KEPT_VARIABLES
from extraction.workers.queue import Workers
from extraction.workers.seccomp import ARCHITECTURES
from support.engines import Run
from support.servers import HOUSE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such locks")
DESCRIPTORS = """
import os
answer = []
for number in range(64):
    try:
        answer.append([number, os.fstat(number).st_ino])
    except OSError:
        pass
"""


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    os.environ["PAGEWIRE_TEST_SECRET"] = "the key to everything"
    opened = Workers(
        1, deadline_seconds=20, cpu_seconds=20, memory_bytes=2**29, shared_modules=["ctypes", "socket"], warm_up=int
    )
    opened.start()
    yield opened
    opened.close()
    del os.environ["PAGEWIRE_TEST_SECRET"]


@pytest.fixture
def take_over(run: Run, workers: Workers) -> Callable[..., Any]:
    """Run a program in a worker; return what it assigns to `answer`."""

    def take(program: str) -> Any:
        return run(workers.run(eval, f"(lambda names: exec({program!r}, names) or names['answer'])({{}})"))

    return take


@pytest.fixture
def bystander() -> Iterator["subprocess.Popen[bytes]"]:
    """A process of the user that workers are."""
    user = 65534 if os.getuid() == 0 else None
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, user=user, cwd="/") as process:
        yield process
        process.kill()


def test_an_answer_does_not_run_in_the_server(take_over: Callable[..., Any], tmp_path: Path) -> None:
    place = tmp_path / "sprung"

    with pytest.raises(TaskFailedError, match="not JSON serializable"):
        take_over(f"import os\nclass Trap:\n  __reduce__ = lambda self: (os.mkdir, ({str(place)!r},))\nanswer = Trap()")

    assert not place.exists()


def test_a_worker_knows_nothing_of_the_servers_environment(take_over: Callable[..., Any]) -> None:
    assert {"PATH"} <= set(take_over("import os; answer = list(os.environ)")) <= {"PATH", *KEPT_VARIABLES}


def test_a_worker_holds_none_of_the_servers_descriptors(take_over: Callable[..., Any]) -> None:
    nothing = Path(os.devnull).stat().st_ino

    held = dict(take_over(DESCRIPTORS))

    others = {number for number, inode in held.items() if inode != nothing}
    assert others <= {3, 7}  # where it answers, and how long it has waited for a processor


def test_a_worker_that_was_root_is_not(take_over: Callable[..., Any]) -> None:
    user, group = take_over("import os; answer = [os.getuid(), os.getgid()]")

    assert user == (os.getuid() or 65534)
    assert group != 0 or os.getgid() == 0 != os.getuid()


ATTACKS = {
    "read a file": "open('/etc/passwd')",
    "read the product's code": f"open({__file__!r})",
    "list a folder": "os.listdir('/tmp')",
    "list its processes": "os.listdir('/proc')",
    "write a file": "open('/tmp/pagewire-was-here', 'w')",
    "make a folder": "os.mkdir('/tmp/pagewire-was-here')",
    "make a link": "os.symlink('/etc', '/tmp/pagewire-was-here')",
    "change a mode": "os.chmod('/tmp', 0o777)",
    "make a file in memory": "os.memfd_create('code')",
    "open a TCP socket": "socket.socket()",
    "open a UDP socket": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "open a UNIX socket": "socket.socket(socket.AF_UNIX)",
    "open a pair of sockets": "socket.socketpair()",
    "send what it does not hold": "socket.socket(fileno=3).sendto(b'x', '/run/x')",
    "run a program": "os.execv('/bin/true', ['true'])",
    "fork": "os.fork()",
    "fork by clone": "fail(syscall({'x86_64': 56, 'aarch64': 220}, 17, 0, 0, 0, 0))",
    "make an io_uring": "fail(syscall(425, 8, ctypes.create_string_buffer(120)))",
    "signal another process": "os.kill({bystander}, 0)",
    "signal its parent": "os.kill(os.getppid(), 0)",
    "signal another thread": "fail(syscall({{'x86_64': 234, 'aarch64': 131}}, {bystander}, {bystander}, 0))",
    "have another process signalled": "fcntl.fcntl(3, fcntl.F_SETOWN, {bystander})",
    "trace another process": "fail(syscall({{'x86_64': 101, 'aarch64': 117}}, 16, {bystander}, 0, 0))",
    "read another's memory": "fail(syscall({{'x86_64': 310, 'aarch64': 270}}, {bystander}, 0, 0, 0, 0, 0))",
    "take another's descriptor": "fail(syscall(434, {bystander}, 0))",
    "limit another process": "resource.prlimit({bystander}, resource.RLIMIT_NOFILE)",
    "slow down another process": "os.setpriority(os.PRIO_PROCESS, {bystander}, 19)",
    "become root": "os.setuid(0)",
    "mount": "fail(syscall({'x86_64': 165, 'aarch64': 40}, b'none', b'/tmp', b'tmpfs', 0, 0))",
    "have a namespace": "fail(syscall({'x86_64': 272, 'aarch64': 97}, 0x10000000))",
    "use another ABI": "fail(syscall(0x40000000 + 39))",
}
PREPARED = """
import ctypes, errno, fcntl, os, platform, resource, socket
libc = ctypes.CDLL(None, use_errno=True)
def syscall(numbers, *arguments):
    number = numbers if isinstance(numbers, int) else numbers[platform.machine()]
    return libc.syscall(ctypes.c_long(number), *arguments)
def fail(result):
    if result < 0: raise OSError(ctypes.get_errno(), 'refused')
answer = 'done'
"""


@pytest.mark.skipif(os.uname().machine not in ARCHITECTURES, reason="a processor without a filter")
@pytest.mark.parametrize("name", ATTACKS)
def test_a_worker_in_foreign_hands_cannot(
    name: str, take_over: Callable[..., Any], bystander: "subprocess.Popen[bytes]"
) -> None:
    attack = ATTACKS[name]
    if "{bystander}" in attack:
        attack = attack.format(bystander=bystander.pid)

    with pytest.raises(TaskFailedError, match=r"Errno (13|38)\b|function not implemented|is not permitted"):
        take_over(PREPARED + attack)

    assert bystander.poll() is None


def test_a_worker_may_read_fonts(take_over: Callable[..., Any]) -> None:
    if Path("/usr/share/fonts").exists():
        names = take_over("import os; answer = os.listdir('/usr/share/fonts')")
        assert set(names) == {path.name for path in Path("/usr/share/fonts").iterdir()}


# Systems that lack a lock

WITHOUT = """
import asyncio, logging, sys
from support.kernels import lose
lose(sys.argv[1])
logging.basicConfig(format="%(message)s")
from extraction.workers.queue import Workers

async def main():
    for _ in range(2):
        workers = Workers(1, deadline_seconds=20, cpu_seconds=20, memory_bytes=2**29, shared_modules=[], warm_up=int)
        print(await workers.run(len, "works"))
        workers.close()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("lost", "named"), [("landlock", "no Landlock"), ("seccomp", "no seccomp"), ("setuid", "another user than root")]
)
def test_where_the_system_lacks_a_lock_one_warning_says_so(lost: str, named: str) -> None:
    if lost == "setuid" and os.getuid() != 0:
        pytest.skip("there is no root to drop")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, lost],
        capture_output=True,
        text=True,
        cwd=HOUSE,
        env={**os.environ, "PYTHONPATH": f"{HOUSE}:{HOUSE / 'tests'}"},
    )

    assert done.stdout == "5\n5\n", done.stderr
    assert [named in line for line in done.stderr.splitlines()] == [True]
