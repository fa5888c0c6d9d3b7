"""Routes that read an uploaded PDF without storing it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.documents import PDF_ROUTES, post, refusal
from support.pdfs import HELLO, SCAN, make_pdf, make_table_pdf, write_pages
from support.servers import Person


def test_pdf_info_describes_a_file(alice: Person, nothing_is_left: None, hello: bytes) -> None:
    found = post(alice, "/pdf-info", hello, "../hello.pdf").json()

    metadata = found.pop("metadata")
    assert found == {
        "filename": "hello.pdf",
        "page_count": 2,
        "file_size": len(hello),
        "has_text": True,
        "has_tables": False,
        "encrypted": False,
        "pages_without_text": [],
        "warnings": [],
    }
    assert metadata["Title"] == "A greeting"


def test_pdf_info_detects_tables_and_pages_without_text(alice: Person, nothing_is_left: None) -> None:
    with_table = post(alice, "/pdf-info", make_table_pdf([["a", "b"], ["1", "2"]])).json()
    blank = post(alice, "/pdf-info", make_pdf("", "")).json()

    assert (with_table["has_text"], with_table["has_tables"]) == (True, True)
    assert (blank["has_text"], blank["has_tables"], blank["page_count"]) == (False, False, 2)
    assert blank["pages_without_text"] == [1, 2]


def test_a_scanned_page_is_told_by_all_who_read_it(alice: Person) -> None:
    mixed = write_pages([HELLO, SCAN])
    told = [{"code": "no_text", "pages": [2]}]

    for path in ("/pdf-info", "/extract", "/upload-pdf"):
        warnings = post(alice, path, mixed).json()["warnings"]
        assert [{key: warning[key] for key in ("code", "pages")} for warning in warnings] == told
        assert "page 2" in warnings[0]["detail"]


def test_extract_returns_text_pages_and_metadata(alice: Person, nothing_is_left: None, hello: bytes) -> None:
    found = post(alice, "/extract", hello).json()

    assert found["text"] == "Hello world\nfrom the first page\fand the second"
    assert found["pages"] == [
        {"page_number": 1, "text": "Hello world\nfrom the first page", "char_count": 31},
        {"page_number": 2, "text": "and the second", "char_count": 14},
    ]
    assert (found["page_count"], found["tables"], found["metadata"]["Title"]) == (2, [], "A greeting")


def test_extract_returns_tables(alice: Person) -> None:
    found = post(alice, "/extract", make_table_pdf([["item", "price"], ["tea", "3"]])).json()

    (table,) = found["tables"]
    assert (table["page"], table["table_index"], table["data"]) == (1, 0, [["item", "price"], ["tea", "3"]])
    assert (table["kind"], table["header_rows"], table["spans"], table["title"]) == ("ruled", 1, [], "")


@pytest.fixture(scope="module")
def poem() -> bytes:
    return make_pdf(
        "The quick brown\nfox and the Quick  brown fox;\nthe QUICK brown fox.", "No animals here.", "A quick brown\nfox"
    )


def search(person: Person, data: bytes, term: str) -> dict[str, Any]:
    answer = post(person, "/search-pdf", data, search_term=term)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("where", ["query", "form"])
def test_the_term_is_in_the_query_or_the_form(alice: Person, nothing_is_left: None, poem: bytes, where: str) -> None:
    answer = alice.client.post(
        "/search-pdf",
        files={"file": ("poem.pdf", poem)},
        params={"search_term": "animals"} if where == "query" else {},
        data={"search_term": "animals"} if where == "form" else {},
    )

    assert answer.json() == {
        "filename": "poem.pdf",
        "search_term": "animals",
        "total_matches": 1,
        "matches_by_page": [
            {
                "page": 2,
                "matches": 1,
                "context": [
                    {
                        "position": 3,
                        "context": "No animals here.",
                        "before": "No ",
                        "match": "animals",
                        "after": " here.",
                    }
                ],
            }
        ],
    }


@pytest.mark.parametrize("term", [None, "", "  ", "\t\n"])
@pytest.mark.parametrize("where", ["query", "form"])
def test_a_search_without_a_term_is_refused(
    alice: Person, nothing_is_left: None, poem: bytes, where: str, term: str | None
) -> None:
    given = {} if term is None else {"search_term": term}

    answer = alice.client.post(
        "/search-pdf",
        files={"file": ("poem.pdf", poem)},
        params=given if where == "query" else {},
        data=given if where == "form" else {},
    )

    assert refusal(answer) == (400, "search_term_required")
    assert answer.json()["detail"] == "Search term is required"


def test_a_phrase_is_found_across_a_line_break_in_any_case(alice: Person, poem: bytes) -> None:
    found = search(alice, poem, "quick brown fox")

    assert found["total_matches"] == 4
    assert [(page["page"], page["matches"]) for page in found["matches_by_page"]] == [(1, 3), (3, 1)]


@pytest.mark.parametrize("term", ["quick brown fox", "o", "THE", "e q", "."])
def test_positions_index_the_text_of_the_page(alice: Person, poem: bytes, term: str) -> None:
    texts = {page["page_number"]: page["text"] for page in post(alice, "/extract", poem).json()["pages"]}

    found = search(alice, poem, term)

    for page in found["matches_by_page"]:
        assert page["matches"] == len(page["context"])
        for hit in page["context"]:
            assert texts[page["page"]][hit["position"] :].startswith(hit["match"])
            assert texts[page["page"]][: hit["position"]].endswith(hit["before"])
            assert hit["context"] == hit["before"] + hit["match"] + hit["after"]
            assert hit["match"].split() == pytest.approx(hit["match"].split())
            assert " ".join(hit["match"].lower().split()) == term.lower()


def test_all_matches_are_counted_although_contexts_are_capped(alice: Person) -> None:
    found = search(alice, make_pdf("tea " * 900), "tea")

    (page,) = found["matches_by_page"]
    assert found["total_matches"] == page["matches"] == 900
    assert 0 < len(page["context"]) <= 900


@pytest.mark.parametrize("term", ["(", "[a-z]+", ".*", "\\", "$^", "%", "a\x00b", "\ufffd", "x" * 1000, "🙂", "İ", "ﬁ"])
def test_a_term_is_not_a_pattern(alice: Person, poem: bytes, term: str) -> None:
    found = search(alice, poem, term)

    assert (found["total_matches"], found["matches_by_page"]) == (0, [])


@pytest.mark.parametrize("where", ["query", "form"])
def test_a_term_of_1001_characters_is_refused(alice: Person, nothing_is_left: None, poem: bytes, where: str) -> None:
    given = {"search_term": "x" * 1001}

    answer = alice.client.post(
        "/search-pdf",
        files={"file": ("poem.pdf", poem)},
        params=given if where == "query" else {},
        data=given if where == "form" else {},
    )

    assert refusal(answer) == (422, "validation_error")


def test_many_requests_at_once_are_all_answered(alice: Person, nothing_is_left: None, hello: bytes) -> None:
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda n: post(alice, PDF_ROUTES[1 + n % 3], hello).status_code, range(24)))

    assert answers == [200] * 24
