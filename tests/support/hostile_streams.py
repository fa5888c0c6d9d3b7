"""Hostile PDFs by name: streams and pictures that inflate beyond memory."""

import zlib

from support.hostile_building import (
    BLANK,
    FLATE,
    ZEROS,
    Makers,
    deflated,
    flate_bomb,
    image,
    jbig2,
    jpeg,
    jpeg2000,
    lettered,
    lzw_bomb,
    packed,
)
from support.pdfs import CATALOG, HELLO, PAGES, stream, write_page, write_pdf

STREAMS: Makers = {
    "length too long": lambda: write_page(HELLO).replace(b"/Length 36", b"/Length 99999999"),
    "length negative": lambda: write_page(HELLO).replace(b"/Length 36", b"/Length -1"),
    "length of itself": lambda: write_page(HELLO).replace(b"/Length 36", b"/Length 4 0 R"),
    "flate bomb": lambda: write_page(flate_bomb(BLANK, 3000), content_dictionary=FLATE),
    "flate bomb in a flate bomb": lambda: write_page(
        zlib.compress(flate_bomb(BLANK, 3000), 9), content_dictionary=b"/Filter [/FlateDecode /FlateDecode]"
    ),
    "lzw bomb": lambda: write_page(lzw_bomb(), content_dictionary=b"/Filter /LZWDecode"),
    "run length bomb": lambda: write_page(b"\x81 " * 1_500_000, content_dictionary=b"/Filter /RunLengthDecode"),
    "ascii85 bomb": lambda: write_page(b"z" * 2_000_000 + b"~>", content_dictionary=b"/Filter /ASCII85Decode"),
    "asciihex of nothing": lambda: write_page(b"20" * 1_000_000 + b">", content_dictionary=b"/Filter /AHx"),
    "a hundred filters": lambda: write_page(HELLO, content_dictionary=b"/Filter [" + b"/FlateDecode " * 100 + b"]"),
    "predictor of a thousand million columns": lambda: write_page(
        zlib.compress(ZEROS),
        content_dictionary=FLATE + b" /DecodeParms <</Predictor 12 /Columns 1073741824 /Colors 4>>",
    ),
    "images beyond memory": lambda: write_page(
        HELLO + b" /I Do /J Do",
        stream(b"\0", b"/Subtype /Image /Width 2000000000 /Height 2000000000 /Filter /CCITTFaxDecode"),
        stream(b"\xff\x4f\xff\x51", b"/Subtype /Image /Width 65000 /Height 65000 /Filter /JPXDecode"),
        resources=b"/XObject <</I 5 0 R /J 6 0 R>>",
    ),
    "an inline image without end": lambda: write_page(HELLO + b" BI /W 9999 /H 9999 /BPC 8 /CS /G ID \x00\x01"),
    "filters of every kind": lambda: write_page(
        zlib.compress(b"3132" * 1_000_000).hex().encode() + b">",
        content_dictionary=b"/Filter [/AHx /FlateDecode /AHx /A85 /RunLengthDecode /LZWDecode /DCTDecode]",
    ),
    "run lengths of a flate bomb": lambda: write_page(
        flate_bomb(b"\x81 " * 500_000, 300), content_dictionary=b"/Filter [/Fl /RL]"
    ),
    "ascii85 of a flate bomb": lambda: write_page(
        flate_bomb(b"z" * 1_000_000, 500), content_dictionary=b"/Filter [/Fl /A85]"
    ),
    "asciihex of a flate bomb": lambda: write_page(
        flate_bomb(b"20" * 500_000, 500), content_dictionary=b"/Filter [/Fl /AHx]"
    ),
    "lzw of a flate bomb": lambda: write_page(flate_bomb(lzw_bomb(), 500), content_dictionary=b"/Filter [/Fl /LZW]"),
    "predictors without sense": lambda: write_page(
        zlib.compress(ZEROS),
        content_dictionary=FLATE
        + b" /DecodeParms <</Predictor 15 /Columns -1 /Colors 2147483647 /BitsPerComponent 32>>",
    ),
    "a predictor of one column": lambda: write_page(
        flate_bomb(ZEROS, 300), content_dictionary=FLATE + b" /DecodeParms <</Predictor 2 /Columns 1 /Colors 1>>"
    ),
    "objects of a flate bomb": lambda: packed([CATALOG, PAGES, b"null"], bag=flate_bomb(BLANK, 3000)),
    "references of a flate bomb": lambda: packed([CATALOG, PAGES, b"null"], table=flate_bomb(ZEROS, 3000)),
    "metadata of a flate bomb": lambda: write_pdf(
        [
            b"<</Type /Catalog /Pages 2 0 R /Metadata 4 0 R>>",
            PAGES,
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Metadata 4 0 R /Thumb 4 0 R>>",
            stream(flate_bomb(BLANK, 3000), b"/Type /Metadata /Subtype /XML " + FLATE),
        ]
    ),
    "a font of a flate bomb": lambda: lettered(
        b"<</Type /Font /Subtype /TrueType /BaseFont /Bomb /FirstChar 0 /LastChar 999999999 /Widths [9]"
        b" /FontDescriptor <</FontName /Bomb /Flags 4 /FontFile2 6 0 R>>>>",
        stream(flate_bomb(ZEROS, 1000), FLATE + b" /Length1 2147483647"),
    ),
    "a jpeg of 65,500 by 65,500": lambda: image(
        b"/Width 65500 /Height 65500 /BitsPerComponent 8 /ColorSpace /DeviceRGB /Filter /DCTDecode", jpeg(65500, 65500)
    ),
    "a jpeg larger than its image": lambda: image(
        b"/Width 1 /Height 1 /BitsPerComponent 8 /ColorSpace /DeviceGray /Filter /DCTDecode", jpeg(14000, 14000)
    ),
    "a jpeg 2000 of four thousand million by as many": lambda: image(
        b"/Width 9 /Height 9 /Filter /JPXDecode", jpeg2000(2**32 - 1, 2**32 - 1)
    ),
    "a jpeg 2000 of 30,000 by 30,000": lambda: image(
        b"/Width 30000 /Height 30000 /Filter /JPXDecode", jpeg2000(30000, 30000)
    ),
    "a jbig2 of two thousand million by as many": lambda: image(
        b"/Width 2147483647 /Height 2147483647 /BitsPerComponent 1 /ColorSpace /DeviceGray /Filter /JBIG2Decode",
        jbig2(2**31 - 1, 2**31 - 1, 2**32 - 2),
    ),
    "a jbig2 of 60,000 by 60,000": lambda: image(
        b"/Width 60000 /Height 60000 /BitsPerComponent 1 /ColorSpace /DeviceGray /Filter /JBIG2Decode",
        jbig2(60000, 60000, 46),
    ),
    "a fax of 60,000 by 60,000": lambda: image(
        b"/Width 60000 /Height 60000 /BitsPerComponent 1 /ColorSpace /DeviceGray /Filter /CCITTFaxDecode"
        b" /DecodeParms <</K -1 /Columns 60000 /Rows 60000>>",
        bytes(1000),
    ),
    "an image of 100,000 by 100,000": lambda: image(
        b"/Width 100000 /Height 100000 /BitsPerComponent 1 /ColorSpace /DeviceGray " + FLATE, flate_bomb(ZEROS, 1250)
    ),
    "an image of few dots said to be many": lambda: image(
        b"/Width 2147483647 /Height 1 /BitsPerComponent 16 /ColorSpace /DeviceCMYK", b"\0"
    ),
    "a picture in its own mask": lambda: image(
        b"/Width 2 /Height 2 /BitsPerComponent 8 /ColorSpace /DeviceGray /SMask 5 0 R /Mask 5 0 R /Alternates [5 0 R]",
        bytes(4),
    ),
    "fifty thousand inline images": lambda: deflated(b"BI /W 1 /H 1 /BPC 8 /CS /G ID x EI " * 50_000 + HELLO),
    "an inline image of a bomb": lambda: write_page(
        b"BI /W 30000 /H 30000 /BPC 8 /CS /G /F /Fl ID " + flate_bomb(ZEROS, 900) + b" EI " + HELLO
    ),
}
