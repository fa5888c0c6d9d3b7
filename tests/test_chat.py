"""The connection manager by the thousand, without a network: who receives what, in which order."""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule
from starlette.websockets import WebSocket, WebSocketDisconnect

import chat
from chat import CloseCode, Connection, ConnectionManager, NumberedEvent, Signal, TooManySocketsError
from delivery.events import Event, EventFrames, MessageRow
from delivery.protocol import error_frame
from errors import DatabaseUnavailableError
from support.reference_client import Inbox

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)

# Who receives what


def event(user_id: int, seq: int, *, sender_id: int = 99, recipient_id: int | None = None) -> NumberedEvent:
    message = MessageRow(seq, sender_id, recipient_id or user_id, str(seq), NOON, "Alice", None, None, None)
    return NumberedEvent(user_id, seq, EventFrames(Event("message", seq, message=message)))


class Table:
    """The events of the database: how many there are for each user, and which are forgotten."""

    def __init__(self) -> None:
        self.last = {1: 0, 2: 0}
        self.forgotten = {1: 0, 2: 0}
        self.failures = 0
        self.delay = 0

    async def load(self, after: Mapping[int, int], limit: int) -> list[NumberedEvent]:
        found = []
        for user_id, seq in after.items():
            start = max(seq, self.forgotten[user_id])
            found += [event(user_id, n) for n in range(start + 1, min(self.last[user_id], start + limit) + 1)]
        for _ in range(self.delay):  # it was looked up, and the answer is on its way
            await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise DatabaseUnavailableError
        return found


class Device:
    """A real Connection on a WebSocket without a network; *reads* says whether its owner reads."""

    def __init__(self, user_id: int, *, classic: bool = False) -> None:
        self.user_id = user_id
        self.reads = asyncio.Event()
        self.reads.set()
        self.received: list[dict[str, Any]] = []
        self.catching_up: asyncio.Task[bool] | None = None
        websocket = WebSocket({"type": "websocket", "headers": []}, self._receive, self._send)
        self.websocket = websocket
        self.connection = Connection(websocket, user_id, classic=classic, describe=error_frame)

    async def open(self) -> None:
        await self.websocket.accept()
        self.connection.start()

    async def _receive(self) -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def _send(self, message: Any) -> None:
        await self.reads.wait()
        if message["type"] == "websocket.send":
            self.received.append(json.loads(message["text"]))

    @property
    def numbers(self) -> list[int]:
        """As classic frames tell them: the id of a message here is its number."""
        return [frame["id"] for frame in self.received]


