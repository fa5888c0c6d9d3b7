"""v2 sockets as browsers open them, on one or two nodes of one installation, and what makes them miss events."""

import json
import socket as sockets
import time
from typing import Any

import jwt
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from support.databases import TestDatabase
from support.servers import WAIT_SECONDS, Person, Server

SECRET_KEY = "two processes of one installation share this one"
Frame = dict[str, Any]


class Tab:
    """One open v2 socket, as a browser opens it: signed in by its subprotocols."""

    def __init__(self, person: Person, server: Server | None = None, *, token: str | None = None) -> None:
        url = (server or person.server).url.replace("http", "ws") + "/ws"
        self.person = person
        self.socket: ClientConnection = connect(
            url,
            subprotocols=[Subprotocol("pagewire.v2"), Subprotocol(f"bearer.{token or person.token}")],
            open_timeout=WAIT_SECONDS,
            legacy=True,
            max_size=None,
            max_queue=None,
        )
        self.unread: list[Frame] = []

    def __enter__(self) -> "Tab":
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def send(self, **frame: object) -> None:
        self.socket.send(json.dumps(frame))

    def receive(self) -> Frame:
        frame: Frame = json.loads(self.socket.recv(timeout=WAIT_SECONDS))
        return frame

    def expect(self, *kinds: str) -> Frame:
        """The next frame of one of *kinds*; what comes before it is kept for later calls."""
        for index, frame in enumerate(self.unread):
            if frame["type"] in kinds:
                return self.unread.pop(index)
        while (frame := self.receive())["type"] not in kinds:
            self.unread.append(frame)
        return frame

    def ask(self, **frame: object) -> Frame:
        """Send a frame; its ack, error or pong."""
        ref = f"ref {time.monotonic_ns()}"
        self.send(**frame, ref=ref)
        while (answer := self.expect("ack", "error", "pong"))["ref"] != ref:
            pass
        return answer

    def everything(self) -> list[Frame]:
        """What was sent to this tab until now."""
        self.send(type="ping", ref="everything")
        while (frame := self.receive()) != {"type": "pong", "ref": "everything"}:
            self.unread.append(frame)
        found, self.unread = self.unread, []
        return found

    def resume(self, last_seq: int) -> list[Frame]:
        """The durable frames of the replay, to the `ready` or `resync` that ends it, that one included."""
        self.send(type="resume", last_seq=last_seq)
        frames: list[Frame] = []
        while True:
            frame = self.receive()
            if frame.get("resumed") or frame["type"] == "resync":
                return [*frames, frame]
            if "prev" in frame:
                frames.append(frame)

    def closing(self) -> tuple[list[Frame], int, str]:
        """The frames to the end, and how it ends."""
        frames: list[Frame] = []
        with pytest.raises(ConnectionClosed) as closed:
            frames.extend(iter(self.receive, None))
        assert closed.value.rcvd is not None
        return frames, closed.value.rcvd.code, closed.value.rcvd.reason


def seqs(frames: list[Frame]) -> list[int]:
    return [frame["seq"] for frame in frames if "prev" in frame]


def contents(frames: list[Frame]) -> list[str]:
    return [frame["content"] for frame in frames if frame["type"] == "message"]


def send(sender: Person, recipient: Person, content: str = "hello", **extra: object) -> int:
    answer = sender.client.post("/messages", json={"recipient_id": recipient.id, "content": content, **extra})
    assert answer.status_code == 200, answer.text
    return int(answer.json()["id"])


def token_for(person: Person, seconds: float) -> str:
    now = int(time.time())
    claims = jwt.decode(person.token, SECRET_KEY, algorithms=["HS256"])
    return jwt.encode({**claims, "exp": now + seconds, "jti": f"short {seconds}"}, SECRET_KEY, algorithm="HS256")


def fill_mailbox(database: TestDatabase, sender: Person, recipient: Person, amount: int, content: str = "hi") -> None:
    """Messages with their events for *recipient*, as fast as the database takes them."""
    database.query(
        """
        WITH sent AS (
            INSERT INTO messages (sender_id, recipient_id, content) SELECT %s, %s, %s FROM generate_series(1, %s)
            RETURNING id, recipient_id
        ), told AS (
            INSERT INTO events (user_id, seq, kind, ref_id)
            SELECT recipient_id, row_number() OVER (ORDER BY id), 'message', id FROM sent
        )
        UPDATE mailboxes SET seq = %s WHERE user_id = %s
        """,
        sender.id,
        recipient.id,
        content,
        amount,
        amount,
        recipient.id,
    )


def forget(database: TestDatabase, person: Person, up_to: int) -> None:
    database.query("DELETE FROM events WHERE user_id = %s AND seq <= %s", person.id, up_to)
    database.query("UPDATE mailboxes SET forgotten_seq = %s WHERE user_id = %s", up_to, person.id)


def listeners(database: TestDatabase) -> list[int]:
    """The connections by which nodes hear of each other: each holds its node's lock."""
    sql = """
        SELECT pid FROM pg_locks
         WHERE locktype = 'advisory' AND objsubid = 2 AND granted AND classid = (SELECT node_lock FROM installation)
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """
    return [pid for (pid,) in database.query(sql)]


def slow_tab(person: Person) -> Tab:
    """A tab whose machine takes little in and whose program takes nothing."""
    url = person.server.url.removeprefix("http://")
    host, port = url.split(":")
    raw = sockets.socket()
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 65_536)
    raw.connect((host, int(port)))
    tab = Tab.__new__(Tab)
    tab.person, tab.unread = person, []
    tab.socket = connect(
        f"ws://{url}/ws",
        sock=raw,
        legacy=True,
        subprotocols=[Subprotocol("pagewire.v2"), Subprotocol(f"bearer.{person.token}")],
        max_size=None,
        max_queue=1,
        ping_interval=None,
        close_timeout=0.1,
    )
    return tab


def connect_to(database: TestDatabase) -> Any:
    import psycopg2

    return psycopg2.connect(database.url)
