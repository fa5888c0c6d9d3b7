// One page: its picture in a width that is sharp here, the hits over it, and its words to select.
import { useQuery } from "@tanstack/react-query";
import { type ClipboardEvent, type RefObject, memo, useEffect, useMemo, useRef, useState } from "react";
import { type PageSize, type PageWord, picture, readPage } from "../api";
import { Picture } from "../ui/Picture";
import { t } from "../ui/words";
import type { Hit } from "./found";
import s from "./reading.module.css";

const STEPS = [240, 700, 1000, 1400, 2000]; // pixels; few, so that pictures are found in the caches
const STAY_MS = 150;

interface Props {
  document: number;
  version: string | null | undefined;
  size: PageSize;
  width: number; // CSS pixels
  height: number;
  gap: number;
  near: boolean;
  hits: Hit[] | undefined;
  now: number; // the current hit's index
}

export const Sheet = memo(function Sheet({ document, version, size, width, height, gap, near, hits, now }: Props) {
  const number = size.page_number;
  const figure = useRef<HTMLElement>(null);
  const words = useStayed(figure);
  return (
    <figure className={`sheet paper ${s.sheet}`} data-page={number} ref={figure} style={{ width, height, marginBottom: gap }}>
      {near && <Picture src={picture(document, number, stepFor(width), version)} alt={t.page(number)} />}
      {hits && (
        <div className="painted" aria-hidden="true">
          {hits.map(({ index, boxes }) =>
            boxes.map((box, line) => <i key={`${index} ${line}`} className={`hit${index === now ? " here" : ""}`} style={placed(box, size)} />),
          )}
          {hits.map(({ index, boxes }) => index === now && boxes.map((box, line) => <i key={`ring ${line}`} className="ring" style={placed(box, size)} />))}
        </div>
      )}
      {words && <Words document={document} size={size} />}
    </figure>
  );
});

function stepFor(width: number): number {
  const wanted = width * Math.min(devicePixelRatio, 3);
  return STEPS.find((pixels) => pixels >= wanted - 40) ?? STEPS.at(-1)!;
}

/** Words are for pages on which one stays. */
function useStayed(figure: RefObject<HTMLElement | null>): boolean {
  const [stayed, setStayed] = useState(false);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const observer = new IntersectionObserver((entries) => {
      clearTimeout(timer);
      if (entries.at(-1)!.isIntersecting) timer = setTimeout(() => setStayed(true), STAY_MS);
    });
    observer.observe(figure.current!);
    return () => {
      clearTimeout(timer);
      observer.disconnect();
    };
  }, [figure]);
  return stayed;
}

function placed([x0, top, x1, bottom]: Hit["boxes"][number], size: PageSize) {
  const percent = (value: number, whole: number) => `${(100 * value) / whole}%`;
  return {
    left: percent(x0, size.width),
    top: percent(top, size.height),
    width: percent(x1 - x0, size.width),
    height: percent(bottom - top, size.height),
  };
}

interface Line {
  left: number;
  top: number;
  width: number;
  height: number;
  words: { text: string; letters: number; gap: number }[]; // in ems: between letters, and after the word
}

/** Words by line, as the server tells them apart; each as wide as on the page, so that what is selected lies on what is seen. */
export function linesOf(words: PageWord[], measure: (text: string) => number): Line[] {
  const lines = new Map<number, PageWord[]>();
  for (const word of words) lines.set(word.line, [...(lines.get(word.line) ?? []), word]);
  return [...lines.values()].map((line) => {
    const left = Math.min(...line.map(({ x0 }) => x0));
    const top = middle(line.map((word) => word.top));
    const height = Math.max(middle(line.map((word) => word.bottom)) - top, 1);
    return {
      left,
      top,
      height,
      width: Math.max(...line.map(({ x1 }) => x1)) - left,
      words: line.map((word, index) => {
        const count = [...word.text].length;
        const letters = ((word.x1 - word.x0) / height - measure(word.text)) / count;
        const next = line[index + 1];
        if (!next) return { text: `${word.text}\n`, letters, gap: 0 };
        const gap = next.x0 >= word.x0 ? next.x0 - word.x1 : word.x0 - next.x1; // from right to left
        return { text: `${word.text} `, letters, gap: gap / height - measure(" ") - letters };
      }),
    };
  });
}

function middle(values: number[]): number {
  return values.toSorted((one, other) => one - other)[values.length >> 1]!;
}

function Words({ document, size }: { document: number; size: PageSize }) {
  const page = useQuery({
    queryKey: ["words", document, size.page_number],
    queryFn: () => readPage(document, size.page_number, true),
    gcTime: 2_000,
    retry: false,
  });
  const lines = useMemo(() => linesOf(page.data?.words ?? [], measure), [page.data]);
  return (
    <div className={`words ${s.words}`} onCopy={copyPlain}>
      {lines.map((line, index) => (
        <div key={index} dir="auto" style={{ ...placed([line.left, line.top, line.left + line.width, line.top + line.height], size), fontSize: `${(100 * line.height) / size.width}cqw` }}>
          {line.words.map(({ text, letters, gap }, at) => (
            <span key={at} style={{ letterSpacing: `${letters.toFixed(4)}em`, wordSpacing: `${gap.toFixed(4)}em` }}>
              {text}
            </span>
          ))}
        </div>
      ))}
    </div>
  );
}

/** As text alone: with its looks, it would be transparent where it is pasted. */
function copyPlain(event: ClipboardEvent) {
  const text = getSelection()?.toString();
  if (!text) return;
  event.clipboardData.setData("text/plain", text);
  event.preventDefault();
}

let pen: CanvasRenderingContext2D | null | undefined;

/** How wide our font sets *text*, in ems. */
function measure(text: string): number {
  pen ??= globalThis.document.createElement("canvas").getContext("2d");
  if (!pen) return 0;
  pen.font = "1000px sans-serif";
  return pen.measureText(text).width / 1000;
}
