// Hits of a search in one document, one after the other and by page.
import type { DocumentSearch } from "../api";

export interface Hit {
  page: number;
  index: number; // from 0, over the document
  position: number; // in the page's text
  length: number;
  boxes: [number, number, number, number][]; // x0, top, x1, bottom in points
}

export interface Found {
  total: number;
  hits: Hit[];
  counts: Map<number, number>; // by page
  byPage: Map<number, Hit[]>;
}

const NONE: Found = { total: 0, hits: [], counts: new Map(), byPage: new Map() };

export function flatten(answer: DocumentSearch | undefined): Found {
  if (!answer) return NONE;
  const found: Found = { total: answer.total_matches, hits: [], counts: new Map(), byPage: new Map() };
  for (const { page, matches, context } of answer.matches_by_page) {
    found.counts.set(page, matches);
    const here = context.map(
      ({ position, match, boxes }, offset): Hit => ({
        page,
        index: found.hits.length + offset,
        position,
        length: [...match].length, // as positions count,
        boxes: mergeOnLines((boxes ?? []) as Hit["boxes"]),
      }),
    );
    found.byPage.set(page, here);
    found.hits.push(...here);
  }
  return found;
}

/** One box a line: words that stand beside each other are one stroke of the pen. */
export function mergeOnLines(boxes: Hit["boxes"]): Hit["boxes"] {
  const merged: Hit["boxes"] = [];
  for (const [x0, top, x1, bottom] of boxes) {
    const last = merged.at(-1);
    const height = bottom - top;
    if (last && Math.abs((last[1] + last[3]) / 2 - (top + bottom) / 2) < height * 0.6 && x0 - last[2] < height * 1.5 && x0 >= last[0]) {
      last[1] = Math.min(last[1], top);
      last[2] = Math.max(last[2], x1);
      last[3] = Math.max(last[3], bottom);
    } else merged.push([x0, top, x1, bottom]);
  }
  return merged;
}
