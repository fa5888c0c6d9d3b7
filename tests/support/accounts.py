"""Requests about accounts, and their errors."""

import os
from itertools import count
from typing import Any

import httpx

from support.servers import PASSWORD, Server

OPEN = {  # routes that ask nobody who they are
    "/register",
    "/login",
    "/token",
    "/refresh",
    "/forgot-password",
    "/reset-password",
    "/confirm-email",
}

_numbers = count(1)


def unique() -> str:
    """A word that no other test uses."""
    return f"{os.getpid()}n{next(_numbers)}"


def address(name: str = "alice") -> str:
    return f"{name}.{os.getpid()}.n{next(_numbers)}@example.com"


def sign_up(client: httpx.Client, email: str, password: str = PASSWORD, name: str = "Alice") -> httpx.Response:
    return client.post("/register", json={"email": email, "password": password, "name": name})


def sign_in(client: httpx.Client, email: str, password: str = PASSWORD) -> httpx.Response:
    return client.post("/login", json={"email": email, "password": password})


def forget(server: Server, email: str) -> httpx.Response:
    return httpx.post(f"{server.url}/forgot-password", json={"email": email})


def problem(answer: httpx.Response) -> tuple[int, Any, str]:
    """Status, detail and code of an error; its request id is checked."""
    body = answer.json()
    assert body["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, body["detail"], body["code"]


def fields(answer: httpx.Response) -> set[str]:
    """The fields that a 422 is about."""
    assert answer.status_code == 422, answer.text
    return {str(entry["loc"][-1]) for entry in answer.json()["detail"]}
