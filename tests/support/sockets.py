"""Classic sockets: opening, sending, and how they end."""

import json
import socket
import time
from typing import Any

import jwt
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from support.servers import WAIT_SECONDS, Person, receive

V2 = Subprotocol("pagewire.v2")


def send(sender: ClientConnection, recipient: Person, content: str = "hello", **extra: object) -> None:
    sender.send(json.dumps({"recipient_id": recipient.id, "content": content, **extra}))


def closing(connection: ClientConnection) -> tuple[list[Any], int]:
    """What still comes, and the code the server closes with."""
    frames = []
    try:
        while True:
            frames.append(receive(connection))
    except ConnectionClosed as closed:
        return frames, closed.rcvd.code if closed.rcvd else 1006


def deaf(person: Person) -> ClientConnection:
    """A socket whose owner reads next to nothing, and has little room for what is not read."""
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, _, port = person.server.url.removeprefix("http://").partition(":")
    small.connect((host, int(port)))
    return person.socket(
        sock=small, max_queue=1, ping_interval=None, max_size=None, close_timeout=0.5, compression=None
    )


def address(person: Person, path: str | None = None) -> str:
    return person.server.url.replace("http", "ws") + (path or f"/ws/{person.id}")


def anonymous(person: Person, path: str | None = None, **options: Any) -> ClientConnection:
    """A socket to *person*'s address without their header."""
    opened: ClientConnection = connect(address(person, path), open_timeout=WAIT_SECONDS, legacy=True, **options)
    return opened


def refused(connection: ClientConnection) -> tuple[str, int]:
    """The code of the one error frame, and the code the server closes with."""
    (frame,), code = closing(connection)
    assert frame["type"] == "error"
    return frame["code"], code


def history(reader: Person, other: Person) -> list[str]:
    return [message["content"] for message in reader.client.get(f"/messages/{other.id}").json()]


def claims_of(token: str) -> dict[str, Any]:
    """What an access token says."""
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def sign(person: Person, **claims: object) -> str:
    """A token of *person*'s as the server would sign it, but for *claims*."""
    key = (person.server.folder / "data" / "secret_key").read_text().strip()
    now = int(time.time())
    return jwt.encode({**claims_of(person.token), "iat": now, "exp": now + 60, **claims}, key, algorithm="HS256")


def reaches(sender: ClientConnection, recipient: Person) -> bool:
    """Whether a message that goes in by *sender* comes out at *recipient*."""
    with recipient.socket() as inbox:
        send(sender, recipient, "still here")
        return bool(receive(inbox)["content"] == "still here")
