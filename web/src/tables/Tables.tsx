// The tables of a document, each beside its place on the page, ready for a spreadsheet.
import { useQuery } from "@tanstack/react-query";
import { ChevronDown, ChevronRight, Copy, Download, MessageSquarePlus, Search, Sheet as SheetIcon, Table2, UserPlus } from "lucide-react";
import { memo, useEffect, useMemo, useRef, useState } from "react";
import { Link, useLocation, useParams, useSearch } from "wouter";
import { type DocumentDetails, type Table, listPages, listTables, picture, readDocument } from "../api";
import { useOwnAddress } from "../ui/address";
import { copy } from "../ui/clipboard";
import { DocumentHead } from "../ui/DocumentHead";
import { Picture } from "../ui/Picture";
import { ShareDialog } from "../ui/ShareDialog";
import { Empty, Failed, Loading, Toggle, useScreenName, useWide } from "../ui/parts";
import { t } from "../ui/words";
import { type Grid, columnName, toClipboard, toGrid } from "./grid";
import s from "./tables.module.css";

const SHOWN_ROWS = 60;

export default function Tables() {
  const id = Number(useParams<{ id: string }>().id);
  const [join, setJoin] = useState(true);
  const document = useQuery({ queryKey: ["document", id], queryFn: () => readDocument(id), retry: false });
  const tables = useQuery({ queryKey: ["tables", id, join], queryFn: () => listTables(id, join), retry: false, placeholderData: (was) => was });
  useScreenName(document.data?.filename ?? "");
  const failed = document.error ?? tables.error;
  const [sharing, setSharing] = useState(false);
  const wide = useWide();
  const [, navigate] = useLocation();
  return (
    <main className={s.tablescreen}>
      <DocumentHead document={document.data} view="tables">
        {document.data && wide && (
          <>
            <label className="field find">
              <Search className="i" />
              <input
                data-find
                aria-label={t.reading.find}
                placeholder={t.reading.find}
                onKeyDown={(event) => {
                  const words = event.currentTarget.value.trim();
                  if (event.key === "Enter" && !event.nativeEvent.isComposing && words) navigate(`/documents/${id}/1?q=${encodeURIComponent(words)}&hit=1`);
                }}
              />
            </label>
            <a className="b b-i" href={`/documents/${id}/file?download=1`} download aria-label={t.reading.downloadPdf}>
              <Download className="i" />
            </a>
          </>
        )}
        {document.data && (
          <button type="button" className="b" onClick={() => setSharing(true)}>
            <UserPlus className="i" />
            {t.share.share}
          </button>
        )}
      </DocumentHead>
      {failed ? (
        <Failed error={failed} again={() => void tables.refetch()} />
      ) : !document.data || !tables.data ? (
        <Loading what={t.loading} />
      ) : tables.data.length === 0 ? (
        <Empty icon={<Table2 className="i" />} title={t.tables.none}>
          <p>{t.tables.noneWhy}</p>
        </Empty>
      ) : (
        <Desk document={document.data} tables={tables.data} join={join} setJoin={setJoin} />
      )}
      {sharing && document.data && <ShareDialog documents={[document.data]} onClose={() => setSharing(false)} />}
    </main>
  );
}

interface DeskProps {
  document: DocumentDetails;
  tables: Table[];
  join: boolean;
  setJoin: (join: boolean) => void;
}

