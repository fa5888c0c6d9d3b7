"""The pages of a document: text, pictures, search."""

import io
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageOps

from extraction.page.text import clean_text, trace_text
from support.databases import TestDatabase
from support.documents import refusal, upload
from support.pdfs import make_book, make_labelled_pdf, make_pdf, write_page
from support.servers import Person


@pytest.fixture
def book(alice: Person) -> int:
    """Three pages, the last of them empty."""
    return upload(alice, make_pdf("first page", "second\npage", ""))


def picture(person: Person, document_id: int, page_number: int = 1, **query: Any) -> Image.Image:
    answer = person.client.get(f"/documents/{document_id}/pages/{page_number}/image", params=query)
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


# Pages


def test_the_sizes_of_all_pages_come_at_once(alice: Person) -> None:
    document_id = upload(alice, make_labelled_pdf())

    pages = alice.client.get(f"/documents/{document_id}/pages").json()["pages"]

    assert [page["page_number"] for page in pages] == [1, 2, 3, 4]
    assert [page["char_count"] for page in pages] == [6, 6, 6, 6]
    assert [(round(page["width"]), round(page["height"])) for page in pages] == [*[(595, 842)] * 3, (842, 595)]


def test_a_page_has_the_label_that_the_pdf_gives_it(alice: Person, book: int) -> None:
    document_id = upload(alice, make_labelled_pdf())

    pages = alice.client.get(f"/documents/{document_id}/pages").json()["pages"]
    plain = alice.client.get(f"/documents/{book}/pages").json()["pages"]

    assert [page["label"] for page in pages] == ["i", "ii", "1", "A-1"]
    assert [page["label"] for page in plain] == [None, None, None]


def test_a_document_whose_file_is_gone_still_has_the_sizes_of_its_pages(
    alice: Person, book: int, database: TestDatabase
) -> None:
    database.query("UPDATE documents SET file_path = 'gone.pdf' WHERE id = %s", book)

    pages = alice.client.get(f"/documents/{book}/pages").json()["pages"]

    assert [page["page_number"] for page in pages] == [1, 2, 3]


@pytest.mark.parametrize("path", ["pages", "pages/2", "pages/2?words=true"])
def test_pages_that_the_client_has_are_not_sent_again(alice: Person, book: int, path: str) -> None:
    etag = alice.client.get(f"/documents/{book}/{path}").headers["etag"]

    answer = alice.client.get(f"/documents/{book}/{path}", headers={"If-None-Match": etag})

    assert (answer.status_code, answer.content) == (304, b"")


def test_a_word_knows_its_line(alice: Person) -> None:
    document_id = upload(alice, make_pdf("one two three\nfour\nfive six"))

    assert [(word["text"], word["line"]) for word in words_of(alice, document_id)] == [
        ("one", 0),
        ("two", 0),
        ("three", 0),
        ("four", 1),
        ("five", 2),
        ("six", 2),
    ]


def test_a_page_has_its_text_and_size(alice: Person, book: int) -> None:
    page = alice.client.get(f"/documents/{book}/pages/2").json()

    assert (page["page_number"], page["text"].split(), page["char_count"]) == (2, ["second", "page"], len(page["text"]))
    assert (round(page["width"]), round(page["height"])) == (595, 842)


@pytest.mark.parametrize("number", [4, 2**31 - 1])
@pytest.mark.parametrize("what", ["", "/image"])
def test_a_page_past_the_last_is_not_found(alice: Person, book: int, number: int, what: str) -> None:
    assert refusal(alice.client.get(f"/documents/{book}/pages/{number}{what}")) == (404, "page_not_found")


def words_of(person: Person, document_id: int, page_number: int = 1) -> list[dict[str, Any]]:
    page = person.client.get(f"/documents/{document_id}/pages/{page_number}", params={"words": True}).json()
    words: list[dict[str, Any]] = page["words"]
    return words


