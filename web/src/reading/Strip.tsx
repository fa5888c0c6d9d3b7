// The strip of small pages, with how many hits are on each.
import { memo, useEffect, useRef } from "react";
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
  return (
    <nav className={s.strip} aria-label={t.reading.pages} ref={nav}>
      <ol>
        {sizes.map((size) => (
          <Thumb key={size.page_number} id={document.id} version={document.sha256} size={size} current={size.page_number === page} hits={counts.get(size.page_number) ?? 0} go={go} />
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
  hits: number;
  go: (page: number) => void;
}

const Thumb = memo(function Thumb({ id, version, size, current, hits, go }: ThumbProps) {
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
        <img className="paper" src={picture(id, number, 160, version)} alt={t.page(number)} loading="lazy" decoding="async" width={WIDTH} height={height} />
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
