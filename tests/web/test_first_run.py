"""The way in: the first account, signing in, and coming back."""

import re

from playwright.sync_api import expect

from support.accounts import address
from support.browser import Visit
from support.servers import PASSWORD, Person, Server, register


def test_the_first_visitor_makes_the_first_account_and_tries_the_sample(visit: Visit, empty_server: Server) -> None:
    visitor = visit(server=empty_server)
    visitor.go()
    visitor.see("Make the first account")
    visitor.assert_accessible()
    visitor.picture("first-run")

    visitor.sign_up("Amelia Hart", address("amelia"))

    visitor.see("Drop your PDFs here")
    visitor.assert_accessible()
    visitor.picture("empty-library")
    visitor.press("Try this sample")
    visitor.page.get_by_role("link", name="Sample.pdf").click()
    visitor.see_page(1)
    visitor.page.get_by_role("button", name="Tables").click()
    expect(visitor.page.get_by_role("cell", name="North wing")).to_be_visible()


def test_a_wrong_password_is_one_line_and_moves_nothing(visit: Visit, alice: Person) -> None:
    visitor = visit()
    visitor.go()
    button = visitor.page.get_by_role("button", name="Sign in")
    before = button.bounding_box()

    visitor.fill_in(alice.email, "not the password")

    visitor.see("Address or password is wrong.")
    assert button.bounding_box() == before
    visitor.assert_accessible()
    visitor.picture("sign-in")


def test_one_signs_in_by_typing(visit: Visit, alice: Person) -> None:
    visitor = visit()
    visitor.go()
    expect(visitor.page.get_by_label("E-mail address")).to_be_focused()

    visitor.page.keyboard.type(alice.email)
    visitor.page.keyboard.press("Tab")
    visitor.page.keyboard.type(PASSWORD)
    visitor.page.keyboard.press("Enter")

    expect(visitor.page.get_by_role("heading", name="Library")).to_be_visible()


def test_a_link_that_was_opened_signed_out_is_where_one_arrives(visit: Visit, alice: Person, book: int) -> None:
    visitor = visit()
    visitor.go(f"/documents/{book}/3?q=wisdom")

    visitor.fill_in(alice.email)

    expect(visitor.page.get_by_label("Find in this document")).to_have_value("wisdom")
    expect(visitor.page).to_have_url(re.compile(rf"/app/documents/{book}/3\?q=wisdom"))


def test_a_reload_and_a_second_tab_stay_signed_in(visit: Visit, alice: Person) -> None:
    visitor = visit()
    visitor.sign_in(alice.email)

    visitor.page.reload()
    second = visitor.new_page()
    second.goto(f"{visitor.server.url}/app/messages")

    expect(visitor.page.get_by_role("heading", name="Library")).to_be_visible()
    expect(second.get_by_role("heading", name="Messages")).to_be_visible()


def test_signed_out_elsewhere_the_door_comes_over_the_page_and_the_text_stays(
    visit: Visit, alice: Person, bob: Person
) -> None:
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.go(f"/messages/{bob.id}")
    box = visitor.page.get_by_label("Message to Bob")
    box.fill("half a thought")

    for session in alice.client.get("/sessions").json()["sessions"]:
        if not session["current"]:
            alice.client.delete(f"/sessions/{session['id']}")

    visitor.see("Your session has ended")
    visitor.assert_accessible()
    expect(visitor.page.get_by_label("E-mail address")).to_have_value(alice.email)
    visitor.page.get_by_label("Password", exact=True).fill("correct horse battery")
    visitor.press("Sign in")
    expect(box).to_have_value("half a thought")


def test_somebody_without_an_account_makes_one(visit: Visit, server: Server) -> None:
    visitor = visit()

    visitor.sign_up("Ben Okafor", address("ben"))

    colleague = register(server, "colleague")
    visitor.go("/messages")
    visitor.page.get_by_label("Find people").fill(colleague.email)
    visitor.see("Colleague")
