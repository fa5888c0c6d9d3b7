"""Workers may be killed, hang, or eat all memory: one task is refused, every other goes on."""

import asyncio
import ctypes
import importlib
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvloop

from errors import BusyError
from extraction.workers.answers import TaskFailedError
from extraction.workers.forkserver import NICE
from extraction.workers.pool import WorkerDiedError
from extraction.workers.queue import Limits, Workers
from extraction.workers.turns import MAXIMUM_WAITING, MAXIMUM_WAITING_EACH
from support.outages import children_of
from support.servers import HOUSE, wait_until

WAIT_SECONDS = 20.0

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def make_workers(
    count: int = 2, *, deadline_seconds: float = WAIT_SECONDS, cpu_seconds: float = WAIT_SECONDS
) -> Workers:
    return Workers(
        count,
        deadline_seconds=deadline_seconds,
        cpu_seconds=cpu_seconds,
        memory_bytes=512 * 1024 * 1024,
        shared_modules=[],
        warm_up=int,  # nothing
    )


@pytest.fixture
def run() -> Iterator[Run]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as under uvicorn
        yield runner.run


@pytest.fixture
def workers(run: Run) -> Iterator[Workers]:
    workers = make_workers()
    workers.start()
    yield workers
    workers.close()


def wait_for_end(process_id: int) -> None:
    """Return when the process has ended, a zombie or not."""
    try:
        descriptor = os.pidfd_open(process_id)
    except ProcessLookupError:
        return
    ended, _, _ = select.select([descriptor], [], [], WAIT_SECONDS)
    os.close(descriptor)
    assert ended


def forkserver_of(workers: Workers) -> int:
    forkserver = workers._pool._forkserver
    assert forkserver is not None
    return forkserver._process.pid


async def find_spare(workers: Workers) -> int:
    """Return the process that will be given the next task, when no other is under way."""
    last = await workers.run(os.getpid)
    forkserver = forkserver_of(workers)
    await asyncio.to_thread(
        wait_until, lambda: len(children_of(forkserver)) == 1 and last not in children_of(forkserver)
    )
    return children_of(forkserver)[0]


async def start_endless_task(workers: Workers) -> tuple[asyncio.Task[Any], int]:
    """Return a task that is under way, and the id of its process."""
    process_id = await find_spare(workers)
    task = asyncio.create_task(workers.run(time.sleep, 1000))
    await asyncio.to_thread(wait_until, lambda: len(children_of(forkserver_of(workers))) == 2)
    return task, process_id


def test_what_waits_for_its_turn_has_loaded_nothing(run: Run) -> None:
    workers = make_workers(1)
    loaded: list[str] = []

    async def load() -> str:
        loaded.append("text")
        return "text"

    async def check() -> None:
        under_way, _ = await start_endless_task(workers)
        waiting = asyncio.create_task(workers.run_with(Limits(9, 9), load, str.replace, "t", "n"))
        await asyncio.sleep(0)
        assert loaded == []

        under_way.cancel()

        assert await waiting == "nexn"
        assert loaded == ["text"]

    run(check())
    workers.close()


@pytest.mark.parametrize("pause", [0.0, 0.3])
@pytest.mark.parametrize("victim", ["forkserver", "worker"])
def test_an_idle_process_that_is_killed_is_replaced(run: Run, workers: Workers, pause: float, victim: str) -> None:
    async def kill_and_ask() -> int:
        spare = await find_spare(workers)
        killed = spare if victim == "worker" else forkserver_of(workers)
        os.kill(killed, signal.SIGKILL)
        await asyncio.to_thread(wait_for_end, killed)
        await asyncio.sleep(pause)  # it may have been noticed, or not yet
        return await workers.run(os.getpid)

    for _ in range(2):
        assert run(kill_and_ask()) > 0


def test_a_task_whose_worker_is_killed_is_run_again(run: Run, workers: Workers) -> None:
    async def kill_twice() -> None:
        task, first = await start_endless_task(workers)
        [second] = set(children_of(forkserver_of(workers))) - {first}
        os.kill(first, signal.SIGKILL)
        await asyncio.to_thread(wait_for_end, first)
        await asyncio.to_thread(wait_until, lambda: len({*children_of(forkserver_of(workers))} - {first}) == 2)
        assert not task.done()
        os.kill(second, signal.SIGKILL)
        await task

    with pytest.raises(WorkerDiedError):
        run(kill_twice())


def test_each_task_has_a_process_of_its_own(run: Run, workers: Workers) -> None:
    async def ask() -> list[int]:
        return [await workers.run(os.getpid) for _ in range(3)]

    assert len(set(run(ask()))) == 3


