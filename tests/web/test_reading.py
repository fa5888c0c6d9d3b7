"""Reading: pages, hits, the text, tables, and what a link says."""

import re

from playwright.sync_api import Page, Route, expect

from support.browser import Visit, Visitor
from support.databases import TestDatabase
from support.pdfs import make_book, make_pdf, make_table_pdf
from support.servers import Person


def find(page: Page) -> str:
    return page.get_by_label("Find in this document").input_value()


def test_a_hit_is_found_ringed_and_linked(visit: Visit, alice: Person, book: int) -> None:
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.go(f"/documents/{book}")
    visitor.see_page(1)
    box = visitor.page.get_by_label("Find in this document")

    box.fill("chapter 7")
    expect(visitor.page.get_by_text("1 hit", exact=True)).to_be_visible()
    box.press("Enter")

    expect(visitor.page.get_by_text("1 of 1", exact=True)).to_be_visible()
    expect(visitor.page.locator(".ring")).to_be_visible()
    expect(visitor.page).to_have_url(re.compile(rf"/app/documents/{book}/7\?q=chapter\+7&hit=1"))
    visitor.picture("reading")
    link = visitor.page.url
    second = visitor.new_page()
    second.goto(link)
    expect(second.locator(".ring")).to_be_visible()
    expect(second.get_by_role("region", name=re.compile("^Page 7 of"))).to_be_visible()


def test_the_second_ctrl_f_is_the_browsers(visit: Visit, alice: Person, book: int) -> None:
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.go(f"/documents/{book}")
    visitor.see_page(1)
    visitor.page.evaluate(
        "addEventListener('keydown', event => setTimeout(() => window.lastFind = event.defaultPrevented))"
    )

    visitor.page.keyboard.press("Control+f")
    expect(visitor.page.get_by_label("Find in this document")).to_be_focused()
    visitor.page.wait_for_function("() => window.lastFind === true")
    visitor.page.keyboard.press("Control+f")

    visitor.page.wait_for_function("() => window.lastFind === false")


def test_a_document_opens_at_the_last_page_that_was_read(visit: Visit, alice: Person, book: int) -> None:
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.go(f"/documents/{book}")
    page = visitor.page.get_by_label("Page", exact=True)
    expect(page).to_have_value("1")
    visitor.page.keyboard.press("g")
    page.fill("9")
    page.press("Enter")
    expect(visitor.page).to_have_url(re.compile(rf"/documents/{book}/9$"))

    visitor.go("/")
    visitor.page.get_by_role("link", name="Book.pdf").first.click()

    expect(page).to_have_value("9")
    visitor.see_page(9)


def test_a_page_is_blank_until_its_own_picture_is_there(visit: Visit, alice: Person, book: int) -> None:
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.go(f"/documents/{book}/1")
    visitor.see_page(1)
    held: list[Route] = []
    visitor.page.route("**/pages/12/image?width=700*", lambda route: held.append(route))

    visitor.page.keyboard.press("End")
    visitor.see_page(11)

    expect(visitor.page.locator("[data-page='12'] canvas")).to_be_hidden()
    held[0].continue_()
    visitor.see_page(12)


def select(visitor: Visitor, person: Person, document_id: int, first: str, last: str) -> None:
    """Draw the mouse over the picture of page 1, from where *first* begins to where *last* ends."""
    page = person.client.get(f"/documents/{document_id}/pages/1?words=true").json()
    places = {word["text"]: word for word in page["words"]}
    expect(visitor.page.locator(".words span").last).to_be_attached()
    sheet = visitor.page.locator("[data-page='1']").bounding_box()
    assert sheet is not None
    scale = sheet["width"] / page["width"]
    mouse = visitor.page.mouse
    for word, side, act in ((first, "x0", mouse.down), (last, "x1", mouse.up)):
        middle = (places[word]["top"] + places[word]["bottom"]) / 2
        mouse.move(sheet["x"] + places[word][side] * scale, sheet["y"] + middle * scale, steps=5)
        act()


