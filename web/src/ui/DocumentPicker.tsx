import { useQuery } from "@tanstack/react-query";
import { Search } from "lucide-react";
import { useState } from "react";
import { type Document, listDocuments, picture } from "../api";
import { Dialog } from "./Dialog";
import { Picture } from "./Picture";
import { Failed, Loading, useDebounced } from "./parts";
import { t } from "./words";

/** One document of the library, for a message. */
export function DocumentPicker({ choose, onClose }: { choose: (document: Document) => void; onClose: () => void }) {
  const [words, setWords] = useState("");
  const q = useDebounced(words, 200);
  const found = useQuery({
    queryKey: ["picker", q],
    queryFn: ({ signal }) => listDocuments({ show: "all", sort: "created_at", order: "desc", q }, null, signal),
    staleTime: 0,
  });
  const documents = found.data?.documents.filter(({ status }) => status === "ready") ?? [];
  return (
    <Dialog title={t.talk.attach} onClose={onClose}>
      <label className="field">
        <Search className="i i-s" />
        <input autoFocus value={words} placeholder={t.library.byName} aria-label={t.library.byName} onChange={(event) => setWords(event.target.value)} />
      </label>
      <ul className="people tall">
        {found.isPending && <li><Loading what={t.loading} /></li>}
        {found.isError && <li><Failed error={found.error} /></li>}
        {found.isSuccess && documents.length === 0 && <li className="muted small">{t.library.none.all}</li>}
        {documents.map((document) => (
          <li key={document.id}>
            <button type="button" onClick={() => choose(document)}>
              <Picture className="paper tiny" src={picture(document.id, 1, 160, document.sha256)} alt="" lazy />
              <span className="grow cut">
                <b className="cut">{document.filename}</b>
                <small>{t.pages(document.page_count ?? 0)}</small>
              </span>
            </button>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
