"""Tables as other programs read them."""

import csv
import io
import re
from collections.abc import Sequence

NUMBER = re.compile(r"[+-]?[\d.,' \u00a0\u202f]*\d ?%?")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # OWASP, "CSV Injection"


def to_csv(rows: Sequence[Sequence[str | None]]) -> str:
    """The cells as CSV (RFC 4180); one that a spreadsheet would run as a formula gets an apostrophe before it."""
    target = io.StringIO()
    csv.writer(target).writerows([neutralized(cell or "") for cell in row] for row in rows)
    return target.getvalue()


def neutralized(cell: str) -> str:
    """*cell*, harmless to spreadsheets; numbers with a sign stay as they are."""
    start = cell.lstrip(" \n\x0b\x0c\u00a0\ufeff")
    if start.startswith(FORMULA_STARTS) and not NUMBER.fullmatch(start.strip()):
        return "'" + cell
    return cell
