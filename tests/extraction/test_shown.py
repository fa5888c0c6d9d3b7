"""What a page shows is its text, and nothing else: fields, notes, layers, crop boxes, clips, invisible text."""

import pytest

from support.engines import FileReader
from support.forms import LABEL_TOPS, LABELS, show, write_annotated, write_appearance, write_field, write_layers
from support.pdfs import write_grid, write_page

# Fields


@pytest.mark.parametrize("form", [b"/NeedAppearances true", b"/DA (/Helv 12 Tf 0 g)"])
def test_the_value_of_a_field_without_an_appearance_stands_beside_its_label(reader: FileReader, form: bytes) -> None:
    name = write_field(b"Tx", 0, b"(Jane Example)")
    kind = write_field(b"Ch", 1, b"(CH)", b"/Ff 131072 /Opt [[(DE) (Germany)] [(CH) (Switzerland)]]")
    file = write_annotated(LABELS, name, kind, form=form)

    assert reader.read_text(file).split("\n") == ["Name: Jane Example", "Kind: Switzerland", "Agreed:", "Total"]
    assert reader.count_matches(file, "jane example") == 1


def test_the_value_of_a_field_is_what_its_appearance_shows(reader: FileReader) -> None:
    appearance = write_appearance(b"BT /F1 12 Tf 2 4 Td (1,250.00 EUR) Tj ET")
    file = write_annotated(
        LABELS, write_field(b"Tx", 3, b"(1250)", b"/AP <</N 7 0 R>>"), others=[appearance], form=b"/SigFlags 0"
    )

    assert reader.read_text(file).endswith("Total 1,250.00 EUR")


def test_a_field_is_drawn_and_found_where_it_stands(reader: FileReader) -> None:
    file = write_annotated(LABELS, write_field(b"Tx", 0, b"(Jane)"), form=b"/NeedAppearances true")

    assert reader.count_dark(file, (130, 792 - 714, 330, 792 - 696)) > 20
    (((x0, top, x1, bottom),),) = reader.find_boxes(file, "Jane")
    assert 130 <= x0 < x1 <= 330
    assert 792 - 716 <= top < bottom <= 792 - 694


def test_a_field_between_two_labels_of_a_line_stands_between_them(reader: FileReader) -> None:
    labels = b"BT /F1 12 Tf 72 700 Td (Name:) Tj 280 0 Td (Date:) Tj ET BT /F1 12 Tf 72 670 Td (Next line) Tj ET"
    file = write_annotated(labels, write_field(b"Tx", 0, b"(Jane)"), form=b"/NeedAppearances true")

    assert reader.read_text(file) == "Name: Jane Date:\nNext line"


@pytest.mark.parametrize("value", ["DE8937040044", "AB 12 C"])
def test_a_field_with_a_place_for_each_character_holds_words(reader: FileReader, value: str) -> None:
    comb = write_field(b"Tx", 0, b"(%s)" % value.encode(), b"/Ff 16777216 /MaxLen 14")

    file = write_annotated(LABELS, comb, form=b"/NeedAppearances true")

    assert reader.read_text(file).split("\n")[0] == f"Name: {value}"


def test_blanks_that_were_typed_between_digits_stay(reader: FileReader) -> None:
    file = write_annotated(LABELS, write_field(b"Tx", 0, b"(1 2 3 4)"), form=b"/NeedAppearances true")

    assert reader.read_text(file).split("\n")[0] == "Name: 1 2 3 4"


def test_a_ticked_box_is_drawn(reader: FileReader) -> None:
    tick = write_appearance(b"2 w 2 2 m 16 16 l 2 16 m 16 2 l S", 18, 18)
    states = b"/AS /%s /AP <</N <</Yes 7 0 R /Off 8 0 R>>>>"
    box = (130, 792 - 656, 330, 792 - 634)
    ticked = write_annotated(
        LABELS, write_field(b"Btn", 2, b"/Yes", states % b"Yes"), others=[tick, write_appearance(b"")], form=b"/DA ()"
    )
    open_box = write_annotated(
        LABELS, write_field(b"Btn", 2, b"/Off", states % b"Off"), others=[tick, write_appearance(b"")], form=b"/DA ()"
    )

    assert reader.count_dark(ticked, box) > 20
    assert reader.count_dark(open_box, box) == 0


