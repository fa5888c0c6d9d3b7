// The library: what comes in, and what is there, as a list or as pictures.
import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import {
  ArrowDownWideNarrow, ChevronDown, FileUp, LayoutGrid, List, MousePointer2, Search as SearchIcon, SearchX, Trash2, Upload as UploadIcon, UserPlus,
} from "lucide-react";
import { type ChangeEvent, type MouseEvent, useCallback, useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import { useLocation, useSearch } from "wouter";
import { type Document, type DocumentFilter, deleteDocument, listDocuments } from "../api";
import { addFiles, limitMegabytes, uploads } from "../live/uploads";
import { forgetDocument, reloadLibrary, upToDate } from "../live/cache";
import { Connection } from "../ui/Connection";
import { ShareDialog } from "../ui/ShareDialog";
import { Menu } from "../ui/Menu";
import { useOwnAddress, useTyped } from "../ui/address";
import { useKeys } from "../ui/keys";
import { Empty, Failed, Loading, MoreWhenSeen, sayError, useKeptScroll, useScreenName, useWide } from "../ui/parts";
import { preferences, setPreference } from "../ui/preferences";
import { createStore } from "../ui/store";
import { tell, tellWithUndo } from "../ui/toasts";
import { number } from "../ui/format";
import { t } from "../ui/words";
import { Incoming } from "./Incoming";
import { DocumentTable, PhoneList, PictureGrid } from "./lists";
import { Look } from "./Look";
import s from "./library.module.css";

const SORTS = {
  newest: { sort: "created_at", order: "desc" },
  oldest: { sort: "created_at", order: "asc" },
  name: { sort: "filename", order: "asc" },
  name_down: { sort: "filename", order: "desc" },
  pages: { sort: "page_count", order: "desc" },
  pages_up: { sort: "page_count", order: "asc" },
  size: { sort: "file_size", order: "desc" },
  size_up: { sort: "file_size", order: "asc" },
} as const satisfies Record<string, Pick<DocumentFilter, "sort" | "order">>;

export type SortName = keyof typeof SORTS;
const SHOWS = ["all", "mine", "shared", "failed"] as const;

/** The filter is what the address says, and a change of it is a new address. */
function useFilter() {
  const write = useOwnAddress();
  const params = new URLSearchParams(useSearch());
  const show = SHOWS.find((name) => name === params.get("show")) ?? "all";
  const sort = (params.get("sort") ?? "newest") in SORTS ? ((params.get("sort") ?? "newest") as SortName) : "newest";
  const q = params.get("q") ?? "";
  const change = useCallback(
    (changes: { show?: string; sort?: string; q?: string }) => {
      const next = new URLSearchParams(location.search);
      for (const [name, value] of Object.entries(changes)) {
        if (!value || (name === "show" && value === "all") || (name === "sort" && value === "newest")) next.delete(name);
        else next.set(name, value);
      }
      write(`/${next.size ? `?${next}` : ""}`, changes.q === undefined || changes.show !== undefined); // Back undoes a choice, not a letter
    },
    [write],
  );
  return { show, sort, q, change };
}

const picks = createStore<ReadonlySet<number>>(new Set()); // which stay while one looks into a document
let opened: string | undefined; // the row that was left for its document
const hidden = createStore<ReadonlySet<number>>(new Set()); // deleted, and still to be undone

export default function Library() {
  const { show, sort, q, change } = useFilter();
  const [, navigate] = useLocation();
  const wide = useWide();
  const { layout } = preferences.use();
  const [name, setName] = useTyped(q, (words) => change({ q: words }));
  const filter: DocumentFilter = { show, q, ...SORTS[sort] };
  const list = useInfiniteQuery({
    queryKey: ["documents", filter],
    queryFn: ({ pageParam, signal }) => upToDate(() => listDocuments(filter, pageParam, signal)),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    placeholderData: keepPreviousData,
  });
  const gone = hidden.use();
  const documents = useMemo(() => {
    const all = list.data?.pages.flatMap((page) => page.documents) ?? [];
    return all.filter((document) => !gone.has(document.id) && (show === "failed" || document.status === "ready"));
  }, [list.data, gone, show]);
  const shown = useDeferredValue(documents); // many new rows are made in small steps
  const ready = list.isSuccess && (shown.length > 0 || documents.length === 0);
  const counts = list.data?.pages[0]?.counts;
  const picked = picks.use();
  const setPicked = picks.set;
  const [looking, setLooking] = useState<Document | null>(null);
  const [sharing, setSharing] = useState<Document[] | null>(null);
  const coming = uploads.use();
  useScreenName(t.rail.library);
  const scroll = useKeptScroll<HTMLDivElement>(`library ${show} ${sort} ${q} ${layout}`, ready);
  useEffect(() => {
    if (!ready || opened === undefined) return;
    scroll.current?.querySelector<HTMLElement>(`[data-row="${opened}"]`)?.focus({ preventScroll: true });
    opened = undefined;
  }, [ready, scroll]);
  const leave = ({ target }: MouseEvent) => {
    opened = (target as Element).closest<HTMLElement>("[data-row]")?.dataset["row"];
  };
  const input = useRef<HTMLInputElement>(null);
  const choose = (event: ChangeEvent<HTMLInputElement>) => {
    addFiles(event.target.files ?? []);
    event.target.value = "";
  };
  const remove = useCallback((chosen: Document[]) => {
    const ids = chosen.map(({ id }) => id);
    hidden.set((all) => new Set([...all, ...ids]));
    picks.set(new Set());
    const restore = () => hidden.set((all) => new Set([...all].filter((id) => !ids.includes(id))));
    tellWithUndo(
      t.library.deleted(chosen.length, chosen[0]?.filename ?? ""),
      () => {
        for (const id of ids) {
          deleteDocument(id)
            .then(() => forgetDocument(id), (error: unknown) => tell(sayError(error)))
            .finally(reloadLibrary);
        }
        setTimeout(restore, 2_000);
      },
      restore,
    );
  }, []);
  useKeys({
    u: () => input.current?.click(),
    ArrowDown: (event) => step(event, 1),
    ArrowUp: (event) => step(event, -1),
    Delete: () => {
      const chosen = documents.filter(({ id, owner }) => picked.has(id) && owner.id > 0);
      if (chosen.length) remove(chosen);
    },
    Escape: () => setPicked(new Set()),
  });
  const isEmpty = list.isSuccess && documents.length === 0;
  const isNew = isEmpty && show === "all" && !q && (counts?.all ?? 0) === 0 && coming.length === 0;
  const rows = { documents: shown, sort, picked, setPicked, look: setLooking, remove, share: (document: Document) => setSharing([document]) };
  const chosen = documents.filter(({ id }) => picked.has(id));
  return (
    <main className={s.lib}>
      <header className="top">
        <h1 className={wide ? "" : "grow"}>{t.rail.library}</h1>
        {wide && (
          <form
            role="search"
            className="field find"
            onSubmit={(event) => {
              event.preventDefault();
              const words = String(new FormData(event.currentTarget).get("words")).trim();
              if (words) navigate(`/search?q=${encodeURIComponent(words)}`);
            }}
          >
            <SearchIcon className="i" />
            <input name="words" aria-label={t.searchAll} placeholder={t.searchAll} data-find />
            <kbd>/</kbd>
          </form>
        )}
        {!wide && (
          <Menu label={t.library.sorts[sort]} className="b b-0 b-i" choices={sortChoices(change)} chosen={sort}>
            <ArrowDownWideNarrow className="i" />
          </Menu>
        )}
        <button type="button" className="b b-1" onClick={() => input.current?.click()}>
          <UploadIcon className="i" />
          {wide ? t.library.upload : t.library.uploadShort}
        </button>
        <input ref={input} type="file" accept="application/pdf,.pdf" multiple hidden onChange={choose} />
      </header>
      <div className={s.filters} role="toolbar" aria-label={t.library.filter}>
        {SHOWS.map((which) =>
          which === "failed" && !counts?.failed && show !== "failed" ? null : (
            <button key={which} type="button" className="chip" aria-pressed={show === which} onClick={() => change({ show: which })}>
              {which === "failed" && <span className={s.dot} />}
              {wide || which !== "shared" ? t.library.shows[which] : t.library.sharedShort}{" "}
              {counts && <span className="num">{number(counts[which])}</span>}
            </button>
          ),
        )}
        <span className="grow" />
        {wide && (
          <label className={`field field-s ${s.byname}`}>
            <span className="vh">{t.library.byName}</span>
            <input value={name} placeholder={t.library.byName} onChange={(event) => setName(event.target.value)} />
          </label>
        )}
        {wide && (
          <Menu label={t.library.sortBy(t.library.sorts[sort])} className="b b-0 b-s" choices={sortChoices(change)} chosen={sort}>
            {t.library.sorts[sort]}
            <ChevronDown className="i i-s" />
          </Menu>
        )}
        <div className="seg seg-s" role="group" aria-label={t.library.layout}>
          <button type="button" aria-pressed={layout === "list"} aria-label={t.library.list} onClick={() => setPreference("layout", "list")}>
            <List className="i i-s" />
          </button>
          <button type="button" aria-pressed={layout === "grid"} aria-label={t.library.pictures} onClick={() => setPreference("layout", "grid")}>
            <LayoutGrid className="i i-s" />
          </button>
        </div>
      </div>
      <Connection />
      <div className={s.scroll} ref={scroll} onClick={leave}>
        <Incoming />
        {list.isPending && <Loading what={t.loading} />}
        {list.isError && !list.isFetchNextPageError && <Failed error={list.error} again={() => void list.refetch()} />}
        {isNew ? (
          <Welcome wide={wide} choose={() => input.current?.click()} />
        ) : isEmpty && show === "all" && !q ? null : isEmpty ? (
          <Empty icon={<SearchX className="i" />} title={q ? t.library.noneNamed(q) : t.library.none[show]}>
            {(q || show !== "all") && (
              <button type="button" className="b" onClick={() => change({ q: "", show: "all" })}>
                {t.library.showAll}
              </button>
            )}
          </Empty>
        ) : layout === "grid" ? (
          <PictureGrid {...rows} />
        ) : wide ? (
          documents.length > 0 && <DocumentTable {...rows} change={change} />
        ) : (
          <PhoneList {...rows} />
        )}
        {shown === documents && <MoreWhenSeen list={list} />}
      </div>
      {chosen.length > 0 ? (
        <div className={`hint small ${s.picked}`} role="toolbar" aria-label={t.library.picked(chosen.length)}>
          <b>{t.library.picked(chosen.length)}</b>
          <button type="button" className="b b-s" onClick={() => setSharing(chosen)}>
            <UserPlus className="i i-s" />
            {t.share.share}
          </button>
          <button type="button" className="b b-s" onClick={() => remove(chosen)}>
            <Trash2 className="i i-s" />
            {t.remove}
          </button>
          <button type="button" className="b b-0 b-s" onClick={() => setPicked(new Set())}>
            {t.library.unpick}
          </button>
        </div>
      ) : (
        !isNew && (
          <p className="hint small muted">
            <MousePointer2 className="i i-s" />
            {t.library.drop}
          </p>
        )
      )}
      {looking && <Look document={looking} documents={documents} go={setLooking} />}
      {sharing && <ShareDialog documents={sharing} onClose={() => setSharing(null)} />}
    </main>
  );
}

function sortChoices(change: (changes: { sort: string }) => void) {
  return (["newest", "oldest", "name", "pages", "size"] as const).map((key) => ({
    key,
    label: t.library.sorts[key],
    act: () => change({ sort: key }),
  }));
}

/** Move to the next row, or to the first. */
function step(event: KeyboardEvent, by: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>("[data-row]")];
  const at = rows.indexOf(document.activeElement as HTMLElement);
  const next = rows[at < 0 ? 0 : at + by];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

/** An empty library does the next thing. */
function Welcome({ wide, choose }: { wide: boolean; choose: () => void }) {
  const trySample = async () => {
    const { makeSample } = await import("./sample");
    addFiles([makeSample()]);
  };
  return (
    <div className={s.welcome}>
      <button type="button" className={s.dropzone} onClick={choose}>
        <FileUp className="i" />
        <b>{wide ? t.library.welcome : t.library.choose}</b>
        <span className="muted">{wide ? t.library.welcomeHow(limitMegabytes) : t.library.chooseHow(limitMegabytes)}</span>
      </button>
      <p className="muted">
        {t.library.or}{" "}
        <button type="button" className="b b-link" onClick={() => void trySample()}>
          {t.library.sample}
        </button>
      </p>
    </div>
  );
}
