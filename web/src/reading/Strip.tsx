// The strip of small pages, with how many hits are on each.
import { memo, useEffect, useLayoutEffect, useMemo, useRef } from "react";
import { type DocumentDetails, type PageSize, picture } from "../api";
import { type Watch, letGo, useNear, useNearby } from "../ui/near";
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

export function Strip({ document: { id, sha256 }, sizes, page, counts, go }: Props) {
  const nav = useRef<HTMLElement>(null);
  useEffect(() => {
    const element = nav.current?.querySelector<HTMLElement>(`[data-thumb="${page}"]`);
    if (!element || !nav.current || nav.current.contains(globalThis.document.activeElement)) return;
    const top = element.offsetTop - nav.current.offsetTop;
    if (top < nav.current.scrollTop + 20 || top + element.offsetHeight > nav.current.scrollTop + nav.current.clientHeight - 20) {
      nav.current.scrollTop = top - nav.current.clientHeight / 2 + element.offsetHeight / 2;
    }
  }, [page]);
  const near = useNearby(nav, "100% 0px");
  const thumbs = useMemo(
    () => sizes.map((size) => <Thumb key={size.page_number} id={id} version={sha256} size={size} near={near} hits={counts.get(size.page_number) ?? 0} go={go} />),
    [sizes, id, sha256, near, counts, go],
  );
  // Marked by hand: a thousand others need not be looked through for each page that one passes.
  useLayoutEffect(() => {
    const link = nav.current?.querySelector(`[data-thumb="${page}"] a`);
    link?.setAttribute("aria-current", "page");
    return () => link?.removeAttribute("aria-current");
  }, [page, thumbs]);
  return (
    <nav className={s.strip} aria-label={t.reading.pages} ref={nav}>
      <ol>{thumbs}</ol>
    </nav>
  );
}

interface ThumbProps {
  id: number;
  version: string | null | undefined;
  size: PageSize;
  near: Watch;
  hits: number;
  go: (page: number) => void;
}

const Thumb = memo(function Thumb({ id, version, size, near: isNear, hits, go }: ThumbProps) {
  const number = size.page_number;
  const item = useRef<HTMLLIElement>(null);
  const near = useNear(item, isNear);
  const height = Math.round((WIDTH * size.height) / size.width);
  return (
    <li ref={item} data-thumb={number} className={s.thumb} style={{ containIntrinsicSize: `${WIDTH}px ${height + 19}px` }}>
      <a
        href={`/app/documents/${id}/${number}`}
        onClick={(event) => {
          if (event.metaKey || event.ctrlKey) return;
          event.preventDefault();
          go(number);
        }}
      >
        {near ? (
          <img ref={letGo} className="paper" src={picture(id, number, 160, version)} alt={t.page(number)} decoding="async" width={WIDTH} height={height} />
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
