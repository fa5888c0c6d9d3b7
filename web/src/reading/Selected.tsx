// What one may do with the words that are selected on a page.
import { Copy, Quote as QuoteIcon, UserPlus } from "lucide-react";
import { type RefObject, useEffect, useState } from "react";
import { tell } from "../ui/toasts";
import { t } from "../ui/words";
import s from "./reading.module.css";

export interface Quote {
  page: number;
  text: string;
}

interface Props {
  box: RefObject<HTMLElement | null>; // what scrolls
  talk: (quote: Quote) => void;
  share: (quote: Quote) => void;
}

const SETTLED_MS = 250; // a selection grows while it is made
const LONGEST = 200; // characters of a quote

export function Selected({ box, talk, share }: Props) {
  const [at, setAt] = useState<(Quote & { left: number; top: number }) | null>(null);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const listen = () => {
      clearTimeout(timer);
      if (getSelection()?.isCollapsed !== false) return setAt(null);
      timer = setTimeout(() => setAt(find(box.current)), SETTLED_MS);
    };
    document.addEventListener("selectionchange", listen);
    return () => {
      clearTimeout(timer);
      document.removeEventListener("selectionchange", listen);
    };
  }, [box]);
  if (!at) return null;
  const quote = { page: at.page, text: at.text };
  const copy = () => {
    document.execCommand("copy"); // what is selected, over plain http too
    tell(t.copied);
  };
  return (
    <div className={s.selected} style={{ left: at.left, top: at.top }} role="toolbar" aria-label={t.reading.selected} onPointerDown={(event) => event.preventDefault()}>
      <button type="button" className="b b-0 b-s" onClick={() => talk(quote)}>
        <QuoteIcon className="i i-s" />
        {t.reading.talkAbout}
      </button>
      <button type="button" className="b b-0 b-s" onClick={() => share(quote)}>
        <UserPlus className="i i-s" />
        {t.share.share}
      </button>
      <button type="button" className="b b-0 b-s" onClick={copy}>
        <Copy className="i i-s" />
        {t.copy}
      </button>
    </div>
  );
}

/** The selection on a page, and the place above its first line (below its last one at the page's top). */
function find(box: HTMLElement | null) {
  const selection = getSelection();
  if (!box || !selection || selection.isCollapsed) return null;
  const range = selection.getRangeAt(0);
  const { startContainer: start } = range;
  const sheet = (start instanceof Element ? start : start.parentElement)?.closest<HTMLElement>("[data-page]");
  const text = selection.toString().replace(/\s+/g, " ").trim();
  const lines = [...range.getClientRects()].filter(({ width }) => width > 0);
  if (!sheet || !box.contains(sheet) || !text || !lines.length) return null;
  const frame = box.getBoundingClientRect();
  const first = lines[0]!;
  const above = first.top - frame.top - 44;
  const top = above > 4 ? above : lines.at(-1)!.bottom - frame.top + 8;
  const left = Math.min(Math.max(first.left - frame.left, 8), Math.max(box.clientWidth - 300, 8));
  return { page: Number(sheet.dataset["page"]), text: text.slice(0, LONGEST), left: left + box.scrollLeft, top: top + box.scrollTop };
}
