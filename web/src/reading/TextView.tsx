// The text of the pages in a readable measure, with the same hits and the same place.
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, type Ref, memo, useCallback, useEffect, useImperativeHandle, useLayoutEffect, useRef, useState } from "react";
import { type DocumentDetails, type PageSize, readPage } from "../api";
import { t } from "../ui/words";
import type { Found, Hit } from "./found";
import type { StageHandle } from "./Stage";
import s from "./reading.module.css";

interface Props {
  ref: Ref<StageHandle>;
  document: DocumentDetails;
  sizes: PageSize[];
  start: number;
  onPage: (page: number) => void;
  found: Found;
  hit: number;
  children: ReactNode;
}

export function TextView({ ref, document, sizes, start, onPage, found, hit, children }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [near, setNear] = useState<ReadonlySet<number>>(new Set([start]));
  const current = useRef(start);
  // A page that was asked for stays where it is while the texts around it come, until somebody scrolls.
  const asked = useRef<number | null>(start);
  const hold = useCallback(() => {
    const sheet = box.current?.querySelector<HTMLElement>(`[data-page="${asked.current}"]`);
    if (sheet && box.current) box.current.scrollTop = sheet.offsetTop - 16;
  }, []);
  const release = () => {
    asked.current = null;
  };
  const showPage = (number: number) => {
    asked.current = number;
    hold();
    if (number === current.current) return;
    current.current = number;
    onPage(number);
  };
  useLayoutEffect(() => {
    hold();
    const observer = new ResizeObserver(hold);
    for (const sheet of box.current!.children) observer.observe(sheet);
    return () => observer.disconnect();
  }, [hold, sizes.length]);
  useEffect(() => {
    const observer = new IntersectionObserver(
      (entries) => {
        setNear((was) => new Set([...was, ...entries.filter((entry) => entry.isIntersecting).map(({ target }) => Number((target as HTMLElement).dataset["page"]))]));
      },
      { root: box.current, rootMargin: "100% 0px" },
    );
    for (const sheet of box.current!.querySelectorAll("[data-page]")) observer.observe(sheet);
    return () => observer.disconnect();
  }, [sizes.length]);
  const follow = () => {
    if (asked.current !== null) return;
    const element = box.current!;
    const middle = element.scrollTop + element.clientHeight * 0.3;
    const sheets = [...element.querySelectorAll<HTMLElement>("[data-page]")];
    const at = sheets.findLastIndex((sheet) => sheet.offsetTop <= middle);
    if (at + 1 !== current.current && at >= 0) {
      current.current = at + 1;
      onPage(at + 1);
    }
  };
  const now = hit ? found.hits[hit - 1] : undefined;
  useImperativeHandle(ref, () => ({
    showPage,
    showHit: ({ page, index }) => {
      showPage(page);
      release();
      setTimeout(() => box.current?.querySelector(`[data-hit="${index}"]`)?.scrollIntoView({ block: "center" }), 120);
    },
    scrollBy: (by, event) => {
      if (event.target instanceof Element && event.target.closest("aside, nav")) return;
      event.preventDefault();
      release();
      box.current!.scrollTop += typeof by === "number" ? by : (by === "down" ? 0.9 : -0.9) * box.current!.clientHeight;
    },
  }));
  return (
    <div className={s.stagebox}>
      <div className={s.textstage} ref={box} role="region" tabIndex={0} aria-label={t.reading.text} onScroll={follow} onWheel={release} onTouchMove={release} onPointerDown={release} onKeyDown={release}>
        {sizes.map(({ page_number: number, label }) => (
          <PageText key={number} id={document.id} number={number} label={label} near={near.has(number)} hits={found.byPage.get(number)} now={now?.page === number ? now.index : -1} />
        ))}
      </div>
      {children}
    </div>
  );
}

interface PageTextProps {
  id: number;
  number: number;
  label: string | null;
  near: boolean;
  hits: Hit[] | undefined;
  now: number;
}

const PageText = memo(function PageText({ id, number, label, near, hits, now }: PageTextProps) {
  const page = useQuery({ queryKey: ["page-text", id, number], queryFn: () => readPage(id, number, false), enabled: near, retry: false });
  return (
    <section data-page={number} className={s.pagetext}>
      <h2 className="num">{t.page(label ?? number)}</h2>
      {page.isSuccess && (page.data.text.trim() ? <p>{marked(page.data.text, hits ?? [], now)}</p> : <p className="faint">{t.reading.noText}</p>)}
    </section>
  );
});

/** The text with its hits marked; positions count characters as people do, not as JavaScript does. */
function marked(text: string, hits: Hit[], now: number): ReactNode {
  if (!hits.length) return text;
  const characters = [...text];
  const parts: ReactNode[] = [];
  let at = 0;
  for (const { position, length, index } of hits) {
    if (position < at) continue;
    parts.push(characters.slice(at, position).join(""));
    parts.push(
      <mark key={index} data-hit={index} className={index === now ? s.nowmark : ""}>
        {characters.slice(position, position + length).join("")}
      </mark>,
    );
    at = position + length;
  }
  parts.push(characters.slice(at).join(""));
  return parts;
}
