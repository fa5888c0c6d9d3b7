"""The OpenAPI description: complete, stable, usable offline, and true."""

import os
import re
from itertools import cycle
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from support.accounts import sign_in
from support.browsers import Browser
from support.databases import TestDatabase
from support.servers import Person, Server, register

OPERATIONS = {
    "broadcast": "POST /admin/broadcast",
    "delete_message": "DELETE /message/{message_id}",
    "change_me": "PATCH /me",
    "change_password": "POST /me/password",
    "confirm_email": "POST /confirm-email",
    "create_password_link": "POST /users/{user_id}/reset",
    "create_user": "POST /users",
    "delete_user": "DELETE /users/{user_id}",
    "delete_users_sessions": "DELETE /users/{user_id}/sessions",
    "put_user": "PUT /users/{user_id}",
    "create_key": "POST /api-keys",
    "delete_key": "DELETE /api-keys/{key_id}",
    "delete_me": "DELETE /me",
    "forgot_password": "POST /forgot-password",
    "list_keys": "GET /api-keys",
    "reset_password": "POST /reset-password",
    "delete_session": "DELETE /sessions/{session_id}",
    "delete_document": "DELETE /documents/{document_id}",
    "extract_pdf": "POST /extract",
    "extract_tables": "POST /extract/tables",
    "list_audit": "GET /admin/audit",
    "list_conversation": "GET /messages/{user_id}",
    "list_conversations": "GET /conversations",
    "list_document_messages": "GET /documents/{document_id}/messages",
    "list_documents": "GET /documents",
    "list_events": "GET /events",
    "list_messages": "GET /messages",
    "list_shares": "GET /documents/{document_id}/shares",
    "list_tables": "GET /documents/{document_id}/tables",
    "list_users": "GET /users",
    "list_sessions": "GET /sessions",
    "login": "POST /login",
    "logout": "POST /logout",
    "logout_all": "POST /logout-all",
    "edit_message": "PATCH /message/{message_id}",
    "mark_read": "POST /messages/{user_id}/read",
    "pdf_info": "POST /pdf-info",
    "read_again": "POST /documents/{document_id}/read",
    "read_document": "GET /documents/{document_id}",
    "read_file": "GET /documents/{document_id}/file",
    "read_health": "GET /healthz",
    "read_me": "GET /me",
    "list_page_sizes": "GET /documents/{document_id}/pages",
    "read_page": "GET /documents/{document_id}/pages/{page_number}",
    "read_page_image": "GET /documents/{document_id}/pages/{page_number}/image",
    "read_session": "GET /session",
    "read_protected": "GET /protected",
    "read_readiness": "GET /readyz",
    "read_root": "GET /",
    "read_tables_csv": "GET /documents/{document_id}/tables.csv",
    "read_tables_xlsx": "GET /documents/{document_id}/tables.xlsx",
    "read_share": "GET /documents/{document_id}/shares/{user_id}",
    "read_table_csv": "GET /documents/{document_id}/tables/{table_index}.csv",
    "read_text": "GET /documents/{document_id}/text",
    "read_user": "GET /users/{user_id}",
    "refresh": "POST /refresh",
    "register": "POST /register",
    "rename_document": "PATCH /documents/{document_id}",
    "search": "GET /search",
    "search_document": "GET /documents/{document_id}/search",
    "search_pdf": "POST /search-pdf",
    "send_message": "POST /messages",
    "share_document": "PUT /documents/{document_id}/shares/{user_id}",
    "unshare_document": "DELETE /documents/{document_id}/shares/{user_id}",
    "send_notification": "POST /send-notification",
    "sign_in_browser": "POST /session",
    "sign_out_browser": "DELETE /session",
    "token": "POST /token",
    "upload_pdf": "POST /upload-pdf",
}
# A schema cannot say what a PDF is, that an address is taken, which events are kept, how many bytes a password has,
# which characters are visible, that a message without words needs a document, what can be looked for,
# which cursors an answer gave.
TOLD_BY_MORE_THAN_THE_SCHEMA = {
    "list_events",
    "extract_pdf",
    "extract_tables",
    "pdf_info",
    "search_pdf",
    "upload_pdf",
    "register",
    "send_notification",
    "login",
    "logout",
    "refresh",
    "change_me",
    "create_user",
    "put_user",
    "change_password",
    "confirm_email",
    "create_key",
    "delete_me",
    "forgot_password",
    "reset_password",
    "sign_in_browser",
    "token",
    "rename_document",
    "search",
    "send_message",
    "list_conversations",
    "list_documents",
}
# After which somebody may be signed out.
SIGNING_OUT = {"logout", "logout_all", "delete_session", "sign_out_browser", "delete_key"}
CASES = int(os.environ.get("CASES", "15"))  # of each operation


