"""Fonts that are not in the file: one that comes along with Pagewire draws Chinese, Japanese and Korean."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from extraction.page.fonts import FONT_FOLDERS
from support.pdfs import write_page

ROOT = Path(__file__).parents[2]
TEXTS = {
    "GB1": ("STSong-Light", "GBK-EUC-H", "gbk", "中文停车区"),
    "Japan1": ("HeiseiMin-W3", "90ms-RKSJ-H", "shift_jis", "日本語テキスト"),
    "Korea1": ("HYSMyeongJo-Medium", "KSCms-UHC-H", "cp949", "한국어"),
}
# PDFium keeps its fonts as long as its process
CHILD = """
import json, sys
from pathlib import Path
from extraction.page import native
from extraction import pictures, reader
from extraction.values import Source

native.use_fonts(json.loads(sys.argv[1]))
found = {}
for path in map(Path, sys.argv[2:]):
    with reader.open_pdf(Source(path, None), 1) as opened:
        text = [page.text for page, _ in opened.read_pages()][0]
        warnings = [finding.code for finding in opened.findings]
    image = pictures.render_page(Source(path, None), 1, 200, "png", None)
    found[path.stem] = {"text": text, "warnings": warnings, "size": len(image)}
print(json.dumps(found))
"""


def draw(collection: str, *, mode: int = 0) -> bytes:
    """Return a page in a font of a collection of characters; the font is not in the file."""
    font, encoding, codec, text = TEXTS[collection]
    content = b"BT /F2 24 Tf %d Tr 72 700 Td <%s> Tj ET" % (mode, text.encode(codec).hex().encode())
    resources = f"/Font <</F2 <</Type /Font /Subtype /Type0 /BaseFont /{font} /Encoding /{encoding}"
    resources += " /DescendantFonts [5 0 R]>>>>"
    descendant = f"<</Type /Font /Subtype /CIDFontType0 /BaseFont /{font} /FontDescriptor 6 0 R /CIDSystemInfo"
    descendant += f" <</Registry (Adobe) /Ordering ({collection}) /Supplement 2>>>>"
    about = f"<</Type /FontDescriptor /FontName /{font} /Flags 6 /FontBBox [0 -120 1000 880] /ItalicAngle 0"
    about += " /Ascent 880 /Descent -120 /CapHeight 700 /StemV 80>>"
    return write_page(content, descendant.encode(), about.encode(), resources=resources.encode())


def read_with(folders: list[str], tmp_path: Path) -> dict[str, Any]:
    """Return what is read of the pages by a process that finds fonts in these folders only."""
    pages = {name: draw(name) for name in TEXTS} | {"invisible": draw("GB1", mode=3), "blank": write_page(b"")}
    paths = [tmp_path / f"{name}.pdf" for name in pages]
    for path, content in zip(paths, pages.values(), strict=True):
        path.write_bytes(content)
    command = [sys.executable, "-c", CHILD, json.dumps(folders), *map(str, paths)]
    return dict(json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout))


@pytest.fixture(scope="module")
def with_package(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return read_with([FONT_FOLDERS[-1]], tmp_path_factory.mktemp("with"))


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("without")
    return read_with([str(folder)], folder)


@pytest.mark.parametrize("collection", TEXTS)
def test_letters_are_drawn_with_the_font_of_the_package(with_package: dict[str, Any], collection: str) -> None:
    found = with_package[collection]

    assert found["size"] > with_package["blank"]["size"]
    assert (found["text"], found["warnings"]) == (TEXTS[collection][-1], [])


@pytest.mark.parametrize("collection", TEXTS)
def test_letters_that_no_font_can_draw_are_told(without: dict[str, Any], collection: str) -> None:
    assert without[collection]["size"] == without["blank"]["size"]
    assert without[collection]["text"] == TEXTS[collection][-1]
    assert without[collection]["warnings"] == ["fonts_missing"]


def test_text_that_nobody_shall_see_lacks_no_font(without: dict[str, Any]) -> None:
    assert without["invisible"]["warnings"] == []
