"""Messages: live, honest about what was sent and read, and never lost."""

import re

from playwright.sync_api import expect

from support.browser import Visit
from support.pdfs import make_pdf
from support.servers import Person, Server, register


def test_two_people_talk(visit: Visit, alice: Person, bob: Person) -> None:
    one, other = visit(), visit()
    one.sign_in(alice.email)
    other.sign_in(bob.email)
    one.go(f"/messages/{bob.id}")
    one.write("Is the table on page 4 right?")
    other.go(f"/messages/{alice.id}")

    other.see("Is the table on page 4 right?")
    expect(one.page.get_by_text("Read", exact=True)).to_be_visible()
    other.page.get_by_label("Message to Alice").press_sequentially("I look")
    one.see("Bob is writing")
    other.page.get_by_label("Message to Alice").press("Enter")
    one.see("I look")
    one.assert_accessible()
    one.picture("chat")


def test_a_message_is_edited_with_the_arrow_and_taken_back(visit: Visit, alice: Person, bob: Person) -> None:
    one, other = visit(), visit()
    one.sign_in(alice.email)
    other.sign_in(bob.email)
    one.go(f"/messages/{bob.id}")
    other.go(f"/messages/{alice.id}")
    one.write("page for")
    other.see("page for")
    expect(one.page.locator("li[data-id]", has_text="page for")).to_be_visible()  # acknowledged

    box = one.page.locator("form.say textarea")
    box.press("ArrowUp")
    expect(box).to_have_value("page for")
    box.fill("page four")
    box.press("Enter")
    other.see("page four")
    other.see("edited")
    one.page.locator("li.m", has_text="page four").hover()
    one.press("Take back")

    other.see("Alice took a message back")
    one.see("You took a message back")


def test_what_is_written_while_the_server_is_away_goes_out_once(visit: Visit, empty_server: Server) -> None:
    server = empty_server
    ann, ben = register(server, "ann"), register(server, "ben")
    visitor = visit(server=server)
    visitor.expected = re.compile("WebSocket|ERR_|Failed to load")
    visitor.sign_in(ann.email)
    visitor.go(f"/messages/{ben.id}")
    visitor.write("before")
    expect(visitor.page.get_by_text("Sent", exact=True)).to_be_visible()

    server.kill()
    visitor.write("while you were away")
    visitor.see("Goes out when you are back")
    visitor.see("No connection.")
    server.environment["PORT"] = server.url.rsplit(":", 1)[1]
    server.start()
    visitor.page.evaluate("dispatchEvent(new Event('online'))")  # does not wait for the next try

    expect(visitor.page.locator(".tick", has_text=re.compile("Goes out|Sending"))).to_have_count(0)
    expect(visitor.page.get_by_text("No connection.")).to_have_count(0)
    sent = ben.client.get(f"/messages/{ann.id}", headers=ben.headers).json()
    assert [message["content"] for message in sent] == ["before", "while you were away"]


def test_a_draft_stays_through_a_switch_and_a_reload(visit: Visit, alice: Person, bob: Person) -> None:
    alice.client.post("/messages", json={"recipient_id": bob.id, "content": "hello"})
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.go(f"/messages/{bob.id}")
    visitor.page.get_by_label("Message to Bob").fill("not yet")

    visitor.go("/messages")
    expect(visitor.page.get_by_role("link", name=re.compile("Bob.*Draft.*not yet"))).to_be_visible()
    visitor.go(f"/messages/{bob.id}")

    expect(visitor.page.get_by_label("Message to Bob")).to_have_value("not yet")


def test_enter_does_not_send_while_an_input_method_composes(visit: Visit, alice: Person, bob: Person) -> None:
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.go(f"/messages/{bob.id}")
    box = visitor.page.get_by_label("Message to Bob")
    box.fill("こんに")

    box.dispatch_event("keydown", {"key": "Enter", "keyCode": 229, "bubbles": True})

    expect(box).to_have_value("こんに")


def test_unread_messages_are_counted_marked_and_left_where_they_are(visit: Visit, alice: Person, bob: Person) -> None:
    for number in range(60):
        bob.client.post("/messages", json={"recipient_id": alice.id, "content": f"line {number}\n\n\n"})
    visitor = visit()
    visitor.sign_in(alice.email)
    expect(visitor.page).to_have_title("(60) Library · Pagewire")

    visitor.go(f"/messages/{bob.id}")
    new = visitor.page.get_by_text("New", exact=True)
    expect(new).to_be_in_viewport()
    place = new.bounding_box()
    bob.client.post("/messages", json={"recipient_id": alice.id, "content": "the newest"})

    expect(visitor.page.get_by_role("button", name="1 new")).to_be_visible()
    assert new.bounding_box() == place
    visitor.press("1 new")
    visitor.see("the newest")
    expect(visitor.page).to_have_title("Bob · Pagewire")


