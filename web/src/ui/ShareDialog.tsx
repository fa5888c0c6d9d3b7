// Share documents: a message with a card to each person, and who may read them already.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Check, Quote, Search, X } from "lucide-react";
import { useState } from "react";
import { type Document, type DocumentDetails, listPeople, listShares, unshare } from "../api";
import { send } from "../live/outbox";
import { useMe } from "../live/session";
import { Alone } from "./Alone";
import { Dialog } from "./Dialog";
import { Face } from "./Face";
import { names } from "./format";
import { Failed, Loading, sayError, useDebounced } from "./parts";
import { tell } from "./toasts";
import { t } from "./words";

interface Props {
  documents: Pick<Document | DocumentDetails, "id" | "filename" | "owner">[];
  page?: number;
  match?: string;
  onClose: () => void;
}

export function ShareDialog({ documents, page, match, onClose }: Props) {
  const me = useMe();
  const cache = useQueryClient();
  const [document] = documents;
  const only = documents.length === 1 ? document : undefined;
  const mine = documents.every(({ owner }) => owner.id === me.id);
  const [words, setWords] = useState("");
  const [chosen, setChosen] = useState<{ id: number; name: string }[]>([]);
  const [content, setContent] = useState("");
  const [pointing, setPointing] = useState(page !== undefined);
  const asked = useDebounced(words, 200);
  const people = useQuery({ queryKey: ["people", asked], queryFn: () => listPeople(asked) });
  const shares = useQuery({ queryKey: ["shares", only?.id], queryFn: () => listShares(only!.id), enabled: only !== undefined });
  const readers = shares.data ?? [];
  const mayRead = (id: number) => id === only?.owner.id || readers.some((reader) => reader.id === id);
  const submit = () => {
    if (!chosen.length) return;
    for (const person of chosen) {
      for (const { id } of documents) {
        send({
          recipient_id: person.id,
          content: content.trim(),
          document_id: id,
          ...(pointing && page ? { page } : {}),
          ...(pointing && match ? { match } : {}),
        });
      }
    }
    setTimeout(() => {
      void cache.invalidateQueries({ queryKey: ["shares"] });
      void cache.invalidateQueries({ queryKey: ["documents"] });
      if (only) void cache.invalidateQueries({ queryKey: ["document", only.id] });
    }, 400);
    tell(t.share.done(names(chosen.map(({ name }) => name))));
    onClose();
  };
  const takeBack = (id: number, name: string) =>
    unshare(only!.id, id)
      .then(() => tell(t.share.takenBack(name)), (error: unknown) => tell(sayError(error)))
      .finally(() => {
        void cache.invalidateQueries({ queryKey: ["shares"] });
        void cache.invalidateQueries({ queryKey: ["documents"] });
      });
  return (
    <Dialog title={only ? t.share.title(only.filename) : t.share.titleMany(documents.length)} onClose={onClose}>
      <form
        className="sharing"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        {chosen.length > 0 && (
          <ul className="chosen" aria-label={t.share.with}>
            {chosen.map(({ id, name }) => (
              <li key={id}>
                <Face id={id} name={name} size="s" />
                {name}
                <button type="button" className="x" aria-label={t.share.without(name)} onClick={() => setChosen(chosen.filter((one) => one.id !== id))}>
                  <X className="i i-s" />
                </button>
              </li>
            ))}
          </ul>
        )}
        <label className="field">
          <Search className="i i-s" />
          <input autoFocus value={words} placeholder={t.findPeople} aria-label={t.findPeople} onChange={(event) => setWords(event.target.value)} />
        </label>
        <ul className="people" aria-label={t.people}>
          {people.isPending && <li><Loading what={t.loading} /></li>}
          {people.isError && <li><Failed error={people.error} /></li>}
          {people.data?.length === 0 && <li className="muted small">{asked ? t.share.nobody(asked) : <Alone />}</li>}
          {people.data?.map(({ id, name, email }) => {
            const on = chosen.some((one) => one.id === id);
            const cannot = !mine && !mayRead(id);
            return (
              <li key={id}>
                <button
                  type="button"
                  aria-pressed={on}
                  disabled={cannot}
                  onClick={() => setChosen(on ? chosen.filter((one) => one.id !== id) : [...chosen, { id, name }])}
                >
                  <Face id={id} name={name} />
                  <span className="grow cut">
                    <b>{name}</b>
                    <small>{mayRead(id) ? t.share.canRead : cannot ? t.share.ownerMust : email}</small>
                  </span>
                  {on && <Check className="i" />}
                </button>
              </li>
            );
          })}
        </ul>
        {page !== undefined && only && (
          <label className="pointing">
            <input type="checkbox" checked={pointing} onChange={(event) => setPointing(event.target.checked)} />
            <span className={`at${match ? " now" : ""}`}>
              <Quote className="i i-s" />
              <b>{t.page(page)}</b>
              {match && <q>{match}</q>}
            </span>
          </label>
        )}
        <textarea className="area" rows={2} aria-label={t.share.note} placeholder={t.share.note} value={content} onChange={(event) => setContent(event.target.value)} />
        <div className="actions">
          <button type="submit" className="b b-1" aria-disabled={!chosen.length}>
            {t.share.share}
          </button>
        </div>
      </form>
      {only && readers.length > 0 && (
        <section className="readers">
          <h3>{t.share.readers}</h3>
          <ul>
            {readers.map(({ id, name }) => (
              <li key={id} className="row">
                <Face id={id} name={name} size="s" />
                <span className="grow cut">{name}</span>
                {mine && (
                  <button type="button" className="b b-0 b-s" onClick={() => void takeBack(id, name)}>
                    {t.share.takeBack}
                    <span className="vh"> {name}</span>
                  </button>
                )}
              </li>
            ))}
          </ul>
        </section>
      )}
    </Dialog>
  );
}
