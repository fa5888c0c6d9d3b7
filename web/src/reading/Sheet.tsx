// One page: its picture in a width that is sharp here, the hits over it, and its words to select.
import { useQuery } from "@tanstack/react-query";
import { memo, useEffect, useMemo, useState } from "react";
import { type PageSize, type PageWord, picture, readPage } from "../api";
import { t } from "../ui/words";
import type { Hit } from "./found";
import s from "./reading.module.css";

const STEPS = [240, 700, 1000, 1400, 2000]; // pixels; few, so that pictures are found in the caches

interface Props {
  document: number;
  version: string | null | undefined;
  size: PageSize;
  width: number; // CSS pixels
  gap: number;
  near: boolean;
  words: boolean;
  hits: Hit[] | undefined;
  now: number; // the current hit's index
}

export const Sheet = memo(function Sheet({ document, version, size, width, gap, near, words, hits, now }: Props) {
  const number = size.page_number;
  const height = Math.round((width * size.height) / size.width);
  return (
    <figure className={`sheet paper ${s.sheet}`} data-page={number} style={{ width, height, marginBottom: gap, containIntrinsicSize: `${width}px ${height}px` }}>
      {near && <Picture document={document} page={number} width={width} version={version} />}
      {near && hits && (
        <div className="painted" aria-hidden="true">
          {hits.map(({ index, boxes }) =>
            boxes.map((box, line) => <i key={`${index} ${line}`} className={`hit${index === now ? " here" : ""}`} style={placed(box, size)} />),
          )}
          {hits.map(({ index, boxes }) => index === now && boxes.map((box, line) => <i key={`ring ${line}`} className="ring" style={placed(box, size)} />))}
        </div>
      )}
      {near && words && <Words document={document} size={size} />}
    </figure>
  );
});

function placed([x0, top, x1, bottom]: Hit["boxes"][number], size: PageSize) {
  const percent = (value: number, whole: number) => `${(100 * value) / whole}%`;
  return {
    left: percent(x0, size.width),
    top: percent(top, size.height),
    width: percent(x1 - x0, size.width),
    height: percent(bottom - top, size.height),
  };
}

/** The next step of sharpness loads over the picture that is there, which stays until it can be painted. */
function Picture({ document, page, width, version }: { document: number; page: number; width: number; version: string | null | undefined }) {
  const wanted = width * Math.min(devicePixelRatio, 3);
  const step = STEPS.find((pixels) => pixels >= wanted - 40) ?? STEPS.at(-1)!;
  const address = picture(document, page, step, version);
  const [shown, setShown] = useState(address);
  useEffect(() => {
    if (address === shown) return;
    let dropped = false;
    const next = new Image();
    next.src = address;
    next.decode().then(
      () => !dropped && setShown(address),
      () => !dropped && setShown(address),
    );
    return () => {
      dropped = true;
    };
  }, [address, shown]);
  return <img src={shown} alt={t.page(page)} decoding="async" draggable={false} />;
}

export interface PlacedWord extends PageWord {
  line: number;
}

/** Words know their line: from the server, else from where they stand. */
export function withLines(words: PageWord[]): PlacedWord[] {
  let line = 0;
  return words.map((word, index) => {
    const before = words[index - 1];
    if (word.line !== undefined) return { ...word, line: word.line };
    const height = Math.max(word.bottom - word.top, 1);
    if (before && (Math.abs(before.bottom - word.bottom) > height * 0.6 || word.x0 < before.x0)) line++;
    return { ...word, line };
  });
}

function Words({ document, size }: { document: number; size: PageSize }) {
  const page = useQuery({
    queryKey: ["words", document, size.page_number],
    queryFn: () => readPage(document, size.page_number, true),
    gcTime: 20_000,
    retry: false,
  });
  const words = useMemo(() => withLines(page.data?.words ?? []), [page.data]);
  const copy = (event: React.ClipboardEvent) => {
    const selection = getSelection();
    if (!selection || selection.isCollapsed) return;
    const text = selectedText(selection);
    if (!text) return;
    event.clipboardData.setData("text/plain", text);
    event.preventDefault();
  };
  return (
    <div className={`words ${s.words}`} onCopy={copy}>
      {words.map((word, index) => {
        const following = words[index + 1];
        const sameLine = following?.line === word.line;
        return (
          <span
            key={index}
            data-line={word.line}
            style={{ ...placed([word.x0, word.top, word.x1, word.bottom], size), ["--w" as string]: stretch(word), ["--h" as string]: (100 * (word.bottom - word.top)) / size.width }}
          >
            {word.text}
            {sameLine ? " " : "\n"}
          </span>
        );
      })}
    </div>
  );
}

let pen: CanvasRenderingContext2D | null | undefined;

/** How much wider the word is on the page than in our font of the same height. */
function stretch({ text, x0, x1, top, bottom }: PageWord): number {
  pen ??= globalThis.document.createElement("canvas").getContext("2d");
  if (!pen) return 1;
  pen.font = "100px sans-serif";
  const own = (pen.measureText(text).width / 100) * (bottom - top);
  return own > 0 ? Math.round((1000 * (x1 - x0)) / own) / 1000 : 1;
}

/** What is selected, over pages too, with a space between words and a line break between lines. */
export function selectedText(selection: Selection): string {
  const range = selection.getRangeAt(0);
  const parts: string[] = [];
  let before: HTMLElement | undefined;
  for (const layer of globalThis.document.querySelectorAll<HTMLElement>(`.${s.words}`)) {
    if (!selection.containsNode(layer, true)) continue;
    for (const span of layer.querySelectorAll<HTMLElement>("span")) {
      if (!selection.containsNode(span, true)) continue;
      const node = span.firstChild as Text;
      let text = node.data;
      if (range.endContainer === node) text = text.slice(0, range.endOffset);
      if (range.startContainer === node) text = text.slice(range.startOffset);
      if (!text) continue;
      if (before) parts.push(before.parentElement === layer && before.dataset["line"] === span.dataset["line"] ? " " : "\n");
      parts.push(text.trimEnd());
      before = span;
    }
  }
  return parts.join("").trim();
}
