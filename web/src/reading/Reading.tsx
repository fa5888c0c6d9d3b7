// Reading one document: pages as pictures or as text, what was found on them, and what is said about them.
import { useQuery } from "@tanstack/react-query";
import { ChevronDown, ChevronUp, Download, EllipsisVertical, FileX2, Printer, Search, Sheet as SheetIcon, UserPlus, X } from "lucide-react";
import { type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useLocation, useParams, useSearch } from "wouter";
import { ApiError, type DocumentDetails, type PageSize, findInDocument, listPages, picture, readDocument } from "../api";
import { progress, upToDate } from "../live/cache";
import { useMe } from "../live/session";
import { Connection } from "../ui/Connection";
import { DocumentHead } from "../ui/DocumentHead";
import { Menu } from "../ui/Menu";
import { ShareDialog } from "../ui/ShareDialog";
import { useBackCloses, useOwnAddress } from "../ui/address";
import { useKeys } from "../ui/keys";
import { Empty, Failed, Loading, useDebounced, useScreenName, useWide } from "../ui/parts";
import { preferences, setPreference } from "../ui/preferences";
import { printPicture } from "../ui/print";
import { keep, recall } from "../ui/storage";
import { tell } from "../ui/toasts";
import { t } from "../ui/words";
import { Pill } from "./Pill";
import type { Quote } from "./Selected";
import { Side, Peek } from "./Side";
import { Stage, type StageHandle } from "./Stage";
import { Strip } from "./Strip";
import { TextView } from "./TextView";
import { type Found, flatten } from "./found";
import s from "./reading.module.css";

export default function Reading() {
  const id = Number(useParams<{ id: string }>().id);
  const document = useQuery({ queryKey: ["document", id], queryFn: () => upToDate(() => readDocument(id)), retry: false });
  const read = progress.use()[id]?.page ?? 0; // while it is being read, its pages are asked for again as they come
  const pages = useQuery({
    queryKey: ["pages", id, document.data?.status === "processing" ? read : "all"],
    queryFn: () => listPages(id),
    enabled: Number.isSafeInteger(id),
    placeholderData: (was) => was,
  });
  useScreenName(document.data?.filename ?? "");
  const failed = document.error ?? pages.error;
  if (failed) {
    const isGone = failed instanceof ApiError && failed.status === 404;
    return (
      <main className={s.read}>
        <DocumentHead document={document.data} view="pages" />
        {isGone ? (
          <Empty icon={<FileX2 className="i" />} title={t.reading.gone}>
            <p>{t.reading.goneWhy}</p>
          </Empty>
        ) : (
          <Failed error={failed} again={() => void Promise.all([document.refetch(), pages.refetch()])} />
        )}
      </main>
    );
  }
  if (!document.data || !pages.data) {
    return (
      <main className={s.read}>
        <DocumentHead document={document.data} view="pages" />
        <Loading what={t.loading} />
      </main>
    );
  }
  return <Open key={id} document={document.data} sizes={pages.data} />;
}

function keptPage(user: number, id: number): number {
  return Number(recall(`pagewire.${user}.page.${id}`) ?? 1) || 1;
}

