// One search over the pages I may read and the messages I wrote or got, with the page beside its result.
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { ArrowRight, ChevronDown, CornerDownRight, Search as SearchIcon, SearchX, X } from "lucide-react";
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from "react";
import { Link, useLocation, useSearch } from "wouter";
import { type Found, type SearchFilter, type Totals, findInDocument, listDocuments, listPages, listPeople, picture, readDocument, readPerson, search } from "../api";
import { useMe } from "../live/session";
import { useOwnAddress, useTyped } from "../ui/address";
import { Face } from "../ui/Face";
import { FindMenu } from "../ui/FindMenu";
import { Menu } from "../ui/Menu";
import { Picture } from "../ui/Picture";
import { when } from "../ui/format";
import { Empty, Failed, Loading, MoreWhenSeen, Snippet, useDebounced, useKeptScroll, useScreenName, useWide } from "../ui/parts";
import { keep, recall } from "../ui/storage";
import { t } from "../ui/words";
import s from "./search.module.css";

const TYPES = ["", "page", "message"] as const;

export default function Search() {
  const [, navigate] = useLocation();
  const write = useOwnAddress();
  const wide = useWide();
  const params = new URLSearchParams(useSearch());
  const q = params.get("q") ?? "";
  const type = TYPES.find((one) => one === params.get("type")) ?? "";
  const person = Number(params.get("from")) || undefined;
  const document = Number(params.get("in")) || undefined;
  const newest = params.get("sort") === "newest";
  const change = (changes: Record<string, string>) => {
    const next = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(changes)) if (value) next.set(name, value); else next.delete(name);
    write(`/search${next.size ? `?${next}` : ""}`, changes["q"] === undefined); // Back undoes a choice, not a letter
  };
  const [words, setWords] = useTyped(q, (typed) => change({ q: typed }));
  useScreenName(q || t.rail.search);
  const everything = { q, ...(newest ? { sort: "newest" as const } : {}), ...(person ? { from: person } : {}), ...(document ? { document_id: document } : {}) };
  const found = useFound(type ? { ...everything, type } : everything);
  const totals = useFound(everything).data?.pages[0]?.totals; // kept from before a kind was chosen
  const results = useMemo(() => (q ? (found.data?.pages.flatMap((page) => page.results) ?? []) : []), [found.data, q]);
  const [at, setAt] = useState(() => Number(recall(`at ${location.search}`, "sessionStorage")) || 0);
  const current = results[Math.min(at, results.length - 1)];
  useEffect(() => keep(`at ${location.search}`, String(at), "sessionStorage"), [at]);
  const who = useQuery({ queryKey: ["person", person], queryFn: () => readPerson(person!), enabled: person !== undefined, retry: false });
  const which = useQuery({ queryKey: ["document", document], queryFn: () => readDocument(document!), enabled: document !== undefined, retry: false });
  const list = useKeptScroll<HTMLOListElement>(`search ${q} ${type} ${person} ${document} ${newest}`, found.isSuccess && q !== "");
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus({ preventScroll: true }), []);
  const open = (result: Found | undefined) => result && navigate(placeOf(result, q));
  const walk = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Enter") {
      if (words.trim() === q) open(current);
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const next = Math.min(Math.max(at + (event.key === "ArrowDown" ? 1 : -1), 0), Math.max(results.length - 1, 0));
      setAt(next);
      list.current?.children[next]?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Escape" && words) setWords("");
    else return;
    event.preventDefault();
  };
  const indexing = found.data?.pages[0]?.indexing;
  return (
    <main className={`${s.hunt}${current && wide ? "" : ` ${s.alone}`}`}>
      <header>
        <h1 className="vh">{t.rail.search}</h1>
        <label className={`field ${s.big}`}>
          <SearchIcon className="i" />
          <input
            ref={field}
            data-find
            value={words}
            aria-label={t.searchAll}
            placeholder={t.searchAll}
            onChange={(event) => {
              setWords(event.target.value);
              setAt(0);
            }}
            onKeyDown={walk}
          />
          {words && (
            <button type="button" className="b b-0 b-s b-i" aria-label={t.search.clear} onClick={() => { setWords(""); field.current?.focus(); }}>
              <X className="i i-s" />
            </button>
          )}
        </label>
        <div className={s.filters} role="toolbar" aria-label={t.search.filter}>
          {TYPES.map((one) => (
            <button key={one} type="button" className="chip" aria-pressed={type === one} onClick={() => { setAt(0); change({ type: one }); }}>
              {one === "" ? t.search.everything : one === "page" ? t.search.pages : t.search.messages}
              {q && totals && <Count of={one} totals={totals} />}
            </button>
          ))}
          <span className="grow" />
          {type !== "page" && (
            <FindMenu
              label={t.search.who}
              shown={person ? (who.data?.name ?? (who.isError ? t.notFound : "…")) : t.search.anyone}
              any={t.search.anyone}
              find={t.search.findPerson}
              chosen={person ?? 0}
              choose={(id) => change({ from: id ? String(id) : "" })}
              list={listPeople}
              none={t.share.nobody}
            />
          )}
          {type !== "message" && (
            <FindMenu
              label={t.search.which}
              shown={document ? (which.data?.filename ?? (which.isError ? t.notFound : "…")) : t.search.anyDocument}
              any={t.search.anyDocument}
              find={t.library.byName}
              chosen={document ?? 0}
              choose={(id) => change({ in: id ? String(id) : "" })}
              list={listNames}
              none={t.library.noneNamed}
            />
          )}
          <Menu
            label={t.search.order}
            className="b b-0 b-s"
            chosen={newest ? "newest" : "best"}
            choices={(["best", "newest"] as const).map((key) => ({ key, label: t.search.orders[key], act: () => { setAt(0); change({ sort: key === "best" ? "" : key }); } }))}
          >
            {t.search.orders[newest ? "newest" : "best"]}
            <ChevronDown className="i i-s" />
          </Menu>
        </div>
      </header>
      <div className={s.list}>
        {q && found.isPending && <Loading what={t.loading} />}
        {q && found.isError && !found.isFetchNextPageError && <Failed error={found.error} again={() => void found.refetch()} />}
        {!q && (
          <Empty icon={<SearchIcon className="i" />} title={t.search.start}>
            <p>{t.search.startHow}</p>
            <p className="small muted">{t.search.hint}</p>
          </Empty>
        )}
        {q && found.isSuccess && results.length === 0 && (
          <Empty icon={<SearchX className="i" />} title={t.search.nothing(q)}>
            <p>{t.search.widen}</p>
            {(type || person || document) && (
              <button type="button" className="b" onClick={() => change({ type: "", from: "", in: "" })}>
                {t.search.widenFilter}
              </button>
            )}
          </Empty>
        )}
        {indexing && <p className="small muted" role="status">{t.search.indexing}</p>}
        {results.length > 0 && (
          <ol className={s.res} aria-label={t.search.results} ref={list}>
            {results.map((result, index) => (
              <Result key={`${result.type} ${index}`} result={result} q={q} current={result === current && wide} choose={() => setAt(index)} />
            ))}
            <li className={`${s.fin} small muted`}>
              <MoreWhenSeen list={found} />
              {t.search.hint}
            </li>
          </ol>
        )}
      </div>
      {wide && current && <Preview result={current} q={q} />}
    </main>
  );
}