def test_words_are_selected_and_copied_as_from_paper(visit: Visit, alice: Person) -> None:
    lines = "It was the best of times,\nit was the worst of times,\nit was the age of wisdom"
    document_id = alice.upload(make_pdf(lines), "Lines.pdf").json()["document_id"]
    visitor = visit(permissions=["clipboard-read", "clipboard-write"])
    visitor.sign_in(alice.email)
    visitor.go(f"/documents/{document_id}")

    select(visitor, alice, document_id, "best", "worst")
    visitor.page.get_by_role("toolbar", name="Selected words").get_by_role("button", name="Copy").click()

    visitor.see("Copied")
    assert visitor.page.evaluate("navigator.clipboard.readText()") == "best of times,\nit was the worst"


def test_what_is_selected_is_talked_about_and_found_again(visit: Visit, alice: Person, bob: Person) -> None:
    document_id = alice.upload(make_pdf("The heating costs\nfell by a fifth"), "Report.pdf").json()["document_id"]
    alice.client.put(f"/documents/{document_id}/shares/{bob.id}")
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.go(f"/documents/{document_id}")

    select(visitor, alice, document_id, "costs", "by")
    visitor.picture("selected")
    visitor.press("Talk about it")
    expect(visitor.page.get_by_label("Message", exact=True)).to_be_focused()
    visitor.write("Is that so?")
    talk = visitor.page.get_by_role("complementary", name="Talk about this document")
    expect(talk).to_contain_text("costs fell by")
    talk.get_by_role("link", name="costs fell by").click()

    expect(visitor.page.get_by_label("Find in this document")).to_have_value("costs fell by")
    expect(visitor.page.locator(".ring").first).to_be_visible()


def test_the_text_is_read_at_the_same_place(visit: Visit, alice: Person, book: int) -> None:
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.go(f"/documents/{book}/5?q=chapter+5&hit=1")
    expect(visitor.page.locator(".ring")).to_be_visible()

    visitor.page.get_by_role("button", name="Text").click()

    expect(visitor.page.locator("mark", has_text="Chapter 5")).to_be_visible()
    visitor.assert_accessible()
    visitor.picture("text")


def test_a_zoomed_page_keeps_its_old_picture_until_the_sharper_one_is_there(
    visit: Visit, alice: Person, book: int
) -> None:
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.go(f"/documents/{book}")
    picture = visitor.see_page(1)
    expect(picture).to_have_attribute("data-shown", re.compile("width=700"))

    for _ in range(3):
        visitor.press("Larger")

    expect(picture).to_have_attribute("data-shown", re.compile("width=1400"))
    assert "v=" in str(picture.get_attribute("data-shown"))


def test_a_long_book_holds_few_pictures(visit: Visit, alice: Person) -> None:
    document_id = alice.upload(make_book(150), "Long.pdf").json()["document_id"]
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.go(f"/documents/{document_id}")
    expect(visitor.page.get_by_role("region", name="Page 1 of 150")).to_be_visible()

    visitor.page.keyboard.press("End")
    expect(visitor.page.get_by_role("region", name="Page 150 of 150")).to_be_visible()

    visitor.see_page(150)
    assert visitor.page.locator("canvas").count() < 30


def test_a_table_is_beside_its_place_and_copied_as_cells(visit: Visit, alice: Person) -> None:
    rows = [["item", "price"], ["paper", "12.50"], ["ink", "7.10"]]
    document_id = alice.upload(make_table_pdf(rows, text="Prices"), "Prices.pdf").json()["document_id"]
    visitor = visit(permissions=["clipboard-read", "clipboard-write"])
    visitor.sign_in(alice.email)
    visitor.go(f"/documents/{document_id}/tables")
    expect(visitor.page.get_by_role("cell", name="12.50")).to_be_visible()
    expect(visitor.page.locator("section.now[data-table='0']")).to_be_visible()
    visitor.assert_accessible()
    visitor.picture("tables")

    visitor.press("Copy")
    visitor.see("Copied. Paste it into a spreadsheet.")
    with visitor.page.expect_download() as download:
        visitor.page.get_by_role("link", name="CSV").click()

    assert visitor.page.evaluate("navigator.clipboard.readText()") == "item\tprice\npaper\t12.50\nink\t7.10"
    assert download.value.path().read_text().splitlines()[0].lstrip("\ufeff") == "item,price"
    expect(visitor.page.get_by_role("img", name="Page 1 with the table outlined")).to_be_visible()