def test_a_page_has_the_boxes_of_its_words_on_request(alice: Person, book: int) -> None:
    unasked = alice.client.get(f"/documents/{book}/pages/2").json()
    second, page = words_of(alice, book, 2)

    assert unasked["words"] is None
    assert (second["text"], page["text"]) == ("second", "page")
    assert 0 < second["x0"] < second["x1"] < 595
    assert 0 < second["top"] < second["bottom"] <= page["top"] + 1 < page["bottom"] < 842
    assert words_of(alice, book, 3) == []


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_boxes_are_where_words_hits_and_tables_are_displayed(alice: Person, rotate: int) -> None:
    frame = b" 95 290 m 260 290 l 260 340 l 95 340 l h 180 290 m 180 340 l S"
    drawn = b"BT /F1 40 Tf 100 300 Td (needle) Tj ET" + frame
    box = b"/CropBox [50 100 400 600] /Rotate %d" % rotate
    document_id = upload(alice, write_page(drawn, box=b"[-10 0 400 600]", page=box))

    (word,) = words_of(alice, document_id)
    (page,) = alice.client.get(f"/documents/{document_id}/search?q=needle").json()["matches_by_page"]
    (table,) = alice.client.get(f"/documents/{document_id}/tables").json()["tables"]

    scale = 2.0
    image = picture(alice, document_id, width=int(scale * (350 if rotate in (0, 180) else 500)))
    inked = ImageOps.invert(image.convert("L")).getbbox()
    assert inked is not None
    assert table["bbox"] == pytest.approx([edge / scale for edge in inked], abs=1)  # the frame around the word
    ((hit,),) = [context["boxes"] for context in page["context"]]
    for x0, top, x1, bottom in (hit, [word["x0"], word["top"], word["x1"], word["bottom"]]):
        middle = [(x0 + x1) / 2, (top + bottom) / 2]
        left, upper, right, lower = table["bbox"]
        assert middle == pytest.approx([(left + right) / 2, (upper + lower) / 2], abs=20)
        assert 100 < max(x1 - x0, bottom - top) < 160


def test_the_words_of_a_document_whose_file_is_gone_are_not_found(
    alice: Person, book: int, database: TestDatabase
) -> None:
    database.query("UPDATE documents SET file_path = 'gone.pdf' WHERE id = %s", book)

    assert refusal(alice.client.get(f"/documents/{book}/pages/1?words=true")) == (404, "document_not_found")


@pytest.mark.parametrize("path", ["pages", "pages/1", "pages/1?words=true", "pages/1/image"])
def test_pages_of_another_users_document_are_not_found(alice: Person, bob: Person, book: int, path: str) -> None:
    assert alice.client.get(f"/documents/{book}/{path}").status_code == 200
    assert refusal(bob.client.get(f"/documents/{book}/{path}")) == (404, "document_not_found")


# Pictures


@pytest.mark.parametrize("kind", ["png", "webp", "jpeg"])
def test_a_picture_has_the_requested_format(alice: Person, book: int, kind: str) -> None:
    answer = alice.client.get(f"/documents/{book}/pages/1/image", params={"format": kind})

    assert answer.headers["content-type"] == f"image/{kind}"
    assert Image.open(io.BytesIO(answer.content)).format == kind.upper()


def test_a_picture_has_the_requested_width_and_shows_the_text(alice: Person, book: int) -> None:
    shown, empty = picture(alice, book, 1, width=600), picture(alice, book, 3, width=600)

    assert shown.size == empty.size == (600, 848)
    assert shown.convert("L").getextrema()[0] < 100  # type: ignore[operator]
    assert empty.convert("L").getextrema() == (255, 255)


@pytest.mark.parametrize("box", [b"[0 0 14400 14400]", b"[0 0 10 14400]", b"[0 0 14400 1]", b"[0 0 99999999 99999999]"])
def test_a_picture_has_at_most_four_million_pixels(alice: Person, box: bytes) -> None:
    document_id = upload(alice, write_page(b"BT /F1 12 Tf 1 1 Td (x) Tj ET", box=box))

    width, height = picture(alice, document_id, width=4000, format="webp").size

    assert width * height <= 4_000_000
    assert 1 <= width <= 4000
    assert height >= 1


@pytest.mark.parametrize("query", ["width=0", "width=4001", "width=x", "format=gif", "width=-1"])
def test_a_picture_with_wrong_parameters_is_refused(alice: Person, book: int, query: str) -> None:
    assert refusal(alice.client.get(f"/documents/{book}/pages/1/image?{query}")) == (422, "validation_error")


def test_the_address_of_a_picture_with_its_version_is_kept_for_a_year(alice: Person, book: int) -> None:
    version = alice.client.get(f"/documents/{book}").json()["sha256"][:8]

    def cached(**query: str) -> str:
        answer = alice.client.get(f"/documents/{book}/pages/1/image", params=query)
        return str(answer.headers["cache-control"])

    assert cached(v=version) == "private, max-age=31536000, immutable"
    assert cached(v="00000000") == cached() == "private, no-cache"


def test_a_picture_that_the_client_has_is_not_modified(alice: Person, book: int) -> None:
    path = f"/documents/{book}/pages/1/image?width=100"
    etag = alice.client.get(path).headers["etag"]

    again = alice.client.get(path, headers={"If-None-Match": etag})
    other = alice.client.get(f"{path}&format=webp", headers={"If-None-Match": etag})

    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert other.status_code == 200