@pytest.mark.parametrize(("sign", "shown"), [(b"4", "✔"), (b"8", "✘"), (b"l", "●")])
def test_a_ticked_box_without_an_appearance_is_drawn_and_read(reader: FileReader, sign: bytes, shown: str) -> None:
    about = b"/AS /%s /MK <</CA (%s)>>"
    files = [
        write_annotated(LABELS, write_field(b"Btn", 2, b"/Yes", about % (state, sign)), form=b"/NeedAppearances true")
        for state in (b"Yes", b"Off")
    ]

    assert [shown in reader.read_text(file) for file in files] == [True, False]
    assert [reader.count_dark(file, (130, 792 - 656, 330, 792 - 634)) > 10 for file in files] == [True, False]


CROSS = write_appearance(b"BT /F1 12 Tf 2 4 Td (X) Tj ET")


def write_choice(*boxes: bytes) -> bytes:
    """Return a form of round boxes beside the first labels, the second chosen; each box is what it says of itself."""
    kids = [
        b"<</Type /Annot /Subtype /Widget /F 4 /Rect [130 %d 148 %d] /Parent 10 0 R %s>>" % (y - 4, y + 14, box)
        for y, box in zip(LABEL_TOPS, boxes, strict=False)
    ]
    field = b"<</FT /Btn /Ff 49152 /T (choice) /V /B /Kids [6 0 R 7 0 R]>>"
    others = [CROSS, write_appearance(b""), field]
    form = write_annotated(LABELS, *kids, others=others, form=b"/NeedAppearances true")
    return form.replace(b"/Fields [6 0 R 7 0 R]", b"/Fields [10 0 R]       ")


@pytest.mark.parametrize("states", [(b"/AS /Off", b"/AS /B"), (b"", b"")])
def test_a_box_that_has_an_appearance_keeps_it_where_the_form_asks_for_others(
    reader: FileReader, states: tuple[bytes, bytes]
) -> None:
    looks = b"/AP <</N <</%s 8 0 R /Off 9 0 R>>>> %s"

    file = write_choice(looks % (b"A", states[0]), looks % (b"B", states[1]))

    assert reader.read_text(file) == "Name:\nKind: X\nAgreed:\nTotal"


def test_boxes_of_which_nothing_says_which_is_on_are_empty(reader: FileReader) -> None:
    assert reader.read_text(write_choice(b"", b"")) == "Name:\nKind:\nAgreed:\nTotal"


def test_a_value_is_drawn_anew_where_the_form_asks_for_it_beside_a_box(reader: FileReader) -> None:
    name = write_field(b"Tx", 0, b"(New)", b"/AP <</N 8 0 R>>")
    box = write_field(b"Btn", 2, b"/Yes", b"/AS /Yes")

    file = write_annotated(LABELS, name, box, others=[CROSS], form=b"/NeedAppearances true")

    assert reader.read_text(file) == "Name: New\nKind:\nAgreed: ✔\nTotal"


@pytest.mark.parametrize("malformed", [b"/Rect [1 2]", b"/Rect (abc)", b"/Rect [0 0 9 9] /MK 5", b"/Rect 7 /Ff (x)"])
def test_a_malformed_field_takes_no_other_with_it(reader: FileReader, malformed: bytes) -> None:
    fields = [
        write_field(b"Btn", 2, b"/Yes", b"/AS /Yes"),
        b"<</Type /Annot /Subtype /Widget /FT /Btn /AS /Yes %s>>" % malformed,
        write_field(b"Tx", 0, b"(Jane)"),
    ]

    for order in (fields, fields[::-1]):
        text = reader.read_text(write_annotated(LABELS, *order, form=b"/NeedAppearances true"))
        assert text.endswith("Name: Jane\nKind:\nAgreed: ✔\nTotal")


def test_hidden_fields_and_the_letters_of_passwords_are_not_shown(reader: FileReader) -> None:
    hidden = write_field(b"Tx", 0, b"(unseen)").replace(b"/F 4", b"/F 6")
    password = write_field(b"Tx", 1, b"(secret)", b"/Ff 8192")
    text = reader.read_text(write_annotated(LABELS, hidden, password, form=b"/NeedAppearances true"))

    assert "unseen" not in text
    assert "secret" not in text


# Notes

FREE_TEXT = b"<</Type /Annot /Subtype /FreeText /Rect [300 690 500 716] /Contents (%s) /DA (/Helv 12 Tf 0 g) %s>>"


