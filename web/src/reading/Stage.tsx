// The pages one below the other: a box for each, a picture in those that are near.
import { type ReactNode, type Ref, useCallback, useEffect, useImperativeHandle, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { DocumentDetails, PageSize } from "../api";
import { useNearby } from "../ui/near";
import { t } from "../ui/words";
import type { Found, Hit } from "./found";
import { type Quote, Selected } from "./Selected";
import { Sheet } from "./Sheet";
import s from "./reading.module.css";

export interface StageHandle {
  showPage: (page: number) => void;
  showHit: (hit: Hit) => void;
  scrollBy: (by: number | "up" | "down", event: KeyboardEvent) => void;
}

interface Props {
  ref: Ref<StageHandle>;
  document: DocumentDetails;
  sizes: PageSize[];
  start: number;
  zoom: number | null;
  onZoom: (zoom: number) => void;
  onPage: (page: number) => void;
  found: Found;
  hit: number;
  talk: (quote: Quote) => void;
  share: (quote: Quote) => void;
  children: ReactNode;
}

const MARGIN = 92; // pixels beside a page that fits
const WIDEST = 960;
const GAP = 18;

export function Stage({ ref, document, sizes, start, zoom, onZoom, onPage, found, hit, talk, share, children }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const near = useNearby(box, "120% 0px");
  const seen = useNearby(box, "0px");
  const [page, setPage] = useState(start);
  const scale = useMemo(() => {
    if (zoom !== null) return zoom;
    if (!width || !sizes.length) return 1;
    const room = width < 720 ? width - 16 : Math.min(width - MARGIN, WIDEST);
    return room / commonWidth(sizes);
  }, [zoom, width, sizes]);
  useEffect(() => onZoom(scale), [scale, onZoom]);

  useLayoutEffect(() => {
    const element = box.current!;
    setWidth(element.clientWidth);
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const sheetOf = (number: number) => box.current?.querySelector<HTMLElement>(`[data-page="${number}"]`);
  const current = useRef(start);
  const follow = useCallback(() => {
    const element = box.current;
    if (!element) return;
    const middle = element.scrollTop + element.clientHeight * 0.4;
    const sheets = element.querySelectorAll<HTMLElement>("[data-page]");
    let low = 0;
    let high = sheets.length - 1;
    while (low < high) {
      const at = (low + high + 1) >> 1;
      if (sheets[at]!.offsetTop <= middle) low = at;
      else high = at - 1;
    }
    const number = low + 1;
    if (number === current.current) return;
    current.current = number;
    setPage(number);
    onPage(number);
  }, [onPage]);
  const showPage = useCallback((number: number) => {
    const element = box.current;
    const sheet = sheetOf(number);
    if (!element || !sheet) return;
    element.scrollTop = sheet.offsetTop - (number === 1 ? 20 : 12);
  }, []);

  useImperativeHandle(ref, () => ({
    showPage,
    showHit: ({ page: number, boxes }) => {
      const element = box.current;
      const sheet = sheetOf(number);
      if (!element || !sheet) return;
      const first = boxes[0];
      const size = sizes[number - 1];
      const top = sheet.offsetTop + (first && size ? (first[1] / size.height) * sheet.offsetHeight : 0);
      if (top < element.scrollTop + 60 || top > element.scrollTop + element.clientHeight - 120) {
        element.scrollTop = Math.max(0, top - element.clientHeight * 0.35);
      }
      if (first && size) {
        const left = sheet.offsetLeft + (first[0] / size.width) * sheet.offsetWidth;
        if (left < element.scrollLeft || left > element.scrollLeft + element.clientWidth - 80) element.scrollLeft = left - element.clientWidth / 3;
      }
    },
    scrollBy: (by, event) => {
      const element = box.current;
      if (!element || (event.target instanceof Element && event.target.closest("aside, nav"))) return;
      event.preventDefault();
      element.scrollTop += typeof by === "number" ? by : (by === "down" ? 0.9 : -0.9) * element.clientHeight;
    },
  }));

  // A change of the size keeps the page that is read where it is.
  const before = useRef({ scale: 0 });
  useLayoutEffect(() => {
    if (!width) return;
    if (before.current.scale === 0) showPage(start);
    else if (before.current.scale !== scale) showPage(current.current);
    before.current.scale = scale;
  }, [scale, width, start, showPage]);

  const now = hit ? found.hits[hit - 1] : undefined;
  const { id, sha256 } = document;
  const sheets = useMemo(
    () =>
      width > 0 &&
      sizes.map((size) => {
        const pixels = zoom === null ? Math.min(size.width * scale, width - (width < 720 ? 16 : 32)) : size.width * scale;
        return (
          <Sheet
            key={size.page_number}
            document={id}
            version={sha256}
            size={size}
            width={Math.round(pixels)}
            gap={GAP}
            near={near}
            seen={seen}
            hits={found.byPage.get(size.page_number)}
            now={now?.page === size.page_number ? now.index : -1}
          />
        );
      }),
    [id, sha256, sizes, width, scale, zoom, near, seen, found, now],
  );
  return (
    <div className={s.stagebox}>
      <div className={s.stage} ref={box} role="region" tabIndex={0} aria-label={t.reading.pageOf(page, sizes.length)} onScroll={follow}>
        {sheets}
        <Selected box={box} talk={talk} share={share} />
      </div>
      {children}
    </div>
  );
}

/** The width that most pages have, so that one wide table does not make the others small. */
function commonWidth(sizes: PageSize[]): number {
  const counts = new Map<number, number>();
  for (const { width } of sizes) counts.set(Math.round(width), (counts.get(Math.round(width)) ?? 0) + 1);
  return [...counts.entries()].sort((one, other) => other[1] - one[1])[0]?.[0] ?? 612;
}
