// A look at a document without opening it; the arrows walk through the list.
import { ChevronLeft, ChevronRight } from "lucide-react";
import { useEffect, useState } from "react";
import { Link } from "wouter";
import { type Document, picture } from "../api";
import { Dialog } from "../ui/Dialog";
import { Picture } from "../ui/Picture";
import { t } from "../ui/words";
import s from "./library.module.css";

interface Props {
  document: Document;
  documents: Document[];
  go: (document: Document | null) => void;
}

export function Look({ document, documents, go }: Props) {
  const [page, setPage] = useState(1);
  useEffect(() => setPage(1), [document.id]);
  const pages = document.page_count ?? 1;
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      const at = documents.findIndex(({ id }) => id === document.id);
      if (event.key === " " && !(event.target instanceof HTMLButtonElement)) go(null);
      else if (event.key === "ArrowDown") go(documents[Math.min(at + 1, documents.length - 1)] ?? document);
      else if (event.key === "ArrowUp") go(documents[Math.max(at - 1, 0)] ?? document);
      else if (event.key === "ArrowRight") setPage((now) => Math.min(now + 1, pages));
      else if (event.key === "ArrowLeft") setPage((now) => Math.max(now - 1, 1));
      else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", onKeyDown, true);
    return () => window.removeEventListener("keydown", onKeyDown, true);
  }, [document, documents, go, pages]);
  return (
    <Dialog title={document.filename} onClose={() => go(null)} wide>
      <figure className={s.look}>
        {document.thumbnail ? (
          <Picture key={`${document.id} ${page}`} className="paper" src={picture(document.id, page, 700, document.sha256)} alt={t.page(page)} />
        ) : (
          <p className="muted">{t.library.noPicture}</p>
        )}
      </figure>
      <div className="actions">
        <button type="button" className="b b-0 b-i" aria-label={t.reading.previousPage} disabled={page <= 1} onClick={() => setPage(page - 1)}>
          <ChevronLeft className="i" />
        </button>
        <span className={`num muted small ${s.lookpage}`}>{t.reading.pageOf(page, pages)}</span>
        <button type="button" className="b b-0 b-i" aria-label={t.reading.nextPage} disabled={page >= pages} onClick={() => setPage(page + 1)}>
          <ChevronRight className="i" />
        </button>
        <span className="grow" />
        <Link className="b b-1" replace href={`/documents/${document.id}/${page}`}>
          {t.open}
        </Link>
      </div>
    </Dialog>
  );
}
