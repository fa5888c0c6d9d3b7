"""The protocol by the thousand, without a network: frames in, frames out, and who is told what in which order."""

import asyncio
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule
from starlette.websockets import WebSocket, WebSocketDisconnect

import hub as hub_room
from delivery.protocol import (
    BadFrameError,
    CloseCode,
    Event,
    EventFrames,
    ResumeFrame,
    SendFrame,
    parse_frame,
    peek_reference,
)
from delivery.queries import EventRow, Told
from errors import DatabaseUnavailableError
from hub import Client, Hub, TooManySocketsError
from support.reference_client import Inbox

FRAMES: list[dict[str, Any]] = [
    {"type": "message", "recipient_id": 2, "content": "hi", "client_id": "a1"},
    {"type": "resume", "last_seq": 0},
    {"type": "read", "user_id": 2, "up_to_id": 991},
    {"type": "typing", "recipient_id": 2, "active": False},
    {"type": "edit", "id": 991, "content": "hi"},
    {"type": "delete", "id": 991},
    {"type": "auth", "token": "x.y.z"},
    {"type": "ping"},
]
SOME_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)

# Frames in


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: str(frame["type"]))
def test_every_frame_is_understood(frame: dict[str, Any]) -> None:
    understood = parse_frame(json.dumps({**frame, "ref": "r1"}), classic=False)

    assert understood.model_dump() == {**frame, "ref": "r1"}


def test_a_frame_without_a_type_is_a_message() -> None:
    frame = parse_frame('{"recipient_id": 2, "content": "hi"}', classic=False)

    assert frame == SendFrame(recipient_id=2, content="hi")


@pytest.mark.parametrize("frame", FRAMES[1:], ids=lambda frame: str(frame["type"]))
def test_a_classic_client_can_only_send(frame: dict[str, Any]) -> None:
    with pytest.raises(BadFrameError):
        parse_frame(json.dumps(frame), classic=True)


@given(st.sampled_from(FRAMES), st.data())
def test_a_frame_without_one_of_its_fields_is_refused_by_its_name(frame: dict[str, Any], data: st.DataObject) -> None:
    needed = sorted(frame.keys() - {"type", "client_id", "active"})
    if needed:
        missing = data.draw(st.sampled_from(needed))
        text = json.dumps({key: value for key, value in frame.items() if key != missing})

        with pytest.raises(BadFrameError, match=missing):
            parse_frame(text, classic=False)


@settings(max_examples=1000)
@given(st.sampled_from(FRAMES), st.dictionaries(st.sampled_from(["ref", "id", "content", "type"]), SOME_JSON))
def test_a_distorted_frame_is_understood_or_refused(frame: dict[str, Any], distortion: dict[str, Any]) -> None:
    with suppress(BadFrameError):
        parse_frame(json.dumps({**frame, **distortion}), classic=False)


@settings(max_examples=500)
@given(st.text() | SOME_JSON.map(json.dumps) | st.just("[" * 10_000), st.booleans())
def test_any_text_is_understood_or_refused(text: str, classic: bool) -> None:
    peek_reference(text)

    with suppress(BadFrameError):
        parse_frame(text, classic=classic)


@pytest.mark.parametrize("ref", ["r1", "", "x" * 64, 7, -1, 0, 2**63 - 1])
def test_a_reference_comes_back_as_it_was(ref: object) -> None:
    frame = parse_frame(json.dumps({"type": "ping", "ref": ref}), classic=False)

    assert (frame.ref, type(frame.ref)) == (ref, type(ref))
    assert peek_reference(json.dumps({"ref": ref})) == (ref, None)


@pytest.mark.parametrize("ref", ["x" * 65, 1.0, True, [], {}, 2**63])
def test_what_is_no_reference_is_refused_and_not_repeated(ref: object) -> None:
    with pytest.raises(BadFrameError):
        parse_frame(json.dumps({"type": "ping", "ref": ref}), classic=False)

    assert peek_reference(json.dumps({"ref": ref})) == (None, None)