def test_a_table_over_pages_is_joined_and_parted(visit: Visit, alice: Person) -> None:
    rows = [["item", "price"], *([f"item {number}", f"{number}.50"] for number in range(1, 81))]
    document_id = alice.upload(make_table_pdf(rows, text="Prices"), "Prices.pdf").json()["document_id"]
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.go(f"/documents/{document_id}/tables")
    tables = visitor.page.locator("section[data-table]")
    expect(tables).to_have_count(1)
    visitor.press("Show all (81)")
    expect(visitor.page.get_by_role("cell", name="80.50")).to_be_visible()

    visitor.page.get_by_role("switch", name="Join over pages").click()

    expect(tables).to_have_count(3)


def test_the_keys_turn_pages_zoom_and_fold(visit: Visit, alice: Person, book: int) -> None:
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.go(f"/documents/{book}")
    visitor.see_page(1)
    press = visitor.page.keyboard.press
    page, zoom = visitor.page.get_by_label("Page", exact=True), visitor.page.get_by_role("toolbar", name="Page")
    fit = zoom.inner_text()

    for key, number in (("ArrowRight", "2"), ("ArrowLeft", "1"), ("End", "12"), ("Home", "1")):
        press(key)
        expect(page).to_have_value(number)
    press("PageDown")
    press("PageDown")
    expect(page).to_have_value("2")
    press("0")
    expect(zoom).to_contain_text("100 %")
    press("+")
    expect(zoom).to_contain_text("120 %")
    press("w")
    expect(zoom).to_have_text(fit, use_inner_text=True)
    for key, part in (("[", visitor.page.locator("nav[aria-label=Pages]")), ("]", visitor.page.locator("aside"))):
        press(key)
        expect(part).to_have_count(0)
        press(key)
        expect(part).to_be_visible()


def test_the_original_is_saved_and_opened_to_print_and_a_page_is_printed(
    visit: Visit, alice: Person, book: int
) -> None:
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.go(f"/documents/{book}/3")
    visitor.see_page(3)
    visitor.page.evaluate("() => { window.print = () => window.printed = document.querySelector('img.printed').src; }")
    choose = visitor.page.get_by_role("menuitem")

    visitor.press("Download")
    with visitor.page.expect_download() as download:
        choose.filter(has_text="Download the PDF").click()
    with visitor.page.context.expect_page() as opened:
        visitor.page.keyboard.press("Control+p")
    visitor.press("Download")
    choose.filter(has_text="Print this page").click()

    assert download.value.suggested_filename == "Book.pdf"
    assert opened.value.evaluate("location.pathname") in (f"/documents/{book}/file", "blank")
    visitor.page.wait_for_function("() => window.printed?.includes('/pages/3/image?width=2000')")


def test_the_first_pages_are_open_while_the_rest_is_read(
    visit: Visit, alice: Person, book: int, database: TestDatabase
) -> None:
    database.query("UPDATE documents SET status = 'processing' WHERE id = %s RETURNING id", book)
    visitor = visit()
    visitor.sign_in(alice.email)

    visitor.go(f"/documents/{book}")

    visitor.see_page(1)
    visitor.see("Reading page 12 of 12")


def test_a_page_of_the_text_is_where_its_link_says(visit: Visit, alice: Person) -> None:
    pages = ["short", *("a line\n" * 60 for _ in range(5))]
    document_id = alice.upload(make_pdf(*pages), "Lines.pdf").json()["document_id"]
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.go(f"/documents/{document_id}/3?view=text")

    expect(visitor.page.locator("[data-page='4']")).to_contain_text("a line")
    visitor.page.wait_for_load_state("networkidle")
    expect(visitor.page.get_by_role("heading", name="Page 3")).to_be_in_viewport()
    expect(visitor.page.get_by_label("Page", exact=True)).to_have_value("3")
