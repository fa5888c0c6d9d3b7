"""Sessions end at once: their tokens, sockets and long polls, in every process of the installation."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jwt
import pytest

from support.accounts import problem
from support.browsers import Browser
from support.databases import TestDatabase
from support.servers import PASSWORD, WAIT_SECONDS, Person, Server, wait_until
from support.tabs import SECRET_KEY, Tab, connect_to, listeners, token_for


@pytest.fixture
def server(here: Server) -> Server:
    """The people of this file live on one of two nodes."""
    return here


def sign_in(person: Person, server: Server | None = None) -> dict[str, Any]:
    with (server or person.server).client() as client:
        answer = client.post("/login", json={"email": person.email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def sessions(person: Person) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = person.client.get("/sessions").json()["sessions"]
    return found


def current(person: Person) -> int:
    return next(int(session["id"]) for session in sessions(person) if session["current"])


def is_refused(server: Server, token: str) -> bool:
    with server.client() as client:
        answer = client.get("/me", headers=bearer(token))
    return answer.status_code == 401 and problem(answer)[1:] == ("Invalid token", "invalid_token")


def by_logout(person: Person) -> None:
    assert person.client.post("/logout").status_code == 204


def by_logout_everywhere(person: Person) -> None:
    with person.server.client() as client:
        headers = bearer(sign_in(person)["access_token"])
        assert client.post("/logout-all", headers=headers).status_code == 204


def by_another_session(person: Person) -> None:
    with person.server.client() as client:
        headers = bearer(sign_in(person)["access_token"])
        assert client.delete(f"/sessions/{current(person)}", headers=headers).status_code == 204


ENDINGS: list[Callable[[Person], None]] = [by_logout, by_logout_everywhere, by_another_session]


@pytest.mark.parametrize("end", ENDINGS)
def test_an_ended_session_is_refused_by_every_node(alice: Person, there: Server, end: Callable[[Person], None]) -> None:
    end(alice)

    assert is_refused(alice.server, alice.token)
    assert is_refused(there, alice.token)


@pytest.mark.parametrize("end", ENDINGS)
def test_its_sockets_close_on_every_node(alice: Person, there: Server, end: Callable[[Person], None]) -> None:
    with Tab(alice) as tab, Tab(alice, there) as distant:
        tab.expect("ready")
        distant.expect("ready")

        end(alice)

        assert tab.closing()[1] == 4401
        assert distant.closing()[1] == 4401


@pytest.mark.parametrize("end", ENDINGS)
def test_its_long_polls_end_on_every_node(
    alice: Person, there: Server, shared: TestDatabase, end: Callable[[Person], None]
) -> None:
    def poll(node: Server) -> httpx.Response:
        return httpx.get(f"{node.url}/events?after=0&wait=60", headers=alice.headers, timeout=WAIT_SECONDS)

    with ThreadPoolExecutor(2) as threads:
        polls = [threads.submit(poll, node) for node in (alice.server, there)]
        end(alice)

        assert [answer.result(WAIT_SECONDS).status_code for answer in polls] == [401, 401]


def test_other_sessions_and_their_sockets_stay(alice: Person, there: Server) -> None:
    other = sign_in(alice)["access_token"]
    with Tab(alice, there, token=other) as tab:
        tab.expect("ready")

        by_logout(alice)

        assert tab.ask(type="ping")["type"] == "pong"
        assert not is_refused(there, other)


def test_a_socket_lives_by_the_session_of_its_newest_token(alice: Person, there: Server) -> None:
    newer = sign_in(alice)["access_token"]
    with Tab(alice, there) as tab:
        tab.expect("ready")
        tab.send(type="auth", token=newer)
        tab.expect("ready")

        by_logout(alice)
        assert tab.ask(type="ping")["type"] == "pong"

        httpx.post(f"{alice.server.url}/logout", headers=bearer(newer))
        assert tab.closing()[1] == 4401


def test_a_token_of_an_ended_session_does_not_renew_a_socket(alice: Person) -> None:
    other = sign_in(alice)["access_token"]
    httpx.post(f"{alice.server.url}/logout", headers=bearer(other))
    with Tab(alice) as tab:
        tab.expect("ready")

        tab.send(type="auth", token=other)

        frames, code, _ = tab.closing()
        assert (frames[-1]["code"], code) == ("invalid_token", 4401)


def test_a_browsers_sockets_close_with_its_session(alice: Person, there: Server) -> None:
    browser = Browser(alice)
    tab = Tab.__new__(Tab)
    tab.person, tab.unread = alice, []
    tab.socket = Browser.socket(browser, headers={"Sec-Fetch-Site": "same-origin"}, subprotocols=["pagewire.v2"])
    tab.expect("ready")

    httpx.post(f"{there.url}/logout-all", headers=alice.headers)

    assert tab.closing()[1] == 4401


def test_a_node_that_missed_the_note_closes_the_sockets_when_it_hears_again(
    alice: Person, there: Server, shared: TestDatabase
) -> None:
    with Tab(alice, there) as tab:
        tab.expect("ready")
        shared.query("DELETE FROM sessions WHERE user_id = %s", alice.id)  # nobody tells

        for pid in listeners(shared):
            shared.query("SELECT pg_terminate_backend(%s)", pid)

        assert tab.closing()[1] == 4401


def test_a_session_that_is_expired_is_refused_and_swept(
    alice: Person, shared: TestDatabase, make_server: Callable[..., Server]
) -> None:
    shared.query("UPDATE sessions SET expires_at = now() - interval '1 second' WHERE user_id = %s", alice.id)

    assert is_refused(alice.server, alice.token)
    make_server(database=shared).start()  # sweeps at its start
    wait_until(lambda: shared.query("SELECT 1 FROM sessions WHERE user_id = %s", alice.id) == [])


def test_sessions_say_where_one_is_signed_in(alice: Person, there: Server) -> None:
    browser = Browser(alice, there)

    found = sessions(alice)

    assert [(session["kind"], session["current"]) for session in found] == [("browser", False), ("api", True)]
    assert {session["ip"] for session in found} == {"127.0.0.1"}
    assert all(session["user_agent"].startswith("python-httpx/") for session in found)
    assert browser.client.get("/sessions").json()["sessions"][0]["current"]


def test_sessions_come_in_pages(alice: Person) -> None:
    for _ in range(4):
        sign_in(alice)
    everything = [session["id"] for session in sessions(alice)]

    first = alice.client.get("/sessions?limit=3").json()
    second = alice.client.get(f"/sessions?limit=3&cursor={first['next_cursor']}").json()

    assert [session["id"] for session in first["sessions"] + second["sessions"]] == everything
    assert second["next_cursor"] is None


def test_a_use_is_noted_once_a_minute(alice: Person, shared: TestDatabase) -> None:
    shared.query(
        "UPDATE sessions SET last_used_at = now() - interval '2 minutes', ip = '192.0.2.7' WHERE user_id = %s", alice.id
    )
    sql = "SELECT last_used_at > now() - interval '1 minute', ip FROM sessions WHERE user_id = %s"

    alice.client.get("/me")

    wait_until(lambda: shared.query(sql, alice.id) == [(True, "127.0.0.1")])


def test_another_persons_session_is_not_found(alice: Person, bob: Person) -> None:
    answer = bob.client.delete(f"/sessions/{current(alice)}")

    assert problem(answer) == (404, "Session not found", "session_not_found")
    assert not is_refused(alice.server, alice.token)


@pytest.mark.parametrize("session_id", ["0", "-1", "x", str(2**63), "1.5"])
def test_what_is_no_session_id_is_refused(alice: Person, session_id: str) -> None:
    assert alice.client.delete(f"/sessions/{session_id}").status_code == 422


def test_a_socket_that_opens_while_its_session_ends_does_not_stay(alice: Person, shared: TestDatabase) -> None:
    """The session ends after the token was looked at, and before the socket listens for its end."""
    with connect_to(shared) as holder:
        holder.cursor().execute("LOCK TABLE mailboxes IN ACCESS EXCLUSIVE MODE")  # what the socket asks for in between
        with ThreadPoolExecutor(1) as threads:
            opening = threads.submit(Tab, alice)
            waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'mailboxes'::regclass"
            wait_until(lambda: shared.query(waiting))
            by_logout(alice)
            holder.rollback()

            frames, code, _ = opening.result(WAIT_SECONDS).closing()
    holder.close()

    assert (frames[-1]["code"], code) == ("invalid_token", 4401)


def test_a_token_of_before_sessions_is_invalid(alice: Person) -> None:
    claims = jwt.decode(alice.token, SECRET_KEY, algorithms=["HS256"])
    del claims["sid"]
    token = jwt.encode(claims, SECRET_KEY, algorithm="HS256")

    assert is_refused(alice.server, token)


def test_the_session_of_another_account_is_invalid(alice: Person, bob: Person) -> None:
    claims = jwt.decode(alice.token, SECRET_KEY, algorithms=["HS256"])
    theirs = jwt.decode(bob.token, SECRET_KEY, algorithms=["HS256"])
    token = jwt.encode({**claims, "sid": theirs["sid"]}, SECRET_KEY, algorithm="HS256")

    assert is_refused(alice.server, token)


def test_a_long_poll_ends_with_its_token(alice: Person) -> None:
    token = token_for(alice, 2)

    answer = httpx.get(f"{alice.server.url}/events?after=0&wait=60", headers=bearer(token), timeout=WAIT_SECONDS)

    assert answer.json()["events"] == []
