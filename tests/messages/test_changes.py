"""What happens to messages later: edits, deletions, read marks, and how conversations show them."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from support.databases import TestDatabase
from support.servers import Person, Server, register
from support.tabs import Tab, send


@pytest.fixture(scope="module")
def server(here: Server) -> Server:
    return here


# Edits and deletes


def test_an_edit_is_shown_to_both_people(alice: Person, bob: Person) -> None:
    message_id = send(alice, bob, "befroe")
    with Tab(alice) as mine, Tab(bob) as theirs:
        theirs.everything()
        ack = mine.ask(type="edit", id=message_id, content="before")

        (my_frame, their_frame) = (mine.expect("edited"), theirs.expect("edited"))

    assert my_frame == {
        "type": "edited",
        "seq": 2,
        "prev": 1,
        "id": message_id,
        "sender_id": alice.id,
        "recipient_id": bob.id,
        "content": "before",
        "edited_at": my_frame["edited_at"],
        "deleted": False,
    }
    assert their_frame == my_frame
    assert (ack["id"], ack["seq"]) == (message_id, 2)


def test_a_delete_is_shown_to_both_people(alice: Person, bob: Person) -> None:
    message_id = send(alice, bob, "oops")
    with Tab(alice) as mine, Tab(bob) as theirs:
        theirs.everything()
        mine.ask(type="delete", id=message_id)

        frame = theirs.expect("deleted")
        assert mine.expect("deleted") == frame

    assert (frame["id"], frame["deleted_at"] is not None, "content" in frame) == (message_id, True, False)


def test_somebody_elses_message_cannot_be_edited(alice: Person, bob: Person) -> None:
    message_id = send(alice, bob)

    with Tab(bob) as tab:
        assert tab.ask(type="edit", id=message_id, content="mine")["code"] == "forbidden"


def test_a_strangers_message_cannot_be_found(alice: Person, bob: Person, carol: Person) -> None:
    message_id = send(alice, bob)

    with Tab(carol) as tab:
        assert tab.ask(type="delete", id=message_id)["code"] == "message_not_found"


def test_patch_answers_the_message_as_it_is_now(alice: Person, bob: Person) -> None:
    message_id = send(alice, bob, "befroe")

    answer = alice.client.patch(f"/message/{message_id}", json={"content": "before"})

    assert answer.status_code == 200
    assert answer.json()["content"] == "before"
    assert bob.client.get(f"/messages/{alice.id}").json()[0]["content"] == "before"


def test_delete_leaves_a_tombstone(alice: Person, bob: Person) -> None:
    message_id = send(alice, bob, "oops")

    assert alice.client.delete(f"/message/{message_id}").status_code == 204

    (message,) = bob.client.get(f"/messages/{alice.id}").json()
    assert (message["content"], message["deleted_at"] is not None) == ("", True)


def test_a_deleted_message_cannot_be_changed_again(alice: Person, bob: Person) -> None:
    message_id = send(alice, bob, "oops")
    alice.client.delete(f"/message/{message_id}")

    answers = [
        alice.client.patch(f"/message/{message_id}", json={"content": "x"}),
        alice.client.delete(f"/message/{message_id}"),
    ]

    assert [answer.status_code for answer in answers] == [404, 404]


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_only_its_author_may_change_a_message(alice: Person, bob: Person, carol: Person, method: str) -> None:
    message_id = send(alice, bob)

    answers = [
        person.client.request(method, f"/message/{message_id}", json={"content": "x"} if method == "PATCH" else None)
        for person in (bob, carol)
    ]

    assert [answer.status_code for answer in answers] == [403, 404]


# Announcements


def test_an_announcement_reaches_everybody(admin: Person, bob: Person, carol: Person, there: Server) -> None:
    with Tab(bob) as near, Tab(carol, there) as far:
        near.everything()
        far.everything()
        answer = admin.client.post("/admin/broadcast", json={"content": "We move at six."})

        frame = near.expect("announcement")
        assert far.expect("announcement") == frame

    assert frame == {
        "type": "announcement",
        "seq": 1,
        "prev": 0,
        "id": answer.json()["id"],
        "sender_id": admin.id,
        "content": "We move at six.",
        "timestamp": frame["timestamp"],
        "sender_name": "Alice",
    }


def test_an_announcement_waits_for_those_who_are_away(admin: Person, bob: Person) -> None:
    admin.client.post("/admin/broadcast", json={"content": "We move at six."})

    with Tab(bob) as tab:
        assert [frame["type"] for frame in tab.resume(0)] == ["announcement", "ready"]


def test_only_admins_announce(bob: Person) -> None:
    answer = bob.client.post("/admin/broadcast", json={"content": "hear me"})

    assert (answer.status_code, answer.json()["code"]) == (403, "admin_required")


# Read marks


def test_a_read_mark_is_shown_on_all_tabs_of_both(alice: Person, bob: Person, there: Server) -> None:
    ids = [send(alice, bob, str(number)) for number in range(3)]
    with Tab(alice) as author, Tab(bob) as reader, Tab(bob, there) as other_tab:
        for tab in (author, other_tab):
            tab.everything()
        reader.send(type="read", user_id=alice.id, up_to_id=ids[1])

        frames = [tab.expect("read") for tab in (author, reader, other_tab)]
        counts = [tab.expect("unread") for tab in (reader, other_tab)]

    assert frames == [{"type": "read", "user_id": bob.id, "other_id": alice.id, "up_to_id": ids[1]}] * 3
    assert (
        counts == [{"type": "unread", "user_id": alice.id, "unread_count": 1, "read_up_to_id": ids[1], "total": 1}] * 2
    )


def test_reading_by_rest_is_shown_on_all_tabs(alice: Person, bob: Person) -> None:
    message_id = send(alice, bob)
    with Tab(alice) as author, Tab(bob) as reader:
        author.everything()
        reader.everything()
        answer = bob.client.post(f"/messages/{alice.id}/read", json={"up_to_id": message_id})

        assert answer.json() == {"read_up_to_id": message_id, "unread_count": 0, "total": 0}
        assert author.expect("read")["up_to_id"] == message_id
        assert reader.expect("unread")["unread_count"] == 0


def test_a_read_mark_never_goes_back(alice: Person, bob: Person) -> None:
    ids = [send(alice, bob, str(number)) for number in range(2)]
    bob.client.post(f"/messages/{alice.id}/read", json={"up_to_id": ids[1]})

    answer = bob.client.post(f"/messages/{alice.id}/read", json={"up_to_id": ids[0]})

    assert answer.json() == {"read_up_to_id": ids[1], "unread_count": 0, "total": 0}


def test_a_read_mark_beyond_the_last_message_stops_there(alice: Person, bob: Person) -> None:
    message_id = send(alice, bob)
    bob.client.post(f"/messages/{alice.id}/read", json={"up_to_id": 2**60})

    send(alice, bob, "later")

    (conversation,) = bob.client.get("/conversations").json()["conversations"]
    assert (conversation["read_up_to_id"], conversation["unread_count"]) == (message_id, 1)


# Conversations


def test_conversations_come_newest_first_with_what_is_unread(alice: Person, bob: Person, carol: Person) -> None:
    send(bob, alice, "1")
    send(bob, alice, "2")
    send(alice, carol, "3")

    found = alice.client.get("/conversations").json()

    assert found["next_cursor"] is None
    assert [
        (talk["user"]["id"], talk["last_message"]["content"], talk["unread_count"]) for talk in found["conversations"]
    ] == [(carol.id, "3", 0), (bob.id, "2", 2)]


def test_conversations_come_in_pages(alice: Person, here: Server) -> None:
    others = [register(here, f"other{number}") for number in range(5)]
    for other in others:
        send(other, alice)

    pages, cursor = [], None
    while True:
        params = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = alice.client.get("/conversations", params=params).json()
        pages.append([talk["user"]["id"] for talk in page["conversations"]])
        if (cursor := page["next_cursor"]) is None:
            break

    ids = [other.id for other in others][::-1]
    assert pages == [ids[:2], ids[2:4], ids[4:]]


def test_deleted_messages_are_not_unread(alice: Person, bob: Person) -> None:
    message_id = send(alice, bob)
    alice.client.delete(f"/message/{message_id}")

    (conversation,) = bob.client.get("/conversations").json()["conversations"]

    assert conversation["unread_count"] == 0


# Unread counts


def test_a_read_mark_carries_what_is_unread_in_all(alice: Person, bob: Person, carol: Person) -> None:
    send(bob, alice)
    message_id = send(bob, alice)
    for _ in range(3):
        send(carol, alice)
    with Tab(alice) as tab:
        tab.send(type="read", user_id=bob.id, up_to_id=message_id)

        frame = tab.expect("unread")

    assert (frame["user_id"], frame["unread_count"], frame["total"]) == (bob.id, 0, 3)


def test_deleting_an_unread_message_changes_what_is_unread(alice: Person, bob: Person, there: Server) -> None:
    send(bob, alice)
    message_id = send(bob, alice)
    with Tab(alice) as near, Tab(alice, there) as far:
        near.everything()
        far.everything()
        bob.client.delete(f"/message/{message_id}")

        frames = [tab.expect("unread") for tab in (near, far)]

    assert [(frame["user_id"], frame["unread_count"], frame["total"]) for frame in frames] == [(bob.id, 1, 1)] * 2


def test_deleting_a_message_that_was_read_changes_nothing(alice: Person, bob: Person) -> None:
    message_id = send(bob, alice)
    alice.client.post(f"/messages/{bob.id}/read", json={"up_to_id": message_id})
    with Tab(alice) as tab:
        bob.client.delete(f"/message/{message_id}")
        tab.expect("deleted")

        assert [frame["type"] for frame in tab.everything() if frame["type"] == "unread"] == []


def test_conversations_say_how_far_the_other_person_has_read(alice: Person, bob: Person) -> None:
    first = send(alice, bob)
    send(alice, bob)
    bob.client.post(f"/messages/{alice.id}/read", json={"up_to_id": first})

    (conversation,) = alice.client.get("/conversations").json()["conversations"]

    assert (conversation["their_read_up_to_id"], conversation["read_up_to_id"]) == (first, 0)


# Turning pages while people write


def test_a_conversation_that_moves_up_between_two_pages_is_in_one_of_them(
    alice: Person, bob: Person, carol: Person, here: Server
) -> None:
    people = [register(here, name) for name in ("dave", "erin")]
    for person in (bob, carol, *people):
        send(person, alice, person.name)
    first = alice.client.get("/conversations?limit=2").json()
    send(bob, alice, "moves up")
    send(register(here, "frank"), alice, "a new one")

    second = alice.client.get("/conversations", params={"limit": 2, "cursor": first["next_cursor"]}).json()

    names = [entry["user"]["name"] for page in (first, second) for entry in page["conversations"]]
    assert names == ["Erin", "Dave", "Carol", "Bob"]
    assert second["conversations"][1]["last_message"]["content"] == "moves up"
    assert second["next_cursor"] is None


@pytest.mark.parametrize("cursor", ["x", "1-x", "-1", "0", "1-2-3", "9" * 19, "9" * 20, "1- 2", "1.2"])
def test_a_cursor_that_is_none_is_a_422(alice: Person, cursor: str) -> None:
    assert alice.client.get("/conversations", params={"cursor": cursor}).status_code == 422


# The clock


def test_dates_never_fall_while_ids_rise_whichever_node_stores_them(alice: Person, bob: Person, there: Server) -> None:
    def write(number: int) -> None:
        with Tab((alice, bob)[number % 2], there if number % 4 < 2 else None) as tab:
            for word in range(20):
                answer = tab.ask(recipient_id=(bob, alice)[number % 2].id, content=str(word))
                assert answer["type"] == "ack"

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))

    dates = [message["created_at"] for message in alice.client.get(f"/messages/{bob.id}").json()]
    assert len(dates) == 160
    assert dates == sorted(dates)


def test_a_clock_that_was_set_back_does_not_date_messages_back(
    alice: Person, bob: Person, shared: TestDatabase
) -> None:
    shared.query("UPDATE mailboxes SET clock = now() + interval '1 hour' WHERE user_id = %s", bob.id)
    send(alice, bob, "in an hour")
    send(bob, alice, "not before it")

    dates = [message["created_at"] for message in alice.client.get(f"/messages/{bob.id}").json()]

    assert dates == sorted(dates)
