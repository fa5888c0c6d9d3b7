import { expect, test } from "vitest";
import { flatten, mergeOnLines } from "./found";

test("boxes beside each other on a line become one", () => {
  expect(mergeOnLines([[10, 100, 40, 112], [42, 100, 80, 112], [10, 114, 30, 126]])).toEqual([
    [10, 100, 80, 112],
    [10, 114, 30, 126],
  ]);
});

test("boxes far apart on a line stay two", () => {
  expect(mergeOnLines([[10, 100, 40, 112], [300, 100, 340, 112]])).toHaveLength(2);
});

test("hits are numbered over the document and counted by page", () => {
  const context = { position: 3, context: "a due b", before: "a ", match: "due", after: " b", boxes: [[1, 2, 3, 4]] as [number, number, number, number][] };
  const found = flatten({
    filename: "a.pdf",
    search_term: "due",
    total_matches: 3,
    next_cursor: null,
    matches_by_page: [
      { page: 2, matches: 2, context: [context, context] },
      { page: 5, matches: 1, context: [context] },
    ],
  });
  expect(found.hits.map(({ page, index }) => [page, index])).toEqual([[2, 0], [2, 1], [5, 2]]);
  expect(found.counts.get(2)).toBe(2);
});
