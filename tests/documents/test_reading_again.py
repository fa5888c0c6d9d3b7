"""A document is extracted again from its stored file; the owner's other tabs and its readers hear of changes."""

from support.documents import refusal, upload, uploaded
from support.pdfs import make_encrypted_pdf, make_pdf
from support.servers import Person, wait_until
from support.tabs import Tab


def upload_later(person: Person, data: bytes, filename: str = "book.pdf") -> int:
    """Upload with `Prefer: respond-async`."""
    answer = person.client.post(
        "/upload-pdf", files={"file": (filename, data, "application/pdf")}, headers={"Prefer": "respond-async"}
    )
    document_id: int = answer.json()["document_id"]
    return document_id


def status_of(person: Person, document_id: int) -> str:
    status: str = person.client.get(f"/documents/{document_id}").json()["status"]
    return status


def test_a_protected_document_is_extracted_once_its_password_is_told(alice: Person) -> None:
    document_id = upload_later(alice, make_encrypted_pdf("the secret words", user_password="open sesame"))
    wait_until(lambda: status_of(alice, document_id) == "failed")

    answer = alice.client.post(f"/documents/{document_id}/read", json={"password": "open sesame"})

    assert (answer.status_code, answer.json()["error"]) == (202, None)
    wait_until(lambda: status_of(alice, document_id) == "ready")
    assert "the secret words" in alice.client.get(f"/documents/{document_id}/text").text


def test_a_wrong_password_fails_again_and_can_be_corrected(alice: Person) -> None:
    document_id = upload_later(alice, make_encrypted_pdf("words", user_password="open sesame"))
    wait_until(lambda: status_of(alice, document_id) == "failed")

    alice.client.post(f"/documents/{document_id}/read", json={"password": "guess"})
    wait_until(lambda: status_of(alice, document_id) == "failed")

    alice.client.post(f"/documents/{document_id}/read", json={"password": "open sesame"})
    wait_until(lambda: status_of(alice, document_id) == "ready")


def test_a_ready_document_is_extracted_again(alice: Person) -> None:
    document_id = upload(alice, make_pdf("as it was"))

    answer = alice.client.post(f"/documents/{document_id}/read", json={})

    assert answer.status_code == 202
    wait_until(lambda: status_of(alice, document_id) == "ready")
    assert "as it was" in alice.client.get(f"/documents/{document_id}/text").text


def test_a_document_that_is_processing_is_not_extracted_twice(alice: Person, processing: int) -> None:
    answer = alice.client.post(f"/documents/{processing}/read", json={})

    assert refusal(answer) == (409, "document_not_ready")


def test_only_the_owner_has_a_document_extracted_again(alice: Person, bob: Person) -> None:
    document_id = upload(alice, make_pdf("words"))
    alice.client.put(f"/documents/{document_id}/shares/{bob.id}")

    answer = bob.client.post(f"/documents/{document_id}/read", json={})

    assert refusal(answer) == (404, "document_not_found")


def test_another_tab_hears_of_an_upload_and_of_a_new_name(alice: Person) -> None:
    with Tab(alice) as tab:
        tab.expect("ready")
        document_id = upload_later(alice, make_pdf("words"), "draft.pdf")
        added = tab.expect("document.added")
        tab.expect("document.ready")
        alice.client.patch(f"/documents/{document_id}", json={"filename": "final.pdf"})
        changed = tab.expect("document.changed")

    assert (added["document_id"], added["filename"]) == (document_id, "draft.pdf")
    assert (changed["document_id"], changed["filename"], changed["status"]) == (document_id, "final.pdf", "ready")


def test_a_reader_hears_of_a_new_name(alice: Person, bob: Person) -> None:
    document_id = upload(alice, make_pdf("words"), "draft.pdf")
    alice.client.put(f"/documents/{document_id}/shares/{bob.id}")

    with Tab(bob) as tab:
        tab.expect("ready")
        alice.client.patch(f"/documents/{document_id}", json={"filename": "final.pdf"})

        assert tab.expect("document.changed")["filename"] == "final.pdf"


def test_an_upload_names_my_documents_of_the_same_bytes(alice: Person, bob: Person) -> None:
    data = make_pdf("only once")
    upload(bob, data, "bobs.pdf")
    first = uploaded(alice, data, "first.pdf")

    second = uploaded(alice, data, "second.pdf")

    assert first["same_as"] == []
    assert second["same_as"] == [{"document_id": first["document_id"], "filename": "first.pdf"}]


def test_a_document_in_a_list_has_its_title_and_hash(alice: Person) -> None:
    found = uploaded(alice, make_pdf("words", title=" Annual report "))

    (listed,) = alice.client.get("/documents").json()["documents"]

    assert (listed["title"], listed["sha256"]) == ("Annual report", found["sha256"])


def test_a_file_is_saved_where_that_is_asked(alice: Person) -> None:
    document_id = upload(alice, make_pdf("words"), "plan.pdf")

    shown = alice.client.get(f"/documents/{document_id}/file").headers["content-disposition"]
    saved = alice.client.get(f"/documents/{document_id}/file?download=1").headers["content-disposition"]

    assert shown.startswith('inline; filename="plan.pdf"')
    assert saved.startswith('attachment; filename="plan.pdf"')
