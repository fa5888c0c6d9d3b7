"""Every screen, wide and on a phone, light and dark: usable with a screen reader, and pictured."""

import re

import pytest
from playwright.sync_api import expect

from support.browser import Visit, Visitor
from support.pdfs import make_pdf, make_table_pdf
from support.servers import PASSWORD, Person, Server, register


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


def test_letters_twice_as_large_have_room(visit: Visit, team: tuple[Person, Person, int]) -> None:
    amelia, ben, document_id = team
    visitor = visit()
    visitor.sign_in(amelia.email)
    browser = visitor.context.new_cdp_session(visitor.page)
    browser.send("Page.enable")
    browser.send("Page.setFontSizes", {"fontSizes": {"standard": 32}})
    for name in ("library", "reading", "chat", "search", "sessions"):
        path, shown = SCREENS[name]
        visitor.go(path.format(document=document_id, other=ben.id))
        visitor.see(shown)
        cut = visitor.page.locator("button:visible").evaluate_all(
            "all => all.filter(one => one.scrollHeight > one.clientHeight + 4)"
        )
        assert not cut, name
        assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is too wide"


def settle(visitor: Visitor) -> None:
    """Wait until the pictures that are on the screen are there."""
    visitor.page.wait_for_load_state("networkidle")


def test_an_admin_who_is_alone_can_add_a_person(visit: Visit, empty_server: Server) -> None:
    admin = register(empty_server, "ann")
    visitor = visit(server=empty_server)
    visitor.sign_in(admin.email)
    visitor.go("/messages")

    visitor.page.get_by_role("link", name="Add a person").click()

    expect(visitor.page.get_by_role("button", name="Add a person")).to_be_visible()


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
    visitor.press("Add a person")
    dialog = visitor.page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Cleo")
    dialog.get_by_label("E-mail address").fill("cleo@example.com")
    dialog.get_by_role("button", name="Add a person").click()
    visitor.see("it works once")
    link = visitor.page.locator("code").inner_text()
    cleo = visit(server=empty_server)
    cleo.page.goto(link)
    cleo.page.get_by_label("New password").fill("chosen by herself")
    cleo.press("Take this password")
    cleo.see("Your password is set.")
    cleo.fill_in("cleo@example.com", "chosen by herself")
    cleo.see("Drop your PDFs here")
    admin.client.put(f"/users/{admin.id}", json={"email": admin.email, "name": "Ann", "is_admin": True})
    visitor.go("/you/leave")
    visitor.page.get_by_label("Password").fill(PASSWORD)
    visitor.page.get_by_label("Type “delete”").fill("delete")
    visitor.press("Delete my account")
    visitor.see("last admin")


def test_sessions_are_named_and_ended(visit: Visit, alice: Person) -> None:
    visitor, phone = visit(), visit(wide=False)
    visitor.sign_in(alice.email)
    phone.sign_in(alice.email)
    visitor.go("/you/sessions")
    this = visitor.page.get_by_role("listitem").filter(has_text="This one")
    expect(this).to_contain_text("Chrome, Linux")
    expect(this.get_by_role("button")).to_have_count(0)

    visitor.press("End all others")

    phone.see("Your session has ended")
    expect(visitor.page.get_by_role("listitem").filter(has_text="Last used")).to_have_count(1)


def test_a_key_is_shown_once_and_revoked(visit: Visit, alice: Person) -> None:
    visitor = visit()
    visitor.page.add_init_script("Object.defineProperty(navigator, 'clipboard', {})")  # as over plain http
    visitor.sign_in(alice.email)
    visitor.go("/you/keys")
    visitor.page.get_by_label("What is it for?").fill("backup")
    visitor.press("Make a key")
    key = visitor.page.locator("code").inner_text()
    visitor.press("Copy")
    visitor.page.get_by_label("What is it for?").focus()
    visitor.page.keyboard.press("Control+v")
    expect(visitor.page.get_by_label("What is it for?")).to_have_value(key)

    visitor.page.reload()

    visitor.see(f"{key[:8]}")
    expect(visitor.page.get_by_text(key)).to_have_count(0)
    visitor.press("Revoke backup")
    visitor.see("You have no keys.")
    assert alice.client.get("/me", headers={"Authorization": f"Bearer {key}"}).status_code == 401


def test_an_account_is_deleted_with_its_password_and_a_typed_word(visit: Visit, server: Server) -> None:
    dora = register(server, "dora")
    visitor = visit()
    visitor.sign_in(dora.email)
    visitor.go("/you/leave")
    visitor.see("everything you wrote go for good")
    visitor.page.get_by_label("Password").fill(PASSWORD)
    expect(visitor.page.get_by_role("button", name="Delete my account")).to_have_attribute("aria-disabled", "true")

    visitor.page.get_by_label("Type “delete”").fill("delete")
    visitor.press("Delete my account")

    visitor.see("Welcome back")
    visitor.fill_in(dora.email)
    visitor.see("Address or password is wrong.")


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


def test_what_people_wrote_runs_its_own_way_on_any_screen(visit: Visit, alice: Person, bob: Person) -> None:
    bob.client.put(f"/users/{bob.id}", json={"email": bob.email, "name": "W" * 100})
    bob.client.post("/messages", json={"recipient_id": alice.id, "content": "שלום, Pagewire!"})
    visitor = visit(wide=False)
    visitor.sign_in(alice.email)

    visitor.go(f"/messages/{bob.id}")

    words = visitor.see("שלום")
    expect(words).to_have_css("unicode-bidi", "plaintext")
    expect(words).to_have_css("text-align", "left")
    time = visitor.page.locator(".who time").bounding_box()
    assert time is not None
    assert time["height"] < 25, "a long name leaves the time its line"
    assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_an_admin_sees_more_people_than_fit_a_page(visit: Visit, empty_server: Server) -> None:
    admin = register(empty_server, "ann")
    for number in range(51):
        admin.client.post("/users", json={"email": f"p{number}@example.com", "name": f"Person {number}"})
    visitor = visit(server=empty_server)
    visitor.sign_in(admin.email)
    visitor.go("/admin")
    last = visitor.page.get_by_role("button", name="Actions for Person 50")
    expect(visitor.page.get_by_role("button", name="Actions for Person 49")).to_be_visible()
    expect(last).to_have_count(0)

    visitor.press("Show more people")

    expect(last).to_be_visible()
    expect(visitor.page.get_by_role("button", name="Show more people")).to_have_count(0)
