"""The line between the nodes of an installation: notes of what each has committed, and which of them are alive."""

import asyncio
import contextlib
import hmac
import json
import logging
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import ClassVar

from db import SETTLE_SECONDS, Connection, Database
from delivery.queries import (
    MARK_BYTES,
    Delivery,
    Epoch,
    count_other_nodes,
    get_epoch,
    get_line,
    join_epoch,
    send_note,
    sign,
)
from edge.background import cancel
from errors import BusyError

CHECK_SECONDS = 5.0  # between two checks that the connection answers and the database was not put back
ANSWER_SECONDS = 5.0
CONNECT_SECONDS = 10.0
ECHO_SECONDS = 1.0  # until a subscriber that wants them gets this node's own notes
RECONNECT_SECONDS = 0.5
COMPANY_SECONDS = 60.0
MAX_PROMISED = 10_000  # users
USERS_PER_NOTE = 200  # of an ephemeral frame; PostgreSQL takes payloads of less than 8,000 bytes
NOTE_BYTES = 7500  # of several frames
SETTLED_SECONDS = SETTLE_SECONDS + 0.5  # after the line came up
ARRIVED = "n"  # the kind of a note without text: a node is here

logger = logging.getLogger("pagewire.bus")

Repair = Callable[[str], Awaitable[None]]


