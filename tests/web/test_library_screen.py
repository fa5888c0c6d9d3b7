"""The library: files come in, are found, looked at, renamed and deleted."""

import re
from collections.abc import Callable
from hashlib import sha256

import pytest
from playwright.sync_api import Dialog, Route, expect

from support.browser import Visit
from support.pdfs import make_book, make_encrypted_pdf, make_pdf
from support.servers import Person, Server, register


def test_four_files_come_in_and_each_says_how_it_went(visit: Visit, alice: Person) -> None:
    visitor = visit()
    visitor.sign_in(alice.email)

    visitor.upload(
        ("Minutes.pdf", make_pdf("what was said")),
        ("Locked.pdf", make_encrypted_pdf("secret", user_password="open sesame")),
        ("Broken.pdf", b"%PDF-1.7\nand nothing that could be repaired"),
        ("Book.pdf", make_book(120)),
    )

    expect(visitor.page.get_by_role("link", name="Minutes.pdf")).to_be_visible()
    visitor.see("It is protected by a password.")
    visitor.see("The file is damaged or not a PDF")
    visitor.picture("coming-in")
    visitor.page.reload()
    visitor.see("It is protected by a password.")
    expect(visitor.page.get_by_role("link", name="Book.pdf")).to_be_visible()
    visitor.assert_accessible()
    visitor.page.get_by_label("Password of Locked.pdf").fill("open sesame")
    visitor.press("Open", exact=True)
    expect(visitor.page.get_by_role("link", name="Locked.pdf")).to_be_visible()
    visitor.press("Remove Broken.pdf")
    expect(visitor.page.get_by_text("Broken.pdf")).to_have_count(0)


def test_an_upload_is_cancelled_on_its_way_or_while_it_is_read(visit: Visit, alice: Person) -> None:
    visitor = visit()
    visitor.sign_in(alice.email)

    visitor.upload(("Long.pdf", make_book(300)))
    visitor.press("Cancel Long.pdf")

    expect(visitor.page.get_by_text("Long.pdf")).to_have_count(0)
    visitor.page.reload()
    visitor.see("Drop your PDFs here")


def test_what_is_no_pdf_is_refused_before_a_byte_is_sent(visit: Visit, alice: Person) -> None:
    visitor = visit()
    visitor.sign_in(alice.email)
    sent: list[str] = []
    visitor.page.on("request", lambda request: sent.append(request.url))

    visitor.upload(("notes.pdf", b"just some text"))

    visitor.see("This is not a PDF.")
    assert not [url for url in sent if url.endswith("/upload-pdf")]


@pytest.mark.parametrize("secure", [True, False], ids=["https", "http"])
def test_the_same_file_again_is_asked_about(visit: Visit, alice: Person, secure: bool) -> None:
    visitor = visit()
    if not secure:
        visitor.page.add_init_script("Object.defineProperty(crypto, 'subtle', {})")
    visitor.sign_in(alice.email)
    data = make_pdf("only once")
    visitor.upload(("Once.pdf", data))
    expect(visitor.page.get_by_role("link", name="Once.pdf")).to_be_visible()

    visitor.upload(("Twice.pdf", data))

    visitor.see("You have this already.")
    visitor.press("Keep both")
    expect(visitor.page.get_by_role("link", name="Twice.pdf")).to_be_visible()


def test_a_file_is_not_sent_before_its_own_check_ends(visit: Visit, alice: Person) -> None:
    data = make_pdf("only once")
    alice.upload(data, "Once.pdf")
    visitor = visit()
    visitor.sign_in(alice.email)
    sent: list[str] = []
    visitor.page.on("request", lambda request: sent.append(request.url))
    held: list[Route] = []
    visitor.page.route(re.compile(sha256(data).hexdigest()), lambda route: held.append(route))

    visitor.upload(("Twice.pdf", data), ("Other.pdf", make_pdf("something else")))
    expect(visitor.page.get_by_role("link", name="Other.pdf")).to_be_visible()
    held[0].continue_()

    visitor.see("You have this already.")
    assert len([url for url in sent if url.endswith("/upload-pdf")]) == 1


