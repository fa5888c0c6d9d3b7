import { ArrowLeft, FileText, Table2, TextAlignStart } from "lucide-react";
import type { ReactNode } from "react";
import { Link, useLocation } from "wouter";
import type { DocumentDetails } from "../api";
import { useMe } from "../live/session";
import { shortName } from "./format";
import { useWide } from "./parts";
import { t } from "./words";

interface Props {
  document: DocumentDetails | undefined;
  view: "pages" | "text" | "tables";
  setView?: (view: "pages" | "text") => void;
  page?: number;
  children?: ReactNode;
}

/** The head of a document's screens: its name, its views, and what the screen puts beside them. */
export function DocumentHead({ document, view, setView, page, children }: Props) {
  const me = useMe();
  const wide = useWide();
  const [, navigate] = useLocation();
  const readers = document?.reader_count ?? document?.readers?.length ?? 0;
  const facts = document && [
    document.page_count ? t.pages(document.page_count) : "",
    document.tables_found ? t.tableCount(document.tables_found) : "",
    document.owner.id !== me.id ? t.library.from(shortName(document.owner.name)) : readers && wide ? t.share.sharedWith(readers) : "",
  ];
  const go = (to: "pages" | "text") =>
    setView ? setView(to) : navigate(`/documents/${document!.id}${page ? `/${page}` : ""}${to === "text" ? "?view=text" : ""}`);
  return (
    <header className="top rtop">
      <Link className="b b-0 b-i" href="/" aria-label={t.reading.back}>
        <ArrowLeft className="i" />
      </Link>
      <div className="title">
        <h1 className="cut">{document?.filename ?? " "}</h1>
        <p className="small muted num cut">{facts?.filter(Boolean).join(", ")}</p>
      </div>
      {wide && document && (
        <nav className="seg" aria-label={t.reading.view}>
          <button type="button" aria-current={view === "pages" ? "true" : undefined} onClick={() => go("pages")}>
            <FileText className="i i-s" />
            {t.reading.pages}
          </button>
          <button type="button" aria-current={view === "text" ? "true" : undefined} onClick={() => go("text")}>
            <TextAlignStart className="i i-s" />
            {t.reading.text}
          </button>
          <button type="button" aria-current={view === "tables" ? "true" : undefined} onClick={() => navigate(`/documents/${document.id}/tables`)}>
            <Table2 className="i i-s" />
            {t.reading.tables}
          </button>
        </nav>
      )}
      {children}
    </header>
  );
}