async function listNames(q: string, signal: AbortSignal) {
  const { documents } = await listDocuments({ show: "all", sort: "created_at", order: "desc", q }, null, signal);
  return documents.map(({ id, filename }) => ({ id, name: filename }));
}

function useFound(filter: SearchFilter) {
  return useInfiniteQuery({
    queryKey: ["search", filter],
    queryFn: ({ pageParam, signal }) => search(filter, pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    enabled: filter.q !== "",
    placeholderData: keepPreviousData,
    staleTime: 30_000,
  });
}

function Count({ of, totals }: { of: (typeof TYPES)[number]; totals: Totals }) {
  const count = (of === "message" ? 0 : totals.pages) + (of === "page" ? 0 : totals.messages);
  if (!count && !totals.exact) return null;
  return <span className="num">{t.search.count(count, totals.exact)}</span>;
}

/** A page opens at its hit, a message at its place in the conversation. */
function placeOf(result: Found, q: string): string {
  if (result.type === "page") return `/documents/${result.document_id}/${result.page}?q=${encodeURIComponent(termOf(result, q))}&hit=1`;
  return `/messages/${result.user.id}?at=${result.id}`;
}

/** What to mark on the page: of the words that were found, the most that stand together. A query may have more than a phrase. */
function termOf({ snippet }: Extract<Found, { type: "page" }>, q: string): string {
  const phrase = /"([^"]+)"/.exec(q)?.[1];
  if (phrase) return phrase;
  const together: string[][] = [];
  let isNext = false;
  for (const { text, hit } of snippet) {
    if (hit && isNext) together.at(-1)!.push(text);
    else if (hit) together.push([text]);
    isNext = hit || (isNext && !text.trim());
  }
  const most = Math.max(...together.map((words) => words.length));
  return together.find((words) => words.length === most)?.join(" ") ?? q;
}