@pytest.mark.parametrize("has_appearance", [True, False])
@pytest.mark.parametrize("flags", [4, 5])
def test_typed_notes_are_part_of_the_page(reader: FileReader, has_appearance: bool, flags: int) -> None:
    about = b"/F %d " % flags + (b"/AP <</N 7 0 R>>" if has_appearance else b"")
    note = FREE_TEXT % (b"PAID 2024-03-05", about)
    drawn = write_appearance(b"BT /F1 12 Tf 2 8 Td (PAID 2024-03-05) Tj ET", 200, 26)
    file = write_annotated(b"BT /F1 12 Tf 72 600 Td (Invoice 1001) Tj ET", note, others=[drawn])

    assert reader.read_text(file) == "PAID 2024-03-05\nInvoice 1001"
    assert len(reader.find_boxes(file, "PAID")) == 1


@pytest.mark.parametrize("end", [b"\\r", b"\\n", b"\\r\\n"])
def test_the_lines_of_a_typed_note_are_lines(reader: FileReader, end: bytes) -> None:
    note = FREE_TEXT.replace(b"690", b"650") % (b"PAID" + end + b"2024-03-05", b"")
    file = write_annotated(b"BT /F1 12 Tf 72 600 Td (Invoice 1001) Tj ET", note)

    assert reader.read_text(file) == "PAID\n2024-03-05\nInvoice 1001"
    assert reader.count_dark(file, (300, 792 - 716, 500, 792 - 650)) > 20


@pytest.mark.parametrize(
    ("contents", "style", "words", "line_count"),
    [
        (b"(This is a note that is too long for one line)", b"", "This is a note that is too long for one line", 2),
        (b"<FEFF041C043E0441043A04320430>", b"/Helv 12 Tf 0 g", "Москва", 1),
        (b"(PAID)", b"1 0 0 rg", "PAID", 1),
    ],
)
def test_a_typed_note_is_drawn_whatever_it_says_of_its_look(
    reader: FileReader, contents: bytes, style: bytes, words: str, line_count: int
) -> None:
    about = b"<</Type /Annot /Subtype /FreeText /Rect [300 650 500 716] /Contents %s /DA (%s)>>"
    file = write_annotated(b"BT /F1 12 Tf 72 600 Td (Invoice 1001) Tj ET", about % (contents, style))

    *lines, last = reader.read_text(file).split("\n")

    assert last == "Invoice 1001"
    assert (" ".join(lines), len(lines)) == (words, line_count)


def test_a_watermark_that_is_an_annotation_is_read(reader: FileReader) -> None:
    mark = b"<</Type /Annot /Subtype /Watermark /F 4 /Rect [72 500 272 518] /AP <</N 7 0 R>>>>"
    drawn = write_appearance(b"BT /F1 12 Tf 2 4 Td (CONFIDENTIAL) Tj ET")

    assert reader.read_text(write_annotated(b"BT /F1 12 Tf 72 600 Td (Invoice) Tj ET", mark, others=[drawn])) == (
        "Invoice\nCONFIDENTIAL"
    )


def test_a_stamp_is_part_of_the_page(reader: FileReader) -> None:
    stamp = b"<</Type /Annot /Subtype /Stamp /Rect [72 500 272 526] /AP <</N 7 0 R>>>>"
    drawn = write_appearance(b"BT /F1 14 Tf 2 6 Td (APPROVED) Tj ET", 200, 26)
    file = write_annotated(b"BT /F1 12 Tf 72 600 Td (Invoice) Tj 0 -200 Td (Total) Tj ET", stamp, others=[drawn])

    assert reader.read_text(file) == "Invoice\nAPPROVED\nTotal"


def test_the_words_of_sticky_notes_are_listed_but_not_in_the_text(reader: FileReader) -> None:
    sticky = b"<</Type /Annot /Subtype /Text /Rect [300 600 320 620] /T (Bob) /Contents (Is this right?)>>"
    comment = b"<</Type /Annot /Subtype /Highlight /Rect [72 600 100 612] /T (Eve) /Contents (Check) /QuadPoints []>>"
    reply = b"<</Type /Annot /Subtype /Text /Rect [0 0 9 9] /Contents (Accepted) /StateModel (Review)>>"

    extraction = reader.extract(write_annotated(b"BT /F1 12 Tf 72 600 Td (Invoice) Tj ET", sticky, comment, reply))

    assert extraction.pages[0].text == "Invoice"
    assert extraction.notes == [(1, "Bob", "Is this right?"), (1, "Eve", "Check")]


# Layers


def test_what_is_on_a_layer_that_is_off_is_not_read(reader: FileReader) -> None:
    content = show(b"Old price 111.00", 700, b"L0") + show(b"New price 222.00", 700, b"L1")
    file = write_layers(content, [b"", b""], b"/OFF [5 0 R]")

    assert reader.read_text(file) == "New price 222.00"
    assert reader.count_matches(file, "Old price") == 0