def test_the_largest_number_to_resume_from_fits_the_database() -> None:
    assert parse_frame(f'{{"type": "resume", "last_seq": {2**63 - 1}}}', classic=False) == ResumeFrame(
        type="resume", last_seq=2**63 - 1
    )
    with pytest.raises(BadFrameError):
        parse_frame(f'{{"type": "resume", "last_seq": {2**63}}}', classic=False)


# Frames out


def event(kind: str = "message", **changes: Any) -> Event:
    plain = Event(kind, 991, 1, 2, "hi", NOON, "Alice", "a1", None, None)
    return plain._replace(**changes)


@given(content=st.text(), name=st.text(), seq=st.integers(1, 2**63 - 1), user_id=st.sampled_from([1, 2]))
def test_a_durable_frame_is_json_whatever_people_write(content: str, name: str, seq: int, user_id: int) -> None:
    frame = json.loads(EventFrames(event(content=content, sender_name=name)).durable(user_id, seq))

    assert (frame["content"], frame["sender_name"]) == (content, name)
    assert (frame["type"], frame["seq"], frame["prev"]) == ("message", seq, seq - 1)
    assert frame["client_id"] == ("a1" if user_id == 1 else None)
    assert frame["timestamp"] == "2026-11-23T12:00:00Z"


@pytest.mark.parametrize("kind", ["message", "edited"])
def test_a_deleted_message_shows_no_content(kind: str) -> None:
    frame = json.loads(EventFrames(event(kind, deleted_at=NOON)).durable(2, 7))

    assert (frame["content"], frame["deleted"]) == (None, True)


@pytest.mark.parametrize("kind", ["message", "edited", "deleted"])
def test_a_message_that_is_gone_with_its_author_is_told_as_deleted(kind: str) -> None:
    gone = Event(kind, 991, None, None, None, None, None, None, None, None)

    frame = json.loads(EventFrames(gone).durable(2, 7))

    assert (frame["type"], frame["id"], "content" in frame) == ("deleted", 991, False)


def test_an_announcement_outlives_its_author() -> None:
    frame = json.loads(EventFrames(event("announcement", sender_id=None, sender_name=None)).durable(2, 7))

    assert (frame["type"], frame["content"], frame["sender_id"]) == ("announcement", "hi", None)


@pytest.mark.parametrize("kind", ["edited", "deleted", "announcement"])
def test_classic_sockets_are_told_of_messages_only(kind: str) -> None:
    assert EventFrames(event(kind)).classic() is None


# Who is told


def row(user_id: int, seq: int) -> EventRow:
    return EventRow(user_id, seq, "message", seq, 99, user_id, str(seq), NOON, "Alice", None, None, None)


class Table:
    """The events of the database: how many there are for each user, and which are forgotten."""

    def __init__(self) -> None:
        self.last = {1: 0, 2: 0}
        self.forgotten = {1: 0, 2: 0}
        self.failures = 0
        self.delay = 0

    async def load(self, after: list[Told], limit: int) -> list[EventRow]:
        found = []
        for user_id, seq in after:
            start = max(seq, self.forgotten[user_id])
            found += [row(user_id, n) for n in range(start + 1, min(self.last[user_id], start + limit) + 1)]
        for _ in range(self.delay):  # it was looked up, and the answer is on its way
            await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise DatabaseUnavailableError
        return found