class EverybodyIsTold(RuleBasedStateMachine):
    """Two users with some devices. Events are committed, announced in any order, twice or never; devices come, stop
    reading, are cut and resume; the database fails. Whatever happens: each number once, in order, and none is missing.
    """

    devices = Bundle("devices")

    def __init__(self) -> None:
        super().__init__()
        self.patches = patch.object(chat, "RETRY_LOAD_SECONDS", 0)
        self.patches.start()
        self.loop = asyncio.new_event_loop()
        self.table = Table()
        self.open: list[tuple[Device, Inbox, int]] = []
        self.loop.run_until_complete(self._begin())

    async def _begin(self) -> None:
        self.manager = ConnectionManager(self.table.load)
        self.manager.start()

    def turn(self, times: int) -> None:
        async def nothing() -> None:
            for _ in range(times):
                await asyncio.sleep(0)

        self.loop.run_until_complete(nothing())

    # What happens to the database

    @rule(user_id=st.sampled_from([1, 2]), amount=st.sampled_from([1, 2, 3, 150, 400]))
    def events_are_committed(self, user_id: int, amount: int) -> None:
        self.table.last[user_id] += amount

    @rule(times=st.integers(0, 3))
    def the_database_fails(self, times: int) -> None:
        self.table.failures = times

    @rule(delay=st.integers(0, 5))
    def the_database_is_slow(self, delay: int) -> None:
        self.table.delay = delay

    # What this process hears

    @rule(user_id=st.sampled_from([1, 2]))
    def the_newest_is_published(self, user_id: int) -> None:
        if self.table.last[user_id]:
            self._publish(user_id, self.table.last[user_id])

    @rule(user_id=st.sampled_from([1, 2]), amount=st.integers(1, 300))
    def a_batch_is_committed_and_published(self, user_id: int, amount: int) -> None:
        for _ in range(amount):
            self.table.last[user_id] += 1
            self._publish(user_id, self.table.last[user_id])

    @rule(user_id=st.sampled_from([1, 2]), data=st.data())
    def any_is_published(self, user_id: int, data: st.DataObject) -> None:
        if self.table.last[user_id]:
            self._publish(user_id, data.draw(st.integers(1, self.table.last[user_id])))

    def _publish(self, user_id: int, seq: int) -> None:
        async def publish() -> None:
            self.manager.publish(user_id, seq, event(user_id, seq).event)

        self.loop.run_until_complete(publish())

    @rule(user_id=st.sampled_from([1, 2]), data=st.data())
    def any_is_noted(self, user_id: int, data: st.DataObject) -> None:
        seq = data.draw(st.integers(0, self.table.last[user_id]))

        async def expect() -> None:
            self.manager.expect(user_id, seq)

        self.loop.run_until_complete(expect())

    @rule(times=st.integers(1, 30))
    def time_passes(self, times: int) -> None:
        self.turn(times)

    # What devices do

    @precondition(lambda self: len(self.open) < 8)
    @rule(target=devices, user_id=st.sampled_from([1, 2]), classic=st.booleans(), late=st.integers(0, 3))
    def a_device_comes(self, user_id: int, classic: bool, late: int) -> tuple[Device, Inbox]:
        """What it knows of the newest event may be a little old when it is registered."""
        device, tail = self.loop.run_until_complete(self._join(user_id, classic, late))
        inbox = Inbox(tail)
        if not classic:
            device.connection.position = inbox.last_seq = tail
            self._catch_up(device, inbox.last_seq)
        self.open.append((device, inbox, inbox.last_seq))
        return device, inbox

    async def _join(self, user_id: int, classic: bool, late: int) -> tuple[Device, int]:
        device = Device(user_id, classic=classic)
        tail = self.manager.add(device.connection, seq=max(0, self.table.last[user_id] - late))
        await device.open()
        return device, tail

    def _catch_up(self, device: Device, from_seq: int) -> None:
        to_seq = self.table.last[device.user_id]

        async def catch_up() -> bool:
            start = from_seq
            while True:
                try:
                    return await self.manager.catch_up(device.connection, from_seq=start, to_seq=to_seq)
                except DatabaseUnavailableError:
                    start = device.connection.position  # a real socket is closed, and resumes; this one goes on
                except WebSocketDisconnect:
                    return True

        device.catching_up = self.loop.create_task(catch_up())

    @rule(target=devices, pair=consumes(devices))
    def a_device_is_cut_and_resumes(self, pair: tuple[Device, Inbox]) -> tuple[Device, Inbox]:
        device, inbox = pair
        self._leave(device)
        self._check(device, inbox)
        again, tail = self.loop.run_until_complete(self._join(device.user_id, device.connection.classic, 0))
        if again.connection.classic:
            inbox = Inbox(tail)
        else:
            self._catch_up(again, inbox.last_seq)
        self.open.append((again, inbox, inbox.last_seq))
        return again, inbox

    @rule(pair=devices, back=st.integers(0, 200))
    def a_device_resumes_from_earlier(self, pair: tuple[Device, Inbox], back: int) -> None:
        device, inbox = pair
        if device.connection.is_live and device.reads.is_set():
            self._check(device, inbox)
            device.received.clear()
            self.turn(600)  # what is in the outbox comes before the replay
            self._check(device, inbox)
            device.received.clear()
            start = max(0, inbox.last_seq - back)
            self.open = [(d, i, start if d is device else s) for d, i, s in self.open]
            self._catch_up(device, start)

    @rule(pair=devices)
    def a_device_stops_reading(self, pair: tuple[Device, Inbox]) -> None:
        pair[0].reads.clear()

    @rule(pair=devices)
    def a_device_reads_again(self, pair: tuple[Device, Inbox]) -> None:
        pair[0].reads.set()

    @rule(pair=consumes(devices))
    def a_device_leaves(self, pair: tuple[Device, Inbox]) -> None:
        self._leave(pair[0])

    def _leave(self, device: Device) -> None:
        async def leave() -> None:
            if device.catching_up is not None:
                device.catching_up.cancel()
                await asyncio.gather(device.catching_up, return_exceptions=True)
            self.manager.remove(device.connection)
            assert device.connection._pump is not None
            device.connection._pump.cancel()

        self.loop.run_until_complete(leave())
        self.open = [entry for entry in self.open if entry[0] is not device]

    # What must be true

    def _check(self, device: Device, inbox: Inbox) -> None:
        for frame in device.received:
            if not device.connection.classic:
                assert inbox.take(frame), "something is missing before a frame"

    @invariant()
    def each_number_comes_once_and_in_order(self) -> None:
        for device, _, start in self.open:
            assert device.numbers == list(range(start + 1, start + 1 + len(device.received)))

    def teardown(self) -> None:
        try:
            self.table.failures = 0
            for device, _, _ in self.open:
                device.reads.set()
            self.loop.run_until_complete(self._repair())
            for _ in range(100):
                self.turn(200)
                if all(self._is_done(*entry) for entry in self.open):
                    break
            for device, inbox, start in self.open:
                assert self._is_done(device, inbox, start), (device.numbers, start, self.table.last)
        finally:
            self.loop.run_until_complete(self._end())
            self.loop.close()
            self.patches.stop()

    async def _repair(self) -> None:
        for user_id, seq in self.table.last.items():
            self.manager.expect(user_id, seq)

    def _is_done(self, device: Device, inbox: Inbox, start: int) -> bool:
        everything = list(range(start + 1, self.table.last[device.user_id] + 1))
        return device.numbers == everything or device.connection.close_code == CloseCode.TOO_MUCH

    async def _end(self) -> None:
        await self.manager.stop()
        for device, _, _ in self.open:
            for task in (device.connection._pump, device.catching_up):
                if task is not None:
                    task.cancel()
        await asyncio.sleep(0)


