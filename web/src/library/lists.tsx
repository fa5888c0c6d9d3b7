// The rows of the library: a table, a list for phones, a grid of pictures.
import { ArrowDown, ArrowUp, Download, Ellipsis, Eye, ExternalLink, MessageSquareText, Pencil, Trash2, UserPlus } from "lucide-react";
import { type KeyboardEvent, type MouseEvent, memo, useEffect, useRef, useState } from "react";
import { Link } from "wouter";
import { type Document, picture, renameDocument } from "../api";
import { changeDocuments } from "../live/cache";
import { useMe } from "../live/session";
import { Face } from "../ui/Face";
import { type Choice, Menu } from "../ui/Menu";
import { Picture } from "../ui/Picture";
import { bytes, fullDate, number, shortName, when } from "../ui/format";
import { sayError } from "../ui/parts";
import { tell } from "../ui/toasts";
import { t } from "../ui/words";
import type { SortName } from "./Library";
import s from "./library.module.css";

interface Rows {
  documents: Document[];
  sort: SortName;
  picked: ReadonlySet<number>;
  setPicked: (picked: ReadonlySet<number>) => void;
  look: (document: Document) => void;
  remove: (documents: Document[]) => void;
  share: (document: Document) => void;
}

const COLUMNS: { key: string; label: () => string; sorts?: [SortName, SortName]; right?: boolean }[] = [
  { key: "name", label: () => t.library.name, sorts: ["name", "name_down"] },
  { key: "pages", label: () => t.library.pages, sorts: ["pages", "pages_up"], right: true },
  { key: "tables", label: () => t.library.tables, right: true },
  { key: "size", label: () => t.library.size, sorts: ["size", "size_up"], right: true },
  { key: "readers", label: () => t.library.readers },
  { key: "talk", label: () => t.library.talk },
  { key: "added", label: () => t.library.added, sorts: ["newest", "oldest"], right: true },
];
const DOWN: SortName[] = ["newest", "name_down", "pages", "size"];

export function DocumentTable({ change, ...rows }: Rows & { change: (changes: { sort: string }) => void }) {
  return (
    <table className={s.docs}>
      <thead>
        <tr>
          {COLUMNS.map(({ key, label, sorts, right }) => {
            const on = sorts?.includes(rows.sort);
            const down = DOWN.includes(rows.sort);
            return (
              <th key={key} scope="col" className={right ? s.r : ""} aria-sort={on ? (down ? "descending" : "ascending") : undefined}>
                {sorts ? (
                  <button type="button" onClick={() => change({ sort: rows.sort === sorts[0] ? sorts[1] : sorts[0] })}>
                    {label()}
                    {on && (down ? <ArrowDown className="i i-s" /> : <ArrowUp className="i i-s" />)}
                  </button>
                ) : (
                  label()
                )}
              </th>
            );
          })}
          <th>
            <span className="vh">{t.library.actions}</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.documents.map((document) => (
          <Row key={document.id} document={document} rows={rows} picked={rows.picked.has(document.id)} />
        ))}
      </tbody>
    </table>
  );
}

function pick(rows: Rows, document: Document, on: boolean): void {
  const picked = new Set(rows.picked);
  if (on) picked.add(document.id);
  else picked.delete(document.id);
  rows.setPicked(picked);
}

