"""Who may do what with a document: every route of documents, for everybody."""

import re
from typing import Any, NamedTuple

import httpx
import pytest

from support.databases import TestDatabase
from support.documents import refusal, upload
from support.pdfs import make_table_pdf
from support.servers import Person, Server, register

READ = "owner, reader"
CHANGE = "owner"
ROUTES = {  # what is asked, and who may
    ("GET", ""): READ,
    ("HEAD", ""): READ,
    ("PATCH", ""): CHANGE,
    ("DELETE", ""): CHANGE,
    ("POST", "/read"): CHANGE,
    ("GET", "/file"): READ,
    ("HEAD", "/file"): READ,
    ("GET", "/text"): READ,
    ("GET", "/pages"): READ,
    ("GET", "/pages/1"): READ,
    ("GET", "/pages/1?lines=true"): READ,
    ("GET", "/pages/1?words=true"): READ,
    ("GET", "/pages/1/image"): READ,
    ("GET", "/tables"): READ,
    ("GET", "/tables?merge=1"): READ,
    ("GET", "/tables.csv"): READ,
    ("GET", "/tables.xlsx"): READ,
    ("GET", "/tables/0.csv"): READ,
    ("GET", "/search?q=paper"): READ,
    ("GET", "/messages"): READ,
    ("GET", "/shares"): READ,
    ("PUT", "/shares/{other}"): CHANGE,
    ("GET", "/shares/{reader}"): CHANGE,
    ("DELETE", "/shares/{reader}"): CHANGE,
}
CONDITIONS: list[dict[str, str]] = [  # of requests that might be answered without a look at who asks
    {"Range": "bytes=0-3"},
    {"If-None-Match": "*"},
    {"If-None-Match": "{etag}"},
]
BODIES: dict[str, dict[str, str]] = {"PATCH": {"filename": "new.pdf"}, "POST": {}}
ROLES = ["owner", "reader", "former reader", "stranger", "admin", "nobody"]


class People(NamedTuple):
    by_role: dict[str, Person]
    other: Person

    def client(self, role: str) -> httpx.Client:
        return self.by_role[role].client

    def address(self, document_id: int, rest: str) -> str:
        return f"/documents/{document_id}" + rest.format(other=self.other.id, reader=self.by_role["reader"].id)

    def share(self, document_id: int) -> int:
        """The owner's document, shared with the reader, and taken back from the former reader."""
        owner = self.client("owner")
        for role in ("reader", "former reader"):
            path = f"/documents/{document_id}/shares/{self.by_role[role].id}"
            assert owner.put(path).status_code == 200
        assert owner.delete(path).status_code == 204
        return document_id


@pytest.fixture(scope="module")
def people(server: Server, database: TestDatabase) -> People:
    by_role = {role: register(server, role.replace(" ", ".")) for role in ROLES}
    database.query("UPDATE users SET is_admin = true WHERE id = %s", by_role["admin"].id)
    by_role["nobody"].client.headers.pop("Authorization")
    return People(by_role, register(server, "other"))


@pytest.fixture(scope="module")
def prices() -> bytes:
    return make_table_pdf([["item", "price"], ["paper", "12.50"]])


@pytest.fixture(scope="module")
def kept(people: People, prices: bytes) -> int:
    """A document that nobody changes."""
    return people.share(upload(people.by_role["owner"], prices, "prices.pdf"))


@pytest.fixture
def document_id(people: People, prices: bytes, kept: int, request: pytest.FixtureRequest) -> int:
    """The document of a test; one of its own, if the test may change it."""
    if request.node.callspec.params["route"][0] in ("GET", "HEAD"):
        return kept
    return people.share(upload(people.by_role["owner"], prices, "prices.pdf"))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_a_route_is_open_to_those_who_may_and_to_nobody_else(
    people: People, document_id: int, route: tuple[str, str], role: str
) -> None:
    method, rest = route

    answer = people.client(role).request(method, people.address(document_id, rest), json=BODIES.get(method))

    if role in ROUTES[route].split(", "):
        assert answer.is_success, answer.text
    else:
        assert answer.status_code == (401 if role == "nobody" else 404)
        assert not answer.headers.get("etag")
        if method != "HEAD" and role != "nobody":
            assert refusal(answer) == (404, "document_not_found")


def test_the_table_has_every_route_of_a_document(people: People) -> None:
    described: dict[str, Any] = people.client("owner").get("/openapi.json").json()["paths"]
    prefix = "/documents/{document_id}"

    walked = {(method, re.sub(r"\?.*", "", rest)) for method, rest in ROUTES}
    patterns = {
        (method.upper(), re.sub(r"\{\w+\}", r"[^/]+", path.removeprefix(prefix)))
        for path, methods in described.items()
        if path.startswith(prefix)
        for method in methods
    }

    assert {
        pattern
        for pattern in patterns
        if not any(method == pattern[0] and re.fullmatch(pattern[1], rest) for method, rest in walked)
    } == set()


@pytest.mark.parametrize("conditions", CONDITIONS, ids=str)
@pytest.mark.parametrize("rest", ["/file", "/pages", "/pages/1/image"])
def test_a_former_reader_is_not_answered_from_what_they_kept(
    people: People, kept: int, rest: str, conditions: dict[str, str]
) -> None:
    path = people.address(kept, rest)
    etag = people.client("reader").get(path).headers["etag"]

    answer = people.client("former reader").get(
        path, headers={name: value.format(etag=etag) for name, value in conditions.items()}
    )

    assert refusal(answer) == (404, "document_not_found")


@pytest.mark.parametrize("role", ["reader", "former reader", "stranger"])
def test_nothing_is_changed_by_those_who_may_not(people: People, kept: int, role: str) -> None:
    before = people.client("owner").get(f"/documents/{kept}").json()

    for (method, rest), who in ROUTES.items():
        if who == CHANGE:
            people.client(role).request(method, people.address(kept, rest), json=BODIES.get(method))

    assert people.client("owner").get(f"/documents/{kept}").json() == before
    shares = people.client("owner").get(f"/documents/{kept}/shares").json()["shares"]
    assert [share["user"]["id"] for share in shares] == [people.by_role["reader"].id]


def test_the_same_bytes_open_no_document_but_ones_own(people: People, kept: int, prices: bytes) -> None:
    copy = upload(people.by_role["stranger"], prices, "my prices.pdf")

    assert people.client("stranger").get(f"/documents/{copy}/text").is_success
    assert refusal(people.client("stranger").get(f"/documents/{kept}/text")) == (404, "document_not_found")
    assert refusal(people.client("reader").get(f"/documents/{copy}/text")) == (404, "document_not_found")


def test_a_copy_of_the_same_bytes_stays_when_the_shared_one_is_taken_back(
    people: People, server: Server, prices: bytes
) -> None:
    bob = register(server, "bob")
    document_id = upload(people.by_role["owner"], prices)
    people.client("owner").put(f"/documents/{document_id}/shares/{bob.id}")
    copy = upload(bob, prices)

    people.client("owner").delete(f"/documents/{document_id}/shares/{bob.id}")

    assert bob.client.get(f"/documents/{copy}/pages/1/image").is_success
    assert refusal(bob.client.get(f"/documents/{document_id}/pages/1/image")) == (404, "document_not_found")