class Device:
    """A real Client on a WebSocket without a network; *reads* says whether its owner reads."""

    def __init__(self, user_id: int, *, classic: bool = False) -> None:
        self.user_id = user_id
        self.reads = asyncio.Event()
        self.reads.set()
        self.received: list[dict[str, Any]] = []
        self.catching_up: asyncio.Task[bool] | None = None
        websocket = WebSocket({"type": "websocket", "headers": []}, self._receive, self._send)
        self.websocket = websocket
        self.client = Client(websocket, user_id, classic=classic)

    async def open(self) -> None:
        await self.websocket.accept()
        self.client.start()

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
        self.patches = patch.object(hub_room, "RETRY_LOAD_SECONDS", 0)
        self.patches.start()
        self.loop = asyncio.new_event_loop()
        self.table = Table()
        self.open: list[tuple[Device, Inbox, int]] = []
        self.loop.run_until_complete(self._begin())

    async def _begin(self) -> None:
        self.hub = Hub(self.table.load)
        self.hub.start()

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
            self.hub.publish(user_id, seq, EventFrames(Event(*row(user_id, seq)[2:])))

        self.loop.run_until_complete(publish())

    @rule(user_id=st.sampled_from([1, 2]), data=st.data())
    def any_is_noted(self, user_id: int, data: st.DataObject) -> None:
        seq = data.draw(st.integers(0, self.table.last[user_id]))

        async def expect() -> None:
            self.hub.expect(user_id, seq)

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
            device.client.position = inbox.last_seq = self.hub.tail(user_id)
            self._catch_up(device, inbox.last_seq)
        self.open.append((device, inbox, inbox.last_seq))
        return device, inbox

    async def _join(self, user_id: int, classic: bool, late: int) -> tuple[Device, int]:
        device = Device(user_id, classic=classic)
        self.hub.add(device.client, seq=max(0, self.table.last[user_id] - late))
        tail = self.hub.tail(user_id)
        await device.open()
        return device, tail

    def _catch_up(self, device: Device, from_seq: int) -> None:
        to_seq = self.table.last[device.user_id]

        async def catch_up() -> bool:
            start = from_seq
            while True:
                try:
                    return await self.hub.catch_up(device.client, from_seq=start, to_seq=to_seq)
                except DatabaseUnavailableError:
                    start = device.client.position  # a real socket is closed, and resumes; this one goes on
                except WebSocketDisconnect:
                    return True

        device.catching_up = self.loop.create_task(catch_up())

    @rule(target=devices, pair=consumes(devices))
    def a_device_is_cut_and_resumes(self, pair: tuple[Device, Inbox]) -> tuple[Device, Inbox]:
        device, inbox = pair
        self._leave(device)
        self._check(device, inbox)
        again, tail = self.loop.run_until_complete(self._join(device.user_id, device.client.classic, 0))
        if again.client.classic:
            inbox = Inbox(tail)
        else:
            self._catch_up(again, inbox.last_seq)
        self.open.append((again, inbox, inbox.last_seq))
        return again, inbox

    @rule(pair=devices, back=st.integers(0, 200))
    def a_device_resumes_from_earlier(self, pair: tuple[Device, Inbox], back: int) -> None:
        device, inbox = pair
        if device.client.is_live and device.reads.is_set():
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
            self.hub.remove(device.client)
            assert device.client._pump is not None
            device.client._pump.cancel()

        self.loop.run_until_complete(leave())
        self.open = [entry for entry in self.open if entry[0] is not device]

    # What must be true

    def _check(self, device: Device, inbox: Inbox) -> None:
        for frame in device.received:
            if not device.client.classic:
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
            self.hub.expect(user_id, seq)

    def _is_done(self, device: Device, inbox: Inbox, start: int) -> bool:
        everything = list(range(start + 1, self.table.last[device.user_id] + 1))
        return device.numbers == everything or device.client.close_code == CloseCode.TOO_MUCH

    async def _end(self) -> None:
        await self.hub.stop()
        for device, _, _ in self.open:
            for task in (device.client._pump, device.catching_up):
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
async def hub(table: Table) -> Any:
    opened = Hub(table.load)
    opened.start()
    yield opened
    await opened.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110, nobody tells
            await asyncio.sleep(0)


async def until_told(device: Device, amount: int) -> None:
    await until(lambda: len(device.received) == amount)


async def open_device(hub: Hub, user_id: int = 1, *, seq: int = 0, live: bool = True) -> Device:
    device = Device(user_id)
    hub.add(device.client, seq=seq)
    await device.open()
    if live:
        await hub.catch_up(device.client, from_seq=seq, to_seq=seq)
    return device


def numbers_of(frames: Iterable[dict[str, Any]]) -> list[int]:
    return [frame["seq"] for frame in frames]


