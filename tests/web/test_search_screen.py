"""One search: counted, sorted, and opened at the hit."""

import re

from playwright.sync_api import expect

from support.browser import Visit
from support.pdfs import make_pdf
from support.servers import Person

COUNTS = re.compile(r"Everything\s*3\s*Pages\s*2\s*Messages\s*1")


def test_results_are_counted_by_kind_and_sorted_by_time(visit: Visit, alice: Person, bob: Person) -> None:
    alice.upload(make_pdf("heating heating heating", "about heating"), "Costs.pdf")
    alice.client.post(
        "/messages", json={"recipient_id": bob.id, "content": "far less than all the heating of last year"}
    )
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.go("/search?q=heating")
    filters = visitor.page.get_by_role("toolbar", name="Filter")
    results = visitor.page.get_by_role("list", name="Results").get_by_role("link")
    expect(filters).to_contain_text(COUNTS)
    expect(results.first).to_contain_text("Costs.pdf")
    visitor.picture("search-counts")

    visitor.press("Order")
    visitor.page.get_by_role("menuitemradio", name="Newest first").click()

    expect(results.first).to_contain_text("far less")
    expect(visitor.page).to_have_url(re.compile("sort=newest"))
    visitor.press("Pages 2")
    expect(results).to_have_count(2)
    expect(filters).to_contain_text(COUNTS)
    visitor.assert_accessible()


def test_the_arrows_walk_through_the_results_and_their_pages(visit: Visit, alice: Person) -> None:
    alice.upload(make_pdf("heating costs, and heating costs", "no more heating costs"), "Costs.pdf")
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.go("/search?q=heating+costs")
    preview = visitor.page.get_by_role("complementary", name="Preview")
    expect(preview).to_contain_text("page 1")
    expect(preview).to_contain_text("2 hits")  # of both words together
    expect(preview.locator("canvas[data-shown]")).to_be_visible()

    visitor.page.keyboard.press("ArrowDown")

    expect(preview).to_contain_text("page 2")
    expect(preview.locator(".ring")).to_have_count(1)
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.locator(".ring")).to_be_visible()
    expect(visitor.page).to_have_url(re.compile(r"/2\?q=heating\+costs&hit=3"))
    visitor.page.go_back()
    expect(preview).to_contain_text("page 2")


def test_any_document_and_any_person_is_found_to_search_in(visit: Visit, alice: Person, bob: Person) -> None:
    alice.upload(make_pdf("heating"), "Costs.pdf")
    alice.upload(make_pdf("heating"), "Birch.pdf")
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.go("/search?q=heating")
    items = visitor.page.get_by_role("menuitemradio")

    visitor.press("In which document: Any document")
    expect(items).to_have_text(["Any document", "Birch.pdf", "Costs.pdf"])
    visitor.page.keyboard.type("cos")
    expect(items).to_have_text(["Costs.pdf"])
    visitor.assert_accessible()
    visitor.picture("search-filter")
    visitor.page.keyboard.press("ArrowDown")
    visitor.page.keyboard.press("Enter")

    expect(visitor.page).to_have_url(re.compile(r"in=\d+"))
    expect(visitor.page.get_by_role("list", name="Results").get_by_role("link")).to_have_count(1)
    visitor.page.reload()
    expect(visitor.page.get_by_role("button", name="In which document: Costs.pdf")).to_be_visible()
    visitor.press("Whose messages: Anyone")
    visitor.page.keyboard.type(bob.email)
    expect(items).to_have_text(["Bob"])
    visitor.page.keyboard.type("nobody")
    visitor.see("Nobody is called")
