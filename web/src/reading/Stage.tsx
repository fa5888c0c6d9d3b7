// The pages one below the other, those that are near.
import { type ReactNode, type Ref, useCallback, useEffect, useImperativeHandle, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { DocumentDetails, PageSize } from "../api";
import { t } from "../ui/words";
import type { Found, Hit } from "./found";
import { type Quote, Selected } from "./Selected";
import { Sheet } from "./Sheet";
import { type Place, type Range, pageAt, place, useNear } from "./places";
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
const MARGIN_HEIGHTS = 1; // of what is near, above and below

export function Stage({ ref, document, sizes, start, zoom, onZoom, onPage, found, hit, talk, share, children }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
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

  const padding = width < 720 ? 10 : 20; // above the first page
  const places = useMemo(() => {
    const room = width - (width < 720 ? 16 : 32);
    const pages = width > 0 ? sizes : [];
    return place(
      pages.map((size) => {
        const pixels = Math.round(zoom === null ? Math.min(size.width * scale, room) : size.width * scale);
        return { width: pixels, height: Math.round((pixels * size.height) / size.width) };
      }),
      GAP,
    );
  }, [sizes, width, zoom, scale]);
  const { near, look } = useNear(box, places, MARGIN_HEIGHTS);
  const current = useRef(start);
  const follow = useCallback(() => {
    const element = box.current;
    if (!element) return;
    look();
    const number = pageAt(places, element.scrollTop + element.clientHeight * 0.4 - padding) + 1;
    if (number === current.current) return;
    current.current = number;
    setPage(number);
    onPage(number);
  }, [onPage, look, places, padding]);
  const showPage = useCallback(
    (number: number) => {
      const there = places[number - 1];
      if (box.current && there) box.current.scrollTop = there.top + (number === 1 ? 0 : padding - 12);
    },
    [places, padding],
  );

  useImperativeHandle(ref, () => ({
    showPage,
    showHit: ({ page: number, boxes }) => {
      const element = box.current;
      const there = places[number - 1];
      if (!element || !there) return;
      const first = boxes[0];
      const size = sizes[number - 1];
      const top = padding + there.top + (first && size ? (first[1] / size.height) * there.height : 0);
      if (top < element.scrollTop + 60 || top > element.scrollTop + element.clientHeight - 120) {
        element.scrollTop = Math.max(0, top - element.clientHeight * 0.35);
      }
      if (first && size) {
        const left = Math.max(0, (element.clientWidth - there.width) / 2) + (first[0] / size.width) * there.width;
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
    look();
  }, [scale, width, start, showPage, look]);

  const now = hit ? found.hits[hit - 1] : undefined;
  const [from, to] = withSelected(near, box.current);
  const end = (place: Place | undefined) => (place ? place.top + place.height + GAP : 0);
  const above = places[from]?.top ?? 0;
  const below = end(places.at(-1)) - end(places[to]);
  return (
    <div className={s.stagebox}>
      <div className={s.stage} ref={box} role="region" tabIndex={0} aria-label={t.reading.pageOf(page, sizes.length)} style={{ paddingTop: padding }} onScroll={follow}>
        <div className={s.away} style={{ height: above }} />
        {sizes.slice(from, to + 1).map((size, index) => (
          <Sheet
            key={size.page_number}
            document={document.id}
            version={document.sha256}
            size={size}
            width={places[from + index]?.width ?? 0}
            height={places[from + index]?.height ?? 0}
            gap={GAP}
            near={from + index >= near[0] && from + index <= near[1]}
            hits={found.byPage.get(size.page_number)}
            now={now?.page === size.page_number ? now.index : -1}
          />
        ))}
        <div className={s.away} style={{ height: below }} />
        <Selected box={box} talk={talk} share={share} />
      </div>
      {children}
    </div>
  );
}

/** A selection keeps the pages that it reaches over. */
function withSelected([from, to]: Range, box: Element | null): Range {
  const selection = getSelection();
  if (!box || !selection || selection.isCollapsed || !box.contains(selection.anchorNode)) return [from, to];
  const pages = [selection.anchorNode, selection.focusNode].flatMap((node) => {
    const sheet = (node instanceof Element ? node : node?.parentElement)?.closest<HTMLElement>("[data-page]");
    return sheet ? [Number(sheet.dataset["page"]) - 1] : [];
  });
  return [Math.min(from, ...pages), Math.max(to, ...pages)];
}

/** The width that most pages have, so that one wide table does not make the others small. */
function commonWidth(sizes: PageSize[]): number {
  const counts = new Map<number, number>();
  for (const { width } of sizes) counts.set(Math.round(width), (counts.get(Math.round(width)) ?? 0) + 1);
  return [...counts.entries()].sort((one, other) => other[1] - one[1])[0]?.[0] ?? 612;
}
