"""The text of a table's cells: whole runs of words, each in one cell, in the order and spacing of the page's text."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from operator import itemgetter

from extraction.page.geometry import UPRIGHT, is_apart, surround, transform, transform_box
from extraction.page.scripts import RIGHT_TO_LEFT, join_words
from extraction.tables.ruled import Grid, arrange
from extraction.values import Box, CellWord, Point

RUN_GAP = 0.8  # of the height: a wider gap parts runs, even of one text object
OVERLAP = 0.3  # of the height: what begins that far before the end of the last word is not its continuation
ONE_TURN = 0.8  # of a table's characters: it lies on its side if so many do
TOWERING = 2.0  # times the height of its cell: no word of it
SAME_LINE = 0.5  # of the lower of two words on one line
PARTED = 0.05  # of the height: words that are nearer are one
MOST_LINES = 50  # of a cell, in which marks are put at words
SMALL, TOUCHING = 0.8, 0.2  # a mark beside a word is lower than that, and no blank of its own height is between them

Place = tuple[int, int]  # row and column


def read_cells(words: Sequence[CellWord], grid: Grid, page_turn: int = 0) -> tuple[Grid, list[list[str | None]]]:
    """Return the grid as its text stands, and the text of each cell, None where a row has no cell.

    *words* are those of the page, in the order of its text; most of that is turned by *page_turn*. A table that lies on
    its side is read as one that stands.
    """
    words = [word for word in words if not is_apart(word.box, grid.bbox)]
    if turn := _find_turn(words, page_turn):
        words = [_set_upright(word, turn) for word in words]
        cells = [transform_box(UPRIGHT[turn], cell) for row in grid.rows for cell in row if cell is not None]
        grid = Grid(transform_box(UPRIGHT[turn], grid.bbox), arrange(cells))
    finder = _CellFinder(grid)
    held: defaultdict[Place, list[list[CellWord]]] = defaultdict(list)
    for run, places in _part_runs(words, finder):
        for place, part in _share_out(run, places, finder):
            held[place].append(part)
    return grid, [
        [None if cell is None else _write(held.get((row, column), [])) for column, cell in enumerate(cells)]
        for row, cells in enumerate(grid.rows)
    ]


def _find_turn(words: Sequence[CellWord], page_turn: int) -> int:
    """Return the quarter turns, clockwise, of nearly all the words of a table; if they differ, of most of the page."""
    counts: Counter[int] = Counter()
    for word in words:
        counts[word.turn] += len(word.text)
    turn, count = max(counts.items(), key=itemgetter(1), default=(0, 0))
    if count >= ONE_TURN * counts.total():
        return turn
    return page_turn if 2 * sum(word.turn == page_turn for word in words) > len(words) else 0


def _set_upright(word: CellWord, turn: int) -> CellWord:
    matrix = UPRIGHT[turn]
    box, middle = transform_box(matrix, word.box), transform(matrix, word.middle)
    return word._replace(box=box, middle=middle, turn=(word.turn - turn) % 4)


class _CellFinder:
    """Finds the cell in which a point lies."""

    def __init__(self, grid: Grid) -> None:
        self.cells = {
            (row, column): cell
            for row, cells in enumerate(grid.rows)
            for column, cell in enumerate(cells)
            if cell is not None
        }
        by_column: defaultdict[int, list[tuple[float, int]]] = defaultdict(list)
        for (row, column), cell in self.cells.items():
            by_column[column].append((cell[1], row))
        self._tops = {column: sorted(cells) for column, cells in by_column.items()}
        self._lefts = sorted(
            (min(self.cells[row, column][0] for _, row in cells), column) for column, cells in self._tops.items()
        )

    def find(self, point: Point) -> Place | None:
        x, y = point
        number = bisect_right(self._lefts, (x, len(self._lefts)))
        for _, column in reversed(self._lefts[:number]):  # a cell may span the columns after its own
            tops = self._tops[column]
            index = bisect_right(tops, (y, len(self.cells))) - 1
            if index >= 0:
                place = (tops[index][1], column)
                if self.cells[place][2] > x and self.cells[place][3] > y:
                    return place
        return None


def _part_runs(words: Sequence[CellWord], finder: _CellFinder) -> Iterator[tuple[list[CellWord], list[Place | None]]]:
    """Yield the runs of words that touch the table, with the cell in which each word stands."""
    run: list[CellWord] = []
    places: list[Place | None] = []
    for word in words:
        place = finder.find(word.middle) or finder.find(_center(word.box))
        if place is not None and _towers_over(word, finder.cells[place]):
            continue
        if run and not _continues(run[-1], word, is_same_cell=place == places[-1]):
            yield run, places
            run, places = [], []
        run.append(word)
        places.append(place)
    if run:
        yield run, places


def _towers_over(word: CellWord, cell: Box) -> bool:
    """Whether a word is written over the table, as a watermark is: it is far taller than the cell."""
    low, high = (1, 3) if word.turn % 2 == 0 else (0, 2)
    return word.box[high] - word.box[low] > TOWERING * (cell[high] - cell[low])


def _center(box: Box) -> Point:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _continues(last: CellWord, word: CellWord, *, is_same_cell: bool) -> bool:
    if word.begins_line or word.turn != last.turn:
        return False
    if word.turn == 0 and word.box[2] <= last.box[0] and not RIGHT_TO_LEFT.search(last.text + word.text):
        return False  # drawn after what stands to its right
    if is_same_cell:
        return True
    gap, height = _gap_between(last, word)
    return word.first_object == last.last_object and -OVERLAP * height <= gap <= RUN_GAP * height


def _gap_between(last: CellWord, word: CellWord) -> tuple[float, float]:
    """Return the gap along the line, whichever way it is read, and the height of the line."""
    x0, top, x1, bottom = last.box
    if word.turn % 2:
        return max(word.box[1] - bottom, top - word.box[3]), x1 - x0
    return max(word.box[0] - x1, x0 - word.box[2]), bottom - top


def _share_out(
    run: list[CellWord], places: list[Place | None], finder: _CellFinder
) -> Iterator[tuple[Place, list[CellWord]]]:
    """Yield the run's words by cell: a run that flows over, with a border through a word of it, belongs to one."""
    found = {place for place in places if place is not None}
    if len(found) > 1 and any(
        _is_crossed(word, finder.cells[place]) for word, place in zip(run, places, strict=True) if place
    ):
        yield _find_owner(run, found, finder), run
        return
    for place in dict.fromkeys(place for place in places if place is not None):
        yield place, [word for word, other in zip(run, places, strict=True) if other in (place, None)]