TestEverybodyIsTold = EverybodyIsTold.TestCase
TestEverybodyIsTold.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


# What the machine does not reach

pytestmark = pytest.mark.anyio


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
async def manager(table: Table) -> Any:
    opened = ConnectionManager(table.load)
    opened.start()
    yield opened
    await opened.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110, nobody tells
            await asyncio.sleep(0)


async def until_told(device: Device, amount: int) -> None:
    await until(lambda: len(device.received) == amount)


async def open_device(manager: ConnectionManager, user_id: int = 1, *, seq: int = 0, live: bool = True) -> Device:
    device = Device(user_id)
    manager.add(device.connection, seq=seq)
    await device.open()
    if live:
        await manager.catch_up(device.connection, from_seq=seq, to_seq=seq)
    return device


def numbers_of(frames: Iterable[dict[str, Any]]) -> list[int]:
    return [frame["seq"] for frame in frames]


async def test_a_replay_with_a_hole_is_not_whole(manager: ConnectionManager, table: Table) -> None:
    table.last[1], table.forgotten[1] = 10, 5
    device = await open_device(manager, seq=10, live=False)

    assert await manager.catch_up(device.connection, from_seq=3, to_seq=10) is False
    assert not device.connection.is_live


async def test_a_replay_goes_as_far_as_the_database_though_nobody_noted_it(
    manager: ConnectionManager, table: Table
) -> None:
    device = await open_device(manager, live=False)
    table.last[1] = 5

    assert await manager.catch_up(device.connection, from_seq=0, to_seq=5)
    await until_told(device, 5)

    assert numbers_of(device.received) == [1, 2, 3, 4, 5]


async def test_events_that_are_forgotten_do_not_stop_those_that_follow(
    manager: ConnectionManager, table: Table
) -> None:
    device = await open_device(manager)
    table.last[1], table.forgotten[1] = 10, 7

    manager.expect(1, 10)
    await until_told(device, 3)

    assert numbers_of(device.received) == [8, 9, 10]


