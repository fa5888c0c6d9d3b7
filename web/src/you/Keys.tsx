import { useQuery } from "@tanstack/react-query";
import { Copy, KeyRound } from "lucide-react";
import { type FormEvent, useState } from "react";
import { listKeys, makeKey, revokeKey } from "../api";
import { copy } from "../ui/clipboard";
import { when } from "../ui/format";
import { Failed, Loading, sayError } from "../ui/parts";
import { TextField } from "../ui/TextField";
import { tell } from "../ui/toasts";
import { t } from "../ui/words";
import s from "./you.module.css";

export function Keys() {
  const list = useQuery({ queryKey: ["keys"], queryFn: listKeys, staleTime: 0 });
  const [name, setName] = useState("");
  const [readOnly, setReadOnly] = useState(false);
  const [made, setMade] = useState<string | null>(null);
  const [error, setError] = useState("");
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!name.trim()) return;
    try {
      const { key } = await makeKey({ name: name.trim(), read_only: readOnly });
      setMade(key);
      setName("");
      setError("");
    } catch (failure) {
      setError(sayError(failure));
    }
    void list.refetch();
  };
  const revoke = async (id: number) => {
    try {
      await revokeKey(id);
      tell(t.you.revoked);
    } catch (failure) {
      tell(sayError(failure));
    }
    void list.refetch();
  };
  return (
    <section className={s.form}>
      <h2>{t.you.parts.keys}</h2>
      <p className="muted">{t.you.keysHow}</p>
      {made && (
        <div className={s.made} role="status">
          <p className="small">{t.you.keyOnce}</p>
          <code>{made}</code>
          <button type="button" className="b b-s" onClick={() => void copy(made, t.copied)}>
            <Copy className="i i-s" />
            {t.copy}
          </button>
        </div>
      )}
      <form className={s.make} onSubmit={(event) => void submit(event)}>
        <TextField label={t.you.keyName} value={name} change={setName} autoComplete="off" note={error} bad={Boolean(error)} />
        <label className={s.check}>
          <input type="checkbox" checked={readOnly} onChange={(event) => setReadOnly(event.target.checked)} />
          {t.you.readOnly}
        </label>
        <button type="submit" className="b" aria-disabled={!name.trim()}>
          {t.you.makeKey}
        </button>
      </form>
      {list.isPending && <Loading what={t.loading} />}
      {list.isError && <Failed error={list.error} again={() => void list.refetch()} />}
      {list.data?.length === 0 && <p className="muted small">{t.you.noKeys}</p>}
      <ul className={s.items}>
        {list.data?.map((key) => (
          <li key={key.id}>
            <KeyRound className="i" />
            <span className="grow cut">
              <b className="cut">{key.name}</b>
              <small className="num cut">
                {[`${key.prefix}…`, key.read_only ? t.you.readOnly : "", key.last_used_at ? t.you.used(when(key.last_used_at)) : t.you.never].filter(Boolean).join(" · ")}
              </small>
            </span>
            <button type="button" className="b b-s" onClick={() => void revoke(key.id)}>
              {t.you.revoke}
              <span className="vh"> {key.name}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