def test_layers_are_off_by_their_base_state_and_by_their_usage(reader: FileReader) -> None:
    content = show(b"zero", 700, b"L0") + show(b"one", 680, b"L1")

    by_base = write_layers(content, [b"", b""], b"/BaseState /OFF /ON [6 0 R]")
    by_usage = write_layers(content, [b"/Usage <</View <</ViewState /OFF>>>>", b""], b"")

    assert reader.read_text(by_base) == "one"
    assert reader.read_text(by_usage) == "one"


def test_memberships_of_layers_are_decided_by_policy_and_expression(reader: FileReader) -> None:
    names = [b"M%d" % number for number in range(4)]
    content = b"".join(show(name, 700 - 20 * number, name) for number, name in enumerate(names))
    groups = b"/Type /OCMD /OCGs [5 0 R 6 0 R]"
    memberships = [
        b"<<%s>>" % groups,  # any of them on
        b"<<%s /P /AllOn>>" % groups,
        b"<<%s /P /AnyOff>>" % groups,
        b"<</Type /OCMD /VE [/And 6 0 R [/Not 6 0 R]]>>",
    ]

    assert reader.read_text(write_layers(content, [b"", b""], b"/OFF [5 0 R]", *memberships)) == "M0\nM2"


def test_a_table_has_the_cells_of_the_layers_that_are_on(reader: FileReader) -> None:
    content = write_grid(2, 1) + show(b"1.11", 400, b"L0") + show(b"2.22", 400, b"L1")

    assert reader.read_tables(write_layers(content, [b"", b""], b"/OFF [5 0 R]")) == [[["2.22", ""]]]


def test_rules_on_a_layer_that_is_off_make_no_table(reader: FileReader) -> None:
    content = b"/OC /L0 BDC " + write_grid(2, 2) + b"EMC " + show(b"text", 400)

    assert reader.read_tables(write_layers(content, [b""], b"/OFF [5 0 R]")) == []


# The crop box, and clips


def test_text_outside_the_crop_box_is_not_read(reader: FileReader) -> None:
    content = show(b"Body", 400) + show(b"PRINTER SLUG", 20) + b"BT /F1 12 Tf 2000 400 Td (far off) Tj ET"
    file = write_page(content, page=b"/CropBox [50 50 562 742]")

    assert reader.read_text(file) == "Body"
    assert reader.count_matches(file, "slug") == 0


def test_a_line_that_runs_out_of_the_page_ends_at_its_edge(reader: FileReader) -> None:
    file = write_page(b"BT /F1 12 Tf 540 400 Td (inside outside) Tj ET", page=b"/CropBox [0 0 578 792]")

    assert reader.read_text(file) == "inside"


def test_a_table_outside_the_crop_box_is_none(reader: FileReader) -> None:
    file = write_page(show(b"Body", 780) + write_grid(2, 2), page=b"/CropBox [0 760 612 792]")

    assert reader.extract(file).tables == []


def test_clipped_text_is_not_read(reader: FileReader) -> None:
    whole = b"q 0 0 40 40 re W n BT /F1 12 Tf 72 700 Td (wholly clipped) Tj ET Q "
    partly = b"q 72 640 48 20 re W n BT /F1 12 Tf 72 645 Td (EUCALYPTUS CITRIODORA) Tj ET Q "
    beside = b"BT /F1 12 Tf 200 645 Td (10 CC) Tj ET"

    text = reader.read_text(write_page(whole + partly + beside))

    assert text in {"EUCAL 10 CC", "EUCALY 10 CC"}


def test_the_clip_of_a_form_holds_for_the_text_in_it(reader: FileReader) -> None:
    form = b"/Type /XObject /Subtype /Form /BBox [0 0 300 100] /Resources <</Font <</F1 6 0 R>>>>"
    drawn = b"BT /F1 12 Tf 10 10 Td (seen) Tj 0 200 Td (unseen) Tj ET"
    font = b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>"
    length = b"<<%s /Length %d>>\nstream\n%s\nendstream" % (form, len(drawn), drawn)

    file = write_page(b"q 1 0 0 1 100 300 cm /X Do Q", length, font, resources=b"/XObject <</X 5 0 R>>")

    assert reader.read_text(file) == "seen"


# Invisible text

IMAGE = (
    b"<</Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 /Length 1>>\n"
    b"stream\n\x80\nendstream"
)


