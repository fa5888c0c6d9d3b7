"""Workbooks as a spreadsheet program reads them: the cells by their references, from the XML itself."""

import io
import re
import zipfile
from typing import NamedTuple
from xml.etree import ElementTree

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
BUILT_IN = {0: "", 1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%"}
ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


class Cell(NamedTuple):
    value: str | float
    number_format: str = ""


def read_workbook(data: bytes) -> dict[str, dict[str, Cell]]:
    """The sheets by their names. A formula, a link or XML that is not well formed is an error."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        parts = {name: ElementTree.fromstring(archive.read(name)) for name in archive.namelist()}
    assert not [name for name in parts if "/_rels/" in name and "worksheets" in name]
    texts = [_text(item) for item in parts.get("xl/sharedStrings.xml", [])]
    styles = parts["xl/styles.xml"]
    formats = BUILT_IN | {int(f.attrib["numFmtId"]): f.attrib["formatCode"] for f in styles.iter(f"{MAIN}numFmt")}
    cell_styles = styles.find(f"{MAIN}cellXfs")
    assert cell_styles is not None
    shown = [formats[int(style.attrib["numFmtId"])] for style in cell_styles]
    sheets = parts["xl/workbook.xml"].iter(f"{MAIN}sheet")
    return {
        sheet.attrib["name"]: dict(_cells(parts[f"xl/worksheets/sheet{number}.xml"], texts, shown))
        for number, sheet in enumerate(sheets, start=1)
    }


def _cells(sheet: ElementTree.Element, texts: list[str], shown: list[str]) -> list[tuple[str, Cell]]:
    assert list(sheet.iter(f"{MAIN}f")) == list(sheet.iter(f"{MAIN}hyperlink")) == []
    found = []
    for cell in sheet.iter(f"{MAIN}c"):
        value = cell.findtext(f"{MAIN}v")
        if value is None:
            continue  # the rest of a merged cell
        kind = cell.get("t", "n")
        assert kind in ("s", "n")
        text = texts[int(value)] if kind == "s" else float(value)
        found.append((cell.attrib["r"], Cell(text, shown[int(cell.get("s", 0))])))
    return found


def _text(item: ElementTree.Element) -> str:
    return ESCAPED.sub(lambda match: chr(int(match[1], 16)), "".join(part.text or "" for part in item.iter(f"{MAIN}t")))