const Row = memo(
  function Row({ document, rows, picked }: { document: Document; rows: Rows; picked: boolean }) {
    const me = useMe();
    const [renaming, setRenaming] = useState(false);
    const mine = document.owner.id === me.id;
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.key === " ") rows.look(document);
      else if (event.key === "F2" && mine) setRenaming(true);
      else if (event.key === "Delete" && mine) rows.remove([document]);
      else if (event.key === "x") pick(rows, document, !picked);
      else return;
      event.preventDefault();
    };
    const onClick = (event: MouseEvent) => {
      if (!event.ctrlKey && !event.metaKey && !event.shiftKey) return;
      event.preventDefault();
      pick(rows, document, !picked);
    };
    return (
      <tr className={picked ? "now" : ""}>
        <td>
          <input
            type="checkbox"
            className={s.pick}
            checked={picked}
            aria-label={t.library.pick(document.filename)}
            onChange={(event) => pick(rows, document, event.target.checked)}
          />
          {renaming ? (
            <span className={s.name}>
              <Thumb document={document} />
              <Rename document={document} done={() => setRenaming(false)} />
            </span>
          ) : (
            <Link href={`/documents/${document.id}`} className={s.name} data-row={document.id} onKeyDown={onKeyDown} onClick={onClick}>
              <Thumb document={document} />
              <span className="cut">
                <b className="cut">{document.filename}</b>
                <Second document={document} mine={mine} />
              </span>
            </Link>
          )}
        </td>
        <td className={`${s.r} num`}>{document.page_count === null ? "–" : number(document.page_count)}</td>
        <td className={`${s.r} num${document.tables_found ? "" : " faint"}`}>{document.tables_found ? number(document.tables_found) : "–"}</td>
        <td className={`${s.r} num`}>{bytes(document.file_size)}</td>
        <td>
          <Readers document={document} mine={mine} />
        </td>
        <td>
          <Talk document={document} />
        </td>
        <td className={`${s.r} num muted`}>
          <time dateTime={document.created_at} title={fullDate(document.created_at)}>
            {when(document.created_at)}
          </time>
        </td>
        <td>
          <More document={document} rows={rows} mine={mine} rename={() => setRenaming(true)} />
        </td>
      </tr>
    );
  },
  (was, is) => was.document === is.document && was.picked === is.picked && was.rows.picked === is.rows.picked,
);

function Second({ document, mine }: { document: Document; mine: boolean }) {
  if (document.error) return <span className={`cut ${s.why}`}>{t.reasons[document.error.code] ?? document.error.detail}</span>;
  const text = mine ? document.title : t.library.from(document.owner.name);
  return text ? <span className="cut">{text}</span> : null;
}

function Thumb({ document }: { document: Document }) {
  if (!document.thumbnail) return <span className={s.blank} />;
  return (
    <span className={s.thumb}>
      <Picture className="paper" src={picture(document.id, 1, 160, document.sha256)} alt="" lazy />
    </span>
  );
}

function Readers({ document, mine }: { document: Document; mine: boolean }) {
  if (!mine) {
    return (
      <span className="from">
        <Face id={document.owner.id} name={document.owner.name} size="s" />
        <span className="small muted">{t.library.theirs(shortName(document.owner.name))}</span>
      </span>
    );
  }
  const readers = document.readers ?? [];
  const count = document.reader_count ?? readers.length;
  if (!count) return <span className="faint small">{t.library.onlyYou}</span>;
  return (
    <span className="faces" title={readers.map(({ name }) => name).join(", ")}>
      {readers.slice(0, 3).map(({ id, name }) => (
        <Face key={id} id={id} name={name} size="s" />
      ))}
      {count > 3 && <span className="small muted">+{count - 3}</span>}
      <span className="vh">{t.library.readBy(readers.map(({ name }) => name))}</span>
    </span>
  );
}

function Talk({ document }: { document: Document }) {
  const count = document.message_count ?? 0;
  const fresh = document.unread_count ?? 0;
  if (!count && !fresh) return null;
  return (
    <span className={`talk${fresh ? " new" : ""}`}>
      <MessageSquareText className="i i-s" />
      {fresh ? <b>{t.library.fresh(fresh)}</b> : <span aria-label={t.library.messages(count)}>{count}</span>}
    </span>
  );
}

