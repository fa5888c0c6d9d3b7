"""Shares, and the messages that show a document."""

from typing import Any

import httpx

from support.servers import Person


def share(owner: Person, document_id: int, reader: Person) -> dict[str, Any]:
    answer = owner.client.put(f"/documents/{document_id}/shares/{reader.id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def unshare(owner: Person, document_id: int, reader: Person) -> None:
    answer = owner.client.delete(f"/documents/{document_id}/shares/{reader.id}")
    assert answer.status_code == 204, answer.text


def show(sender: Person, recipient: Person, document_id: int, **message: Any) -> httpx.Response:
    """A message that points at a document."""
    return sender.client.post("/messages", json={"recipient_id": recipient.id, "document_id": document_id, **message})


def can_read(person: Person, document_id: int) -> bool:
    return person.client.get(f"/documents/{document_id}").status_code == 200


def talk(reader: Person, other: Person) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = reader.client.get(f"/messages/{other.id}").json()
    return found


def cards(reader: Person, other: Person) -> list[dict[str, Any]]:
    """The documents in the conversation of the two, as *reader* sees them."""
    return [message["attachment"] for message in talk(reader, other) if message["attachment"]]