async def test_an_event_that_is_nowhere_is_not_looked_for_for_ever(manager: ConnectionManager, table: Table) -> None:
    device = await open_device(manager)
    table.last[1], table.forgotten[1] = 10, 10

    manager.expect(1, 10)
    await until(lambda: manager.tail(1) == 10)
    table.last[1] = 11
    manager.expect(1, 11)
    await until_told(device, 1)

    assert (device.received[0]["seq"], device.received[0]["prev"]) == (11, 10)


async def test_the_loader_survives_what_nobody_expected(
    manager: ConnectionManager, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "RETRY_LOAD_SECONDS", 0)
    device = await open_device(manager)
    table.last[1] = 1
    table.last[2] = None  # type: ignore[assignment]
    second = Device(2)
    manager.add(second.connection, seq=0)

    manager.expect(2, 1)
    manager.expect(1, 1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    table.last[2] = 1
    await until_told(device, 1)

    assert numbers_of(device.received) == [1]


@pytest.mark.parametrize("announced_first", [True, False])
async def test_what_a_classic_socket_sent_is_not_shown_to_it_though_another_process_came_between(
    announced_first: bool,
) -> None:
    theirs, own = event(1, 1), event(1, 2, sender_id=1, recipient_id=2)

    async def load(after: Mapping[int, int], limit: int) -> list[NumberedEvent]:
        return [each for each in (theirs, own) if each.seq > after[1]]

    manager = ConnectionManager(load)
    manager.start()
    device = Device(1, classic=True)
    manager.add(device.connection, seq=0)
    await device.open()

    if announced_first:
        manager.expect(1, 1)
        await until_told(device, 1)
    manager.publish(1, 2, own.event, origin=device.connection)
    await until(lambda: manager.tail(1) == 2)
    await asyncio.sleep(0)
    await manager.stop()

    assert device.numbers == [1]


async def test_what_came_before_its_turn_is_told_after_the_one_before_it_and_not_loaded() -> None:
    loads: list[Mapping[int, int]] = []

    async def load(after: Mapping[int, int], limit: int) -> list[NumberedEvent]:
        loads.append(after)
        return []

    manager = ConnectionManager(load)
    manager.start()
    device = Device(1)
    manager.add(device.connection, seq=0)
    await device.open()
    for seq in (3, 2, 1):
        manager.publish(1, seq, event(1, seq).event)
        manager.expect(1, seq)
    await asyncio.sleep(2 * chat.NOTE_SECONDS)  # then it would be loaded
    await manager.stop()

    assert (manager.tail(1), loads) == (3, [])


async def test_what_was_announced_before_the_database_was_put_back_is_not_awaited_after_it() -> None:
    """Events 2 and 3 are announced; then the database is put back to event 1, and another event 2 is committed."""
    asked, answers = asyncio.Event(), asyncio.Event()

    async def load(after: Mapping[int, int], limit: int) -> list[NumberedEvent]:
        asked.set()
        await answers.wait()
        return []

    manager = ConnectionManager(load)
    manager.start()
    device = await open_device(manager, seq=1)
    manager.expect(1, 3)
    await asked.wait()

    manager.restart(1, 1, "{}")
    answers.set()
    await asyncio.sleep(0)
    manager.publish(1, 2, event(1, 2).event)
    await until(lambda: len(device.received) == 2)
    await manager.stop()

    assert (device.received[1]["seq"], manager.tail(1)) == (2, 2)


async def test_what_was_loaded_before_the_database_was_put_back_is_not_delivered_after_it() -> None:
    asked, answers = asyncio.Event(), asyncio.Event()

    async def load(after: Mapping[int, int], limit: int) -> list[NumberedEvent]:
        asked.set()
        await answers.wait()
        return [event(1, 2), event(1, 3)]

    manager = ConnectionManager(load)
    manager.start()
    device = await open_device(manager, seq=1)
    manager.expect(1, 3)
    await asked.wait()

    manager.restart(1, 1, "{}")
    answers.set()
    await until(lambda: len(device.received) == 1)
    await asyncio.sleep(0)
    await manager.stop()

    assert (device.received, manager.tail(1)) == ([{}], 1)


async def test_an_event_that_waits_for_the_one_before_it_is_forgotten_when_the_database_is_put_back(
    monkeypatch: pytest.MonkeyPatch, manager: ConnectionManager
) -> None:
    monkeypatch.setattr(chat, "NOTE_SECONDS", 0)
    await open_device(manager, seq=1)
    manager.publish(1, 3, event(1, 3).event)

    manager.restart(1, 1, "{}")
    for _ in range(20):
        await asyncio.sleep(0)

    assert manager.tail(1) == 1


async def test_the_21st_listener_of_a_user_is_refused(manager: ConnectionManager) -> None:
    for _ in range(20):
        await open_device(manager)

    with pytest.raises(TooManySocketsError):
        await open_device(manager)


async def test_a_listener_that_comes_while_the_hub_closes_is_told(manager: ConnectionManager) -> None:
    manager.close()

    device = await open_device(manager)

    assert device.connection.close_code == CloseCode.GOING_AWAY


def large(user_id: int, seq: int) -> EventFrames:
    message = MessageRow(seq, 99, user_id, "x" * 30_000, NOON, "Alice", None, None, None)
    return EventFrames(Event("message", seq, message=message))


@pytest.fixture
def small_outboxes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "OUTBOXES_CHARACTERS_EACH", 400_000)
    monkeypatch.setattr(chat, "OUTBOXES_CHARACTERS", 600_000)