function Open({ document, sizes }: { document: DocumentDetails; sizes: PageSize[] }) {
  const { id } = document;
  const me = useMe();
  const wide = useWide();
  const [, navigate] = useLocation();
  const params = new URLSearchParams(useSearch());
  const { page: inAddress } = useParams<{ page?: string }>();
  const view = params.get("view") === "text" ? "text" : "pages";
  const { strip, talk } = preferences.use();
  const [start] = useState(() => Number(inAddress) || (params.get("q") ? 1 : keptPage(me.id, id)));
  const [page, setPage] = useState(Math.min(Math.max(start, 1), Math.max(sizes.length, 1)));
  const [zoom, setZoom] = useState<number | null>(null); // pixels a point; null fits
  const [shownZoom, setShownZoom] = useState(1);
  const [sharing, setSharing] = useState<{ page?: number; match?: string } | null>(null);
  const [talking, setTalking] = useState(false); // on a phone
  const [quote, setQuote] = useState<Quote | null>(null);
  const stage = useRef<StageHandle>(null);

  // Find
  const [words, setWords] = useState(params.get("q") ?? "");
  const q = useDebounced(words.trim(), 250);
  const find = useQuery({ queryKey: ["find", id, q], queryFn: () => findInDocument(id, q), enabled: q !== "" && document.status === "ready", placeholderData: undefined });
  const found: Found = useMemo(() => flatten(find.data), [find.data]);
  const [hit, setHit] = useState(Number(params.get("hit")) || 0); // from 1; 0 is none
  const field = useRef<HTMLInputElement>(null);
  const goToHit = useCallback(
    (number: number) => {
      const count = found.hits.length;
      if (!count) return;
      const next = ((number - 1 + count) % count) + 1;
      setHit(next);
      stage.current?.showHit(found.hits[next - 1]!);
    },
    [found],
  );
  const jumped = useRef(false);
  useEffect(() => {
    if (jumped.current || !found.hits.length) return;
    jumped.current = true;
    if (!params.get("hit")) return;
    // A link to a hit of a page counts on that page, a hit of the whole document counts over all.
    const wanted = Number(params.get("hit"));
    const onPage = Number(inAddress) ? found.hits.findIndex((one) => one.page === Number(inAddress)) : -1;
    const there = found.hits[wanted - 1]?.page === Number(inAddress) || onPage < 0 ? wanted : onPage + 1;
    requestAnimationFrame(() => goToHit(Math.min(there, found.hits.length)));
  });
  const asked = useRef(false); // Enter came before the answer
  const next = (by: 1 | -1) => {
    asked.current = !found.hits.length;
    if (hit) return goToHit(hit + by);
    const after = found.hits.findIndex((one) => one.page >= page);
    goToHit(after < 0 ? 1 : after + 1);
  };

  useEffect(() => {
    if (asked.current && found.hits.length) next(1);
  });

  // The address says where I am.
  const place = `/documents/${id}/${page}${search({ q: words.trim(), hit: hit && words.trim() ? String(hit) : "", view: view === "text" ? "text" : "" })}`;
  const write = useOwnAddress();
  useEffect(() => {
    const timer = setTimeout(() => write(place), 200);
    keep(`pagewire.${me.id}.page.${id}`, String(page));
    return () => clearTimeout(timer);
  }, [place, write, me.id, id, page]);
  const count = sizes.length;
  const goTo = useCallback((number: number) => stage.current?.showPage(Math.min(Math.max(number, 1), count)), [count]);
  const setView = (to: "pages" | "text") =>
    to !== view && navigate(`/documents/${id}/${page}${search({ q: words.trim(), view: to === "text" ? "text" : "" })}`);
  const pageField = useRef<HTMLInputElement>(null);
  const zoomBy = (factor: number) => setZoom(Math.min(Math.max(shownZoom * factor, 0.25), 4));
  useKeys({
    ArrowRight: () => goTo(page + 1),
    ArrowLeft: () => goTo(page - 1),
    ArrowDown: (event) => stage.current?.scrollBy(60, event),
    ArrowUp: (event) => stage.current?.scrollBy(-60, event),
    PageDown: (event) => stage.current?.scrollBy("down", event),
    PageUp: (event) => stage.current?.scrollBy("up", event),
    Home: () => goTo(1),
    End: () => goTo(count),
    g: (event) => {
      event.preventDefault();
      pageField.current?.select();
    },
    "+": () => zoomBy(1.2),
    "=": () => zoomBy(1.2),
    "-": () => zoomBy(1 / 1.2),
    "0": () => setZoom(1),
    w: () => setZoom(null),
    f: (event) => {
      event.preventDefault();
      field.current?.select();
    },
    "Ctrl+f": (event) => {
      if (globalThis.document.activeElement === field.current) return; // the second one is the browser's
      event.preventDefault();
      field.current?.select();
    },
    "Ctrl+p": (event) => {
      event.preventDefault(); // only the pages that are near are on this screen
      openToPrint();
    },
    "[": () => setPreference("strip", !strip),
    "]": () => setPreference("talk", !talk),
    t: () => setView(view === "text" ? "pages" : "text"),
    n: () => next(1),
    N: () => next(-1),
  });
  const findInput = (
    <>
      <Search className="i" />
      <input
        ref={field}
        data-find
        value={words}
        aria-label={t.reading.find}
        placeholder={t.reading.find}
        onChange={(event) => {
          setWords(event.target.value);
          setHit(0);
        }}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing) return;
          if (event.key === "Enter") {
            event.preventDefault();
            next(event.shiftKey ? -1 : 1);
          } else if (event.key === "Escape") {
            setWords("");
            setHit(0);
            field.current?.blur();
          }
        }}
      />
      <span className="small muted num nowrap" role="status">
        {q && find.isSuccess ? (found.total === 0 ? t.reading.notFound : hit ? t.reading.hitOf(hit, found.total) : t.reading.hits(found.total)) : ""}
      </span>
    </>
  );
  const file = `/documents/${id}/file`;
  const openToPrint = () => {
    window.open(file, "_blank", "noopener");
    tell(t.reading.printing);
  };
  const choices = [
    { key: "download", label: t.reading.downloadPdf, icon: <Download className="i" />, href: `${file}?download=1`, download: true },
    { key: "print", label: t.reading.print, icon: <Printer className="i" />, act: openToPrint },
    { key: "printPage", label: t.reading.printPage, icon: <Printer className="i" />, act: () => void printPicture(picture(id, page, 2000, document.sha256)) },
    ...(document.tables_found
      ? [{ key: "excel", label: t.tables.all, icon: <SheetIcon className="i" />, href: `/documents/${id}/tables.xlsx?download=1`, download: true }]
      : []),
  ];
  const showTalk = wide && talk;
  const share = () => setSharing(quote ? { page: quote.page, match: quote.text } : hit && words.trim() ? { match: words.trim() } : {});
  const talkAbout = (selected: Quote) => {
    setQuote(selected);
    if (wide) setPreference("talk", true);
    else setTalking(true);
  };
  const goToQuote = (to: number, match: string) => {
    setTalking(false);
    goTo(to);
    if (!match) return;
    setHit(0);
    setWords(match);
    asked.current = true; // its place is shown as soon as it is found
  };
  return (
    <main className={s.read}>
      <DocumentHead document={document} view={view} setView={setView} page={page}>
        {wide ? (
          <>
            <label className="field find">
              {findInput}
              {q && (
                <span className="steps">
                  <button type="button" aria-label={t.reading.previousHit} onClick={() => next(-1)}>
                    <ChevronUp className="i" />
                  </button>
                  <button type="button" aria-label={t.reading.nextHit} onClick={() => next(1)}>
                    <ChevronDown className="i" />
                  </button>
                </span>
              )}
            </label>
            <Menu label={t.download} className="b b-i" choices={choices}>
              <Download className="i" />
            </Menu>
            <button type="button" className="b b-1" onClick={share}>
              <UserPlus className="i" />
              {t.share.share}
            </button>
          </>
        ) : (
          <>
            <button type="button" className="b b-0 b-i" aria-label={t.share.share} onClick={share}>
              <UserPlus className="i" />
            </button>
            <Menu
              label={t.more}
              className="b b-0 b-i"
              choices={[
                ...(view === "text" ? [{ key: "pages", label: t.reading.pages, act: () => setView("pages") }] : [{ key: "text", label: t.reading.text, act: () => setView("text") }]),
                ...(document.tables_found ? [{ key: "tables", label: t.reading.tables, act: () => navigate(`/documents/${id}/tables`) }] : []),
                null,
                ...choices,
              ]}
            >
              <EllipsisVertical className="i" />
            </Menu>
          </>
        )}
      </DocumentHead>
      <Connection />
      {!wide && (
        <div className={s.findbar}>
          <label className="field">{findInput}</label>
          <button type="button" className="b b-i" aria-label={t.reading.previousHit} onClick={() => next(-1)}>
            <ChevronUp className="i" />
          </button>
          <button type="button" className="b b-i" aria-label={t.reading.nextHit} onClick={() => next(1)}>
            <ChevronDown className="i" />
          </button>
        </div>
      )}
      {document.status !== "ready" && <StillReading document={document} known={count} />}
      <div className={`${s.desk}${wide && strip ? "" : ` ${s.nostrip}`}${showTalk ? "" : ` ${s.noside}`}`}>
        {wide && strip && <Strip document={document} sizes={sizes} page={page} counts={found.counts} go={goTo} />}
        {view === "pages" ? (
          <Stage
            ref={stage}
            document={document}
            sizes={sizes}
            start={page}
            zoom={zoom}
            onZoom={setShownZoom}
            onPage={setPage}
            found={found}
            hit={hit}
            talk={talkAbout}
            share={({ page: on, text }) => setSharing({ page: on, match: text })}
          >
            <Pill page={page} count={count} label={sizes[page - 1]?.label ?? null} go={goTo} zoom={shownZoom} zoomBy={zoomBy} fit={() => setZoom(null)} field={pageField} wide={wide} />
          </Stage>
        ) : (
          <TextView ref={stage} document={document} sizes={sizes} start={page} onPage={setPage} found={found} hit={hit}>
            <Pill page={page} count={count} label={sizes[page - 1]?.label ?? null} go={goTo} field={pageField} wide={wide} />
          </TextView>
        )}
        {showTalk && <Side document={document} page={page} quote={quote} unquote={() => setQuote(null)} go={goToQuote} />}
      </div>
      {!wide && <Peek document={document} open={() => setTalking(true)} />}
      {!wide && talking && (
        <Over close={() => setTalking(false)}>
          <Side document={document} page={page} quote={quote} unquote={() => setQuote(null)} go={goToQuote} />
        </Over>
      )}
      {sharing && (
        <ShareDialog documents={[document]} page={page} {...sharing} onClose={() => setSharing(null)} />
      )}
    </main>
  );
}

/** On a phone, the talk over the page. */
function Over({ close, children }: { close: () => void; children: ReactNode }) {
  useBackCloses(close);
  return (
    <div className={s.sheetup}>
      <button type="button" className="b b-0 b-i" aria-label={t.close} onClick={close}>
        <X className="i" />
      </button>
      {children}
    </div>
  );
}

function search(values: Record<string, string>): string {
  const params = new URLSearchParams(Object.entries(values).filter(([, value]) => value));
  return params.size ? `?${params}` : "";
}

function StillReading({ document, known }: { document: DocumentDetails; known: number }) {
  const now = progress.use()[document.id];
  if (document.status === "failed") return <p className="net">{t.reasons[document.error?.code ?? ""] ?? document.error?.detail}</p>;
  return (
    <p className="net" role="status">
      {t.coming.reading(now?.page ?? known, now?.pages ?? document.page_count ?? known)}
    </p>
  );
}