@pytest.fixture(scope="module")
def description(server: Server) -> Any:
    return httpx.get(f"{server.url}/openapi.json").json()


def operations(description: Any) -> dict[str, tuple[str, str, Any]]:
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    }


def test_operation_ids_are_stable(description: Any) -> None:
    found = {name: f"{method} {path}" for name, (method, path, _) in operations(description).items()}

    assert found == OPERATIONS


def test_every_operation_has_a_summary_and_a_tag(description: Any) -> None:
    bare = [name for name, (_, _, o) in operations(description).items() if not o.get("summary") or not o.get("tags")]

    assert bare == []


def test_every_answer_of_a_model_has_examples(description: Any) -> None:
    schemas = description["components"]["schemas"]
    bare = [
        f"{name}.{field}"
        for name, schema in schemas.items()
        if name not in ("FieldProblem", "ErrorAnswer", "NotFoundAnswer", "ValidationAnswer")
        and "examples" not in schema
        for field, what in schema["properties"].items()
        if what.get("type") in ("integer", "string") and not {"examples", "const", "enum", "default"} & set(what)
    ]

    assert bare == []


def test_every_error_has_a_model_and_an_example(description: Any) -> None:
    errors = [
        answer["content"]["application/json"]
        for _, _, operation in operations(description).values()
        for status, answer in operation["responses"].items()
        if int(status) >= 400
    ]

    assert len(errors) > 100
    assert all(re.search("(Error|NotFound|Validation)Answer$", error["schema"]["$ref"]) for error in errors)
    assert all("request_id" in example["value"] for error in errors for example in error["examples"].values())


def test_routes_for_users_offer_the_password_flow(description: Any) -> None:
    scheme = description["components"]["securitySchemes"]["OAuth2PasswordBearer"]

    assert scheme["flows"]["password"]["tokenUrl"] == "token"
    assert operations(description)["read_me"][2]["security"] == [{"OAuth2PasswordBearer": []}]


def test_the_docs_page_needs_nothing_from_the_internet(client: httpx.Client) -> None:
    page = client.get("/docs").text
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page) + re.findall(r"url: '([^']+)'", page)

    assert len(addresses) >= 3
    assert all(address.startswith("/") for address in addresses)
    assert [client.get(address).status_code for address in addresses] == [200] * len(addresses)


class Callers:
    """Everybody that a request may come from; who was signed out by one signs in again."""

    def __init__(self, server: Server, database: TestDatabase) -> None:
        self.user, self.admin = register(server, "alice"), register(server, "root")
        database.query("UPDATE users SET is_admin = true WHERE id = %s", self.admin.id)
        self.sign_in()

    def sign_in(self) -> None:
        for person in (self.user, self.admin):
            answer = sign_in(person.client, person.email)
            assert answer.status_code == 200, f"{answer.text}: generated requests have no right password"
            person.token = answer.json()["access_token"]
            person.client.headers.update(person.headers)
        self._keys = [make_key(self.user, read_only=True), make_key(self.admin, admin=True)]
        self._browser = Browser(self.admin)

    def all_headers(self) -> list[dict[str, str]]:
        keys = [{"Authorization": f"Bearer {key}"} for key in self._keys]
        cookie = {"Cookie": self._browser.cookie, "Sec-Fetch-Site": "same-origin"}
        return [self.user.headers, self.admin.headers, *keys, cookie]


def make_key(person: Person, **rights: bool) -> str:
    for key in person.client.get("/api-keys").json()["api_keys"]:
        person.client.delete(f"/api-keys/{key['id']}")
    return str(person.client.post("/api-keys", json={"name": "generated", **rights}).json()["key"])


@pytest.fixture(scope="module")
def callers(server: Server, database: TestDatabase) -> Callers:
    return Callers(server, database)


@pytest.fixture(scope="module")
def schema(server: Server) -> Any:
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_generated_requests_are_answered_as_described(name: str, schema: Any, callers: Callers) -> None:
    """From users, admins, keys and browsers in turn. CASES=75 asks 5,000 times in all."""
    operation = schema.find_operation_by_id(name)
    excluded: list[Any] = [ignored_auth]  # a cookie is not in the description: it stands where the token would
    if name in TOLD_BY_MORE_THAN_THE_SCHEMA:
        excluded.append(positive_data_acceptance)
    turns = cycle(range(len(callers.all_headers())))

    @given(case=operation.as_strategy())
    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def answers_as_described(case: schemathesis.Case[Any]) -> None:
        answer = case.call_and_validate(headers=callers.all_headers()[next(turns)], excluded_checks=excluded)
        if answer.status_code == 401 or name in SIGNING_OUT:
            callers.sign_in()

    answers_as_described()
