// The strip of small pages, with how many hits are on each.
import { memo, useEffect, useMemo, useRef } from "react";
import { type DocumentDetails, type PageSize, picture } from "../api";
import { Picture } from "../ui/Picture";
import { t } from "../ui/words";
import { place, useNear } from "./places";
import s from "./reading.module.css";

interface Props {
  document: DocumentDetails;
  sizes: PageSize[];
  page: number;
  counts: Map<number, number>;
  go: (page: number) => void;
}

const WIDTH = 84;
const BELOW = 19; // the number
const GAP = 12;

export function Strip({ document: { id, sha256 }, sizes, page, counts, go }: Props) {
  const nav = useRef<HTMLElement>(null);
  const places = useMemo(
    () => place(sizes.map(({ width, height }) => ({ width: WIDTH, height: Math.round((WIDTH * height) / width) + BELOW })), GAP),
    [sizes],
  );
  const { near, look } = useNear(nav, places, 1);
  useEffect(() => {
    const element = nav.current;
    const there = places[page - 1];
    if (!element || !there || element.contains(globalThis.document.activeElement)) return;
    if (there.top < element.scrollTop + 20 || there.top + there.height > element.scrollTop + element.clientHeight - 20) {
      element.scrollTop = there.top - element.clientHeight / 2 + there.height / 2;
    }
  }, [page, places]);
  const [from, to] = near;
  const last = places.at(-1);
  return (
    <nav className={s.strip} aria-label={t.reading.pages} ref={nav} onScroll={look}>
      <ol style={{ height: last ? last.top + last.height + GAP : 0, paddingTop: places[from]?.top ?? 0 }}>
        {sizes.slice(from, to + 1).map((size) => (
          <Thumb
            key={size.page_number}
            id={id}
            version={sha256}
            size={size}
            height={places[size.page_number - 1]!.height}
            count={sizes.length}
            now={size.page_number === page}
            hits={counts.get(size.page_number) ?? 0}
            go={go}
          />
        ))}
      </ol>
    </nav>
  );
}

interface ThumbProps {
  id: number;
  version: string | null | undefined;
  size: PageSize;
  height: number;
  count: number;
  now: boolean;
  hits: number;
  go: (page: number) => void;
}

const Thumb = memo(function Thumb({ id, version, size, height, count, now, hits, go }: ThumbProps) {
  const number = size.page_number;
  return (
    <li data-thumb={number} className={s.thumb} style={{ height }} aria-posinset={number} aria-setsize={count}>
      <a
        href={`/app/documents/${id}/${number}`}
        aria-current={now ? "page" : undefined}
        onClick={(event) => {
          if (event.metaKey || event.ctrlKey) return;
          event.preventDefault();
          go(number);
        }}
      >
        <span className={`paper ${s.small}`} style={{ height: height - BELOW }}>
          <Picture src={picture(id, number, 160, version)} alt={t.page(number)} later />
        </span>
        <span className="num">
          {size.label ?? number}
          {hits > 0 && (
            <span className="hits" aria-label={t.reading.hits(hits)}>
              {hits}
            </span>
          )}
        </span>
      </a>
    </li>
  );
});
