"""PDFs to upload: the same bytes in every run."""

import random
from datetime import UTC, datetime

from fpdf import FPDF

VOCABULARY = (
    "account amount annual answer average balance board budget capital change company content contract cost council "
    "date delivery department document effect estimate evidence figure finance forecast growth income interest item "
    "letter limit machine management market measure member method number office order page paper payment percent "
    "period plan policy price product profit project public quality quarter rate reason record report result return "
    "review sale schedule section service share source standard statement supply surface system table term total "
    "trade unit value volume year"
)
ROWS_PER_TABLE = 14
LINES_PER_PAGE = 44
PAGES_PER_TABLE = 3


def make_report(pages: int, *, pages_per_table: int = PAGES_PER_TABLE) -> bytes:
    """Return a report: pages of text, some with a ruled table of five columns."""
    chance = random.Random(pages)
    words = VOCABULARY.split()
    document = FPDF(unit="pt", format="a4")
    document.set_creation_date(datetime(2026, 1, 1, tzinfo=UTC))
    document.set_title("Annual report")
    for number in range(1, pages + 1):
        document.add_page()
        document.set_font("Helvetica", "B", 14)
        heading = " ".join(chance.choices(words, k=4)).capitalize()
        document.cell(0, 24, f"{number}. {heading}", new_x="LMARGIN", new_y="NEXT")
        document.set_font("Helvetica", size=10)
        has_table = number % pages_per_table == 0
        for _ in range(LINES_PER_PAGE - (ROWS_PER_TABLE + 4 if has_table else 0)):
            document.cell(0, 15, " ".join(chance.choices(words, k=13)), new_x="LMARGIN", new_y="NEXT")
        if has_table:
            document.ln(10)
            with document.table(line_height=14) as table:
                table.row(["Item", "Quarter 1", "Quarter 2", "Quarter 3", "Total"])
                for _ in range(ROWS_PER_TABLE - 1):
                    amounts = [chance.randrange(100_000) for _ in range(3)]
                    table.row([chance.choice(words), *(f"{amount:,}" for amount in (*amounts, sum(amounts)))])
    return bytes(document.output())


def pad(data: bytes, size: int) -> bytes:
    """Pad the PDF *data* to *size* bytes with an unreferenced object (an incremental update)."""
    previous = data.rindex(b"startxref")
    start = int(data[previous:].split()[1])
    trailer = data[data.rindex(b"trailer") + len(b"trailer") : previous].strip()
    number = int(trailer.split(b"/Size")[1].split()[0])
    updated = trailer.replace(b"/Size %d" % number, b"/Size %d /Prev %d" % (number + 1, start))

    def assemble(length: int) -> bytes:
        head = data.rstrip() + b"\n"
        filler = random.Random(length).randbytes(length)
        padding = b"%d 0 obj\n<< /Length %d >>\nstream\n%b\nendstream\nendobj\n" % (number, length, filler)
        table = b"xref\n%d 1\n%010d 00000 n \n" % (number, len(head))
        return head + padding + table + b"trailer\n%b\nstartxref\n%d\n%%%%EOF\n" % (updated, len(head) + len(padding))

    length = size - len(assemble(0))
    return assemble(length - (len(assemble(length)) - size))
