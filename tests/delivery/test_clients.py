"""The clients of docs/protocol.md run as they stand, against a running server."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.javascript import node
from support.servers import HOUSE, WAIT_SECONDS, Person, Server, register
from support.tabs import send

PAGE = (HOUSE / "docs" / "protocol.md").read_text()


def code_of(language: str) -> str:
    section = PAGE.partition(f"## A client in {language}\n")[2]
    found = re.search(r"```\w+\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


JAVASCRIPT = """
const [url, token, other, last, scenario] = process.argv.slice(2);
const print = (line) => console.log(JSON.stringify(line));
const options = {
  url, token, onEvent: print, onOther: print, lastSeq: last === "" ? undefined : Number(last),
  reload: () => print({ type: "reload" }),
};
if (scenario === "new tokens") options.token = async () => (print({ type: "token" }), token);
const chat = openChat(options);
if (scenario === "hello") chat.send(Number(other), "hello").then(print);
if (scenario === "edits") {
  const ack = await chat.send(Number(other), "hello");
  print(await chat.ask({ type: "edit", id: ack.id, content: "edited" }));
  print(await chat.ask({ type: "edit", id: 999999999, content: "edited" }));
  chat.say({ type: "read", user_id: 999999999, up_to_id: 1 });
}
if (scenario === "closing") {
  print({ type: "started" });
  process.stdin.once("data", () => (chat.close(), process.stdin.destroy()));
}
"""
PYTHON = """
import sys

url, token, other, last, scenario = sys.argv[1:]
show = lambda frame: print(json.dumps(frame), flush=True)

def new_token():
    show({"type": "token"})
    return token

async def main():
    chat = Chat(
        url, new_token if scenario == "new tokens" else token, show, on_other=show,
        last_seq=int(last) if last else None, reload=lambda: show({"type": "reload"}),
    )
    running = asyncio.create_task(chat.run())
    if scenario == "hello":
        show(await chat.send(int(other), "hello"))
    if scenario == "edits":
        ack = await chat.send(int(other), "hello")
        show(await chat.ask(type="edit", id=ack["id"], content="edited"))
        show(await chat.ask(type="edit", id=999999999, content="edited"))
        await chat.say({"type": "read", "user_id": 999999999, "up_to_id": 1})
    await running

asyncio.run(main())
"""


class Client:
    """A running client of the page, and the frames it prints."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def expect(self, *kinds: str) -> dict[str, Any]:
        """The next frame of one of *kinds*."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            frame: dict[str, Any] = json.loads(line)
            if frame["type"] in kinds:
                return frame
        raise AssertionError(f"the client ended without {kinds}")


Run = Callable[..., Any]


@pytest.fixture(params=["JavaScript", "Python"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Run a client of the page in a scenario."""
    code = code_of(request.param)
    if request.param == "Python":
        command = [sys.executable, str(tmp_path / "client.py")]
        (tmp_path / "client.py").write_text(code + PYTHON)
    else:
        command = javascript(tmp_path)

    @contextmanager
    def start(
        person: Person, other: Person, scenario: str = "", *, last_seq: str = "", token: str | None = None
    ) -> Iterator[Client]:
        url = person.server.url.replace("http", "ws")
        client = Client([*command, url, token or person.token, str(other.id), last_seq, scenario])
        try:
            yield client
        finally:
            client.process.kill()
            client.process.communicate()

    return start


def javascript(folder: Path) -> list[str]:
    if (found := node()) is None:
        pytest.skip("no node with WebSocket: 22 or newer, or 20 that has it as an experiment")
    (folder / "client.mjs").write_text(code_of("JavaScript") + JAVASCRIPT)
    return [*found, str(folder / "client.mjs")]


def test_a_client_misses_nothing_when_the_server_is_killed(run: Run, make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    server.environment["PORT"] = server.url.rpartition(":")[2]
    alice, bob = register(server, "alice"), register(server, "bob")

    with run(alice, bob, "hello", last_seq="0") as client:
        first = [client.expect("ack", "message"), client.expect("ack", "message")]
        for number in range(5):
            send(bob, alice, str(number))
        received = [client.expect("message") for _ in range(5)]
        server.kill()
        server.start()
        bob.client = server.client()
        bob.client.headers.update(bob.headers)
        for number in range(5, 10):
            send(bob, alice, str(number))
        received += [client.expect("message") for _ in range(5)]

    ack, own = sorted(first, key=lambda frame: str(frame["type"]))
    assert (ack["type"], ack["id"], ack["seq"]) == ("ack", own["id"], own["seq"])
    assert [frame["content"] for frame in received] == [str(number) for number in range(10)]
    assert [frame["seq"] for frame in received] == list(range(2, 12))


def test_a_first_visit_loads_by_rest_and_replays_nothing(run: Run, alice: Person, bob: Person) -> None:
    send(bob, alice, "before")

    with run(alice, bob) as client:
        client.expect("reload")
        send(bob, alice, "after")

        assert client.expect("message")["content"] == "after"


def test_a_client_that_knows_a_number_gets_what_came_after_it(run: Run, alice: Person, bob: Person) -> None:
    send(bob, alice, "one")
    send(bob, alice, "two")

    with run(alice, bob, last_seq="1") as client:
        assert client.expect("message")["content"] == "two"


def test_edits_and_what_is_refused_are_answered(run: Run, alice: Person, bob: Person) -> None:
    with run(alice, bob, "edits") as client:
        assert client.expect("ack", "error")["type"] == "ack"
        assert client.expect("ack", "error")["code"] == "message_not_found"
        assert client.expect("ack", "error")["code"] == "user_not_found"


def test_with_a_refused_token_what_was_to_be_sent_is_answered_too(run: Run, alice: Person, bob: Person) -> None:
    with run(alice, bob, "hello", token="wrong") as client:
        answers = [client.expect("error")["code"] for _ in range(2)]

    assert sorted(answers) == ["closed", "invalid_token"]


def test_each_new_socket_takes_a_new_token(run: Run, make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    server.environment["PORT"] = server.url.rpartition(":")[2]
    alice, bob = register(server, "alice"), register(server, "bob")

    with run(alice, bob, "new tokens") as client:
        client.expect("token")
        client.expect("reload")
        server.kill()

        client.expect("token")


def test_a_client_that_is_closed_while_it_waits_stays_closed(
    tmp_path: Path, make_server: Callable[..., Server]
) -> None:
    command = javascript(tmp_path)
    server = make_server().start()
    alice = register(server, "alice")
    client = Client([*command, server.url.replace("http", "ws"), alice.token, "1", "", "closing"])
    client.expect("reload")
    server.kill()

    client.process.communicate("close\n", timeout=WAIT_SECONDS)

    assert client.process.returncode == 0  # a program with a timer or a socket would not end


def test_the_clients_fit_on_a_screen() -> None:
    for language in ("JavaScript", "Python"):
        assert len(code_of(language).splitlines()) <= 80