# Search


def test_a_hit_has_its_box_on_the_page(alice: Person) -> None:
    document_id = upload(alice, make_pdf("nothing here", "Total due: 1,250.00\nis Due now"))

    answer = alice.client.get(f"/documents/{document_id}/search", params={"q": "due"}).json()

    assert (answer["filename"], answer["search_term"], answer["total_matches"]) == ("book.pdf", "due", 2)
    (page,) = answer["matches_by_page"]
    assert (page["page"], page["matches"], [hit["match"] for hit in page["context"]]) == (2, 2, ["due", "Due"])
    ((first,), (second,)) = [hit["boxes"] for hit in page["context"]]
    assert first[0] < first[2]
    assert first[1] < first[3] <= second[1] < second[3]  # a line below


def test_a_phrase_over_a_line_break_has_a_box_on_each_line(alice: Person) -> None:
    document_id = upload(alice, make_pdf("the first\nline ends"))

    answer = alice.client.get(f"/documents/{document_id}/search", params={"q": "first LINE"}).json()

    upper, lower = answer["matches_by_page"][0]["context"][0]["boxes"]
    assert upper[3] <= lower[1] + 4
    assert upper[0] > lower[0]


def test_a_search_continues_from_its_cursor(alice: Person) -> None:
    document_id = upload(alice, make_book(5))

    def search(**query: Any) -> tuple[int, list[int], str | None]:
        answer = alice.client.get(f"/documents/{document_id}/search", params={"q": "Chapter", **query}).json()
        return answer["total_matches"], [page["page"] for page in answer["matches_by_page"]], answer["next_cursor"]

    assert search(limit=3) == (5, [1, 2, 3], "4")
    assert search(limit=3, cursor=4) == (5, [4, 5], None)


def test_a_document_of_an_older_installation_is_searched(alice: Person, book: int, database: TestDatabase) -> None:
    database.query("DELETE FROM pages WHERE document_id = %s", book)

    answer = alice.client.get(f"/documents/{book}/search", params={"q": "second page"}).json()

    assert [(page["page"], page["matches"]) for page in answer["matches_by_page"]] == [(2, 1)]


@pytest.mark.parametrize("query", ["", "q=", "q=%20", "q=a%00", "q=a&limit=0", "q=a&cursor=x"])
def test_a_search_with_wrong_parameters_is_refused(alice: Person, book: int, query: str) -> None:
    assert refusal(alice.client.get(f"/documents/{book}/search?{query}")) == (422, "validation_error")


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_hits_are_highlighted_where_they_are(alice: Person, rotate: int) -> None:
    drawn = b"BT /F1 40 Tf 100 300 Td (needle) Tj ET"
    document_id = upload(
        alice, write_page(drawn, box=b"[0 0 400 600]", page=b"/CropBox [50 100 400 600] /Rotate %d" % rotate)
    )

    plain, painted = (picture(alice, document_id, q=q).convert("RGB") for q in ("haystack", "needle"))

    changed = ImageChops.difference(plain, painted).getbbox()
    inked = ImageOps.invert(plain.convert("L")).getbbox()
    assert changed is not None
    assert inked is not None
    left, top, right, bottom = inked
    assert changed[0] <= left + 4
    assert changed[1] <= top + 4
    assert right - 4 <= changed[2] <= right + 40
    assert bottom - 4 <= changed[3] <= bottom + 40


@pytest.mark.parametrize(
    ("raw", "text", "origins"),
    [
        ("plain", "plain", [0, 1, 2, 3, 4]),
        ("a\r\nb", "a\nb", [0, 1, 3]),
        ("exam\ufffe\r\nple", "example", [0, 1, 2, 3, 7, 8, 9]),
        ("pa\x02ir", "pair", [0, 1, 3, 4]),
        ("pre\ufffeand post", "pre- and post", [0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        ("end  \r\nof\uf06f\uf06b", "end\nofok", [0, 1, 2, 5, 7, 8, 9, 10]),
        ("\ufb01t", "fit", [0, 0, 1]),
        ("D\ufffe19", "D-19", [0, 1, 2, 3]),
        ("\x00\r\r\n\uffffz", "\n\nz", [1, 2, 5]),
        ("\ud83d\ude00x\ud83d", "😀x", [0, 2]),
        ("", "", []),
    ],
)
def test_each_character_is_traced_to_its_origin(raw: str, text: str, origins: list[int]) -> None:
    assert clean_text(raw) == text
    assert trace_text(raw) == (text, origins)
