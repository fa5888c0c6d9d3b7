"""Numbers and dates as people write them in tables: parsed where the reading is certain, else left as text."""

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

MAXIMUM_DIGITS = 15  # that a double keeps, and Excel shows
MAXIMUM_NUMBER_CHARACTERS = 40
MAXIMUM_PHONELESS_DIGITS = 7  # after a plus
FIRST_DATE = date(1900, 3, 1)  # before that, Excel counts a day that never was

_CURRENCIES = "$€£¥"
_SPACES = " \u00a0\u2009\u202f"
_WRITTEN = {
    mark: re.compile(
        rf"(?:(?P<before>[{_CURRENCIES}])[{_SPACES}]?)?(?P<open>\()?(?P<sign>[-+\u2212])?"
        rf"(?:(?P<inside>[{_CURRENCIES}])[{_SPACES}]?)?"
        rf"(?=\.?[0-9])(?P<whole>0|[1-9][0-9]*|"
        rf"[1-9][0-9]{{0,2}}(?P<gap>[{other}'’{_SPACES}])[0-9]{{3}}(?:(?P=gap)[0-9]{{3}})*)?(?:[{mark}](?P<fraction>[0-9]+))?"
        rf"(?:[{_SPACES}]?(?P<after>[%{_CURRENCIES}]))?(?P<close>\))?"
    )
    for mark, other in (".,", ",.")
}
_CODE = re.compile(r"[-+]?[0-9][0-9.,'’]*")
_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_YEAR = re.compile("(?:19|20)[0-9]{2}")
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_OTHER_DATE = re.compile(r"[0-9]{1,2}\.[0-9]{1,2}\.(?:[0-9]{2}|[0-9]{4})")


class Number(NamedTuple):
    value: float
    number_format: str  # Excel's, to show it as it was; "" for General


class _Written(NamedTuple):
    """A number as written, under the assumption of one decimal mark."""

    sign: str  # "(" for parentheses
    whole: str
    gap: str  # between thousands
    fraction: str
    currency: str
    currency_after: bool
    percent: bool

    @classmethod
    def find(cls, text: str, mark: str) -> "_Written | None":
        match = _WRITTEN[mark].fullmatch(text) if len(text) <= MAXIMUM_NUMBER_CHARACTERS else None
        if match is None:
            return None
        before, opened, sign, inside, whole, gap, fraction, after, closed = match.groups("")
        around = before + inside + after
        if len(around) > 1 or bool(opened) != bool(closed) or (opened and sign):
            return None
        if gap:
            whole = whole.replace(gap, "")
        if len(whole) + len(fraction) > MAXIMUM_DIGITS and len((whole + fraction).lstrip("0")) > MAXIMUM_DIGITS:
            return None
        percent = after == "%"
        return cls(opened or sign, whole, gap, fraction, "" if percent else around, bool(after), percent)

    @property
    def is_bare(self) -> bool:
        return not (self.gap or self.fraction)


class Habits(NamedTuple):
    """How the numbers of one column are written, as far as that is certain."""

    is_text: bool
    decimal_mark: str  # "" if not known
    comma_groups: bool  # without a known mark: "1,234" are thousands
    space_groups: bool
    loss_in_parentheses: bool


class _Evidence:
    """What the cells of one column reveal about its numbers."""

    def __init__(self) -> None:
        self.marks: set[str] = set()  # decimal marks without which some cell is no number
        self.has_codes = False  # 007, 1.2.3, 192.168.100.200: not a column to calculate with
        self.has_spaced = False  # 1 234,50: its spaces separate thousands, not two numbers
        self.has_plain = False  # a number without parentheses
        self.has_others = False  # 1234, 1.234: not how numbers look where commas separate thousands

    def add(self, cell: str) -> None:
        text = cell.strip()
        point, comma = _Written.find(text, "."), _Written.find(text, ",")
        found = point or comma
        if found is None:
            self.has_codes |= _CODE.fullmatch(text) is not None and _OTHER_DATE.fullmatch(text) is None
            return
        if _is_address(text) or _is_phone(found):
            self.has_codes = True
            return
        if comma is None:
            self.marks.add(".")
        elif point is None:
            self.marks.add(",")
        if found.gap and found.gap in _SPACES:
            self.has_spaced |= found.gap != " " or bool(found.fraction)
        if found.sign != "(":
            self.has_plain = True
        if found.is_bare and len(found.whole) > 3 and not _YEAR.fullmatch(found.whole):
            self.has_others = True
        if comma is not None and found.fraction:
            self.has_others = True


def _is_address(text: str) -> bool:
    return _ADDRESS.fullmatch(text) is not None and all(int(part) <= 255 for part in text.split("."))


def _is_phone(number: _Written) -> bool:
    return number.sign == "+" and not number.fraction and len(number.whole) > MAXIMUM_PHONELESS_DIGITS


def find_habits(rows: Sequence[Sequence[str | None]]) -> list[Habits]:
    """Return how each column's numbers are written. An ambiguous mark ("1,234", "1.234") is decided by another cell of
    the column, else of the table; commas alone separate thousands if all numbers of the column agree.
    """
    columns: list[_Evidence] = [_Evidence() for _ in range(max(map(len, rows), default=0))]
    for row in rows:
        for column, cell in zip(columns, row, strict=False):
            if cell:
                column.add(cell)
    everywhere = set[str]().union(*(column.marks for column in columns if not column.has_codes))
    space_groups = any(column.has_spaced for column in columns)
    habits: list[Habits] = []
    for column in columns:
        marks = column.marks or everywhere
        habits.append(
            Habits(
                is_text=column.has_codes,
                decimal_mark=next(iter(marks)) if len(marks) == 1 else "",
                comma_groups=not marks and not column.has_others,
                space_groups=space_groups,
                loss_in_parentheses=column.has_plain,
            )
        )
    return habits


def read_cell(cell: str, habits: Habits) -> str | Number | date:
    """Return *cell* as a number or, if it is `YYYY-MM-DD`, a date; unchanged where that is not certain."""
    if habits.is_text:
        return cell
    text = cell.strip()
    if _ISO_DATE.fullmatch(text):
        return _read_date(text) or cell
    written = _find_written(text, habits)
    if written is None:
        return cell
    if written.gap and written.gap in _SPACES and not habits.space_groups:
        return cell
    if written.sign == "(" and written.is_bare and not habits.loss_in_parentheses:  # (1), (2): an enumeration
        return cell
    sign = "-" if written.sign and written.sign != "+" else ""
    digits = f"{sign}{written.whole}.{written.fraction}"
    value = float(Decimal(digits).scaleb(-2)) if written.percent else float(digits)
    return Number(value, _show(written))


def _find_written(text: str, habits: Habits) -> _Written | None:
    if habits.decimal_mark:
        return _Written.find(text, habits.decimal_mark)
    point, comma = _Written.find(text, "."), _Written.find(text, ",")
    return point if point == comma or (habits.comma_groups and point is not None and point.gap == ",") else None


def _read_date(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if found >= FIRST_DATE else None


def _show(number: _Written) -> str:
    shown = "#,##0" if number.gap else "0"
    if number.fraction:
        shown += "." + "0" * len(number.fraction)
    if number.percent:
        shown += "%"
    if number.currency:
        shown = f'{shown} "{number.currency}"' if number.currency_after else f'"{number.currency}"{shown}'
    if number.sign == "(":
        shown = f"{shown};({shown})"
    return "" if shown == "0" else shown
