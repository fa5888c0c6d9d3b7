"""The protocol by the thousand, without a network: frames in and frames out."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery.events import AnnouncementRow, Event, EventFrames, MessageRow
from delivery.protocol import BadFrameError, ResumeFrame, SendFrame, parse_frame, peek_reference

FRAMES: list[dict[str, Any]] = [
    {"type": "message", "recipient_id": 2, "content": "hi", "client_id": "a1"},
    {"type": "resume", "last_seq": 0, "epoch": None},
    {"type": "read", "user_id": 2, "up_to_id": 991},
    {"type": "typing", "recipient_id": 2, "active": False},
    {"type": "edit", "id": 991, "content": "hi"},
    {"type": "delete", "id": 991},
    {"type": "auth", "token": "x.y.z"},
    {"type": "ping"},
]
DISTORTED = ["ref", "id", "content", "type", "document_id", "page", "match"]
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

    assert understood.model_dump(exclude_unset=True) == {**frame, "ref": "r1"}


def test_a_frame_without_a_type_is_a_message() -> None:
    frame = parse_frame('{"recipient_id": 2, "content": "hi"}', classic=False)

    assert frame == SendFrame(recipient_id=2, content="hi")


@pytest.mark.parametrize("frame", FRAMES[1:], ids=lambda frame: str(frame["type"]))
def test_a_classic_client_can_only_send(frame: dict[str, Any]) -> None:
    with pytest.raises(BadFrameError):
        parse_frame(json.dumps(frame), classic=True)


@given(st.sampled_from(FRAMES), st.data())
def test_a_frame_without_one_of_its_fields_is_refused_by_its_name(frame: dict[str, Any], data: st.DataObject) -> None:
    needed = sorted(frame.keys() - {"type", "client_id", "active", "epoch"})
    if needed:
        missing = data.draw(st.sampled_from(needed))
        text = json.dumps({key: value for key, value in frame.items() if key != missing})

        with pytest.raises(BadFrameError, match=missing):
            parse_frame(text, classic=False)


@pytest.mark.parametrize("wrong", [True, "5", "", 1.5, None, [5], 2**63, 2**70, -1])
@pytest.mark.parametrize(
    ("frame", "field"), [(frame, name) for frame in FRAMES for name, value in frame.items() if type(value) is int]
)
def test_a_number_of_a_frame_is_a_whole_number_of_63_bits(frame: dict[str, Any], field: str, wrong: object) -> None:
    with pytest.raises(BadFrameError, match=field):
        parse_frame(json.dumps({**frame, field: wrong}), classic=False)


@pytest.mark.parametrize("wrong", [1, 0, "true", "yes", None])
def test_a_flag_of_a_frame_is_true_or_false(wrong: object) -> None:
    with pytest.raises(BadFrameError, match="active"):
        parse_frame(json.dumps({"type": "typing", "recipient_id": 2, "active": wrong}), classic=False)


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(FRAMES), st.dictionaries(st.sampled_from(DISTORTED), SOME_JSON))
def test_a_distorted_frame_is_understood_or_refused(frame: dict[str, Any], distortion: dict[str, Any]) -> None:
    with suppress(BadFrameError):
        parse_frame(json.dumps({**frame, **distortion}), classic=False)


@settings(max_examples=500, deadline=None)
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
    if kind == "announcement":
        announcement = AnnouncementRow(991, 1, "hi", NOON, "Alice")
        return Event(kind, 991, announcement=announcement._replace(**changes))
    message = MessageRow(991, 1, 2, "hi", NOON, "Alice", "a1", None, None)
    return Event(kind, 991, message=message._replace(**changes))


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
    frame = json.loads(EventFrames(Event(kind, 991)).durable(2, 7))

    assert (frame["type"], frame["id"], "content" in frame) == ("deleted", 991, False)


def test_an_announcement_outlives_its_author() -> None:
    frame = json.loads(EventFrames(event("announcement", sender_id=None, sender_name=None)).durable(2, 7))

    assert (frame["type"], frame["content"], frame["sender_id"]) == ("announcement", "hi", None)


@pytest.mark.parametrize("kind", ["edited", "deleted", "announcement"])
def test_classic_sockets_are_told_of_messages_only(kind: str) -> None:
    assert EventFrames(event(kind)).classic() is None
