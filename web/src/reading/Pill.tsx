import { ChevronLeft, ChevronRight, Minus, MoveHorizontal, Plus } from "lucide-react";
import { type RefObject, useEffect, useState } from "react";
import { t } from "../ui/words";
import s from "./reading.module.css";

interface Props {
  page: number;
  count: number;
  label: string | null;
  go: (page: number) => void;
  zoom?: number;
  zoomBy?: (factor: number) => void;
  fit?: () => void;
  field: RefObject<HTMLInputElement | null>;
  wide: boolean;
}

/** Where I am, and how large: over the foot of the pages. */
export function Pill({ page, count, label, go, zoom, zoomBy, fit, field, wide }: Props) {
  const [text, setText] = useState(String(page));
  useEffect(() => setText(String(page)), [page]);
  return (
    <div className={s.pill} role="toolbar" aria-label={t.reading.toolbar}>
      <button type="button" className="b b-0 b-s b-i" aria-label={t.reading.previousPage} disabled={page <= 1} onClick={() => go(page - 1)}>
        <ChevronLeft className="i i-s" />
      </button>
      <label>
        <span className="vh">{t.reading.pageField}</span>
        <input
          ref={field}
          className="num"
          inputMode="numeric"
          value={text}
          onChange={(event) => setText(event.target.value)}
          onFocus={(event) => event.target.select()}
          onBlur={() => setText(String(page))}
          onKeyDown={(event) => {
            if (event.key === "Enter") {
              const number = Number.parseInt(text, 10);
              if (number) go(number);
              event.currentTarget.blur();
            }
            if (event.key === "Escape") event.currentTarget.blur();
          }}
        />
      </label>
      <span className="muted small num">{label && label !== String(page) ? t.reading.ofLabel(count, label) : t.reading.of(count)}</span>
      <button type="button" className="b b-0 b-s b-i" aria-label={t.reading.nextPage} disabled={page >= count} onClick={() => go(page + 1)}>
        <ChevronRight className="i i-s" />
      </button>
      {wide && zoom !== undefined && zoomBy && (
        <>
          <i />
          <button type="button" className="b b-0 b-s b-i" aria-label={t.reading.smaller} onClick={() => zoomBy(1 / 1.2)}>
            <Minus className="i i-s" />
          </button>
          <span className={`num muted small ${s.zoom}`}>{Math.round(zoom * 100)} %</span>
          <button type="button" className="b b-0 b-s b-i" aria-label={t.reading.larger} onClick={() => zoomBy(1.2)}>
            <Plus className="i i-s" />
          </button>
          <i />
          <button type="button" className="b b-0 b-s b-i" aria-label={t.reading.fit} onClick={fit}>
            <MoveHorizontal className="i i-s" />
          </button>
        </>
      )}
    </div>
  );
}
