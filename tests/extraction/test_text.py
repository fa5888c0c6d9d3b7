"""A page's text is cleaned: hyphens at line ends, fonts of symbols."""

import pytest

from extraction.page.text import clean_text, is_gibberish

# Hyphens at line ends


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("an exam\ufffeple", "an example"),
        ("cross\ufffeborder and cross-border", "cross-border and cross-border"),
        ("self\ufffeevident, no doubt", "selfevident, no doubt"),
        ("state-of\ufffethe-art, the state-of-the-art", "state-of-the-art, the state-of-the-art"),
        ("the re\ufffeport, a report, re-port", "the report, a report, re-port"),
        ("n\ufffetridecanal", "n-tridecanal"),
        ("e\ufffemail", "e-mail"),
        ("AB\ufffecd12", "AB-cd12"),
        ("COVID\ufffe19", "COVID-19"),
        ("Franco\ufffePrussian", "Franco-Prussian"),
        ("IN CAPI\ufffeTAL LETTERS", "IN CAPITAL LETTERS"),
        ("pre\ufffeand post-treatment", "pre- and post-treatment"),
        ("Vor\ufffeund Nachteile", "Vor- und Nachteile"),
        ("see www.example\ufffesite.org/a\ufffeb for more", "see www.example-site.org/a-b for more"),
        ("ask jane.doe@no\ufffewhere.org", "ask jane.doe@no-where.org"),
        (r"in C:\my" + "\ufffe" + r"files\a", r"in C:\my-files\a"),
        ("an EU\ufffewide rule", "an EU-wide rule"),
        ("a follow\ufffeup, and follow-ups", "a follow-up, and follow-ups"),
        ("an infor\u2010\nmation", "an information"),
        ("a cross\u2010\nborder, cross\u2010border case", "a cross-border, cross\u2010border case"),
        ("a 10-\nyear plan for CO2-\nneutral 2,4-\ndimethyl", "a 10-year plan for CO2-neutral 2,4-dimethyl"),
        ("on pages 12-\n15, ISBN 978-3-16-\n148410-0", "on pages 12-15, ISBN 978-3-16-148410-0"),
        ("Balance 4500-\n3200 sold 12-\n15 pens", "Balance 4500-\n3200 sold 12-\n15 pens"),
        ("see pp. 112-\n115 and S. 7-\n9", "see pp. 112-115 and S. 7-9"),
        ("1,250.00-\n980.00-\nless 3-\nB", "1,250.00-\n980.00-\nless 3-\nB"),
    ],
)
def test_a_hyphen_at_a_line_end_stays_if_the_page_shows_that_it_belongs_there(raw: str, text: str) -> None:
    assert clean_text(raw) == text


def test_many_hyphens_are_joined_in_time_in_proportion() -> None:
    assert clean_text("exam\ufffeple " * 20_000) == "example " * 20_000
    assert len(clean_text("a" * 1_000_000 + "\ufffe" * 10_000)) > 1_000_000


# Characters of fonts of symbols


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("\uf048\uf065\uf06c\uf06c\uf06f\uf020\uf077", "Hello w"),
        ("\uf0b7 a point\r\n\uf0a7 and another", "• a point\n▪ and another"),
        ("\uf0fc done", "✓ done"),
        ("\uf0b7\uf0b7", "••"),
    ],
)
def test_private_use_of_symbol_fonts_is_taken_back(raw: str, text: str) -> None:
    assert clean_text(raw) == text


def test_text_of_nothing_but_private_use_is_gibberish() -> None:
    assert is_gibberish("\ue123\ue124 \ufffd\ufffd")
    assert not is_gibberish("\ue123 a good sentence")
    assert not is_gibberish("")
