"""What the address says, and who writes it."""

import re

from playwright.sync_api import Route, expect

from support.browser import Visit
from support.pdfs import make_pdf
from support.servers import Person

# A press, and then the time in which a screen writes its address late.
LEAVE = "async button => { button.click(); await new Promise(done => setTimeout(done, 600)); }"


def test_a_screen_that_is_left_does_not_come_back_while_the_next_one_loads(
    visit: Visit, alice: Person, book: int
) -> None:
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.go(f"/documents/{book}")
    visitor.page.get_by_label("Find in this document").focus()
    held: list[Route] = []
    visitor.page.route(re.compile("/assets/Tables-.*js"), lambda route: held.append(route))

    visitor.page.keyboard.insert_text("chapter")  # which the address has to say, a little later
    visitor.page.get_by_role("button", name="Tables").evaluate(LEAVE)
    held[0].continue_()

    visitor.see("On page 5")
    expect(visitor.page).to_have_url(re.compile(f"/documents/{book}/tables"))


def test_the_way_to_the_library_clears_its_filter(visit: Visit, alice: Person) -> None:
    for name in ("Alder.pdf", "Birch.pdf"):
        alice.upload(make_pdf(name), name)
    visitor = visit()
    visitor.sign_in(alice.email)
    names = visitor.page.locator("tbody tr b.cut")
    visitor.page.get_by_label("Filter by name").fill("birch")
    expect(names).to_have_text(["Birch.pdf"])

    visitor.page.get_by_role("link", name="Library").click()

    expect(names).to_have_text(["Birch.pdf", "Alder.pdf"])
    expect(visitor.page.get_by_label("Filter by name")).to_have_value("")


def test_back_undoes_a_choice_and_forward_makes_it_again(visit: Visit, alice: Person, book: int) -> None:
    visitor = visit()
    visitor.sign_in(alice.email)
    page = visitor.page
    page.get_by_role("button", name="Mine").click()
    expect(page).to_have_url(re.compile("show=mine"))
    page.get_by_role("link", name="Book.pdf").click()
    visitor.see_page(1)
    page.get_by_role("button", name="Text").click()
    expect(page).to_have_url(re.compile("view=text"))

    page.go_back()
    visitor.see_page(1)
    page.go_back()
    expect(page.get_by_role("button", name="Mine")).to_have_attribute("aria-pressed", "true")
    page.go_back()
    expect(page.get_by_role("button", name="All")).to_have_attribute("aria-pressed", "true")

    page.go_forward()
    expect(page.get_by_role("button", name="Mine")).to_have_attribute("aria-pressed", "true")


def test_back_closes_what_lies_over_a_screen(visit: Visit, alice: Person, book: int) -> None:
    visitor = visit(wide=False)
    visitor.sign_in(alice.email)
    page, dialog = visitor.page, visitor.page.get_by_role("dialog")
    page.get_by_role("button", name="More for Book.pdf").click()
    page.get_by_role("menuitem", name="Look").click()
    expect(dialog.locator("canvas[data-shown]")).to_be_visible()
    expect(dialog.get_by_role("link", name="Open")).to_be_in_viewport(ratio=1)
    visitor.picture("look")

    page.go_back()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("heading", name="Library")).to_be_visible()
    page.get_by_role("link", name="Book.pdf").click()
    visitor.see_page(1)
    visitor.press("Open the talk")
    expect(page.get_by_role("complementary", name="Talk")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("complementary", name="Talk")).to_have_count(0)
    visitor.see_page(1)
    page.go_back()

    expect(page.get_by_role("heading", name="Library")).to_be_visible()


def test_back_returns_from_the_other_doors(visit: Visit) -> None:
    visitor = visit()
    visitor.go()
    visitor.press("Make an account")
    expect(visitor.page.get_by_label("Your name")).to_be_visible()

    visitor.page.go_back()

    visitor.see("Welcome back")
