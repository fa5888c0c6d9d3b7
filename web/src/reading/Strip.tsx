// The strip of small pages, with how many hits are on each.
import { memo, useEffect, useRef, useState } from "react";
import { type DocumentDetails, type PageSize, picture } from "../api";
import { t } from "../ui/words";
import s from "./reading.module.css";

interface Props {
  document: DocumentDetails;
  sizes: PageSize[];
  page: number;
  counts: Map<number, number>;
  go: (page: number) => void;
}

const WIDTH = 84;

export function Strip({ document, sizes, page, counts, go }: Props) {
  const nav = useRef<HTMLElement>(null);
  useEffect(() => {
    const element = nav.current?.querySelector<HTMLElement>(`[data-thumb="${page}"]`);
    if (!element || !nav.current || nav.current.contains(globalThis.document.activeElement)) return;
    const top = element.offsetTop - nav.current.offsetTop;
    if (top < nav.current.scrollTop + 20 || top + element.offsetHeight > nav.current.scrollTop + nav.current.clientHeight - 20) {
      nav.current.scrollTop = top - nav.current.clientHeight / 2 + element.offsetHeight / 2;
    }
  }, [page]);
  // As on the stage: pictures in those that are near, and boxes for the rest.
  const [near, setNear] = useState<ReadonlySet<number>>(new Set());
  useEffect(() => {
    const observer = new IntersectionObserver(
      (entries) =>
        setNear((was) => {
          const next = new Set(was);
          for (const { target, isIntersecting } of entries) {
            const number = Number((target as HTMLElement).dataset["thumb"]);
            if (isIntersecting) next.add(number);
            else next.delete(number);
          }
          return next;
        }),
      { root: nav.current, rootMargin: "100% 0px" },
    );
    for (const thumb of nav.current!.querySelectorAll("[data-thumb]")) observer.observe(thumb);
    return () => observer.disconnect();
  }, [sizes.length]);
  return (
    <nav className={s.strip} aria-label={t.reading.pages} ref={nav}>
      <ol>
        {sizes.map((size) => (
          <Thumb key={size.page_number} id={document.id} version={document.sha256} size={size} current={size.page_number === page} near={near.has(size.page_number)} hits={counts.get(size.page_number) ?? 0} go={go} />
        ))}
      </ol>
    </nav>
  );
}

interface ThumbProps {
  id: number;
  version: string | null | undefined;
  size: PageSize;
  current: boolean;
  near: boolean;
  hits: number;
  go: (page: number) => void;
}

const Thumb = memo(function Thumb({ id, version, size, current, near, hits, go }: ThumbProps) {
  const number = size.page_number;
  const height = Math.round((WIDTH * size.height) / size.width);
  return (
    <li data-thumb={number} className={s.thumb} style={{ containIntrinsicSize: `${WIDTH}px ${height + 19}px` }}>
      <a
        href={`/app/documents/${id}/${number}`}
        aria-current={current ? "page" : undefined}
        onClick={(event) => {
          if (event.metaKey || event.ctrlKey) return;
          event.preventDefault();
          go(number);
        }}
      >
        {near ? (
          <img className="paper" src={picture(id, number, 160, version)} alt={t.page(number)} decoding="async" width={WIDTH} height={height} />
        ) : (
          <i className="paper" style={{ width: WIDTH, height }} aria-label={t.page(number)} role="img" />
        )}
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