@pytest.mark.parametrize(
    ("function", "args", "error"),
    [
        (ctypes.string_at, (0,), WorkerDiedError),
        (os.abort, (), WorkerDiedError),
        (os._exit, (3,), WorkerDiedError),
        (bytes, (10**10,), MemoryError),
        (eval, ("1 / 0",), TaskFailedError),
    ],
)
def test_a_task_that_ends_badly_leaves_its_neighbour_alone(
    run: Run, workers: Workers, function: Callable[..., object], args: tuple[object, ...], error: type[Exception]
) -> None:
    async def both() -> Any:
        neighbour = workers.run(eval, "__import__('time').sleep(0.3) or 'unharmed'")
        return await asyncio.gather(workers.run(function, *args), neighbour, return_exceptions=True)

    failure, neighbour = run(both())

    assert isinstance(failure, error)
    assert neighbour == "unharmed"


def test_a_task_ends_at_its_deadline(run: Run) -> None:
    workers = make_workers(deadline_seconds=0.3)

    with pytest.raises(TimeoutError):
        run(workers.run(time.sleep, 1000))

    assert run(workers.run(len, "works")) == 5
    workers.close()


@pytest.fixture
def crowd_processor() -> Iterator[Callable[[int], int]]:
    """Keep a processor busy with some endless programs; return its number."""
    processor = min(os.sched_getaffinity(0))
    programs: list[subprocess.Popen[bytes]] = []

    def crowd(count: int) -> int:
        spin = f"import os; os.sched_setaffinity(0, [{processor}]); sum(iter(int, 1))"
        programs.extend(subprocess.Popen([sys.executable, "-c", spin], start_new_session=True) for _ in range(count))
        return processor

    yield crowd
    for program in programs:
        program.kill()
        program.wait()


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the system does not say who waits")
def test_a_task_without_a_processor_is_not_at_fault(run: Run, crowd_processor: Callable[[int], int]) -> None:
    workers = make_workers(1, deadline_seconds=0.5)
    spare = run(find_spare(workers))
    os.sched_setaffinity(spare, [crowd_processor(12)])

    with pytest.raises(BusyError) as refusal:
        run(workers.run(eval, "sum(iter(int, 1))"))

    assert refusal.value.retry_after
    workers.close()


def test_a_task_ends_when_it_has_had_its_processor_time(run: Run) -> None:
    workers = make_workers(cpu_seconds=1, deadline_seconds=60)

    with pytest.raises(WorkerDiedError) as death:
        run(workers.run(eval, "sum(iter(int, 1))"))

    assert death.value.exit_code == -signal.SIGXCPU
    workers.close()


def test_a_cancelled_task_ends_its_worker(run: Run, workers: Workers) -> None:
    async def cancel() -> int:
        task, process_id = await start_endless_task(workers)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.to_thread(wait_for_end, process_id)
        return await workers.run(len, "works")

    assert run(cancel()) == 5


def test_workers_that_do_not_start_are_busy(run: Run) -> None:
    workers = Workers(
        1,
        deadline_seconds=9,
        cpu_seconds=9,
        memory_bytes=2**29,
        shared_modules=[],
        warm_up=partial(importlib.import_module, "no_such_module"),
    )

    with pytest.raises(BusyError) as refusal:
        run(workers.run(len, "abc"))

    assert refusal.value.retry_after
    workers.close()


def test_the_queue_has_an_end(run: Run) -> None:
    async def crowd() -> list[Any]:
        workers = make_workers(1)
        under_way, _ = await start_endless_task(workers)
        limits = [Limits(WAIT_SECONDS, WAIT_SECONDS, owner=number % 2) for number in range(MAXIMUM_WAITING)]
        waiting = [asyncio.create_task(workers.run_within(mine, len, "abc")) for mine in limits]
        await asyncio.sleep(0)  # each takes its place
        with pytest.raises(BusyError) as refusal:
            await workers.run_within(limits[0], len, "one too many")
        assert refusal.value.retry_after
        under_way.cancel()
        answers = await asyncio.gather(*waiting)
        await asyncio.to_thread(workers.close)
        return answers

    assert run(crowd()) == [3] * MAXIMUM_WAITING


def test_owners_take_turns(run: Run) -> None:
    async def crowd() -> list[str]:
        workers = make_workers(1)
        under_way, _ = await start_endless_task(workers)
        done: list[str] = []

        async def work(owner: int, name: str) -> None:
            await workers.run_within(Limits(9, 9, owner=owner), len, name)
            done.append(name)

        tasks = [asyncio.create_task(work(1, f"one {number}")) for number in range(3)]
        await asyncio.sleep(0)
        tasks += [asyncio.create_task(work(2, f"two {number}")) for number in range(2)]
        await asyncio.sleep(0)
        under_way.cancel()
        await asyncio.gather(*tasks)
        await asyncio.to_thread(workers.close)
        return done

    assert run(crowd()) == ["one 0", "two 0", "one 1", "two 1", "one 2"]


