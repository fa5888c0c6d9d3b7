// What is coming in: files that this tab sends, and documents that the server is reading or could not read.
import { useQuery } from "@tanstack/react-query";
import { CopyCheck, FileUp, FileX2, Lock, Trash2, X } from "lucide-react";
import { type FormEvent, type ReactNode, useRef, useState } from "react";
import { useLocation } from "wouter";
import { type Document, deleteDocument, listComingIn, picture, readAgain } from "../api";
import { forgetDocument, progress, reloadLibrary, upToDate } from "../live/cache";
import { type Upload, addFiles, cancel, dismiss, keepBoth, limitMegabytes, tryAgain, uploads } from "../live/uploads";
import { Picture } from "../ui/Picture";
import { bytes, number } from "../ui/format";
import { sayError } from "../ui/parts";
import { tell } from "../ui/toasts";
import { t } from "../ui/words";
import s from "./library.module.css";

export function Incoming() {
  const sending = uploads.use();
  const { data: documents = [] } = useQuery({ queryKey: ["coming-in"], queryFn: () => upToDate(listComingIn) });
  const [open, setOpen] = useState(true);
  const shown = documents.filter((document) => !sending.some((upload) => isSame(upload, document)));
  const total = sending.length + shown.length;
  if (!total) return null;
  const needy = shown.filter(({ status }) => status === "failed").length + sending.filter(({ state }) => state === "refused" || state === "twin").length;
  return (
    <section className={s.ups} aria-label={t.coming.uploads}>
      <header className="row">
        <h2>{t.coming.title}</h2>
        <span className="muted small num" role="status">
          {t.coming.state(total - needy, needy)}
        </span>
        <span className="grow" />
        <button type="button" className="b b-0 b-s" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? t.coming.hide : t.coming.show}
        </button>
      </header>
      {open && (
        <ul>
          {sending.map((upload) => (
            <Sending key={upload.key} upload={upload} />
          ))}
          {shown.map((document) =>
            document.status === "failed" ? <Unreadable key={document.id} document={document} /> : <Reading key={document.id} document={document} />,
          )}
        </ul>
      )}
    </section>
  );
}

/** A file has one row, also while its answer is under way. */
function isSame({ state, twin, document: own, file, sent }: Upload, document: Document): boolean {
  if (state === "twin") return twin === document.id;
  if (own !== undefined) return own === document.id;
  return state === "sending" && sent >= file.size && document.status === "processing" && document.filename === file.name && document.file_size === file.size;
}

interface RowProps {
  name: string;
  icon: ReactNode;
  said?: string;
  why?: string;
  percent?: number;
  children?: ReactNode;
}

function Row({ name, icon, said, why, percent, children }: RowProps) {
  return (
    <li className={`${s.up}${why ? ` ${s.bad}` : ""}`}>
      {icon}
      <div className="grow">
        <div className={s.upname}>
          <b className="cut">{name}</b>
          {said && <span className="muted small num nowrap">{said}</span>}
        </div>
        {why && <p className={s.why}>{why}</p>}
        {percent !== undefined && (
          <div className="bar" role="progressbar" aria-label={name} aria-valuenow={percent} aria-valuemin={0} aria-valuemax={100}>
            <i style={{ width: `${percent}%` }} />
          </div>
        )}
      </div>
      {children}
    </li>
  );
}

function Sending({ upload }: { upload: Upload }) {
  const [, navigate] = useLocation();
  const { key, file, state, sent, why, detail, twin } = upload;
  const stop = (
    <button type="button" className="b b-0 b-s b-i" aria-label={t.coming.cancel(file.name)} onClick={() => cancel(key)}>
      <X className="i i-s" />
    </button>
  );
  if (state === "twin") {
    return (
      <Row name={file.name} icon={<span className={s.blank}><CopyCheck className="i" /></span>} said={t.coming.twin}>
        <button type="button" className="b b-s" onClick={() => { dismiss(key); navigate(`/documents/${twin}`); }}>
          {t.coming.openIt}
        </button>
        <button type="button" className="b b-s" onClick={() => keepBoth(key)}>
          {t.coming.keepBoth}
        </button>
        {stop}
      </Row>
    );
  }
  if (state === "refused") {
    const said = why === "other" ? detail || t.wentWrong : why === "too_large" ? t.coming.tooLarge(limitMegabytes) : t.coming.refused[why ?? "no_answer"];
    return (
      <Row name={file.name} icon={<span className={s.blank}><FileX2 className="i" /></span>} why={said}>
        {why === "no_answer" ? (
          <button type="button" className="b b-s" onClick={() => tryAgain(key)}>
            {t.coming.sendAgain}
          </button>
        ) : (
          <ChooseAgain before={() => dismiss(key)} />
        )}
        {stop}
      </Row>
    );
  }
  const percent = Math.round((100 * sent) / Math.max(file.size, 1));
  const icon = <span className={s.blank}><FileUp className="i" /></span>;
  if (state === "sending" && percent === 100) return <Row name={file.name} icon={icon} said={t.coming.waitingToRead} percent={0}>{stop}</Row>;
  if (state !== "sending") return <Row name={file.name} icon={icon} said={t.coming.waiting}>{stop}</Row>;
  return (
    <Row name={file.name} icon={icon} said={t.coming.sending(bytes(sent), bytes(file.size))} percent={percent}>
      <span className={`${s.pct} num muted small`}>{number(percent)} %</span>
      {stop}
    </Row>
  );
}