async def test_a_replay_with_a_hole_is_not_whole(hub: Hub, table: Table) -> None:
    table.last[1], table.forgotten[1] = 10, 5
    device = await open_device(hub, seq=10, live=False)

    assert await hub.catch_up(device.client, from_seq=3, to_seq=10) is False
    assert not device.client.is_live


async def test_a_replay_goes_as_far_as_the_database_though_nobody_noted_it(hub: Hub, table: Table) -> None:
    device = await open_device(hub, live=False)
    table.last[1] = 5

    assert await hub.catch_up(device.client, from_seq=0, to_seq=5)
    await until_told(device, 5)

    assert numbers_of(device.received) == [1, 2, 3, 4, 5]


async def test_events_that_are_forgotten_do_not_stop_those_that_follow(hub: Hub, table: Table) -> None:
    device = await open_device(hub)
    table.last[1], table.forgotten[1] = 10, 7

    hub.expect(1, 10)
    await until_told(device, 3)

    assert numbers_of(device.received) == [8, 9, 10]


async def test_an_event_that_is_nowhere_is_not_looked_for_for_ever(hub: Hub, table: Table) -> None:
    device = await open_device(hub)
    table.last[1], table.forgotten[1] = 10, 10

    hub.expect(1, 10)
    await until(lambda: hub.tail(1) == 10)
    table.last[1] = 11
    hub.expect(1, 11)
    await until_told(device, 1)

    assert (device.received[0]["seq"], device.received[0]["prev"]) == (11, 10)


async def test_the_loader_survives_what_nobody_expected(
    hub: Hub, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_room, "RETRY_LOAD_SECONDS", 0)
    device = await open_device(hub)
    table.last[1] = 1
    table.last[2] = None  # type: ignore[assignment]
    second = Device(2)
    hub.add(second.client, seq=0)

    hub.expect(2, 1)
    hub.expect(1, 1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    table.last[2] = 1
    await until_told(device, 1)

    assert numbers_of(device.received) == [1]


@pytest.mark.parametrize("announced_first", [True, False])
async def test_what_a_classic_socket_sent_is_not_shown_to_it_though_another_process_came_between(
    announced_first: bool,
) -> None:
    theirs, own = row(1, 1), row(1, 2)._replace(sender_id=1, recipient_id=2)

    async def load(after: list[Told], limit: int) -> list[EventRow]:
        return [event for event in (theirs, own) if event.seq > after[0].seq]

    hub = Hub(load)
    hub.start()
    device = Device(1, classic=True)
    hub.add(device.client, seq=0)
    await device.open()

    if announced_first:
        hub.expect(1, 1)
        await until_told(device, 1)
    hub.publish(1, 2, hub_room.event_frames(own), origin=device.client)
    await until(lambda: hub.tail(1) == 2)
    await asyncio.sleep(0)
    await hub.stop()

    assert device.numbers == [1]


async def test_what_came_before_its_turn_is_told_after_the_one_before_it_and_not_loaded() -> None:
    loads: list[list[Told]] = []

    async def load(after: list[Told], limit: int) -> list[EventRow]:
        loads.append(after)
        return []

    hub = Hub(load)
    hub.start()
    device = Device(1)
    hub.add(device.client, seq=0)
    await device.open()
    for seq in (3, 2, 1):
        hub.publish(1, seq, hub_room.event_frames(row(1, seq)))
        hub.expect(1, seq)
    await asyncio.sleep(2 * hub_room.NOTE_SECONDS)  # then it would be loaded
    await hub.stop()

    assert (hub.tail(1), loads) == (3, [])


async def test_the_21st_listener_of_a_user_is_refused(hub: Hub) -> None:
    for _ in range(20):
        await open_device(hub)

    with pytest.raises(TooManySocketsError):
        await open_device(hub)


async def test_a_listener_that_comes_while_the_hub_closes_is_told(hub: Hub) -> None:
    hub.close()

    device = await open_device(hub)

    assert device.client.close_code == CloseCode.GOING_AWAY
