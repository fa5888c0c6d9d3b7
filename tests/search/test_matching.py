"""What people type finds what they see, in pages and in messages alike."""

import pytest

from support.databases import TestDatabase
from support.library import add_document, found_messages, found_pages, marked, say, search, wait_for_index
from support.servers import Person, Server, register

FOUND = [
    ("The total due is 1,250.00", "total"),
    ("The TOTAL due", "total"),
    ("the total due", "TOTAL"),
    ("Straße und Gasse", "STRASSE"),
    ("the \ufb01rst of\ufb01ce", "first office"),
    ("\uff26\uff35\uff2c\uff2c width", "full"),
    ("cafe\u0301 au lait", "caf\u00e9"),
    ("caf\u00e9 au lait", "cafe"),
    ("M\u00fcller & S\u00f8n", "muller son"),
    ("\u2f26 of Kangxi", "\u5b50"),
    ("don\u2019t panic", "don't"),
    ("a well\u2011known fact", "well-known"),
    ("a well\u2013known fact", '"well-known"'),
    ("an in\u00advis\u00adible hyphen", "invisible"),
    ("zero\u200bwidth", "zerowidth"),
    ("all invoices are paid", "invoice"),
    ("all invoices are paid", "INVOI"),
    ("order AB-12/7 came", "AB-12/7"),
    ("order AB-12/7 came", "ab-12"),
    ("order AB-12/7 came", "12"),
    ("a sum of 1.234,56 EUR", "1.234,56"),
    ("a sum of US$1,250.00", "1,250.00"),
    ("write to jo.doe+x@example.com now", "jo.doe+x@example.com"),
    ("write to jo.doe+x@example.com now", "example.com"),
    ("see report_final_v2.pdf", "report_final_v2.pdf"),
    ("see report_final_v2.pdf", "final"),
    ("on 2026-11-23 we met", "2026-11-23"),
    ("東京都に住んでいます", "東京"),
    ("東京都に住んでいます", "京都"),
    ("東京都に住んでいます", "住んで"),
    ("東京都に住んでいます", "都"),
    ("中华人民共和国\n宪法", "国宪"),
    ("중화인민공화국 만세", "인민"),
    ("ภาษาไทยง่ายนิดเดียว", "ไทย"),
    ("हिन्दी भाषा", "हिन्दी"),
    ("كتابُ اللغةِ العربيّة", "كتاب العربية"),
    ("שָׁלוֹם עולם", "שלום"),
    ("ΟΔΥΣΣΕΥΣ ταξίδι", "οδυσσευς"),
    ("Привет, МИР", "мир"),
    ("it's 'quoted' and “curly”", "quoted curly"),
    ("the quick brown fox", '"quick brown"'),
    ("the quick brown fox", '"quick brown'),
    ("the quick brown fox", "„quick brown“"),
    ("the quick brown fox", "fox -dog"),
    ("the quick brown fox", "dog or fox"),
    ("the quick brown fox", "dog OR fox"),
    ("the quick brown fox", "dog cat or quick fox"),
    ("back\\slash and quo'te", "back\\slash quo'te"),
    ("either or neither", "or"),
]
NOT_FOUND = [
    ("cafe au lait", "caf\u00e9"),
    ("the quick brown fox", '"brown quick"'),
    ("the quick brown fox", '"quick fox"'),
    ("the quick brown fox", "fox -quick"),
    ("the quick brown fox", 'fox -"quick brown"'),
    ("all invoices are paid", '"invoice"'),
    ("abbreviation", "ab"),
    ("東京都に住んでいます", "京東"),
    ("order AB-12/7 came", "12-ab"),
    ("the quick brown fox", "quick dog"),
]


@pytest.fixture(scope="module")
def talker(server: Server) -> Person:
    """Somebody who talks to themself."""
    return register(server, "alice")


@pytest.fixture(scope="module")
def messages(talker: Person, database: TestDatabase) -> dict[str, int]:
    """Every text as a message, indexed."""
    sent = {text: say(talker, talker, text) for text in dict.fromkeys(text for text, _ in FOUND + NOT_FOUND)}
    wait_for_index(database)
    return sent


@pytest.fixture(scope="module")
def pages(talker: Person, database: TestDatabase) -> dict[str, int]:
    """Every text as a page of one document."""
    texts = list(dict.fromkeys(text for text, _ in FOUND + NOT_FOUND))
    document_id = add_document(database, talker, *texts)
    wait_for_index(database)
    return {"document": document_id, **{text: number for number, text in enumerate(texts, 1)}}


@pytest.mark.parametrize(("text", "words"), FOUND)
def test_a_page_is_found(talker: Person, pages: dict[str, int], text: str, words: str) -> None:
    hits = search(talker, words, document_id=pages["document"], limit=200)["results"]

    hit = next((hit for hit in hits if hit["page"] == pages[text]), None)
    assert hit is not None
    assert "".join(piece["text"] for piece in hit["snippet"]) == text
    assert marked(hit)
    assert hit["matches"] >= 1


@pytest.mark.parametrize(("text", "words"), NOT_FOUND)
def test_a_page_is_not_found(talker: Person, pages: dict[str, int], text: str, words: str) -> None:
    found = found_pages(talker, words, document_id=pages["document"], limit=200)

    assert (pages["document"], pages[text]) not in found


@pytest.mark.parametrize(("text", "words"), FOUND)
def test_a_message_is_found(talker: Person, messages: dict[str, int], text: str, words: str) -> None:
    assert messages[text] in found_messages(talker, words, type="message", limit=200)


@pytest.mark.parametrize(("text", "words"), NOT_FOUND)
def test_a_message_is_not_found(talker: Person, messages: dict[str, int], text: str, words: str) -> None:
    assert messages[text] not in found_messages(talker, words, type="message", limit=200)


def test_a_message_is_found_before_it_is_indexed_by_the_same_words(alice: Person, database: TestDatabase) -> None:
    """The background is kept from its work by a transaction that is writing a message."""
    with database.open() as writing:
        writing.cursor().execute("INSERT INTO messages (sender_id, recipient_id, content) VALUES (0, 0, 'unfinished')")
        sent = {text: say(alice, alice, text) for text in dict.fromkeys(text for text, _ in FOUND + NOT_FOUND)}

        wrong = [pair for pair in FOUND if sent[pair[0]] not in found_messages(alice, pair[1], limit=200)]
        wrong += [pair for pair in NOT_FOUND if sent[pair[0]] in found_messages(alice, pair[1], limit=200)]

        assert database.query("SELECT 1 FROM message_search WHERE message_id = ANY (%s)", list(sent.values())) == []
        writing.rollback()
    assert wrong == []


def test_words_of_the_name_are_found_and_count_more(alice: Person, database: TestDatabase) -> None:
    named = add_document(database, alice, "nothing of it here", filename="Rhododendron care.pdf")
    titled = add_document(database, alice, "nor here", title="Rhododendron diseases")
    other = add_document(database, alice, "a rhododendron in the text")
    wait_for_index(database)

    found = found_pages(alice, "rhododendron")

    assert found[2:] == [(other, 1)]
    assert set(found[:2]) == {(named, 1), (titled, 1)}
    assert found_pages(alice, "pdf") == []