def test_invisible_text_is_read_only_where_it_spells_out_a_picture(reader: FileReader) -> None:
    picture = b"q 400 0 0 100 72 600 cm /X Do Q "
    unseen = b"q BT 3 Tr /F1 12 Tf 80 650 Td (recognized) Tj 0 -400 Td (hidden) Tj ET Q "
    file = write_page(picture + unseen + show(b"Visible", 300), IMAGE, resources=b"/XObject <</X 5 0 R>>")

    assert reader.read_text(file) == "recognized\nVisible"


# Watermarks


LINES = b"".join(b"BT /F1 12 Tf 72 %d Td (%s) Tj ET " % (700 - 14 * n, line) for n, line in enumerate([
    b"Sales have risen in all regions", b"Ink 3.50 was the price of it", b"Nothing else was found by them",
]))  # fmt: skip
GREY = b" q 0.8 g BT /F1 %d Tf %s Tm (DRAFT) Tj ET Q "


@pytest.mark.parametrize("place", [b"1 0 0 1 80 660", b".7 .7 -.7 .7 100 620", b"0 1 -1 0 180 600"])
@pytest.mark.parametrize("rotate", [0, 90])
def test_a_watermark_is_a_line_of_its_own(reader: FileReader, place: bytes, rotate: int) -> None:
    first, second, third = (line + b" ET " for line in LINES.split(b" ET ")[:3])
    page = b"/Rotate %d" % rotate

    for content in (LINES + GREY % (60, place), first + second + GREY % (60, place) + third):
        assert reader.read_text(write_page(content, page=page)).split("\n") == [
            "Sales have risen in all regions",
            "Ink 3.50 was the price of it",
            "Nothing else was found by them",
            "DRAFT",
        ]


def test_a_pale_watermark_need_not_be_large(reader: FileReader) -> None:
    text = reader.read_text(write_page(LINES + GREY % (20, b"1 0 0 1 100 684")))

    assert text.endswith("them\nDRAFT")


def test_a_watermark_that_is_repeated_parts_no_line(reader: FileReader) -> None:
    marks = b"".join(GREY % (16, b".9 .4 -.4 .9 %d %d" % (80 + 90 * n, 664 + 7 * n)) for n in range(3))

    text = reader.read_text(write_page(LINES + marks))

    assert text.split("\n")[:3] == [
        "Sales have risen in all regions",
        "Ink 3.50 was the price of it",
        "Nothing else was found by them",
    ]
    assert text.count("DRAFT") == 3


def test_a_watermark_is_found_where_it_stands(reader: FileReader) -> None:
    (((x0, _, x1, _),),) = reader.find_boxes(write_page(LINES + GREY % (60, b"1 0 0 1 80 660")), "draft")

    assert [x0, x1] == pytest.approx([80, 280], abs=10)


def test_a_watermark_parts_no_cells_of_a_table_without_rules(reader: FileReader) -> None:
    rows = [["Item", "Pieces", "Price"], ["Pen", "12", "1.20"], ["Ink", "7", "3.50"], ["Paper", "3", "8.00"]]
    drawn = b"".join(
        b"BT /F1 12 Tf %d %d Td (%s) Tj ET " % (72 + 130 * column, 700 - 16 * row, cell.encode())
        for row, cells in enumerate(rows)
        for column, cell in enumerate(cells)
    )
    file = write_page(drawn + GREY % (60, b"1 0 0 1 90 656"))

    assert reader.read_tables(file) == [rows]
    assert reader.read_text(file).split("\n") == [*map(" ".join, rows), "DRAFT"]


@pytest.mark.parametrize("place", [b"1 0 0 1 10 45", b".9 .43 -.43 .9 40 20"])
def test_a_stamp_over_few_words_parts_none_of_them(reader: FileReader, place: bytes) -> None:
    stamp = b"<</Type /Annot /Subtype /Stamp /Rect [60 600 360 760] /F 4 /AP <</N 7 0 R>>>>"
    drawn = write_appearance(b"1 0 0 rg BT /F1 60 Tf %s Tm (PAID) Tj ET" % place, 300, 160)
    lines = b"BT /F1 12 Tf 72 720 Td (Invoice 1001) Tj 0 -50 Td (Total 99.00) Tj ET"

    assert reader.read_text(write_annotated(lines, stamp, others=[drawn])) == "Invoice 1001\nTotal 99.00\nPAID"


def test_a_heading_and_an_initial_are_no_watermarks(reader: FileReader) -> None:
    heading = b"BT /F1 30 Tf 72 730 Td (A report) Tj ET BT /F1 30 Tf 40 690 Td (W) Tj ET "

    assert reader.read_text(write_page(heading + LINES)).startswith("A report\nW")