function Desk({ document, tables, join, setJoin }: DeskProps) {
  const wide = useWide();
  const write = useOwnAddress();
  const wanted = new URLSearchParams(useSearch()).get("table");
  const [trim, setTrim] = useState(true);
  const [openFragments, setOpenFragments] = useState(() => tables.some((table) => table.fragment && String(table.table_index) === wanted));
  const whole = tables.filter((table) => !table.fragment);
  const fragments = tables.filter((table) => table.fragment);
  const shown = openFragments || whole.length === 0 ? tables : whole;
  const [chosen, setChosen] = useState(wanted === null ? (shown[0]?.table_index ?? 0) : Number(wanted));
  const [cell, setCell] = useState<{ table: number; row: number; column: number } | null>(null);
  const grids = useMemo(() => new Map(tables.map((table) => [table.table_index, toGrid(table, trim)])), [tables, trim]);
  const current = tables.find((table) => table.table_index === chosen) ?? shown[0];
  const box = useRef<HTMLDivElement>(null);
  const go = (index: number) => {
    setChosen(index);
    box.current?.querySelector(`[data-table="${index}"]`)?.scrollIntoView({ block: "start" });
  };
  useEffect(() => {
    if (wanted !== null) go(Number(wanted));
  }, []);
  useEffect(() => {
    write(`/documents/${document.id}/tables?table=${chosen}`);
  }, [chosen, document.id, write]);
  return (
    <div className={s.tdesk}>
      <nav className={s.tlist} aria-label={t.reading.tables}>
        <h2>{t.tables.title(tables.length)}</h2>
        <ol>
          {shown.map((table) => {
            const grid = grids.get(table.table_index)!;
            return (
              <li key={table.table_index}>
                <button type="button" className={s.entry} aria-current={table.table_index === current?.table_index ? "true" : undefined} onClick={() => go(table.table_index)}>
                  <b className="num">{table.table_index + 1}</b>
                  <span className="cut">
                    {grid.title || t.tables.unnamed}
                    <small className="num">{t.tables.size(table.page, grid.rows.length, grid.columns.length)}</small>
                  </span>
                </button>
              </li>
            );
          })}
          {fragments.length > 0 && whole.length > 0 && (
            <li>
              <button type="button" className={s.frag} aria-expanded={openFragments} onClick={() => setOpenFragments(!openFragments)}>
                {openFragments ? <ChevronDown className="i i-s" /> : <ChevronRight className="i i-s" />}
                {t.tables.fragments(fragments.length)}
              </button>
            </li>
          )}
        </ol>
        <div className={s.opts}>
          <Toggle on={join} change={setJoin}>
            {t.tables.join}
          </Toggle>
          <Toggle on={trim} change={setTrim}>
            {t.tables.trim}
          </Toggle>
          <a className={`b b-1 ${s.all}`} href={`/documents/${document.id}/tables.xlsx?download=1${join ? "&merge=true" : ""}${trim ? "&trim=true" : ""}`} download>
            <SheetIcon className="i" />
            {t.tables.all}
          </a>
          {wide && <p className="small muted">{t.tables.allHow}</p>}
        </div>
      </nav>
      <div className={s.grids} ref={box} tabIndex={0} role="region" aria-label={t.reading.tables}>
        {shown.map((table) => (
          <OneTable
            key={table.table_index}
            document={document}
            table={table}
            grid={grids.get(table.table_index)!}
            join={join}
            trim={trim}
            current={table.table_index === current?.table_index}
            choose={setChosen}
            cell={cell?.table === table.table_index ? cell : null}
            pick={(row, column) => {
              setChosen(table.table_index);
              setCell({ table: table.table_index, row, column });
            }}
          />
        ))}
      </div>
      {wide && current && <Proof document={document} table={current} grid={grids.get(current.table_index)!} cell={cell?.table === current.table_index ? cell : null} />}
    </div>
  );
}

interface TableProps {
  document: DocumentDetails;
  table: Table;
  grid: Grid;
  join: boolean;
  trim: boolean;
  current: boolean;
  choose: (index: number) => void;
  cell: { row: number; column: number } | null;
  pick: (row: number, column: number) => void;
}

