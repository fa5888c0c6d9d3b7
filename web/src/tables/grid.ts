// A table as it is shown and copied: without empty columns, merged cells merged, numbers known.
import type { Table } from "../api";

export interface Cell {
  text: string;
  columns: number;
  rows: number;
}

export interface Grid {
  title: string;
  columns: number[]; // those that are shown, by their number in the table
  rows: (Cell | null)[][]; // null is covered by the cell to the left or above
  headers: number; // rows
  numeric: boolean[]; // by shown column
}

const NUMBER = /^[\s(+\-−–]*[$€£¥]?\s*\d[\d\s.,'’]*\s*[%‰)€]*$/;

export function isNumber(text: string): boolean {
  return NUMBER.test(text.trim());
}

export function columnName(index: number): string {
  return index < 26 ? String.fromCharCode(65 + index) : columnName(Math.floor(index / 26) - 1) + columnName(index % 26);
}

/** *trim* hides the columns in which no row has anything. */
export function toGrid(table: Table, trim: boolean): Grid {
  const { data } = table;
  const width = Math.max(0, ...data.map((row) => row.length));
  const all = Array.from({ length: width }, (_, index) => index);
  const filled = all.filter((index) => data.some((row) => (row[index] ?? "").trim() !== ""));
  const columns = trim && filled.length ? filled : all;
  const rows = data.map((row) => columns.map((index): Cell | null => ({ text: (row[index] ?? "").replace(/\s*\n\s*/g, " "), columns: 1, rows: 1 })));
  for (const [top, left, bottom, right] of table.spans) {
    const shown = columns.map((column, at) => ({ column, at })).filter(({ column }) => column >= left && column <= right);
    const first = shown[0]?.at;
    if (first === undefined) continue;
    for (let row = top; row <= bottom && row < rows.length; row++) for (const { at } of shown) rows[row]![at] = null;
    rows[top]![first] = { text: (data[top]?.[left] ?? "").replace(/\s*\n\s*/g, " "), columns: shown.length, rows: bottom - top + 1 };
  }
  const numeric = columns.map((index) => {
    const texts = data.slice(table.header_rows).map((row) => (row[index] ?? "").trim()).filter((text) => text && !/^[-–—.…]+$/.test(text));
    return texts.length > 0 && texts.filter(isNumber).length >= texts.length * 0.7;
  });
  return { title: titleOf(table), columns, rows, headers: table.header_rows, numeric };
}

function titleOf({ title, data }: Table): string {
  if (title) return title;
  const first = data[0]?.filter((text): text is string => Boolean(text?.trim())) ?? [];
  return first.slice(0, 2).join(", ").replace(/\s+/g, " ").slice(0, 80);
}

function escapeHtml(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
}

/** Tab-separated text and an HTML table; a spreadsheet takes either as cells, and neither as a formula. */
export function toClipboard(grid: Grid): { text: string; html: string } {
  const plain = (cell: Cell | null) => {
    const text = (cell?.text ?? "").replace(/[\t\r\n]+/g, " ");
    return /^[=+@]|^-(?![\d.,\s])/.test(text) ? `'${text}` : text;
  };
  const text = grid.rows.map((row) => row.map(plain).join("\t")).join("\n");
  const cells = (row: (Cell | null)[]) =>
    row
      .map((cell) => cell && `<td${cell.columns > 1 ? ` colspan="${cell.columns}"` : ""}${cell.rows > 1 ? ` rowspan="${cell.rows}"` : ""}>${escapeHtml(plain(cell))}</td>`)
      .filter(Boolean)
      .join("");
  return { text, html: `<table>${grid.rows.map((row) => `<tr>${cells(row)}</tr>`).join("")}</table>` };
}
