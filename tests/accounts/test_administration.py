"""What admins do with people, and the commands of who is locked out."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from support.accounts import address, problem, sign_in
from support.servers import HOUSE, PASSWORD, Person, Server, register
from support.tabs import Tab

NEW_PASSWORD = "a longer horse battery"


@pytest.fixture
def server(here: Server) -> Server:
    """The people of this file live on one of two nodes."""
    return here


def choose(server: Server, link: str, password: str = NEW_PASSWORD) -> int:
    token = link.partition("#token=")[2]
    return httpx.post(f"{server.url}/reset-password", json={"token": token, "password": password}).status_code


def test_an_admin_takes_somebody_in_by_a_link(admin: Person, there: Server) -> None:
    email = address("carol")

    made = admin.client.post("/users", json={"email": email, "name": "Carol"})

    assert made.status_code == 201
    assert sign_in(admin.client, email, "").status_code == 401
    assert choose(there, made.json()["link"]) == 204
    assert sign_in(admin.client, email, NEW_PASSWORD).json()["user"]["is_admin"] is False
    assert choose(there, made.json()["link"]) == 400


def test_with_a_password_there_is_no_link(admin: Person) -> None:
    email = address("carol")
    body = {"email": email, "name": "Carol", "password": PASSWORD, "is_admin": True}

    assert admin.client.post("/users", json=body).json()["link"] is None
    assert sign_in(admin.client, email).json()["user"]["is_admin"] is True
    assert problem(admin.client.post("/users", json=body))[2] == "email_taken"


def test_admins_alone_are_told_who_is_one(admin: Person, bob: Person, carol: Person) -> None:
    listed = {person["id"]: person for person in bob.client.get("/users").json()}
    assert "is_admin" not in listed[admin.id]

    told = {person["id"]: person["is_admin"] for person in admin.client.get("/users").json()}

    assert (told[bob.id], told[carol.id]) == (False, False)
    admin.client.put(f"/users/{carol.id}", json={"email": carol.email, "name": "Carol", "is_admin": True})
    assert admin.client.get(f"/users/{carol.id}").json()["is_admin"] is True


def test_who_is_no_admin_does_none_of_it(bob: Person, carol: Person) -> None:
    path = f"/users/{carol.id}"
    for answer in (
        bob.client.post("/users", json={"email": address(), "name": "Eve"}),
        bob.client.put(path, json={"email": carol.email, "name": "Eve"}),
        bob.client.put(f"/users/{bob.id}", json={"email": bob.email, "name": "Bob", "is_admin": True}),
        bob.client.delete(path),
        bob.client.post(f"{path}/reset"),
        bob.client.delete(f"{path}/sessions"),
    ):
        assert problem(answer) == (403, "Admin access required", "admin_required")


def test_a_key_takes_nobody_in_even_an_admins(admin: Person, bob: Person) -> None:
    key = admin.client.post("/api-keys", json={"name": "script", "admin": True}).json()["key"]
    with admin.server.client() as client:
        client.headers["Authorization"] = f"Bearer {key}"
        for answer in (
            client.post("/users", json={"email": address(), "name": "Eve"}),
            client.delete(f"/users/{bob.id}"),
            client.post(f"/users/{bob.id}/reset"),
            client.put(f"/users/{bob.id}", json={"email": bob.email, "name": "Bob", "password": NEW_PASSWORD}),
            client.put(f"/users/{bob.id}", json={"email": bob.email, "name": "Bob", "is_admin": True}),
        ):
            assert problem(answer)[::2] == (403, "key_not_allowed")


def test_an_admin_changes_somebody_and_signs_them_out(admin: Person, bob: Person, there: Server) -> None:
    with Tab(bob, there) as tab:
        tab.expect("ready")
        body = {"email": bob.email, "name": "Robert", "password": NEW_PASSWORD, "is_admin": True}

        answer = admin.client.put(f"/users/{bob.id}", json=body)

        assert (answer.json()["name"], answer.json()["is_admin"]) == ("Robert", True)
        assert tab.closing()[1] == 4401
    assert sign_in(bob.client, bob.email, NEW_PASSWORD).status_code == 200


def test_one_changes_oneself_with_the_password(bob: Person) -> None:
    own = f"/users/{bob.id}"
    new = address("robert")

    assert bob.client.put(own, json={"email": bob.email, "name": "Robert"}).json()["name"] == "Robert"
    assert problem(bob.client.put(own, json={"email": new, "name": "Robert"}))[0] == 401
    changed = bob.client.put(own, json={"email": new, "name": "Robert", "current_password": PASSWORD})
    assert changed.json()["email"] == new
    assert bob.client.get("/me").status_code == 200


def test_an_admin_signs_somebody_out_everywhere(admin: Person, bob: Person, there: Server) -> None:
    with Tab(bob, there) as tab:
        tab.expect("ready")

        assert admin.client.delete(f"/users/{bob.id}/sessions").status_code == 204

        assert tab.closing()[1] == 4401
    assert bob.client.get("/me").status_code == 401


def test_an_admin_deletes_somebody_but_not_themselves(admin: Person, bob: Person) -> None:
    assert admin.client.delete(f"/users/{bob.id}").status_code == 204
    assert bob.client.get("/me").status_code == 401
    assert admin.client.delete(f"/users/{bob.id}").status_code == 404
    assert admin.client.delete(f"/users/{admin.id}").status_code == 403


def test_a_link_helps_somebody_back_in(admin: Person, bob: Person, there: Server) -> None:
    link = admin.client.post(f"/users/{bob.id}/reset").json()["link"]

    assert choose(there, link) == 204
    assert bob.client.get("/me").status_code == 401
    assert sign_in(bob.client, bob.email, NEW_PASSWORD).json()["user"]["verified"] is False


@pytest.mark.parametrize("round_number", range(3))
def test_of_two_admins_who_leave_at_once_one_stays(make_server: Callable[..., Server], round_number: int) -> None:
    server = make_server().start()
    first, second = register(server, "first"), register(server, "second")
    first.client.put(f"/users/{second.id}", json={"email": second.email, "name": "Second", "is_admin": True})

    with ThreadPoolExecutor(2) as threads:
        answers = list(
            threads.map(
                lambda person: person.client.request("DELETE", "/me", json={"password": PASSWORD}), (first, second)
            )
        )

    assert sorted(answer.status_code for answer in answers) == [204, 409]


def test_the_last_admin_stays_one(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    admin = register(server, "admin")

    answer = admin.client.put(f"/users/{admin.id}", json={"email": admin.email, "name": "Admin", "is_admin": False})

    assert problem(answer)[::2] == (409, "last_admin")


# Commands


def run(server: Server, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(HOUSE / "main.py"), *words],
        cwd=server.folder,
        env=server.environment,
        capture_output=True,
        text=True,
    )


def test_the_command_line_makes_an_admin_of_a_running_installation(server: Server, bob: Person) -> None:
    email = address("root")

    made, promoted = run(server, "create-admin", email), run(server, "create-admin", bob.email)

    assert choose(server, made.stdout.strip()) == 204
    assert sign_in(bob.client, email, NEW_PASSWORD).json()["user"]["is_admin"] is True
    assert promoted.returncode == 0
    assert bob.client.get("/me").json()["is_admin"] is True


def test_the_command_line_helps_back_in(server: Server, bob: Person) -> None:
    answer = run(server, "reset-password", bob.email.upper())

    assert choose(server, answer.stdout.strip()) == 204
    assert sign_in(bob.client, bob.email, NEW_PASSWORD).status_code == 200


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("reset-password", "nobody@example.com"), "nobody@example.com has no account"),
        (("create-admin", "nobody"), "nobody is not an e-mail address"),
        (("create-admin",), "usage: "),
        (("destroy", "a@example.com"), "usage: "),
    ],
)
def test_a_wrong_command_is_one_line(server: Server, words: tuple[str, ...], says: str) -> None:
    answer = run(server, *words)

    assert answer.returncode != 0
    assert answer.stderr.startswith(says)
    assert answer.stderr.count("\n") == 1
