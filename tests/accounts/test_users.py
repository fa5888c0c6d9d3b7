"""Users find each other."""

import httpx
import pytest

from support.accounts import address, fields, problem, sign_up, unique
from support.servers import Person, Server


def test_users_are_listed_by_id_without_the_caller(alice: Person, bob: Person) -> None:
    found = alice.client.get("/users").json()

    ids = [user["id"] for user in found]
    assert bob.id in ids
    assert alice.id not in ids
    assert ids == sorted(ids)
    assert all(set(user) == {"id", "email", "name", "created_at"} for user in found)


def test_paging_through_users_returns_each_once(server: Server, alice: Person) -> None:
    mark = f"crowd{unique()}"
    crowd = [sign_up(alice.client, address(mark)).json()["user"]["id"] for _ in range(5)]
    pages: list[list[int]] = []
    question: dict[str, str | int] = {"q": mark, "limit": 2}
    while question.get("cursor") or not pages:
        page = alice.client.get("/users", params=question)
        pages.append([user["id"] for user in page.json()])
        question["cursor"] = page.headers.get("x-next-cursor", "")

    assert pages == [crowd[:2], crowd[2:4], crowd[4:]]


def test_a_full_last_page_of_users_has_no_next_cursor(alice: Person) -> None:
    mark = f"crowd{unique()}"
    for _ in range(2):
        sign_up(alice.client, address(mark))

    answer = alice.client.get("/users", params={"q": mark, "limit": 2})

    assert len(answer.json()) == 2
    assert "x-next-cursor" not in answer.headers


@pytest.mark.parametrize("look", ["email", "name"])
def test_users_are_found_by_part_of_name_or_address_in_any_case(client: httpx.Client, alice: Person, look: str) -> None:
    mark = f"Zita{unique()}"
    email, name = (address(mark), "Somebody") if look == "email" else (address(), f"Frau {mark} Ö")
    zita = sign_up(client, email, name=name).json()["user"]["id"]

    found = alice.client.get("/users", params={"q": mark.upper()}).json()

    assert [user["id"] for user in found] == [zita]


@pytest.mark.parametrize("q", ["b%b.", "b_b.", "%bob", "b?b.", "b.b.", "\\bob", "'bob", "x" * 200, "\ud7ff", "🙂🙂"])
def test_a_search_for_users_has_no_wildcards(alice: Person, bob: Person, q: str) -> None:
    answer = alice.client.get("/users", params={"q": q})

    assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=x",
        "limit=" + "9" * 30,
        "limit=NaN",
        "limit=1e1",
        "cursor=0",
        "cursor=-1",
        "cursor=x",
        f"cursor={2**63}",
        f"cursor={10**30}",
        "q=%00",
        "q=" + "x" * 201,
    ],
)
def test_an_invalid_query_for_users_is_a_422(alice: Person, query: str) -> None:
    answer = alice.client.get(f"/users?{query}")

    assert fields(answer) == {query.partition("=")[0]}


def test_a_cursor_beyond_the_end_finds_nobody(alice: Person) -> None:
    answer = alice.client.get("/users", params={"cursor": 2**63 - 1, "limit": 200})

    assert (answer.status_code, answer.json()) == (200, [])


def test_one_user_is_seen_by_another(alice: Person, bob: Person) -> None:
    answer = alice.client.get(f"/users/{bob.id}")

    assert answer.status_code == 200
    assert answer.json() == {
        "id": bob.id,
        "email": bob.email,
        "name": "Bob",
        "created_at": bob.client.get("/me").json()["created_at"],
    }


def test_an_unknown_user_is_not_found(alice: Person) -> None:
    answer = alice.client.get(f"/users/{2**63 - 1}")

    assert problem(answer) == (404, "User not found", "user_not_found")
    assert answer.json()["error"] == "Resource not found"


STRANGE_IDS = [
    *("9" * 30, "9" * 5000, str(2**63), "-1", "0", "-0", "abc", "1.5", "1e3", "0x1", "1_0", "NaN", "true", "null"),
    *("%00", "%F0%9F%99%82", "%ff", "1%20", "%D9%A3", "1;2", "1'", "..%2f1", "%2e%2e", "+1", "--1"),
]


@pytest.mark.parametrize("user_id", STRANGE_IDS)
def test_a_strange_id_matches_no_user(alice: Person, user_id: str) -> None:
    answer = alice.client.get(f"/users/{user_id}")

    assert answer.status_code in (200, 404, 422)
    assert answer.status_code != 200 or user_id in ("1%20", "+1", "1_0")  # a number, with some good will
    assert answer.json()