def test_a_hit_is_shared_and_its_card_opens_there(visit: Visit, alice: Person, bob: Person) -> None:
    pages = ["cover", "the heating costs fell by a fifth", "end"]
    document_id = alice.upload(make_pdf(*pages), "Report.pdf").json()["document_id"]
    one, other = visit(), visit()
    one.sign_in(alice.email)
    other.sign_in(bob.email)
    other.go(f"/messages/{alice.id}")
    one.go(f"/documents/{document_id}/2?q=heating+costs&hit=1")
    expect(one.page.locator(".ring")).to_be_visible()

    one.press("Share")
    expect(one.page.get_by_role("dialog").get_by_label("Find people")).to_be_focused()
    one.page.get_by_role("dialog").get_by_label("Find people").fill(bob.email)
    one.page.get_by_role("dialog").get_by_role("button", name=bob.email).click()
    one.page.get_by_label("Say something about it").fill("Look at this")
    one.assert_accessible()
    one.picture("share")
    one.page.get_by_role("dialog").get_by_role("button", name="Share", exact=True).click()

    other.see("Look at this")
    other.picture("card")
    other.page.get_by_role("link", name=re.compile("Report.pdf, page 2")).click()
    expect(other.page.locator(".ring")).to_be_visible()
    expect(other.page.get_by_role("complementary", name="Talk about this document")).to_contain_text("Look at this")
    other.assert_accessible()
    other.picture("reading-talk")


def test_ticks_tell_the_truth_after_a_reload(visit: Visit, alice: Person, bob: Person) -> None:
    first = alice.client.post("/messages", json={"recipient_id": bob.id, "content": "the first"}).json()["id"]
    alice.client.post("/messages", json={"recipient_id": bob.id, "content": "the second"})
    bob.client.post(f"/messages/{alice.id}/read", json={"up_to_id": first})
    visitor = visit()
    visitor.sign_in(alice.email)

    visitor.go(f"/messages/{bob.id}")

    expect(visitor.page.locator("li.m", has_text="the first").locator(".tick")).to_have_text("Read")
    expect(visitor.page.locator("li.m", has_text="the second").locator(".tick")).to_have_text("Sent")


def test_an_answer_in_the_chat_is_in_the_documents_own_talk(visit: Visit, alice: Person, bob: Person) -> None:
    document_id = alice.upload(make_pdf("the heating costs fell"), "Report.pdf").json()["document_id"]
    point = {"document_id": document_id, "page": 1, "match": "costs"}
    alice.client.post("/messages", json={"recipient_id": bob.id, "content": "Is that so?", **point})
    one, other = visit(), visit()
    one.sign_in(alice.email)
    one.go(f"/documents/{document_id}")
    talk = one.page.get_by_role("complementary", name="Talk about this document")
    expect(talk).to_contain_text("Is that so?")
    other.sign_in(bob.email)
    other.go(f"/messages/{alice.id}")
    place = other.page.locator("form.say .at")
    expect(place).to_contain_text("Report.pdf, page 1")

    other.write("It is.")
    expect(talk).to_contain_text("It is.")
    expect(other.page.locator(".card")).to_have_count(1)  # the answer stands below it
    other.assert_accessible()
    other.picture("answer")
    other.press("Not about this")
    other.write("Lunch?")

    expect(other.page.locator("li[data-id]", has_text="Lunch?")).to_be_visible()
    expect(place).to_have_count(0)
    about = alice.client.get(f"/documents/{document_id}/messages").json()["messages"]
    assert [message["content"] for message in about] == ["It is.", "Is that so?"]


def test_an_answer_about_what_was_taken_back_meanwhile_goes_without_it(
    visit: Visit, alice: Person, bob: Person
) -> None:
    document_id = alice.upload(make_pdf("words"), "Report.pdf").json()["document_id"]
    alice.client.put(f"/documents/{document_id}/shares/{bob.id}")
    bob.client.post("/messages", json={"recipient_id": alice.id, "content": "Thanks", "document_id": document_id})
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.go(f"/messages/{bob.id}")
    expect(visitor.page.locator("form.say .at")).to_contain_text("Report.pdf")

    alice.client.delete(f"/documents/{document_id}/shares/{bob.id}")
    visitor.write("It was the wrong one")

    expect(visitor.page.locator("li[data-id]", has_text="It was the wrong one")).to_be_visible()
    assert bob.client.get(f"/documents/{document_id}").status_code == 404


def test_what_is_seen_beside_the_page_is_read(visit: Visit, alice: Person, bob: Person) -> None:
    document_id = alice.upload(make_pdf("words"), "Report.pdf").json()["document_id"]
    alice.client.put(f"/documents/{document_id}/shares/{bob.id}")
    bob.client.post("/messages", json={"recipient_id": alice.id, "content": "Look!", "document_id": document_id})
    visitor = visit()
    visitor.sign_in(alice.email)
    expect(visitor.page).to_have_title("(1) Library · Pagewire")

    visitor.page.get_by_role("link", name="Report.pdf").click()

    visitor.see("Look!")
    expect(visitor.page).to_have_title("Report.pdf · Pagewire")
    bob.client.post("/messages", json={"recipient_id": alice.id, "content": "and elsewhere"})
    bob.client.post("/messages", json={"recipient_id": alice.id, "content": "here", "document_id": document_id})
    visitor.see("here")
    expect(visitor.page).to_have_title("(2) Report.pdf · Pagewire")
