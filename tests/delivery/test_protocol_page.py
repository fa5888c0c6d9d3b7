"""docs/protocol.md and the code say the same, and the clients on the page run as they stand."""

import ast
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest

import chat
import edge.limits
import errors
import settings
from chat import CloseCode
from delivery import feed, polling, protocol
from delivery import queries as queries_of_delivery
from delivery.events import DOCUMENT_FIELDS, AnnouncementRow, Event, EventFrames, MessageRow
from delivery.protocol import parse_frame
from messages import attachments, messenger, queries, replay, sockets, writer
from support.servers import HOUSE

PAGE = (HOUSE / "docs" / "protocol.md").read_text()
SECTIONS = {
    title.strip(): text for title, _, text in (part.partition("\n") for part in re.split(r"^## ", PAGE, flags=re.M))
}
ATTACHMENT = {
    "document_id": 7,
    "filename": "report.pdf",
    "page_count": 57,
    "page": 57,
    "match": "figures",
    "snippet": [{"text": "figures", "hit": True}],
    "status": "ready",
    "available": True,
    "version": "9f86d081",
}
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ROOMS_OF_SOCKETS = (sockets, replay, chat, messenger, attachments, writer, queries, protocol)


def blocks(section: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", SECTIONS[section], re.DOTALL)


def examples(section: str) -> list[dict[str, Any]]:
    return [json.loads(line) for block in blocks(section, "json") for line in block.splitlines()]


def table(section: str) -> list[list[str]]:
    """The rows of the section's table, without its head."""
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


# Frames


def test_the_page_has_an_example_of_every_frame_that_is_understood() -> None:
    understood = [type(parse_frame(json.dumps(example), classic=False)) for example in examples("What a client sends")]

    assert sorted(map(repr, understood)) == sorted(map(repr, get_args(protocol.ClientFrame)))


@pytest.mark.parametrize("example", examples("What a client sends"), ids=lambda example: str(example["type"]))
def test_an_example_has_all_fields_of_its_frame(example: dict[str, Any]) -> None:
    frame = parse_frame(json.dumps(example), classic=False)

    assert frame.model_dump() == example


def durable(kind: str) -> dict[str, Any]:
    message = MessageRow(991, 1, 2, "hi", NOON, "Alice", "a1", None, None, ATTACHMENT)
    event = Event(kind, 991, message=message, announcement=AnnouncementRow(991, 1, "hi", NOON, "Alice"))
    frame: dict[str, Any] = json.loads(EventFrames(event).durable(1, 7))
    return frame


DOCUMENT_KINDS = ("added", "changed", "ready", "failed", "deleted", "shared", "unshared")


def durable_document(kind: str) -> dict[str, Any]:
    document: dict[str, Any] = dict.fromkeys(name for names in DOCUMENT_FIELDS.values() for name in names)
    event = Event(kind, 7, document=document)
    frame: dict[str, Any] = json.loads(EventFrames(event).durable(1, 7))
    return frame


def frames_out() -> list[dict[str, Any]]:
    """One of each frame that protocol.py can make."""
    made = [durable(kind) for kind in ("message", "edited", "deleted", "announcement")]
    made += [durable_document(f"document.{kind}") for kind in DOCUMENT_KINDS]
    written = [
        protocol.ready_frame(user_id=1, seq=1, epoch="e1", resumed=False, messages="off", sockets=20),
        protocol.ack_frame(ref=1, client_id=None, message_id=1, created_at=NOON, duplicate=False, seq=1),
        protocol.error_frame(errors.BusyError()),
        protocol.resync_frame(reason="too_old", seq=1, epoch="e1"),
        protocol.epoch_frame(epoch="e1"),
        protocol.typing_frame(user_id=1, active=True),
        protocol.presence_frame(user_id=1, is_online=True, last_seen_at=None),
        protocol.read_frame(user_id=1, other_id=2, up_to_id=1),
        protocol.unread_frame(user_id=1, unread_count=1, read_up_to_id=1, total=1),
        protocol.progress_frame(document_id=7, page=1, pages=2, stage="reading"),
        protocol.pong_frame(ref=1),
    ]
    assert len(written) == len([name for name in dir(protocol) if name.endswith("_frame") and name[0] != "_"]) - 1
    return [*made, *map(json.loads, written)]


def shape(frame: dict[str, Any]) -> tuple[Any, ...]:
    """Its type and its fields, in order, those inside them too."""
    inside = [(key, list(value)) for key, value in frame.items() if isinstance(value, dict)]
    return (frame["type"], list(frame), inside)


def test_the_page_has_an_example_of_every_frame_that_is_sent() -> None:
    shown = sorted(shape(example) for example in examples("What the server sends"))

    assert shown == sorted(shape(frame) for frame in frames_out())


@pytest.mark.parametrize("reason", ["too_old", "unknown", "put_back"])
def test_the_page_names_the_reasons_of_a_resync(reason: str) -> None:
    assert f"`{reason}`" in SECTIONS["What the server sends"]
    assert f'"{reason}"' in Path(feed.__file__).read_text()


# Codes


def test_the_page_names_every_close_code() -> None:
    assert [int(row[0]) for row in table("How a socket ends")] == sorted(CloseCode)


def socket_errors() -> set[str]:
    """The codes of the errors that the rooms of sockets name, and of those that checking a token raises."""
    found = {errors.InvalidTokenError.code, errors.TokenExpiredError.code, errors.RateLimitedError.code}
    for room in ROOMS_OF_SOCKETS:
        assert room.__file__ is not None
        tree = ast.parse(Path(room.__file__).read_text())
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        names |= {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
        for name in names:
            named = getattr(room, name, None)
            if isinstance(named, type) and issubclass(named, errors.PagewireError):
                found.add(named.code)
    return found - {errors.PagewireError.code}


def test_the_page_names_every_error() -> None:
    named = {code for row in table("Errors") for code in re.findall(r"`(\w+)`", row[0])}

    assert named == socket_errors()


# Limits


def test_the_page_names_the_limits() -> None:
    limits = {row[0]: row[1] for row in table("Limits")}
    defaults = settings.Settings.model_fields

    assert {name: re.findall(r"[\d,]+", value) for name, value in limits.items()} == {
        "a frame": [f"{protocol.MAX_FRAME_BYTES:,}"],
        "a message": [f"{protocol.MAX_MESSAGE_CHARACTERS:,}"],
        "messages of a user": re.findall(r"\d+", defaults["message_rate_limit"].default),
        "other frames of a user": re.findall(r"\d+", edge.limits.FRAMES_OF_ONE_USER),
        "sockets and long polls of a user in one process": [str(chat.SOCKETS_PER_USER)],
        "frames that wait for a slow reader": [str(chat.OUTBOX_FRAMES)],
        "characters that wait for all slow readers of a user": [f"{chat.OUTBOXES_CHARACTERS_EACH:,}", "4429"],
        "messages of a socket that wait to be stored": [str(sockets.MAX_UNSTORED_PER_SOCKET)],
        "events are kept": [str(queries_of_delivery.RETENTION_DAYS)],
    }


def test_the_page_names_the_other_numbers() -> None:
    assert replay.FIRST_WORD_SECONDS == 0.25
    assert "a\nquarter of a second" in PAGE
    assert f"pings every {protocol.HEARTBEAT_SECONDS} seconds" in PAGE
    assert polling.EVENTS_LIMIT == 200
