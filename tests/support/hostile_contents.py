"""Hostile PDFs by name: what pages draw, their text, and the metadata."""

import zlib

from support.hostile_building import (
    FLATE,
    Makers,
    deflated,
    flate_bomb,
    in_no_font,
    lettered,
    masked,
    nested_forms,
    packed,
    shaded,
    staircase,
    tiled,
    with_info,
)
from support.pdfs import (
    CATALOG,
    FONT,
    HELLO,
    PAGES,
    map_letters,
    stream,
    write_grid,
    write_page,
    write_pages,
    write_pdf,
)

CONTENTS: Makers = {
    "tables on pages without a left edge": lambda: write_pages(
        [HELLO + write_grid(3, 3)] * 2, box=b"[-9%s.0 0 612 792]" % (b"0" * 38)
    ),
    "forms in forms": lambda: nested_forms(10, 10),
    "forms in forms, a thousand deep": lambda: nested_forms(1000, 1),
    "a form in itself": lambda: write_page(
        b"/X Do",
        stream(b"/X Do /X Do", b"/Subtype /Form /BBox [0 0 9 9] /Resources <</XObject <</X 5 0 R>>>>"),
        resources=b"/XObject <</X 5 0 R>>",
    ),
    "a letter drawn by itself": lambda: write_page(
        b"BT /T 12 Tf 9 9 Td (aaaa) Tj ET",
        b"<</Type /Font /Subtype /Type3 /FontBBox [0 0 9 9] /FontMatrix [1 0 0 1 0 0] /FirstChar 97 /LastChar 97"
        b" /Widths [9] /Encoding <</Differences [97 /a]>> /CharProcs <</a 6 0 R>> /Resources 7 0 R>>",
        stream(b"9 0 d0 BT /T 12 Tf (aaaaaaaa) Tj ET"),
        b"<</Font <</T 5 0 R>>>>",
        resources=b"/Font <</T 5 0 R>>",
    ),
    "three million saved states": lambda: write_page(zlib.compress(b"q " * 3_000_000), content_dictionary=FLATE),
    "brackets a million deep": lambda: write_page(b"[" * 1_000_000 + HELLO),
    "dictionaries a hundred thousand deep": lambda: with_info(b"<</Title " * 100_000 + b">>" * 100_000),
    "a grid of 2000 by 2000 lines": lambda: write_page(write_grid(2000, 2000) + HELLO),
    "a grid of 500 by 500 cells": lambda: write_page(
        write_grid(500, 500, width=3000, height=3000) + HELLO, box=b"[0 0 3100 3100]"
    ),
    "a grid beyond the page": lambda: write_page(write_grid(200, 200, width=1e6, height=1e6) + HELLO),
    "a staircase": lambda: staircase(3000),
    "two million line segments": lambda: write_page(
        zlib.compress(b"0 0 m " + b"9 9 l 0 9 l " * 1_000_000 + b"S"), content_dictionary=FLATE
    ),
    "fifty thousand boxes": lambda: write_page(
        zlib.compress(b"".join(b"%d %d 9 9 re S " % (i % 997, i % 991) for i in range(50_000))),
        content_dictionary=FLATE,
    ),
    "lines of no length": lambda: write_page(b"5 5 m 5 5 l S " * 5000 + b"0 0 0 0 re S " * 5000),
    "coordinates beyond floats": lambda: write_page(
        b"1e400 -1e400 m 99999999999999999999999999999999999999999999 nan l 1 1 l h S 0 0 inf inf re S"
    ),
    "matrices without room": lambda: write_page(
        b"0 0 0 0 0 0 cm " + write_grid(5, 5) + b"BT /F1 0 Tf 0 Tz 0 0 0 0 0 0 Tm (none) Tj /F1 1e38 Tf (x) Tj ET"
    ),
    "matrices beyond floats": lambda: write_page(b"1e20 0 0 1e20 0 0 cm " * 5 + write_grid(5, 5) + HELLO),
    "letters and lines beyond floats": lambda: write_page(
        write_grid(3, 3) + HELLO + b" BT /F1 12 Tf 1e38 0 0 1e38 1e38 1e38 Tm (far away) Tj 1e30 0 0 1 72 720 Tm (x)"
        b" Tj ET q 1e38 0 0 1e38 0 0 cm 1e38 0 0 1e38 0 0 cm 0 0 9 9 re 0 0 m 9 0 l S Q"
    ),
    "more letters than a page has": lambda: write_page(
        zlib.compress(b"BT /F1 1 Tf 9 9 Td " + b"(" + b"abcdefghi " * 600_000 + b") Tj ET"),
        content_dictionary=FLATE,
    ),
    "operators without operands": lambda: write_page(b"Tj TJ re m l c h S cm Do gs Tf Tm ' \" EMC ET Q " * 2000),
    "a font of unknown kind": lambda: write_page(
        b"BT /F9 12 Tf (a) Tj ET", resources=b"/Font <</F9 <</Type /Font /Subtype /Nonsense>>>>"
    ),
    "a thousand million forms": lambda: nested_forms(9, 10),
    "transparent forms in forms": lambda: nested_forms(10, 10).replace(
        b"/Subtype /Form", b"/Group <</S /Transparency /I true /K true>> /Subtype /Form"
    ),
    "a form of a million forms": lambda: deflated(
        b"/X Do " * 1_000_000, stream(HELLO, b"/Subtype /Form /BBox [0 0 9 9]"), resources=b"/XObject <</X 5 0 R>>"
    ),
    "a million words": lambda: deflated(b"BT /F1 1 Tf 9 9 Td " + b"(a) Tj 1 0 Td " * 1_000_000 + b"ET"),
    "a million fonts": lambda: deflated(b"BT " + b"/F1 9 Tf /F2 7 Tf " * 500_000 + b"(a) Tj ET"),
    "words on one spot": lambda: deflated(b"BT /F1 12 Tf 72 720 Td " + b"(hello world) Tj 0 0 Td " * 30_000 + b"ET"),
    "a million marks": lambda: deflated(b"/Span <</ActualText (x)>> BDC " * 300_000 + HELLO + b" EMC" * 300_000),
    "two hundred thousand clips": lambda: deflated(b"0 0 600 700 re W n " * 200_000 + HELLO),
    "a million curves": lambda: deflated(b"0 0 m " + b"9 900 900 9 500 500 c " * 400_000 + b"S"),
    "fifty thousand wide lines": lambda: deflated(b"1e7 w 1 J 1 j " + b"0 0 m 600 700 l 0 700 l S " * 50_000),
    "dashes finer than dots": lambda: write_page(b"[0.00001 0.00001] 0 d 1 w 0 0 m 10000 10000 l S " * 50 + HELLO),
    "dashes without end": lambda: write_page(b"[1e-38 0 -1] 1e38 d 0 0 m 1e7 1e7 l S [0 0] 0 d 0 0 m 9 9 l S " + HELLO),
    "a grid of slanted lines": lambda: deflated(
        b"".join(b"%d 0 m %d 700 l S 0 %d m 600 %d.5 l S " % (x, x + 1, x, x) for x in range(0, 600, 2)) * 10 + HELLO
    ),
    "letters as large as the world": lambda: write_page(
        b"BT /F1 1e7 Tf 1 Tr -1e6 -1e6 Td (" + b"W" * 5000 + b") Tj ET"
    ),
    "letters that clip": lambda: deflated(
        b"BT /F1 99 Tf 7 Tr 9 9 Td " + b"(WWW) Tj " * 50_000 + b"ET 0 0 600 700 re f"
    ),
    "strings a million deep": lambda: write_page(b"BT " + b"(" * 1_000_000 + b")" * 1_000_000 + b" Tj ET " + HELLO),
    "numbers of a hundred thousand digits": lambda: write_page(
        b"%s %s Td 0.%s w 1%s 9 m 9 9 l S " % ((b"9" * 100_000,) * 4) + HELLO
    ),
    "names of all sorts": lambda: write_page(
        b"BT /F#001 12 Tf (a) Tj /" + b"N#" * 50_000 + b" 9 Tf (b) Tj /#ff#fe#00 Do /#zz gs ET " + HELLO,
        resources=b"/XObject <</#00 5 0 R /a#2Fb 5 0 R /" + b"x" * 200_000 + b" 5 0 R>>",
    ),
    "a pattern in itself": lambda: tiled(b"/XStep 2 /YStep 2", b"/Pattern cs /P scn 0 0 9 9 re f"),
    "a pattern finer than dots": lambda: tiled(b"/XStep 0.0001 /YStep 0.0001"),
    "a pattern without steps": lambda: tiled(b"/XStep 0 /YStep 0"),
    "a pattern of steps beyond floats": lambda: tiled(b"/XStep 1e38 /YStep -1e38 /Matrix [1e-30 0 0 1e-30 0 0]"),
    "a shading of a function in itself": lambda: shaded(
        b"<</ShadingType 2 /ColorSpace /DeviceGray /Coords [0 0 612 792] /Extend [true true] /Function 6 0 R>>",
        b"<</FunctionType 3 /Domain [0 1] /Functions [6 0 R 6 0 R] /Bounds [0.5] /Encode [0 1 0 1]>>",
    ),
    "a shading of a program without end": lambda: shaded(
        b"<</ShadingType 1 /ColorSpace /DeviceRGB /Domain [-1e9 1e9 -1e9 1e9] /Matrix [1e-9 0 0 1e-9 0 0]"
        b" /Function 6 0 R>>",
        stream(
            b"{" * 50_000 + b"2 copy exp mul " * 9000 + b"}" * 50_000,
            b"/FunctionType 4 /Domain [0 1 0 1] /Range [0 1 0 1 0 1]",
        ),
    ),
    "a shading of a program of many steps": lambda: shaded(
        b"<</ShadingType 1 /ColorSpace /DeviceGray /Domain [0 612 0 792] /Function 6 0 R>>",
        stream(b"{ " + b"dup mul sqrt " * 100_000 + b"pop }", b"/FunctionType 4 /Domain [0 612 0 792] /Range [0 1]"),
    ),
    "a shading of samples beyond memory": lambda: shaded(
        b"<</ShadingType 1 /ColorSpace /DeviceGray /Domain [0 612 0 792] /Function 6 0 R>>",
        stream(
            b"\0", b"/FunctionType 0 /Domain [0 1 0 1] /Range [0 1] /Size [2147483647 2147483647] /BitsPerSample 32"
        ),
    ),
    "a shading of circles without end": lambda: shaded(
        b"<</ShadingType 3 /ColorSpace /DeviceGray /Coords [0 0 0 1e30 1e30 1e30] /Extend [true true] /Function"
        b" <</FunctionType 2 /Domain [0 1] /N 1e30>>>>"
    ),
    "a shading of a million triangles": lambda: shaded(
        stream(
            flate_bomb(bytes(range(256)) * 4000, 20),
            b"/ShadingType 5 /ColorSpace /DeviceGray /BitsPerCoordinate 8 /BitsPerComponent 8 /VerticesPerRow 2"
            b" /Decode [0 612 0 792 0 1] " + FLATE,
        )
    ),
    "a shading of a million patches": lambda: shaded(
        stream(
            flate_bomb(bytes(range(256)) * 4000, 20),
            b"/ShadingType 7 /ColorSpace /DeviceGray /BitsPerCoordinate 8 /BitsPerComponent 8 /BitsPerFlag 8"
            b" /Decode [0 612 0 792 0 1] " + FLATE,
        )
    ),
    "a mask in itself": lambda: masked(b"/ExtGState 5 0 R"),
    "masks in masks": lambda: masked(b"/ExtGState 5 0 R", 300),
    "a colour in itself": lambda: write_page(
        b"/C cs 1 sc 0 0 99 99 re f /D cs 1 scn 0 0 9 9 re f " + HELLO,
        b"[/Indexed 5 0 R 255 (x)]",
        b"[/Separation /All 6 0 R 7 0 R]",
        b"<</FunctionType 3 /Domain [0 1] /Functions [7 0 R] /Bounds [] /Encode [0 1]>>",
        resources=b"/ColorSpace <</C 5 0 R /D 6 0 R>>",
    ),
    "a colour of a hundred thousand inks": lambda: write_page(
        b"/C cs " + b"1 " * 5000 + b"scn 0 0 99 99 re f " + HELLO,
        resources=b"/ColorSpace <</C [/DeviceN [%s] /DeviceCMYK <</FunctionType 2 /Domain [0 1] /N 1>>]>>"
        % (b"/Ink " * 100_000),
    ),
    "layers in a circle": lambda: write_pdf(
        [
            b"<</Type /Catalog /Pages 2 0 R /OCProperties <</OCGs [5 0 R] /D <</Order 6 0 R /ON 6 0 R /AS 6 0 R>>>>>>",
            PAGES,
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 4 0 R"
            b" /Resources <<%s /Properties <</L 5 0 R>>>>>>" % FONT,
            stream(b"/OC /L BDC " + HELLO + b" EMC"),
            b"<</Type /OCMD /OCGs [5 0 R 5 0 R] /VE [/Not 7 0 R]>>",
            b"[6 0 R 6 0 R 5 0 R]",
            b"[/And 7 0 R 7 0 R 7 0 R]",
        ]
    ),
}
TEXT_AND_METADATA: Makers = {
    "letters that are no characters": lambda: map_letters(b"0000", b"FFFF", b"D800", b"DC00", b"FFFE", b"0002"),
    "a letter of many characters": lambda: map_letters(b"0041" * 60_000),
    "metadata of all sorts": lambda: with_info(
        b"<</Title [1 2] /Author 5 0 R /Subject << >> /Keywords 7 /Creator (a\\000b\\001) /Producer <FEFFD800>"
        b" /CreationDate (not a date) /ModDate <FEFF0000FFFF>>>"
    ),
    "metadata of five megabytes": lambda: with_info(b"<</Title (" + b"x" * 5_000_000 + b")>>"),
    "metadata with bad bytes": lambda: with_info(b"<</Title <EFBBBFFFFE80> /Author <FFFE00D8> /Bad\\FF (x)>>"),
    "letters for every code there is": lambda: lettered(
        b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 6 0 R>>",
        stream(
            b"begincmap 1 beginbfrange <00000000> <FFFFFFFF> <0000> endbfrange"
            b" 1 begincidrange <0000> <FFFF> 0 endcidrange"
        ),
    ),
    "a map that uses itself": lambda: lettered(
        b"<</Type /Font /Subtype /Type0 /BaseFont /X /Encoding 6 0 R /ToUnicode 6 0 R /DescendantFonts [5 0 R 7 0 R]>>",
        stream(b"/Loop usecmap begincmap endcmap", b"/Type /CMap /CMapName /Loop /UseCMap 6 0 R"),
        b"<</Type /Font /Subtype /CIDFontType2 /BaseFont /X /W [0 2147483647 1e38] /DW2 [7] /CIDToGIDMap 6 0 R>>",
    ),
    "a font with half a million widths": lambda: packed(
        [
            CATALOG,
            PAGES,
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 5 0 R /Resources <</Font <</F1 4 0 R>>>>>>",
            b"<</Type /Font /Subtype /TrueType /BaseFont /A /FirstChar -9 /LastChar 499999 /Widths [%s]"
            b" /Encoding <</Differences [0 %s]>>>>" % (b"9 " * 500_000, b"/a " * 250_000),
        ],
        stream(HELLO),
    ),
    "a font without anything": lambda: lettered(
        b"<</Type /Font /Subtype /TrueType /FontDescriptor 5 0 R /Encoding 5 0 R>>"
    ),
    "a font from nowhere on a page without end": lambda: in_no_font(b"", box=b"[0 0 1%s 99]" % (b"0" * 39)),
    "a font from nowhere on a page far away": lambda: in_no_font(b"", box=b"[-1%s 0 99 99]" % (b"0" * 39)),
    "a font from nowhere in a table without end": lambda: in_no_font(
        b"1%s 0 0 1 0 0 cm 0 0 1 50 re S 0 50 1 50 re S 1 0 1 50 re S 1 50 1 50 re S" % (b"0" * 39), box=b"[0 0 99 99]"
    ),
    "a font from nowhere in a table beyond numbers": lambda: in_no_font(
        b"1%s 0 0 1 0 0 cm 0 0 1 50 re S 0 50 1 50 re S 1%s 0 1 50 re S 1 50 1 50 re S" % (b"0" * 300, b"0" * 100),
        box=b"[0 0 99 99]",
    ),
    "metadata in a circle": lambda: with_info(b"<</Title 6 0 R /Author [5 0 R] /Subject 5 0 R>>"),
    "metadata of a bell and an escape": lambda: with_info(
        b"<</Title (\\033[31m\\007\\177) /Author <FEFFDC00D800FFFE0000> /Producer <FEFF202E0041>>>"
    ),
    "metadata of numbers": lambda: with_info(b"<</Title 1%s /Author true /Subject null /Keywords /K>>" % (b"0" * 400)),
}