class Bus:
    """PostgreSQL's LISTEN, on a connection of its own that also holds this node's lock (`node_id`).

    A note is "<kind><node id> <text><signature>", a letter for its kind; subscribers get the text of what other nodes
    sent. Any client of the database can send anything: what no node of this installation has signed is ignored. Notes
    are lost while the connection is down; what was registered with `on_repair` is awaited after it is back, with the
    epoch before. The epoch names a history of the database: another one may lack what was delivered in it.

    A subscriber with *echo* gets this node's own notes too, a little later: a note comes if and only if its transaction
    was committed, which the caller that asked for the commit may never learn.
    """

    misses_notes: ClassVar[bool] = False  # whether a note may be lost while the line is up

    def __init__(self, database: Database) -> None:
        self.node_id = secrets.randbelow(2**31 - 1) + 1
        self.notes_from: int | None = self.node_id  # in whose name commits notify; None: this does, by `announce`
        self._database = database
        self._connection: Connection | None = None
        self._subscribers: dict[str, Callable[[str], None]] = {}
        self._echoes: set[str] = set()
        self._repairs: list[Repair] = []
        self._settled: list[Callable[[], None]] = []
        self._settling: asyncio.TimerHandle | None = None
        self._epoch: Epoch | None = None
        self._promised: dict[int, int] = {}  # by user: the last event that is known to be committed
        self._heard_at = -math.inf  # from another node
        self._has_other_nodes = False
        self._key = b""  # signs notes
        self._lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def subscribe(self, kind: str, hear: Callable[[str], None], *, echo: bool = False) -> None:
        """Have *hear* called with the text of each note of this *kind*."""
        self._subscribers[kind] = hear
        if echo:
            self._echoes.add(kind)

    def on_repair(self, repair: Repair) -> None:
        """Have *repair* awaited, with the id of the epoch before, after notes may be missing; the last one first."""
        self._repairs.append(repair)

    def on_settled(self, look: Callable[[], None]) -> None:
        """Have *look* called some seconds after the line came up: nodes that have not come back by then are gone."""
        self._settled.append(look)

    def remember(self, user_id: int, seq: int) -> None:
        """The event *seq* of *user_id* is committed: a database without it was put back to an older state."""
        self._promised[user_id] = seq
        if len(self._promised) > MAX_PROMISED:
            self._promised = dict(list(self._promised.items())[MAX_PROMISED // 2 :])

    def follow(self, user_id: int) -> None:
        """There are listeners of *user_id* here; there may have been before."""

    def unfollow(self, user_id: int) -> None:
        """There are none any more."""

    def announce(self, deliveries: Sequence[Delivery], write: Callable[[], str] | None = None) -> None:
        """This node has committed an event, which *write* shows whole. Here the commit itself notified the others."""

    @property
    def epoch(self) -> str:
        """The id of the epoch that this node is in."""
        return self._epoch.id if self._epoch is not None else ""

    async def start(self) -> None:
        """Connect; all subscribers are registered by now."""
        await self._connect()
        self._task = asyncio.create_task(self._keep_connected())

    async def close(self) -> None:
        await cancel(self._task)
        if self._settling is not None:
            self._settling.cancel()
        if self._connection is not None:
            self._connection.close()

    async def ping(self) -> None:
        """Raise BusyError if the line is down."""
        if self._connection is None or self._connection.closed:
            raise BusyError("Lost contact with the other server processes; reconnecting.", retry_after=2)

    def has_company(self) -> bool:
        """Whether another node has been heard lately."""
        return time.monotonic() - self._heard_at < COMPANY_SECONDS

    def has_other_nodes(self) -> bool:
        """Whether there are other nodes. One that comes says so; one that has gone is noticed within five seconds."""
        return self._has_other_nodes

    async def send(self, kind: str, text: str) -> None:
        """Send the other nodes a note of less than 8,000 bytes, outside any transaction.

        Raises:
            DatabaseUnavailableError, BusyError
        """
        await send_note(self._database, payload=f"{kind}{self.node_id} {text}")

    async def send_frames(self, deliveries: Iterable[tuple[Collection[int], str]]) -> None:
        """Hand the other nodes ephemeral frames, each with its users; a note takes as many as fit.

        Raises:
            DatabaseUnavailableError, BusyError
        """
        note: list[tuple[list[int], str]] = []
        size = 0
        for user_ids, frame in deliveries:
            everybody = sorted(user_ids) if self.has_other_nodes() else []
            for start in range(0, len(everybody), USERS_PER_NOTE):
                part = (everybody[start : start + USERS_PER_NOTE], frame)
                added = len(json.dumps(part)) + 2
                if note and size + added > NOTE_BYTES:
                    await self.send("w", json.dumps(note))
                    note, size = [], 0
                note.append(part)
                size += added
        if note:
            await self.send("w", json.dumps(note))

    async def _connect(self) -> None:
        async with asyncio.timeout(CONNECT_SECONDS):
            connection = await self._database.open_connection()
            try:
                known, promised = self._epoch, self._promised
                self._epoch = await join_epoch(connection, node_id=self.node_id, known=known, promised=promised)
                if known is None or known.id != self._epoch.id:
                    self._promised = {}  # of another history
                self._has_other_nodes = await count_other_nodes(connection, node_id=self.node_id) > 0
                await send_note(connection, payload=f"{ARRIVED}{self.node_id} ")
                line = await get_line(connection)
                self._key = bytes.fromhex(line.note_key)
                await connection.execute(f"LISTEN {line.channel}")
            except BaseException:
                connection.close()
                raise
        self._lost.clear()
        connection.on_lost = self._lost.set
        connection.on_note = self._hear
        self._connection = connection
        if self._settling is not None:
            self._settling.cancel()
        self._settling = asyncio.get_running_loop().call_later(SETTLED_SECONDS, self._settle)

    def _settle(self) -> None:
        for look in self._settled:
            look()

    def _hear(self, signed: str) -> None:
        payload, signature = signed[: -2 * MARK_BYTES], signed[-2 * MARK_BYTES :]
        if not signature.isascii() or not hmac.compare_digest(signature, sign(self._key, payload)):
            logger.debug("a note that is not from a node: %s", signed[:100])
            return
        sender, _, text = payload[1:].partition(" ")
        if sender != str(self.node_id):
            self._heard_at = time.monotonic()
            self._has_other_nodes = True
            self._pass_on(payload[:1], text)
        elif payload[:1] in self._echoes:
            asyncio.get_running_loop().call_later(ECHO_SECONDS, self._echo, payload[:1], text, self.epoch)

    def _echo(self, kind: str, text: str, epoch: str) -> None:
        if epoch == self.epoch:  # else the database was put back to before that commit
            self._pass_on(kind, text)

    def _pass_on(self, kind: str, text: str) -> None:
        if (hear := self._subscribers.get(kind)) is not None:
            try:
                hear(text)
            except Exception:  # of a node of another version, perhaps
                logger.exception("malformed note: %s%s", kind, text[:100])

    async def _keep_connected(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_SECONDS):
                    await self._lost.wait()
            if self._connection is not None and not await self._is_well(self._connection):
                self._connection.close()
                await self._reconnect()

    async def _is_well(self, connection: Connection) -> bool:
        """Whether the connection answers, out of the same history as before."""
        if connection.closed:
            return False
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                epoch = await get_epoch(connection)
                self._has_other_nodes = await count_other_nodes(connection, node_id=self.node_id) > 0
        except Exception as error:
            logger.debug("the line between the nodes does not answer: %s", error)
            return False
        if self._epoch is None or epoch.id != self._epoch.id or epoch.was_put_back(self._epoch):
            return False
        self._epoch = epoch
        return True

    async def _reconnect(self) -> None:
        logger.warning("Lost contact with the other server processes; reconnecting.")
        before = self.epoch
        while True:
            try:
                await self._connect()
                if self.epoch != before:
                    logger.info("a new epoch of the database has begun: %s", self.epoch)
                for repair in reversed(self._repairs):  # the feed, which notifies people, comes last
                    await repair(before)
            except Exception as error:
                logger.info("still reconnecting to the other server processes: %s", error)
                if self._connection is not None:
                    self._connection.close()
                await asyncio.sleep(RECONNECT_SECONDS)
            else:
                return