function More({ document, rows, mine, rename }: { document: Document; rows: Rows; mine: boolean; rename?: () => void }) {
  const file = `/documents/${document.id}/file`;
  const all: (Choice | null | false)[] = [
    { key: "look", label: t.library.look, icon: <Eye className="i" />, act: () => rows.look(document) },
    mine && { key: "share", label: t.share.shareWith, icon: <UserPlus className="i" />, act: () => rows.share(document) },
    mine && rename !== undefined && { key: "rename", label: t.library.rename, icon: <Pencil className="i" />, act: rename },
    { key: "download", label: t.download, icon: <Download className="i" />, href: `${file}?download=1`, download: true },
    { key: "original", label: t.library.original, icon: <ExternalLink className="i" />, act: () => void window.open(file, "_blank", "noopener") },
    mine && null,
    mine && { key: "delete", label: t.remove, icon: <Trash2 className="i" />, danger: true, act: () => rows.remove([document]) },
  ];
  return (
    <Menu label={t.library.more(document.filename)} choices={all.filter((choice) => choice !== false)}>
      <Ellipsis className="i i-s" />
    </Menu>
  );
}

function Rename({ document, done }: { document: Document; done: () => void }) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    input.current?.focus();
    input.current?.setSelectionRange(0, document.filename.replace(/\.pdf$/i, "").length);
  }, [document.filename]);
  const finish = (save: boolean) => {
    const name = input.current?.value.trim() ?? "";
    done();
    if (!save || !name || name === document.filename) return;
    changeDocuments(document.id, (old) => ({ ...old, filename: name }));
    renameDocument(document.id, name).catch((error: unknown) => {
      changeDocuments(document.id, (old) => ({ ...old, filename: document.filename }));
      tell(sayError(error));
    });
  };
  return (
    <input
      ref={input}
      className={s.rename}
      defaultValue={document.filename}
      aria-label={t.library.newName(document.filename)}
      onBlur={() => finish(true)}
      onKeyDown={(event) => {
        if (event.nativeEvent.isComposing) return;
        if (event.key === "Enter") finish(true);
        if (event.key === "Escape") finish(false);
        event.stopPropagation();
      }}
    />
  );
}

const isAsBefore = (was: OneProps, is: OneProps) => was.document === is.document && was.mine === is.mine;

interface OneProps {
  document: Document;
  rows: Rows;
  mine: boolean;
}

export function PhoneList(rows: Rows) {
  const me = useMe();
  return (
    <ol className={s.mlist}>
      {rows.documents.map((document) => (
        <PhoneRow key={document.id} document={document} rows={rows} mine={document.owner.id === me.id} />
      ))}
    </ol>
  );
}

const PhoneRow = memo(function PhoneRow({ document, rows, mine }: OneProps) {
  const facts = [
    mine ? "" : t.library.from(shortName(document.owner.name)),
    t.pages(document.page_count ?? 0),
    document.tables_found ? t.tableCount(document.tables_found) : "",
    when(document.created_at),
  ];
  return (
    <li>
      <Link href={`/documents/${document.id}`}>
        <Thumb document={document} />
        <span className="grow">
          <b className="cut">{document.filename}</b>
          <small className="num">{document.error ? (t.reasons[document.error.code] ?? document.error.detail) : facts.filter(Boolean).join(", ")}</small>
        </span>
        <Talk document={document} />
      </Link>
      <More document={document} rows={rows} mine={mine} />
    </li>
  );
}, isAsBefore);

export function PictureGrid(rows: Rows) {
  const me = useMe();
  return (
    <ol className={s.pictures}>
      {rows.documents.map((document) => (
        <PictureCell key={document.id} document={document} rows={rows} mine={document.owner.id === me.id} />
      ))}
    </ol>
  );
}

const PictureCell = memo(function PictureCell({ document, rows, mine }: OneProps) {
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === " ") rows.look(document);
    else if (event.key === "Delete" && mine) rows.remove([document]);
    else return;
    event.preventDefault();
  };
  return (
    <li>
      <Link href={`/documents/${document.id}`} data-row={document.id} onKeyDown={onKeyDown}>
        <span className={s.picture}>{document.thumbnail && <Picture className="paper" src={picture(document.id, 1, 240, document.sha256)} alt="" lazy />}</span>
        <b className="cut">{document.filename}</b>
        <small className="num">
          {t.pages(document.page_count ?? 0)}, {when(document.created_at)}
        </small>
      </Link>
      <span className={s.corner}>
        <Talk document={document} />
        <More document={document} rows={rows} mine={mine} />
      </span>
    </li>
  );
}, isAsBefore);
