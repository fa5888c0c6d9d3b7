import { expect, test } from "vitest";
import { pageAt, place } from "./places";

const places = place([{ width: 100, height: 140 }, { width: 200, height: 90 }, { width: 100, height: 140 }], 10);

test("pages lie one below the other, a gap apart", () => {
  expect(places.map(({ top }) => top)).toEqual([0, 150, 250]);
});

test("a page reaches to where the next one begins", () => {
  expect([-500, 0, 149, 150, 249, 250, 9000].map((y) => pageAt(places, y))).toEqual([0, 0, 0, 1, 1, 2, 2]);
});
