"""A chaos: people who do what the dice say while bad luck strikes, and what has to be true when it is over.

PAGEWIRE_CHAOS_SEED repeats a run (as far as the weather allows), PAGEWIRE_CHAOS_SECONDS makes it longer.
"""

import asyncio
import contextlib
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from support.documents import upload
from support.outages import FragilePostgres
from support.pdfs import make_pdf
from support.reference_client import ReferenceClient, SocketLostError
from support.servers import Person, Server, register

SEED = int(os.environ.get("PAGEWIRE_CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
SECONDS = float(os.environ.get("PAGEWIRE_CHAOS_SECONDS", "8"))
SECRET_KEY = "every process of the chaos knows this one"
PEOPLE = ("alice", "bob", "carol", "dave")
SETTLE_SECONDS = 60.0
ANSWER_SECONDS = 30.0
DOUBT_SECONDS = 10.0  # a node that was killed has its statement ended within them
DOORS = [  # to a document that was taken back
    *(("GET", f"{{document}}{rest}") for rest in ("", "/text", "/file", "/pages/1", "/pages/1/image", "/tables.xlsx")),
    *(("GET", f"{{document}}{rest}") for rest in ("/search?q=only", "/messages", "/shares")),
    ("HEAD", "{document}/file"),
    ("GET", "/messages/{owner}"),
    ("GET", "/documents?shared=me"),
    ("GET", "/search?q=whoever"),
]
CONDITIONS: list[dict[str, str]] = [{}, {"Range": "bytes=0-3"}, {"If-None-Match": "*"}]


@dataclass
class House:
    """Server processes that are killed and started again, each on its own port."""

    servers: list[Server]
    alive: list[Server] = field(default_factory=list)

    def url(self, luck: random.Random) -> str:
        return luck.choice(self.alive).url if self.alive else "http://127.0.0.1:9"


@dataclass
class Book:
    """What people were promised."""

    acknowledged: dict[int, tuple[int, str]] = field(default_factory=dict)  # by message id: its sender and client_id
    edits: dict[int, str | None] = field(default_factory=dict)  # the last word on a message; None: it is deleted
    doubtful: set[int] = field(default_factory=set)  # of which a change was asked for and never acknowledged
    faults: Counter[str] = field(default_factory=Counter)
    deeds: Counter[str] = field(default_factory=Counter)

    def copy(self) -> "Book":
        """What was promised until now: what a backup of this moment holds."""
        return Book(dict(self.acknowledged), dict(self.edits), set(self.doubtful), self.faults, self.deeds)

    def put_back(self, earlier: "Book") -> None:
        """The database is that of *earlier*; an edit that nobody confirmed since may be in it or not."""
        self.acknowledged, self.edits, self.doubtful = dict(earlier.acknowledged), dict(earlier.edits), earlier.doubtful


Deed = Callable[[int, httpx.AsyncClient], Awaitable[None]]


class Player:
    """One person with some devices, who does what the dice say."""

    pause_seconds = 0.02  # the longest between two deeds

    def __init__(self, person: Person, devices: list[ReferenceClient], house: House, book: Book, seed: str) -> None:
        self.person = person
        self.devices = devices
        self.mine: dict[int, dict[str, Any]] = {}  # by message id: what was first sent
        self.document_id = upload(person, make_pdf(f"only for whoever likes {person.name}"))
        self.headers_of: dict[int, dict[str, str]] = {}  # by user id
        self._doubtful_until: dict[int, float] = {}  # by user id: a share without an answer may be made until then
        self._house = house
        self._book = book
        self._luck = random.Random(seed)
        self._number = 0

    async def play(self, others: list[int], http: httpx.AsyncClient) -> None:
        deeds = self.list_deeds()
        while True:
            deed = self._luck.choices(list(deeds), weights=list(deeds.values()))[0]
            with contextlib.suppress(SocketLostError, httpx.TransportError, TimeoutError):
                async with asyncio.timeout(ANSWER_SECONDS):
                    await deed(self._luck.choice(others), http)
            await asyncio.sleep(self._luck.random() * self.pause_seconds)

    def list_deeds(self) -> dict[Deed, int]:
        """What this person does, and how often."""
        return {
            self._send: 50,
            self._post: 20,
            self._change: 12,
            self._repeat: 6,
            self._read: 8,
            self._cut: 10,
            self._share: 12,
        }

    def _new_message(self, recipient_id: int) -> dict[str, Any]:
        self._number += 1
        client_id = f"{self.person.name} {self._number}"
        return {"recipient_id": recipient_id, "content": f"{client_id} says hello", "client_id": client_id}

    async def _send(self, other: int, http: httpx.AsyncClient) -> None:
        message = self._new_message(other)
        for _ in range(3):  # what was not answered is sent again, perhaps by another way
            try:
                answer = await self._luck.choice(self.devices).ask(**message)
            except SocketLostError:
                await asyncio.sleep(0.05)
                continue
            if answer["type"] == "ack":
                self._acknowledge(answer["id"], message)
                return

    async def _post(self, other: int, http: httpx.AsyncClient) -> None:
        message = self._new_message(other)
        answer = await http.post(self._house.url(self._luck) + "/messages", json=message, headers=self.person.headers)
        if answer.status_code == 200:
            self._acknowledge(answer.json()["id"], message)

    def _acknowledge(self, message_id: int, message: dict[str, Any]) -> None:
        self._book.acknowledged[message_id] = (self.person.id, message["client_id"])
        self._book.deeds["acknowledged"] += 1
        self.mine[message_id] = message

    async def _change(self, other: int, http: httpx.AsyncClient) -> None:
        if not self.mine:
            return
        message_id = self._luck.choice(list(self.mine))
        content = None if self._luck.random() < 0.3 else f"edited {self._luck.random()}"
        change = {"type": "delete"} if content is None else {"type": "edit", "content": content}
        self._book.doubtful.add(message_id)  # until an ack says otherwise
        answer = await self._luck.choice(self.devices).ask(**change, id=message_id)
        if answer["type"] == "ack":
            self._book.edits[message_id] = content
            self._book.doubtful.discard(message_id)
            self._book.deeds["changed"] += 1

    async def say_last(self, server: Server, http: httpx.AsyncClient) -> None:
        """One more message by *server*: once it is answered, all that this person sent there before is stored."""
        message = self._new_message(self.person.id)
        async with asyncio.timeout(SETTLE_SECONDS):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    answer = await http.post(f"{server.url}/messages", json=message, headers=self.person.headers)
                    if answer.status_code == 200:
                        self._acknowledge(answer.json()["id"], message)
                        return
                await asyncio.sleep(0.05)

    async def look_back(self, http: httpx.AsyncClient) -> None:
        """When it is over: whether everything is as it was promised, besides what all are asked."""

    async def _repeat(self, other: int, http: httpx.AsyncClient) -> None:
        """Send a message again that may have been edited or deleted: it is the first one, or, put back, a new one."""
        if not self.mine:
            return
        message_id = self._luck.choice(list(self.mine))
        message = self.mine[message_id]
        if self._luck.random() < 0.5:
            answer = await self._luck.choice(self.devices).ask(**message)
        else:
            url = self._house.url(self._luck) + "/messages"
            answer = (await http.post(url, json=message, headers=self.person.headers)).json()
        assert answer.get("code") != "client_id_reused", "a repeat was compared with what the message says now"
        if "duplicate" in answer:
            assert not answer["duplicate"] or answer["id"] == message_id or self._book.faults["put back"]
            self._acknowledge(answer["id"], message)
            self._book.deeds["repeated"] += 1

    async def _read(self, other: int, http: httpx.AsyncClient) -> None:
        device = self._luck.choice(self.devices)
        received = [frame["id"] for frame in device.inbox.frames[-20:] if frame.get("sender_id") == other]
        if received:
            await device.tell(type="read", user_id=other, up_to_id=max(received))
            self._book.deeds["read"] += 1

    async def _share(self, other: int, http: httpx.AsyncClient) -> None:
        """Share my document, show it, or take it back: then it is closed on every node."""
        document, now = f"/documents/{self.document_id}", asyncio.get_running_loop().time
        deed = self._luck.choice(["shared", "shown", "taken back", "taken back"])
        times_put_back = self._book.faults["put back"]
        method, path, body = {
            "shared": ("PUT", f"{document}/shares/{other}", None),
            "shown": ("POST", "/messages", {"recipient_id": other, "document_id": self.document_id}),
            "taken back": ("DELETE", f"{document}/shares/{other}", None),
        }[deed]
        in_doubt = self._doubtful_until.get(other, 0) > now()
        if deed != "taken back":
            self._doubtful_until[other] = now() + DOUBT_SECONDS  # it may be done later, unless it is answered
        answer = await http.request(method, self._house.url(self._luck) + path, json=body, headers=self.person.headers)
        if not answer.is_success:
            return
        self._book.deeds[deed] += 1
        if deed != "taken back":
            if not in_doubt:
                del self._doubtful_until[other]
            return
        for method, path in self._luck.sample(DOORS, 3):
            url = self._house.url(self._luck) + path.format(document=document, owner=self.person.id)
            theirs = {**self.headers_of[other], **self._luck.choice(CONDITIONS)}
            with contextlib.suppress(httpx.TransportError):
                seen = await http.request(method, url, headers=theirs)
                if in_doubt or self._book.faults["put back"] > times_put_back:
                    return
                self._check_closed(seen, path)

    def _check_closed(self, seen: httpx.Response, path: str) -> None:
        if seen.status_code >= 500:
            return
        self._book.deeds["doors tried"] += 1
        if path.startswith("{document}"):
            assert seen.status_code == 404, "it was taken back"
        elif path.startswith("/messages"):
            cards = [message["attachment"] for message in seen.json() if message["attachment"]]
            assert not any(card["available"] for card in cards if card["document_id"] == self.document_id)
        else:
            assert f"likes {self.person.name}" not in seen.text, "it was taken back"
            listed = seen.json().get("documents", [])
            assert self.document_id not in [document["id"] for document in listed], "it was taken back"

    async def _cut(self, other: int, http: httpx.AsyncClient) -> None:
        self._luck.choice(self.devices).cut()
        self._book.faults["sockets cut"] += 1


def start(server: Server) -> None:
    """It may fail to start while what it needs is away; then again, as whoever runs it for real would."""
    while True:
        with contextlib.suppress(AssertionError):
            server.start()
            return


AnyPlayer = TypeVar("AnyPlayer", bound=Player)


async def play(
    house: House,
    postgres: FragilePostgres,
    book: Book,
    make_player: type[AnyPlayer],
    bring_bad_luck: Callable[[random.Random, asyncio.Event], Sequence[Coroutine[Any, Any, None]]],
) -> list[AnyPlayer]:
    """Let people do what they do for SECONDS, with bad luck, until everybody has been told everything.

    Each bad luck ends when the event is set, and leaves everything running.
    """
    print(f"\nchaos: PAGEWIRE_CHAOS_SEED={SEED} PAGEWIRE_CHAOS_SECONDS={SECONDS:g}", flush=True)
    people = [register(house.servers[0], name) for name in PEOPLE]
    players = [
        make_player(
            person,
            [ReferenceClient(person.token, find_url(house, f"{SEED} {person.name} {n}")) for n in range(2)],
            house,
            book,
            f"{SEED} {person.name}",
        )
        for person in people
    ]
    for player in players:
        player.headers_of = {person.id: person.headers for person in people}

    async with httpx.AsyncClient(timeout=ANSWER_SECONDS) as http:
        devices = [asyncio.create_task(device.run()) for player in players for device in player.devices]
        others = [[other.id for other in people if other is not person] for person in people]
        playing = [asyncio.create_task(player.play(ids, http)) for player, ids in zip(players, others, strict=True)]
        over = asyncio.Event()
        bad_luck = [asyncio.create_task(kind) for kind in bring_bad_luck(random.Random(SEED), over)]
        done, _ = await asyncio.wait(
            [*bad_luck, *playing, *devices], timeout=SECONDS, return_when=asyncio.FIRST_EXCEPTION
        )
        over.set()
        for task in playing:
            task.cancel()
        await asyncio.gather(*playing, return_exceptions=True)
        await asyncio.gather(*bad_luck)
        for task in done:
            task.result()  # nobody leaves the game but by an error

        await asyncio.gather(*(player.say_last(server, http) for player in players for server in house.servers))
        await asyncio.gather(*(player.look_back(http) for player in players))
        await asyncio.gather(*(until_everything_is_told(postgres, player) for player in players))
        for task in devices:
            task.cancel()
        await asyncio.gather(*devices, return_exceptions=True)

    print(f"chaos: {sum(book.faults.values())} faults {dict(book.faults)}; {dict(book.deeds)}", flush=True)
    return players


def find_url(house: House, seed: str) -> Callable[[], str]:
    luck = random.Random(seed)
    return lambda: house.url(luck)


async def until_everything_is_told(postgres: FragilePostgres, player: Player) -> None:
    async with asyncio.timeout(SETTLE_SECONDS):
        while True:
            ((last_seq,),) = await asyncio.to_thread(
                postgres.ask, "SELECT coalesce(max(seq), 0) FROM events WHERE user_id = %s", player.person.id
            )
            if all(device.inbox.last_seq == last_seq for device in player.devices):
                return
            await asyncio.sleep(0.05)


def check_everything(postgres: FragilePostgres, book: Book, players: Sequence[Player]) -> None:
    check_what_is_stored(postgres, book)
    check_what_is_indexed(postgres)
    for player in players:
        check_what_was_told(postgres, player, was_put_back=book.faults["put back"] > 0)


def check_what_is_indexed(postgres: FragilePostgres) -> None:
    """No message was passed over, however long its transaction lasted."""
    assert not postgres.ask(
        """SELECT id FROM messages LEFT JOIN message_search ON message_id = id, search_progress
            WHERE message_id IS NULL AND deleted_at IS NULL AND id <= messages_up_to"""
    )


def check_what_is_stored(postgres: FragilePostgres, book: Book) -> None:
    stored = {
        message_id: (sender_id, client_id, content, deleted_at)
        for message_id, sender_id, client_id, content, deleted_at in postgres.ask(
            "SELECT id, sender_id, client_id, content, deleted_at FROM messages"
        )
    }
    assert {message_id: stored[message_id][:2] for message_id in book.acknowledged} == book.acknowledged
    named = [row[:2] for row in stored.values() if row[1] is not None]  # cards have no client_id
    assert len(set(named)) == len(named), "a client_id was stored twice"
    for message_id in book.edits.keys() - book.doubtful:
        _, _, content, deleted_at = stored[message_id]
        assert (None if deleted_at else content) == book.edits[message_id], "an acknowledged change is not stored"


def as_told(kind: str) -> str:
    """A replay says `document.unshared` of what may no longer be read, and `document.deleted` of what is gone."""
    if kind in ("document.ready", "document.failed", "document.deleted"):
        return "document.(ready|failed|deleted)"
    return "document.(un)shared" if kind in ("document.shared", "document.unshared") else kind


def told_by(frame: dict[str, Any]) -> tuple[int, str, int]:
    return frame["seq"], as_told(frame["type"]), frame["document_id"] if "document_id" in frame else frame["id"]


def check_what_was_told(postgres: FragilePostgres, player: Player, *, was_put_back: bool) -> None:
    events = postgres.ask(
        "SELECT seq, kind, ref_id FROM events WHERE user_id = %s ORDER BY seq",
        player.person.id,
    )
    ((told,),) = postgres.ask("SELECT seq FROM mailboxes WHERE user_id = %s", player.person.id)
    ((epochs,),) = postgres.ask("SELECT count(*) FROM epochs")
    mine = postgres.ask("SELECT id FROM messages WHERE %s IN (sender_id, recipient_id) ORDER BY id", player.person.id)

    assert [seq for seq, _, _ in events] == list(range(1, told + 1)), "the numbers have a gap"
    assert sorted(ref_id for _, kind, ref_id in events if kind == "message") == [message_id for (message_id,) in mine]
    for device in player.devices:
        told_here = range(device.inbox.started_at + 1, device.inbox.last_seq + 1)  # an upload may still end later
        expected = [(seq, as_told(kind), ref) for seq, kind, ref in events if seq in told_here]
        assert [told_by(frame) for frame in device.inbox.frames] == expected
        assert set(device.resyncs) <= ({"put_back", "unknown"} if was_put_back else {"put_back"})
        # A server that starts while no other holds its lock begins an epoch: it cannot know that nothing was put back.
        assert was_put_back or len(device.resyncs) < epochs