async def hold_up(manager: ConnectionManager, user_id: int, *, sockets: int) -> list[Device]:
    devices = [await open_device(manager, user_id) for _ in range(sockets)]
    for device in devices:
        device.reads.clear()
    return devices


async def publish_large(manager: ConnectionManager, user_id: int, *, first: int = 1, count: int) -> None:
    for seq in range(first, first + count):
        manager.publish(user_id, seq, large(user_id, seq))
        await asyncio.sleep(0)


def codes_of(devices: Iterable[Device]) -> list[CloseCode | None]:
    return [device.connection.close_code for device in devices]


@pytest.mark.usefixtures("small_outboxes")
async def test_sockets_of_one_user_that_do_not_read_share_a_budget(manager: ConnectionManager) -> None:
    slow = await hold_up(manager, 1, sockets=10)
    quick = await open_device(manager, 1)
    await publish_large(manager, 1, count=20)

    await until_told(quick, 20)
    assert sum(device.connection.held_characters for device in slow) < 400_000
    assert codes_of(slow).count(CloseCode.TOO_MUCH) >= 9
    assert quick.connection.close_code is None


@pytest.mark.usefixtures("small_outboxes")
async def test_the_user_who_holds_the_most_gives_way_when_all_hold_too_much(manager: ConnectionManager) -> None:
    greedy = await hold_up(manager, 1, sockets=1)
    modest = await hold_up(manager, 2, sockets=1)
    await publish_large(manager, 1, count=12)
    await publish_large(manager, 2, count=10)

    assert codes_of(greedy + modest) == [CloseCode.TOO_MUCH, None]


@pytest.mark.usefixtures("small_outboxes")
async def test_what_a_socket_held_is_free_again_when_it_is_gone(manager: ConnectionManager) -> None:
    (first,) = await hold_up(manager, 1, sockets=1)
    await publish_large(manager, 1, count=12)
    manager.remove(first.connection)
    devices = [await open_device(manager, 1, seq=12)]
    devices[0].reads.clear()

    await publish_large(manager, 1, first=13, count=12)

    assert codes_of(devices) == [None]


def test_all_sockets_of_a_user_hold_the_same_frame() -> None:
    frames = large(1, 7)

    assert frames.durable(1, 7) is frames.durable(1, 7)
    assert frames.durable(1, 7) != frames.durable(2, 9)


# Signals


def test_a_signal_wakes_all_who_wait_and_lets_pass_who_comes_later() -> None:
    async def play() -> None:
        signal = Signal()
        waiting = [asyncio.create_task(signal.wait()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        signal.set()
        signal.clear()  # who was waiting is awake all the same
        await asyncio.gather(*waiting[1:])
        signal.set()
        await signal.wait()

    asyncio.run(asyncio.wait_for(play(), 30))
