"""Two machines that share nothing but PostgreSQL, Redis and the S3 store: a day of two people, each on its own."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from support.pdfs import make_book
from support.servers import PASSWORD, Person, Server, register
from support.stores import S3Server
from support.tabs import Tab

if TYPE_CHECKING:
    from support.redis import RedisServer


def sign_in(server: Server, person: Person) -> Person:
    """The same person at another machine, with a session of its own."""
    there = Person(person.name, person.email, server, person.id)
    there.client = server.client()
    answer = there.client.post("/login", json={"email": person.email, "password": PASSWORD})
    there.token = answer.json()["access_token"]
    there.client.headers.update(there.headers)
    return there


@pytest.fixture
def machines(make_server: Callable[..., Server], s3: S3Server, redis_server: "RedisServer") -> tuple[Server, Server]:
    settings = {"SECRET_KEY": os.urandom(32).hex(), "REDIS_URL": redis_server.url, **s3.make_bucket().variables}
    one = make_server("one", **settings)
    two = make_server("two", **{**settings, "DATABASE_URL": one.environment["DATABASE_URL"]})
    return one.start(), two.start()


def test_what_people_do_at_one_machine_is_there_at_the_other(machines: tuple[Server, Server]) -> None:
    one, two = machines
    alice, bob = register(one, "alice"), register(one, "bob")
    alice_there, bob_there = sign_in(two, alice), sign_in(two, bob)
    book = make_book(120)

    with Tab(alice_there) as hers, Tab(bob_there) as his:
        # Uploaded at one, seen to be extracted and read at the other
        answer = alice.client.post(
            "/upload-pdf", files={"file": ("novel.pdf", book)}, headers={"Prefer": "respond-async"}
        )
        path = f"/documents/{answer.json()['document_id']}"
        assert hers.expect("document.progress")["pages"] == 120
        assert hers.expect("document.ready")["page_count"] == 120
        assert alice_there.client.get(f"{path}/file").content == book
        assert "Chapter 7" in alice_there.client.get(f"{path}/pages/7").text

        # Shared at one, found and opened at the other
        assert bob_there.client.get(path).status_code == 404
        alice.client.put(f"{path}/shares/{bob.id}")
        assert his.expect("document.shared")["filename"] == "novel.pdf"
        found = bob_there.client.get("/search", params={"q": '"on page 33"'}).json()["results"]
        assert [(hit["filename"], hit["page"]) for hit in found] == [("novel.pdf", 33)]
        assert bob_there.client.get(f"{path}/pages/33/image").content.startswith(b"\x89PNG")

        # Talked about from either
        with Tab(alice) as hers_at_one:
            his.send(type="message", recipient_id=alice.id, content="Page 33 is the best")
            assert hers_at_one.expect("message")["content"] == "Page 33 is the best"
            hers_at_one.send(type="message", recipient_id=bob.id, content="Wait for 34")
            while his.expect("message")["content"] != "Wait for 34":  # after the card of the share, and his own
                pass

        # Deleted at the other, and gone from the one
        assert alice_there.client.delete(path).status_code == 204
        assert his.expect("document.deleted")["document_id"] == answer.json()["document_id"]
        for person in (alice, bob):
            assert person.client.get(f"{path}/file").status_code == 404
            assert person.client.get("/search", params={"q": '"on page 33"'}).json()["results"] == []