def _is_crossed(word: CellWord, cell: Box) -> bool:
    """Whether the word stands out of its cell along the line, by more than a hair."""
    low, high = (0, 2) if word.turn % 2 == 0 else (1, 3)
    return word.box[low] < cell[low] - 1 or word.box[high] > cell[high] + 1


def _find_owner(run: list[CellWord], places: set[Place], finder: _CellFinder) -> Place:
    """Return the cell that the run starts from, or ends at: where the edge of its cell is nearer."""
    low, high = (0, 2) if run[0].turn % 2 == 0 else (1, 3)
    box = surround(word.box for word in run)
    first = min(places, key=lambda place: finder.cells[place][low])
    last = max(places, key=lambda place: finder.cells[place][high])
    before, after = box[low] - finder.cells[first][low], finder.cells[last][high] - box[high]
    return first if before <= after or after < 0 else last


def _write(runs: list[list[CellWord]]) -> str:
    lines: list[list[list[CellWord]]] = []  # of runs
    for run in runs:
        if (
            len(run) == 1
            and len(lines) <= MOST_LINES
            and any(_attach(run[0], other) for line in lines for other in line)
        ):
            continue
        if lines and not run[0].begins_line and _share_line(lines[-1][-1][-1], run[0]):
            lines[-1].append(run)
            continue
        line = next((line for line in lines if all(_stand_apart(run, other) for other in line)), None)
        if line is None:
            lines.append([run])
        else:
            line.append(run)
            line.sort(key=lambda part: part[0].box[0])
    if all(run[0].turn == 0 for run in runs):
        lines.sort(key=lambda line: min(word.middle[1] for part in line for word in part))
    return "\n".join(map(_write_line, lines))


def _attach(mark: CellWord, run: list[CellWord]) -> bool:
    """Put a small word, drawn later than its line, at the word that it follows there, as marks of notes are."""
    for number, word in enumerate(run):
        left, top, right, bottom = word.box
        height = mark.box[3] - mark.box[1]
        if (
            word.turn == mark.turn == 0
            and height < SMALL * (bottom - top)
            and abs(mark.box[0] - right) <= TOUCHING * height
            and _share_line(word, mark)
            and (number + 1 == len(run) or mark.box[2] <= run[number + 1].box[0] + TOUCHING * height)
        ):
            run[number] = word._replace(text=word.text + mark.text, box=(left, top, mark.box[2], bottom))
            return True
    return False


def _write_line(line: list[list[CellWord]]) -> str:
    words = [word for run in line for word in run]
    if any(word.turn for word in words) or not any(RIGHT_TO_LEFT.search(word.text) for word in words):
        return " ".join([word.text for word in words])
    words.sort(key=lambda word: word.box[0])
    texts: list[str] = []
    end = float("-inf")
    for word in words:
        if texts and word.box[0] - end < PARTED * (word.box[3] - word.box[1]) and RIGHT_TO_LEFT.search(word.text):
            texts[-1] = word.text + texts[-1]  # PDFium parts words of which each letter is drawn by itself
        else:
            texts.append(word.text)
        end = word.box[2]
    return join_words(texts)


def _share_line(last: CellWord, word: CellWord) -> bool:
    low, high = (1, 3) if word.turn % 2 == 0 else (0, 2)
    shared = min(last.box[high], word.box[high]) - max(last.box[low], word.box[low])
    return shared >= SAME_LINE * min(last.box[high] - last.box[low], word.box[high] - word.box[low])


def _stand_apart(run: list[CellWord], other: list[CellWord]) -> bool:
    """Whether two upright runs, which were drawn apart, are parts of one line."""
    return (
        run[0].turn == other[0].turn == 0
        and _share_line(run[0], other[0])
        and (run[0].box[0] >= other[-1].box[2] or run[-1].box[2] <= other[0].box[0])
    )
