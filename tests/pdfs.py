"""PDFs for tests, good and hostile, made on the spot."""

from collections.abc import Sequence

from fpdf import FPDF


def make_pdf(*pages: str, title: str = "") -> bytes:
    """Return a PDF with one page for each text; lines end at newlines."""
    document = FPDF(unit="pt", format="a4")
    document.set_font("Helvetica", size=12)
    if title:
        document.set_title(title)
    for text in pages:
        document.add_page()
        if text:
            document.multi_cell(0, 16, text)
    return bytes(document.output())


def make_table_pdf(rows: Sequence[Sequence[str]], *, text: str = "") -> bytes:
    """Return a PDF of one page with *text* above a ruled table."""
    document = FPDF(unit="pt", format="a4")
    document.set_font("Helvetica", size=10)
    document.add_page()
    if text:
        document.multi_cell(0, 16, text, new_x="LMARGIN", new_y="NEXT")
    with document.table() as table:
        for row in rows:
            table.row(row)
    return bytes(document.output())


def make_encrypted_pdf(text: str, *, user_password: str = "", owner_password: str = "owner") -> bytes:
    """Return a PDF that needs *user_password* to be opened; none if it is empty."""
    document = FPDF(unit="pt", format="a4")
    document.set_encryption(owner_password=owner_password, user_password=user_password)
    document.set_font("Helvetica", size=12)
    document.add_page()
    document.multi_cell(0, 16, text)
    return bytes(document.output())
