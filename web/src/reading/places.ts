// Where the pages of a scrolling box lie, and which of them are near: those alone are there, so that a long book never fills the memory.
import { type RefObject, useCallback, useLayoutEffect, useState } from "react";

export interface Place {
  top: number; // from the first page's
  width: number;
  height: number;
}

/** A page below the other, *gap* apart. */
export function place(pages: { width: number; height: number }[], gap: number): Place[] {
  let top = 0;
  return pages.map(({ width, height }) => {
    const here = { top, width, height };
    top += height + gap;
    return here;
  });
}

/** The last page that begins at *y* or before. */
export function pageAt(places: Place[], y: number): number {
  let low = 0;
  let high = places.length - 1;
  while (low < high) {
    const at = (low + high + 1) >> 1;
    if (places[at]!.top <= y) low = at;
    else high = at - 1;
  }
  return low;
}

export type Range = readonly [from: number, to: number]; // counted from 0, `to` is the last one

/** The pages within *margin* heights of what *box* shows, and `look`, to be called when it has scrolled. */
export function useNear(box: RefObject<HTMLElement | null>, places: Place[], margin: number): { near: Range; look: () => void } {
  const [near, setNear] = useState<Range>([0, -1]);
  const look = useCallback(() => {
    const element = box.current;
    if (!element || !places.length) return;
    const { scrollTop, clientHeight } = element;
    const from = pageAt(places, scrollTop - margin * clientHeight);
    const to = pageAt(places, scrollTop + (1 + margin) * clientHeight);
    setNear((was) => (was[0] === from && was[1] === to ? was : [from, to]));
  }, [box, places, margin]);
  useLayoutEffect(() => {
    look();
    const observer = new ResizeObserver(look);
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, [box, look]);
  return { near, look };
}