def test_an_upload_shows_in_another_tab(visit: Visit, alice: Person) -> None:
    visitor = visit()
    visitor.sign_in(alice.email)
    other = visitor.new_page()
    other.goto(f"{visitor.server.url}/app/")
    expect(other.get_by_text("Drop your PDFs here")).to_be_visible()

    visitor.upload(("Minutes.pdf", make_pdf("what was said")))

    expect(other.get_by_role("link", name="Minutes.pdf")).to_be_visible()


def test_the_filter_and_the_order_are_in_the_address_and_back_keeps_them(visit: Visit, alice: Person) -> None:
    for name in ("Cedar.pdf", "Alder.pdf", "Birch.pdf"):
        alice.upload(make_pdf(name), name)
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.page.get_by_role("columnheader", name="Name").get_by_role("button").click()

    names = visitor.page.locator("tbody tr b.cut")
    expect(names).to_have_text(["Alder.pdf", "Birch.pdf", "Cedar.pdf"])
    visitor.page.get_by_label("Filter by name").fill("b")
    expect(names).to_have_text(["Birch.pdf"])
    visitor.page.get_by_label("Select Birch.pdf").check()
    visitor.page.get_by_role("link", name="Birch.pdf").click()
    visitor.see_page(1)
    visitor.page.go_back()
    expect(names).to_have_text(["Birch.pdf"])
    expect(visitor.page.get_by_label("Filter by name")).to_have_value("b")
    expect(visitor.page.get_by_label("Select Birch.pdf")).to_be_checked()
    expect(visitor.page.get_by_role("link", name="Birch.pdf")).to_be_focused()
    visitor.page.get_by_label("Select Birch.pdf").focus()
    visitor.page.keyboard.press("Escape")
    expect(visitor.page.get_by_label("Select Birch.pdf")).not_to_be_checked()


def test_a_document_is_looked_at_renamed_and_deleted_with_undo(visit: Visit, alice: Person) -> None:
    alice.upload(make_pdf("words"), "Draft.pdf")
    visitor = visit()
    visitor.sign_in(alice.email)
    row = visitor.page.get_by_role("link", name="Draft.pdf")
    row.focus()

    visitor.page.keyboard.press("Space")
    expect(visitor.page.get_by_role("dialog", name="Draft.pdf")).to_be_visible()
    visitor.assert_accessible()
    visitor.picture("look")
    visitor.page.keyboard.press("Space")
    expect(visitor.page.get_by_role("dialog")).to_have_count(0)
    row.focus()
    visitor.page.keyboard.press("F2")
    visitor.page.get_by_label("New name of Draft.pdf").fill("Final.pdf")
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_role("link", name="Final.pdf")).to_be_visible()
    visitor.page.get_by_role("link", name="Final.pdf").focus()
    visitor.page.keyboard.press("Delete")
    expect(visitor.page.get_by_role("link", name="Final.pdf")).to_have_count(0)
    visitor.press("Undo")
    expect(visitor.page.get_by_role("link", name="Final.pdf")).to_be_visible()


def test_files_are_dropped_on_any_screen(visit: Visit, alice: Person) -> None:
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.go("/messages")
    visitor.see("Choose a conversation")
    data = list(make_pdf("dropped"))
    transfer = visitor.page.evaluate_handle(
        """bytes => { const data = new DataTransfer();
           data.items.add(new File([new Uint8Array(bytes)], "Dropped.pdf", {type: "application/pdf"}));
           return data; }""",
        data,
    )

    visitor.page.dispatch_event("body", "dragenter", {"dataTransfer": transfer})
    visitor.see("Drop to add to the library")
    visitor.picture("drop")
    visitor.page.dispatch_event("body", "drop", {"dataTransfer": transfer})

    expect(visitor.page.get_by_role("link", name="Dropped.pdf")).to_be_visible()