function Result({ result, q, current, choose }: { result: Found; q: string; current: boolean; choose: () => void }) {
  const me = useMe();
  const shared = { href: placeOf(result, q), "aria-current": current ? ("true" as const) : undefined, onMouseEnter: choose, onFocus: choose };
  if (result.type === "page") {
    const onPage = (result.matches ?? 0) - result.snippet.filter(({ hit }) => hit).length;
    const more = [onPage > 0 ? t.search.moreOnPage(onPage) : "", result.more_on_document ? t.search.moreHere(result.more_on_document) : ""].filter(Boolean);
    return (
      <li>
        <Link {...shared}>
          <Picture className={`${s.th} paper`} src={picture(result.document_id, result.page, 160, null)} alt="" lazy />
          <span>
            <span className={s.l}>
              <b className="cut">{result.filename}</b>
              <span className="muted num">{t.page(result.page)}</span>
              {more.length > 0 && <span className="muted end">{more.join(", ")}</span>}
            </span>
            <span className={s.sn}>
              <Snippet parts={result.snippet} />
            </span>
          </span>
        </Link>
      </li>
    );
  }
  const mine = result.sender_id === me.id;
  return (
    <li>
      <Link {...shared}>
        <span className={s.mface}>
          <Face id={mine ? me.id : result.user.id} name={mine ? me.name : result.user.name} size="l" />
        </span>
        <span>
          <span className={s.l}>
            <b>{mine ? t.rail.you : result.user.name}</b>
            <span className="muted">{mine ? t.talk.toPerson(result.user.name) : result.sender_id ? t.talk.toYou : ""}</span>
            <span className="muted num end">{when(result.created_at)}</span>
          </span>
          <span className={s.sn}>
            <Snippet parts={result.snippet} />
          </span>
          {result.attachment && (
            <span className="at">
              <CornerDownRight className="i i-s" />
              <b className="cut">{result.attachment.page ? t.fileAndPage(result.attachment.filename, result.attachment.page) : result.attachment.filename}</b>
            </span>
          )}
        </span>
      </Link>
    </li>
  );
}

/** The page of a result with its hits, without leaving the results. */
function Preview({ result, q }: { result: Found; q: string }) {
  const shown =
    result.type === "page"
      ? { id: result.document_id, filename: result.filename, page: result.page, term: termOf(result, q) }
      : result.attachment?.available
        ? { id: result.attachment.document_id, filename: result.attachment.filename, page: result.attachment.page ?? 1, term: result.attachment.match ?? "" }
        : null;
  const late = useDebounced(shown ? `${shown.id} ${shown.term}` : "", 150);
  const ready = shown !== null && late === `${shown.id} ${shown.term}`;
  const hits = useQuery({ queryKey: ["find", shown?.id, shown?.term], queryFn: () => findInDocument(shown!.id, shown!.term), enabled: ready && Boolean(shown?.term), retry: false });
  const pages = useQuery({ queryKey: ["pages", shown?.id, "all"], queryFn: () => listPages(shown!.id), enabled: ready, retry: false });
  if (!shown) {
    return (
      <aside className={s.prev} aria-label={t.search.preview}>
        <Empty title={t.search.choosePage} />
      </aside>
    );
  }
  const size = pages.data?.find((page) => page.page_number === shown.page);
  const here = hits.data?.matches_by_page.find((page) => page.page === shown.page);
  const boxes = here?.context.flatMap((context, index) => (context.boxes ?? []).map((box) => ({ box: box as number[], first: index === 0 }))) ?? [];
  const place = ({ box: [x0 = 0, top = 0, x1 = 0, bottom = 0] }: { box: number[] }) =>
    size && {
      left: `${(100 * x0) / size.width}%`,
      top: `${(100 * top) / size.height}%`,
      width: `${(100 * (x1 - x0)) / size.width}%`,
      height: `${(100 * (bottom - top)) / size.height}%`,
    };
  return (
    <aside className={s.prev} aria-label={t.search.preview}>
      <header>
        <h2 className="cut">{t.fileAndPage(shown.filename, shown.page)}</h2>
        <span className="grow" />
        {here && <span className="small muted num nowrap">{t.reading.hits(here.matches)}</span>}
        <Link className="b b-s" href={placeOf(result, q)}>
          {t.open}
          <ArrowRight className="i i-s" />
        </Link>
      </header>
      <div className={s.prevscroll}>
        <figure className="sheet paper" style={size && { aspectRatio: `${size.width} / ${size.height}` }}>
          <Picture key={`${shown.id} ${shown.page}`} src={picture(shown.id, shown.page, 700, null)} alt={t.page(shown.page)} />
          {size && boxes.map((one, index) => <i key={index} className={`hit${one.first ? " here" : ""}`} style={place(one)} />)}
          {size && boxes.map((one, index) => one.first && <i key={`ring ${index}`} className="ring" style={place(one)} />)}
        </figure>
      </div>
    </aside>
  );
}