function ChooseAgain({ before }: { before: () => void }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" className="b b-s" onClick={() => input.current?.click()}>
        {t.coming.chooseAgain}
      </button>
      <input
        ref={input}
        type="file"
        accept="application/pdf,.pdf"
        hidden
        onChange={(event) => {
          const files = [...(event.target.files ?? [])];
          if (!files.length) return;
          before();
          addFiles(files);
        }}
      />
    </>
  );
}

function Reading({ document }: { document: Document }) {
  const known = progress.use()[document.id];
  const [, navigate] = useLocation();
  const pages = known?.pages ?? document.page_count;
  const page = known?.page ?? 0;
  const percent = pages ? Math.round((100 * page) / pages) : 0;
  return (
    <Row
      name={document.filename}
      icon={
        page > 0 ? (
          <Picture className={`paper ${s.first}`} src={picture(document.id, 1, 160, document.sha256)} alt="" />
        ) : (
          <span className={s.blank}><FileUp className="i" /></span>
        )
      }
      said={pages ? t.coming.reading(page, pages) : t.coming.waitingToRead}
      percent={percent}
    >
      {page > 0 && (
        <button type="button" className="b b-s" onClick={() => navigate(`/documents/${document.id}`)}>
          {t.coming.openFirst}
        </button>
      )}
      <Remove document={document} label={t.coming.cancel(document.filename)} icon={<X className="i i-s" />} />
    </Row>
  );
}

function Remove({ document, label, icon }: { document: Document; label: string; icon: ReactNode }) {
  const remove = () =>
    void deleteDocument(document.id)
      .then(() => forgetDocument(document.id), (error: unknown) => tell(sayError(error)))
      .finally(reloadLibrary);
  return (
    <button type="button" className="b b-0 b-s b-i" aria-label={label} onClick={remove}>
      {icon}
    </button>
  );
}

function Unreadable({ document }: { document: Document }) {
  const code = document.error?.code ?? "";
  const remove = <Remove document={document} label={t.coming.remove(document.filename)} icon={<Trash2 className="i i-s" />} />;
  const locked = code === "password_required" || code === "wrong_password";
  const why = t.reasons[code] ?? document.error?.detail ?? t.wentWrong;
  if (locked) {
    return (
      <Row name={document.filename} icon={<span className={s.blank}><Lock className="i" /></span>} why={why}>
        <Unlock document={document} />
        {remove}
      </Row>
    );
  }
  return (
    <Row name={document.filename} icon={<span className={s.blank}><FileX2 className="i" /></span>} why={why}>
      {code === "extraction_limit" ? (
        <button type="button" className="b b-s" onClick={() => void readAgain(document.id).catch((error: unknown) => tell(sayError(error))).finally(reloadLibrary)}>
          {t.coming.readAgain}
        </button>
      ) : (
        <ChooseAgain before={() => void deleteDocument(document.id).finally(reloadLibrary)} />
      )}
      {remove}
    </Row>
  );
}

/** The file is here already: its password is all that is missing. */
function Unlock({ document }: { document: Document }) {
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!password || busy) return;
    setBusy(true);
    try {
      await readAgain(document.id, password);
      setPassword("");
    } catch (error) {
      tell(sayError(error));
    }
    setBusy(false);
    reloadLibrary();
  };
  return (
    <form className="row" onSubmit={(event) => void submit(event)}>
      <label className="field field-s">
        <span className="vh">{t.coming.passwordOf(document.filename)}</span>
        <input type="password" autoComplete="off" placeholder={t.coming.password} value={password} onChange={(event) => setPassword(event.target.value)} />
      </label>
      <button type="submit" className="b b-s" aria-disabled={busy}>
        {t.coming.open}
      </button>
    </form>
  );
}