def test_the_library_is_shown_as_pictures_and_remembers_it(visit: Visit, alice: Person) -> None:
    alice.upload(make_pdf("a page"), "Page.pdf")
    visitor = visit()
    visitor.sign_in(alice.email)

    visitor.press("Pictures")
    visitor.page.reload()

    expect(visitor.page.get_by_role("button", name="Pictures")).to_have_attribute("aria-pressed", "true")
    expect(visitor.page.get_by_role("link", name="Page.pdf")).to_be_visible()
    visitor.assert_accessible()
    visitor.picture("pictures")


def test_a_picture_of_the_library_is_looked_at_and_deleted_by_its_keys(visit: Visit, alice: Person) -> None:
    alice.upload(make_pdf("a page"), "Page.pdf")
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.press("Pictures")
    picture = visitor.page.get_by_role("link", name="Page.pdf")
    picture.focus()

    visitor.page.keyboard.press("Space")

    expect(visitor.page.get_by_role("dialog", name="Page.pdf")).to_be_visible()
    visitor.page.keyboard.press("Space")
    expect(visitor.page.get_by_role("dialog")).to_have_count(0)
    picture.focus()
    visitor.page.keyboard.press("Delete")
    expect(picture).to_have_count(0)


def test_what_cannot_work_is_said_before_it_is_tried(visit: Visit, make_server: Callable[..., Server]) -> None:
    server = make_server(MAX_UPLOAD_MB="1")
    ann = register(server.start(), "ann")
    server.stop()
    server.environment["REGISTRATION"] = "closed"
    server.start()
    visitor = visit(server=server)
    visitor.go()
    visitor.see("New accounts are made by an admin here.")
    visitor.see("An admin can give you a new one.")
    visitor.sign_in(ann.email)
    visitor.see("up to 1 MB")
    sent: list[str] = []
    visitor.page.on("request", lambda request: sent.append(request.url))

    visitor.upload(("Large.pdf", b"%PDF-1.7" + bytes(1 << 20)))

    visitor.see("It is larger than the 1 MB that this server takes.")
    assert not [url for url in sent if url.endswith("/upload-pdf")]


def test_leaving_while_a_file_is_sent_warns(visit: Visit, alice: Person) -> None:
    visitor = visit()
    visitor.sign_in(alice.email)
    held: list[Route] = []
    visitor.page.route("**/upload-pdf", lambda route: held.append(route))
    visitor.press("List")  # who has touched nothing is not asked
    visitor.upload(("Slow.pdf", make_pdf("slow")))
    visitor.see("Sending")
    asked: list[Dialog] = []
    visitor.page.on("dialog", lambda dialog: asked.append(dialog))
    visitor.page.on("dialog", lambda dialog: dialog.accept())

    visitor.page.reload()

    assert [dialog.type for dialog in asked] == ["beforeunload"]


def test_a_row_says_who_reads_it_and_what_is_new_until_it_was_read(visit: Visit, alice: Person, bob: Person) -> None:
    document_id = alice.upload(make_pdf("words"), "Report.pdf").json()["document_id"]
    alice.upload(make_pdf("mine"), "Diary.pdf")
    alice.client.put(f"/documents/{document_id}/shares/{bob.id}")
    visitor = visit()
    visitor.sign_in(alice.email)
    row = visitor.page.get_by_role("row", name="Report.pdf")
    expect(visitor.page.get_by_role("row", name="Diary.pdf")).to_contain_text("Only you")
    expect(row).to_contain_text("Shared with Bob")

    about = {"recipient_id": alice.id, "content": "Is that so?", "document_id": document_id}
    bob.client.post("/messages", json=about)

    expect(row).to_contain_text("1 new")
    visitor.page.get_by_role("link", name="Messages").click()
    visitor.page.get_by_role("link", name="Bob").first.click()
    visitor.see("Is that so?")
    expect(visitor.page).to_have_title("Bob · Pagewire")  # nothing is unread
    visitor.page.get_by_role("link", name="Library").click()
    expect(row).not_to_contain_text("new")
