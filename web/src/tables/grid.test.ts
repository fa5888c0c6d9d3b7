import { expect, test } from "vitest";
import type { Table } from "../api";
import { columnName, isNumber, toClipboard, toGrid } from "./grid";

const table = (data: (string | null)[][], spans: [number, number, number, number][] = []): Table => ({
  page: 1,
  table_index: 0,
  data,
  bbox: [0, 0, 1, 1],
  fragment: false,
  kind: "ruled",
  header_rows: 1,
  spans,
  title: "",
  pages: null,
});

test("columns are named as spreadsheets name them", () => {
  expect([0, 25, 26, 51, 52].map(columnName)).toEqual(["A", "Z", "AA", "AZ", "BA"]);
});

test("numbers are told from words", () => {
  expect(["12.50", "-3", "1,250", "58.1%", "€ 7", "(12)"].every(isNumber)).toBe(true);
  expect(["2012_2", "p 4", "", "n/a"].some(isNumber)).toBe(false);
});

test("empty columns go, and numbers stand right", () => {
  const grid = toGrid(table([["item", "", "price"], ["paper", "", "12.50"], ["ink", "", "..."], ["glue", "", "…"]]), true);
  expect(grid.columns).toEqual([0, 2]);
  expect(grid.numeric).toEqual([false, true]);
});

test("a cell over two columns is one", () => {
  const grid = toGrid(table([["Savings", null], ["a", "b"]], [[0, 0, 0, 1]]), true);
  expect(grid.rows[0]).toEqual([{ text: "Savings", columns: 2, rows: 1 }, null]);
});

test("what is copied is cells, never a formula", () => {
  const { text, html } = toClipboard(toGrid(table([["a", "b"], ["=1+1", "-5"]]), false));
  expect(text).toBe("a\tb\n'=1+1\t-5");
  expect(html).toContain("<tr><td>'=1+1</td><td>-5</td></tr>");
});
