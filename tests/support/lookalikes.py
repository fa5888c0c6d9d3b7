"""Pages that have columns, numbers or rules, and no table."""

import io
import random
import textwrap
from collections.abc import Callable, Sequence

from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]

_COMMON = """
the of and to in is that for it as was with be by on not he his but at are this have from or had an
they which one you were all her she there would their we him been has when who will no more if out
so said what up its about than into them can only other time new some could these two may first then
do any like my now over such our man even most
"""
WORDS = _COMMON.split()
Draw = Callable[[Canvas, random.Random], None]
LOOKALIKES: dict[str, Draw] = {}


def lookalike(draw: Draw) -> Draw:
    LOOKALIKES[draw.__name__.strip("_").replace("_", " ")] = draw
    return draw


def draw_lookalike(name: str) -> bytes:
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=(612, 792), invariant=True)
    canvas.setFont("Times-Roman", 10)
    LOOKALIKES[name](canvas, random.Random(name))
    canvas.save()
    return target.getvalue()


def _sentence(chance: random.Random, length: int = 14) -> str:
    return " ".join(chance.choice(WORDS) for _ in range(chance.randint(length // 2, length))).capitalize() + "."


def _lines(chance: random.Random, count: int, width: int) -> list[str]:
    text = " ".join(_sentence(chance) for _ in range(count * width // 50 + 2))
    return textwrap.wrap(text, width)[:count]


def _write(canvas: Canvas, lines: Sequence[str], x: float, y: float, *, step: float = 12) -> None:
    for number, line in enumerate(lines):
        canvas.drawString(x, y - step * number, line)


def _justify(canvas: Canvas, lines: Sequence[str], x: float, y: float, width: float) -> None:
    for number, line in enumerate(lines):
        words = line.split()
        total = sum(canvas.stringWidth(word, "Times-Roman", 10) for word in words)
        gap = (width - total) / max(1, len(words) - 1)
        left = x
        for word in words:
            canvas.drawString(left, y - 12 * number, word)
            left += canvas.stringWidth(word, "Times-Roman", 10) + min(gap, 12)


@lookalike
def _prose(canvas: Canvas, chance: random.Random) -> None:
    _write(canvas, _lines(chance, 50, 95), 72, 720)


@lookalike
def _justified_prose(canvas: Canvas, chance: random.Random) -> None:
    _justify(canvas, _lines(chance, 50, 90), 72, 720, 450)


@lookalike
def _prose_in_two_columns(canvas: Canvas, chance: random.Random) -> None:
    for x in (60, 320):
        _write(canvas, _lines(chance, 50, 48), x, 720)


@lookalike
def _justified_prose_in_two_columns(canvas: Canvas, chance: random.Random) -> None:
    for x in (60, 320):
        _justify(canvas, _lines(chance, 50, 44), x, 720, 235)


@lookalike
def _prose_in_three_columns(canvas: Canvas, chance: random.Random) -> None:
    for x in (50, 225, 400):
        _write(canvas, _lines(chance, 50, 33), x, 720)


@lookalike
def _prose_in_two_columns_with_figures(canvas: Canvas, chance: random.Random) -> None:
    for x in (60, 320):
        lines = _lines(chance, 50, 46)
        _write(canvas, [line.replace("was", f"{chance.randint(2, 99)}.5%") for line in lines], x, 720)


@lookalike
def _paragraphs_with_first_lines_indented(canvas: Canvas, chance: random.Random) -> None:
    y = 720.0
    for _ in range(8):
        lines = _lines(chance, 5, 90)
        canvas.drawString(96, y, lines[0])
        _write(canvas, lines[1:], 72, y - 12)
        y -= 12 * len(lines)


@lookalike
def _notes_in_the_margin(canvas: Canvas, chance: random.Random) -> None:
    _write(canvas, _lines(chance, 50, 70), 180, 720)
    for y in (700, 560, 400):
        _write(canvas, _lines(chance, 5, 18), 72, y)


@lookalike
def _contents_with_dots(canvas: Canvas, chance: random.Random) -> None:
    page = 1
    for number in range(30):
        title = f"{number + 1} {_sentence(chance, 6)[:-1]}"
        page += chance.randint(1, 9)
        dots = "." * int((400 - canvas.stringWidth(title, "Times-Roman", 10)) / 2.5)
        canvas.drawString(72, 700 - 15 * number, title + dots)
        canvas.drawRightString(500, 700 - 15 * number, str(page))


@lookalike
def _contents_without_dots(canvas: Canvas, chance: random.Random) -> None:
    page = 1
    for number in range(30):
        page += chance.randint(1, 9)
        canvas.drawString(72, 700 - 15 * number, _sentence(chance, 8)[:-1])
        canvas.drawRightString(500, 700 - 15 * number, str(page))


@lookalike
def _contents_with_numbers(canvas: Canvas, chance: random.Random) -> None:
    page = 1
    for number in range(30):
        page += chance.randint(1, 9)
        indent = 0 if number % 4 == 0 else 24
        canvas.drawString(72 + indent, 700 - 15 * number, f"{number // 4 + 1}.{number % 4}")
        canvas.drawString(110 + indent, 700 - 15 * number, _sentence(chance, 6)[:-1])
        canvas.drawRightString(500, 700 - 15 * number, str(page))


@lookalike
def _list_of_figures(canvas: Canvas, chance: random.Random) -> None:
    page = 3
    for number in range(20):
        page += chance.randint(0, 6)
        canvas.drawString(72, 700 - 15 * number, f"Figure {number + 1}")
        canvas.drawString(130, 700 - 15 * number, _sentence(chance, 8))
        canvas.drawRightString(500, 700 - 15 * number, str(page))


@lookalike
def _index_in_two_columns(canvas: Canvas, chance: random.Random) -> None:
    entries = sorted(f"{chance.choice(WORDS)} {chance.choice(WORDS)}" for _ in range(90))
    for number, entry in enumerate(entries):
        pages = ", ".join(str(chance.randint(1, 300)) for _ in range(chance.randint(1, 3)))
        canvas.drawString(72 + 250 * (number // 45), 720 - 14 * (number % 45), f"{entry}, {pages}")


@lookalike
def _index_with_pages_at_the_right(canvas: Canvas, chance: random.Random) -> None:
    entries = sorted(f"{chance.choice(WORDS)}_{chance.choice(WORDS)}" for _ in range(90))
    for number, entry in enumerate(entries):
        x, y = 72 + 250 * (number // 45), 720 - 14 * (number % 45)
        canvas.drawString(x, y, entry)
        canvas.drawRightString(x + 190, y, str(chance.randint(1, 300)))


@lookalike
def _bullets(canvas: Canvas, chance: random.Random) -> None:
    for number in range(15):
        canvas.drawString(72, 700 - 30 * number, "•")
        _write(canvas, _lines(chance, 2, 80), 96, 700 - 30 * number)


@lookalike
def _numbered_list(canvas: Canvas, chance: random.Random) -> None:
    for number in range(20):
        canvas.drawString(72, 700 - 24 * number, f"{number + 1}.")
        canvas.drawString(100, 700 - 24 * number, _sentence(chance))


@lookalike
def _lettered_list_of_short_items(canvas: Canvas, chance: random.Random) -> None:
    for number in range(12):
        canvas.drawString(72, 700 - 14 * number, f"({chr(97 + number)})")
        canvas.drawString(110, 700 - 14 * number, _sentence(chance, 4)[:-1])


@lookalike
def _bibliography(canvas: Canvas, chance: random.Random) -> None:
    y = 720
    for number in range(14):
        canvas.drawString(72, y, f"[{number + 1}]")
        lines = _lines(chance, 3, 80)
        lines[-1] += f" {chance.randint(1990, 2020)}, pp. {chance.randint(1, 99)}-{chance.randint(100, 200)}."
        _write(canvas, lines, 100, y)
        y -= 42


@lookalike
def _glossary(canvas: Canvas, chance: random.Random) -> None:
    y = 720
    for _ in range(14):
        canvas.drawString(72, y, chance.choice(WORDS))
        _write(canvas, _lines(chance, 3, 70), 160, y)
        y -= 44


@lookalike
def _a_play(canvas: Canvas, chance: random.Random) -> None:
    y = 720
    for number in range(18):
        canvas.drawString(72, y, ("ALICE", "BOB")[number % 2])
        lines = _lines(chance, chance.randint(1, 3), 75)
        _write(canvas, lines, 140, y)
        y -= 12 * len(lines) + 6


def _code(canvas: Canvas, text: str) -> None:
    canvas.setFont("Courier", 9)
    _write(canvas, text.splitlines(), 72, 700, step=11)


@lookalike
def _code_in_c(canvas: Canvas, chance: random.Random) -> None:
    body = "\n".join(f"    values[{n}]     = {chance.randint(1, 99)};      /* item {n} */" for n in range(20))
    _code(canvas, f"int main(void)\n{{\n    int values[20];\n{body}\n    return 0;\n}}")


@lookalike
def _code_in_python(canvas: Canvas, chance: random.Random) -> None:
    names = [chance.choice(WORDS) for _ in range(20)]
    _code(canvas, "\n".join(f"def {name}_{n}(self):\n    return {n}      # {name}" for n, name in enumerate(names)))


@lookalike
def _settings(canvas: Canvas, chance: random.Random) -> None:
    _code(canvas, "\n".join(f"{chance.choice(WORDS)}_{n:<10} = {chance.randint(1, 9)}     ; {n}" for n in range(25)))


@lookalike
def _a_dump_of_bytes(canvas: Canvas, chance: random.Random) -> None:
    rows = (f"{16 * n:08x}  " + " ".join(f"{chance.randint(0, 255):02x}" for _ in range(16)) for n in range(25))
    _code(canvas, "\n".join(rows))


@lookalike
def _equations(canvas: Canvas, chance: random.Random) -> None:
    for number in range(8):
        y = 700 - 70 * number
        _write(canvas, _lines(chance, 2, 90), 72, y)
        canvas.drawString(220, y - 36, f"x + {number}y = {number * 3}z + a")
        canvas.drawRightString(520, y - 36, f"({number + 1})")


@lookalike
def _aligned_equations(canvas: Canvas, chance: random.Random) -> None:
    for number in range(12):
        canvas.drawRightString(250, 700 - 16 * number, f"f(x) + {number}")
        canvas.drawString(265, 700 - 16 * number, "=")
        canvas.drawString(285, 700 - 16 * number, f"g(x) - {chance.randint(1, 9)}y^2")


def _axes(canvas: Canvas, top: int, step: int) -> None:
    canvas.line(120, 400, 120, 620)
    canvas.line(120, 400, 500, 400)
    for number in range(6):
        canvas.drawRightString(114, 397 + 40 * number, str(top - step * (5 - number)))


@lookalike
def _bars(canvas: Canvas, chance: random.Random) -> None:
    _axes(canvas, 100, 20)
    for number in range(6):
        height = chance.randint(20, 190)
        canvas.rect(140 + 60 * number, 400, 30, height, fill=1)
        canvas.drawCentredString(155 + 60 * number, 405 + height, str(height))
        canvas.drawCentredString(155 + 60 * number, 385, str(2001 + number))


@lookalike
def _bars_with_grid_lines(canvas: Canvas, chance: random.Random) -> None:
    _axes(canvas, 50, 10)
    for number in range(6):
        canvas.line(120, 400 + 40 * number, 500, 400 + 40 * number)
        height = chance.randint(20, 190)
        canvas.rect(140 + 60 * number, 400, 30, height, fill=1)
        canvas.drawCentredString(155 + 60 * number, 385, ("Jan", "Feb", "Mar", "Apr", "May", "Jun")[number])


@lookalike
def _curves_with_a_legend(canvas: Canvas, chance: random.Random) -> None:
    _axes(canvas, 5, 1)
    for number in range(6):
        canvas.line(120, 400 + 40 * number, 430, 400 + 40 * number)
        canvas.drawCentredString(120 + 62 * number, 385, str(10 * number))
    for number in range(4):
        canvas.line(120, 420 + 30 * number, 430, 430 + chance.randint(0, 90))
        canvas.drawString(460, 560 - 16 * number, f"Series {number + 1}")


@lookalike
def _a_pie(canvas: Canvas, chance: random.Random) -> None:
    canvas.circle(300, 500, 100)
    for number in range(6):
        canvas.drawString(420, 560 - 18 * number, f"Part {number + 1}")
        canvas.drawString(240 + chance.randint(0, 100), 440 + 20 * number, f"{chance.randint(2, 40)}%")


@lookalike
def _a_form_with_blanks(canvas: Canvas, _chance: random.Random) -> None:
    for number, label in enumerate(["Name", "Street", "Town", "Country", "Telephone", "E-mail", "Date of birth"]):
        canvas.drawString(72, 700 - 30 * number, f"{label}:")
        canvas.drawString(180, 700 - 30 * number, "_" * 50)


@lookalike
def _a_form_in_two_columns(canvas: Canvas, _chance: random.Random) -> None:
    labels = ["Name:", "First name:", "Street:", "Number:", "Town:", "Postcode:", "Country:", "Telephone:"]
    for number, label in enumerate(labels):
        x, y = 72 + 250 * (number % 2), 700 - 40 * (number // 2)
        canvas.drawString(x, y, label)
        canvas.line(x + 78, y - 2, x + 218, y - 2)


@lookalike
def _boxes_to_tick(canvas: Canvas, chance: random.Random) -> None:
    for number in range(12):
        canvas.rect(72, 700 - 24 * number, 9, 9)
        canvas.drawString(90, 700 - 24 * number, _sentence(chance, 8))


@lookalike
def _a_letter(canvas: Canvas, chance: random.Random) -> None:
    _write(canvas, ["Pagewire Ltd", "12 High Street", "London", "", "Tel: 020 7946 0018"], 400, 730)
    _write(canvas, ["Alice Miller", "7 Park Road", "Leeds LS1 4AP"], 72, 650)
    canvas.drawString(400, 600, "3 March 2021")
    _write(canvas, ["Dear Alice,", "", *_lines(chance, 12, 90), "", "Yours sincerely,"], 72, 560)


@lookalike
def _questions_with_four_answers(canvas: Canvas, chance: random.Random) -> None:
    for number in range(8):
        y = 720 - 70 * number
        canvas.drawString(72, y, f"{number + 1}. {_sentence(chance)}")
        for place, letter in enumerate("ABCD"):
            canvas.drawString(90 + 230 * (place % 2), y - 16 - 16 * (place // 2), f"({letter}) {chance.choice(WORDS)}")


@lookalike
def _a_poem_beside_its_translation(canvas: Canvas, chance: random.Random) -> None:
    for number in range(30):
        y = 700 - 14 * number - 10 * (number // 4)
        canvas.drawString(72, y, " ".join(chance.choice(WORDS) for _ in range(6)))
        canvas.drawString(320, y, " ".join(chance.choice(WORDS) for _ in range(6)))


@lookalike
def _a_title_page(canvas: Canvas, _chance: random.Random) -> None:
    for y, size, text in [
        (600, 28, "A Report"),
        (560, 16, "of the second year"),
        (300, 12, "London"),
        (280, 12, "2021"),
    ]:
        canvas.setFont("Times-Roman", size)
        canvas.drawCentredString(306, y, text)


@lookalike
def _signatures(canvas: Canvas, chance: random.Random) -> None:
    _write(canvas, _lines(chance, 20, 90), 72, 720)
    for x, name in ((72, "Alice Miller"), (330, "Bob Smith")):
        canvas.line(x, 400, x + 180, 400)
        _write(canvas, [name, "Director", "Date:"], x, 386)


@lookalike
def _addresses_in_four_columns(canvas: Canvas, chance: random.Random) -> None:
    for x in (40, 180, 320, 460):
        for number in range(16):
            name = f"{chance.choice(WORDS).title()} {chance.choice(WORDS).title()}"
            street, phone = f"{chance.choice(WORDS)} street", f"tel. {chance.randint(100, 999)}"
            _write(canvas, [name, street, phone], x, 740 - 36 * number, step=10)


@lookalike
def _code_in_assembler(canvas: Canvas, chance: random.Random) -> None:
    lines = (f"        mov     eax, {chance.randint(1, 99)}        ; {chance.choice(WORDS)}" for _ in range(30))
    _code(canvas, "\n".join(f"L{n}:     push    ebp" if n % 3 == 0 else line for n, line in enumerate(lines)))
