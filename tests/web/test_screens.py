"""Every screen, wide and on a phone, light and dark: usable with a screen reader, and pictured."""

import re

import pytest
from playwright.sync_api import expect

from support.browser import Visit, Visitor
from support.pdfs import make_pdf, make_table_pdf
from support.servers import Person, Server, register


@pytest.fixture(scope="module")
def team(module_people: tuple[Person, Person]) -> tuple[Person, Person, int]:
    """Two people who share a document with a table, and talk."""
    amelia, ben = module_people
    pages = make_pdf("Heating costs\n\nThe meters were read on the first of each month.", "More", title="Heating")
    document_id = amelia.upload(pages, "Heating costs.pdf").json()["document_id"]
    amelia.upload(make_table_pdf([["item", "price"], ["paper", "12.50"]], text="Prices"), "Prices.pdf")
    amelia.client.post(
        "/messages",
        json={"recipient_id": ben.id, "content": "Is this right?", "document_id": document_id, "page": 1},
    )
    ben.client.post("/messages", json={"recipient_id": amelia.id, "content": "Yes, I looked it up."})
    return amelia, ben, document_id


SCREENS = {
    "library": ("/", "Heating costs.pdf"),
    "reading": ("/documents/{document}/1?q=meters&hit=1", "Heating costs.pdf"),
    "text": ("/documents/{document}/1?view=text", "The meters were read"),
    "tables": ("/documents/{tables}/tables", "paper"),
    "chat": ("/messages/{other}", "Yes, I looked it up."),
    "messages": ("/messages", "Messages"),
    "search": ("/search?q=meters", "Heating costs.pdf"),
    "search-empty": ("/search?q=nothing-like-it", "Nothing found"),
    "settings": ("/you", "Name and address"),
    "look": ("/you/look", "Theme"),
    "sessions": ("/you/sessions", "This one"),
    "keys": ("/you/keys", "What is it for?"),
    "leave": ("/you/leave", "Delete my account"),
    "not-found": ("/no/such/place", "There is nothing here"),
}


@pytest.mark.parametrize("wide", [True, False], ids=["wide", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_screen_is_accessible(visit: Visit, team: tuple[Person, Person, int], wide: bool, dark: bool) -> None:
    amelia, ben, document_id = team
    visitor = visit(wide=wide, dark=dark)
    visitor.sign_in(amelia.email)
    for name, (path, shown) in SCREENS.items():
        visitor.go(path.format(document=document_id, tables=document_id + 1, other=ben.id))
        visitor.see(shown)
        settle(visitor)
        visitor.assert_accessible()
        visitor.picture(name)
        assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is too wide"


def settle(visitor: Visitor) -> None:
    """Wait until the pictures that are on the screen are there."""
    visitor.page.wait_for_load_state("networkidle")


def test_the_admin_sees_the_people(visit: Visit, empty_server: Server) -> None:
    admin = register(empty_server, "ann")
    register(empty_server, "ben")
    visitor = visit(server=empty_server)
    visitor.sign_in(admin.email)

    visitor.go("/admin")

    visitor.see("Add a person")
    visitor.see("Ann: Account made")
    visitor.press("Actions for Ben")
    visitor.page.get_by_role("menuitem", name="Make an admin").click()
    visitor.press("Actions for Ben")
    visitor.page.get_by_role("menuitem", name="Not an admin any more").click()
    visitor.assert_accessible()
    visitor.picture("admin")


def test_the_keyboard_alone_opens_a_document_and_comes_back(visit: Visit, alice: Person) -> None:
    alice.upload(make_pdf("words to find"), "Keys.pdf")
    visitor = visit()
    visitor.sign_in(alice.email)
    expect(visitor.page.get_by_role("link", name="Keys.pdf")).to_be_visible()
    press = visitor.page.keyboard.press

    press("ArrowDown")
    press("Enter")
    visitor.see_page(1)
    press("f")
    visitor.page.keyboard.type("words")
    press("Enter")
    expect(visitor.page.locator(".ring")).to_be_visible()
    press("Escape")
    press("?")
    expect(visitor.page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    visitor.assert_accessible()
    visitor.picture("shortcuts")
    press("Escape")
    visitor.page.go_back()

    expect(visitor.page.get_by_role("heading", name="Library")).to_be_visible()


def test_the_settings_say_how_much_is_stored(visit: Visit, alice: Person) -> None:
    alice.upload(make_pdf("a page"), "Page.pdf")
    visitor = visit()
    visitor.sign_in(alice.email)

    visitor.go("/you")

    kilobytes = alice.client.get("/me").json()["stored_bytes"] / 1000
    visitor.see(f"Your documents take {kilobytes:.0f} kB of 10 GB")


def test_the_theme_is_chosen_and_kept(visit: Visit, alice: Person) -> None:
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.go("/you/look")

    visitor.press("Dark")
    visitor.page.reload()

    expect(visitor.page.locator("html")).to_have_attribute("data-theme", "dark")


def test_german_is_spoken(visit: Visit, alice: Person) -> None:
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.go("/you/look")

    visitor.press("Deutsch")

    expect(visitor.page.locator("html")).to_have_attribute("lang", "de")
    expect(visitor.page.get_by_role("link", name="Bibliothek")).to_be_visible()
    visitor.picture("german")


def test_right_to_left_turns_the_library_round(visit: Visit, alice: Person) -> None:
    alice.upload(make_pdf("a page"), "Page.pdf")
    visitor = visit()
    visitor.sign_in(alice.email)
    expect(visitor.page.get_by_role("link", name="Page.pdf")).to_be_visible()

    visitor.page.evaluate("document.documentElement.dir = 'rtl'")

    rail = visitor.page.get_by_role("navigation", name="Main").bounding_box()
    assert rail is not None
    assert rail["x"] > 1000
    visitor.picture("rtl")
    assert re.search("Page.pdf", visitor.page.inner_text("main"))