const OneTable = memo(
  function OneTable({ document, table, grid, join, trim, current, choose, cell, pick }: TableProps) {
    const wide = useWide();
    const [all, setAll] = useState(false);
    const rows = all ? grid.rows : grid.rows.slice(0, SHOWN_ROWS);
    const options = `download=1${join ? "&merge=true" : ""}${trim ? "&trim=true" : ""}`;
    const copyCells = () => {
      const { text, html } = toClipboard(grid);
      void copy(text, t.tables.copied, html);
    };
    return (
      <section className={`${s.tb}${current ? " now" : ""}`} data-table={table.table_index} onFocus={() => choose(table.table_index)}>
        <header className="row">
          <h2 className="cut">{grid.title || t.tables.unnamed}</h2>
          <span className="small muted num nowrap">{t.tables.number(table.table_index + 1, table.page)}</span>
          <span className="grow" />
          <button type="button" className="b b-s" onClick={copyCells}>
            <Copy className="i i-s" />
            {t.copy}
          </button>
          <a className="b b-s" href={`/documents/${document.id}/tables/${table.table_index}.csv?${options}`} download>
            CSV
          </a>
          {wide && (
            <a className="b b-s" href={`/documents/${document.id}/tables.xlsx?page=${table.page}&${options}`} download>
              Excel
            </a>
          )}
        </header>
        <div className={s.wrap} tabIndex={0} role="region" aria-label={grid.title || t.tables.unnamed}>
          <table className={s.grid}>
            <thead>
              <tr className={s.abc}>
                <td />
                {grid.columns.map((column, index) => (
                  <th key={column}>{columnName(index)}</th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((row, number) => (
                <tr key={number} className={number < grid.headers ? s.h : ""}>
                  <th scope="row" className={s.n}>
                    {number + 1}
                  </th>
                  {row.map(
                    (one, index) =>
                      one && (
                        <td
                          key={index}
                          colSpan={one.columns > 1 ? one.columns : undefined}
                          rowSpan={one.rows > 1 ? Math.min(one.rows, rows.length - number) : undefined}
                          className={`${one.columns > 1 ? (number < grid.headers ? s.c : s.part) : grid.numeric[index] ? `${s.r} num` : ""}${cell?.row === number && cell.column === index ? ` ${s.pick}` : ""}`}
                          onClick={() => pick(number, index)}
                        >
                          {one.text}
                        </td>
                      ),
                  )}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        {!all && grid.rows.length > SHOWN_ROWS && (
          <button type="button" className={`b b-0 ${s.rest}`} onClick={() => setAll(true)}>
            {t.library.showAll} ({grid.rows.length})
          </button>
        )}
      </section>
    );
  },
  (was, is) => was.grid === is.grid && was.current === is.current && was.cell === is.cell && was.join === is.join && was.trim === is.trim,
);

/** The page, and where on it the table was found. */
function Proof({ document, table, grid, cell }: { document: DocumentDetails; table: Table; grid: Grid; cell: { row: number; column: number } | null }) {
  const pages = useQuery({ queryKey: ["pages", document.id, "all"], queryFn: () => listPages(document.id) });
  const size = pages.data?.find((page) => page.page_number === table.page);
  const [x0 = 0, top = 0, x1 = 0, bottom = 0] = table.bbox;
  const percent = (value: number, whole: number) => `${(100 * value) / whole}%`;
  const share = { row: cell ? cell.row / grid.rows.length : 0, height: cell ? 1 / grid.rows.length : 1 };
  return (
    <aside className={s.proof} aria-label={t.tables.onPage(table.page)}>
      <header className="row">
        <h2>{t.tables.onPage(table.page)}</h2>
        <span className="grow" />
        <Link className="b b-0 b-s" href={`/documents/${document.id}/${table.page}`}>
          {t.tables.openPage}
        </Link>
      </header>
      {size && (
        <figure className="paper" style={{ aspectRatio: `${size.width} / ${size.height}` }}>
          <Picture key={table.page} src={picture(document.id, table.page, 700, document.sha256)} alt={t.tables.alt(table.page)} />
          <i style={{ left: percent(x0, size.width), top: percent(top, size.height), width: percent(x1 - x0, size.width), height: percent(bottom - top, size.height) }} />
          {cell && (
            <b
              className={s.place}
              style={{
                left: percent(x0, size.width),
                width: percent(x1 - x0, size.width),
                top: percent(top + share.row * (bottom - top), size.height),
                height: percent(share.height * (bottom - top), size.height),
              }}
            />
          )}
        </figure>
      )}
      <p className="small muted">{t.tables.outline}</p>
      <Link className="b" href={`/documents/${document.id}/${table.page}`}>
        <MessageSquarePlus className="i" />
        {t.tables.talk}
      </Link>
    </aside>
  );
}