def test_one_owner_does_not_fill_the_queue(run: Run) -> None:
    async def crowd() -> list[Any]:
        workers = make_workers(1)
        under_way, _ = await start_endless_task(workers)
        mine = Limits(WAIT_SECONDS, WAIT_SECONDS, owner=1)
        waiting = [asyncio.create_task(workers.run_within(mine, len, "abc")) for _ in range(MAXIMUM_WAITING_EACH)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await workers.run_within(mine, len, "one too many")
        waiting.append(asyncio.create_task(workers.run_within(mine._replace(owner=2), len, "ab")))
        await asyncio.sleep(0)
        under_way.cancel()
        answers = await asyncio.gather(*waiting)
        await asyncio.to_thread(workers.close)
        return answers

    assert run(crowd()) == [3] * MAXIMUM_WAITING_EACH + [2]


def test_closing_ends_what_is_under_way(run: Run, workers: Workers) -> None:
    async def close() -> tuple[Any, int]:
        task, process_id = await start_endless_task(workers)
        await asyncio.to_thread(workers.close)
        outcomes = await asyncio.gather(task, return_exceptions=True)
        return outcomes[0], process_id

    outcome, process_id = run(close())

    assert isinstance(outcome, BusyError)
    wait_for_end(process_id)
    with pytest.raises(BusyError):
        run(workers.run(len, "too late"))


def test_a_worker_gives_way_to_other_sessions(run: Run, workers: Workers) -> None:
    assert run(workers.run(os.getsid, 0)) == forkserver_of(workers)
    autogroup = Path(f"/proc/{forkserver_of(workers)}/autogroup")
    if autogroup.exists():  # the kernel has them
        assert autogroup.read_text().split()[-2:] == ["nice", str(NICE)]


def test_a_worker_is_polite_and_leaves_no_core_file(run: Run, workers: Workers) -> None:
    assert run(workers.run(os.getpriority, os.PRIO_PROCESS, 0)) == min(19, os.nice(0) + NICE)
    assert run(workers.run(resource.getrlimit, resource.RLIMIT_CORE)) == [0, 0]


# What the process that owns the workers leaves behind

PROGRAM = r"""
import asyncio, signal, sys
import fastapi
from extraction.workers.queue import Workers

async def main():
    workers = Workers(2, deadline_seconds=600, cpu_seconds=600, memory_bytes=2**29, shared_modules=[], warm_up=int)
    workers.start()
    try:
        if "early" in sys.argv:
            print("starting", flush=True)
            await asyncio.sleep(600)
        print(await workers.run(eval, "'fastapi' in __import__('sys').modules"), flush=True)
        print(workers._pool._forkserver._process.pid, flush=True)
        if "idle" in sys.argv:
            await asyncio.sleep(600)
        sleep, spin = "__import__('time').sleep(600)", "sum(iter(int, 1))"
        await asyncio.gather(workers.run(eval, sleep), workers.run(eval, spin))
    finally:
        if "careless" not in sys.argv:
            workers.close()

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what is in the background without it
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
"""


@pytest.fixture
def start_program(tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    started: list[subprocess.Popen[str]] = []

    def start(*args: str, temporary: Path = tmp_path) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, str(script), *args],
            env={**os.environ, "PYTHONPATH": str(HOUSE), "TMPDIR": str(temporary)},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def read_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_workers_do_not_import_the_servers_main_module(start_program: Callable[..., "subprocess.Popen[str]"]) -> None:
    assert read_line(start_program()) == "False"


@pytest.mark.parametrize("moment", ["idle", "busy"])
def test_workers_die_with_their_server(start_program: Callable[..., "subprocess.Popen[str]"], moment: str) -> None:
    server = start_program(moment)
    read_line(server)
    forkserver = int(read_line(server))
    wait_until(lambda: len(children_of(forkserver)) == (1 if moment == "idle" else 3))
    process_ids = [forkserver, *children_of(forkserver)]

    server.kill()

    for process_id in process_ids:
        wait_for_end(process_id)


@pytest.mark.parametrize("moment", ["early", "busy"])
def test_ctrl_c_prints_no_traceback(start_program: Callable[..., "subprocess.Popen[str]"], moment: str) -> None:
    server = start_program(moment)
    read_line(server)
    if moment == "busy":
        read_line(server)

    os.killpg(server.pid, signal.SIGINT)

    assert server.communicate(timeout=WAIT_SECONDS)[1] == ""


def test_a_server_that_closes_nothing_still_ends(start_program: Callable[..., "subprocess.Popen[str]"]) -> None:
    server = start_program("early", "careless")
    read_line(server)

    server.send_signal(signal.SIGINT)

    assert server.wait(WAIT_SECONDS) == 0
