import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { ApiError, changeMe, changePassword, deleteMe, readMe } from "../api";
import { changeSelf, leave, useMe } from "../live/session";
import { bytes } from "../ui/format";
import { sayError } from "../ui/parts";
import { TextField } from "../ui/TextField";
import { tell } from "../ui/toasts";
import { t } from "../ui/words";
import s from "./you.module.css";

export function Account() {
  return (
    <>
      <Profile />
      <Password />
      <Room />
    </>
  );
}

function Profile() {
  const me = useMe();
  const [name, setName] = useState(me.name);
  const [email, setEmail] = useState(me.email);
  const [password, setPassword] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [pending, setPending] = useState("");
  const moved = email !== me.email;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    try {
      const changed = await changeMe({
        ...(name !== me.name ? { name } : {}),
        ...(moved ? { email, current_password: password } : {}),
      });
      changeSelf({ ...me, ...changed });
      setPending(changed.pending_email ?? "");
      setError(null);
      setPassword("");
      tell(t.you.changed);
    } catch (failure) {
      setError(failure);
    }
  };
  const about = (field: string) => (error instanceof ApiError ? error.about(field) : undefined);
  const general = error && !about("name") && !about("email") ? sayError(error) : "";
  return (
    <form className={s.form} onSubmit={(event) => void submit(event)}>
      <h2>{t.you.profile}</h2>
      <TextField label={t.yourName} value={name} change={setName} autoComplete="name" note={about("name")} bad={Boolean(about("name"))} />
      <TextField label={t.email} type="email" value={email} change={setEmail} autoComplete="email" note={about("email") ?? (pending ? t.you.pending(pending) : moved ? t.you.passwordNeeded : "")} bad={Boolean(about("email"))} />
      {moved && <TextField label={t.you.currentPassword} type="password" value={password} change={setPassword} autoComplete="current-password" />}
      {general && <p className="err small" role="alert">{general}</p>}
      <button type="submit" className="b" aria-disabled={name === me.name && !moved}>
        {t.save}
      </button>
    </form>
  );
}

/** How much is stored, and how much may be. */
function Room() {
  const { data } = useQuery({ queryKey: ["me"], queryFn: readMe, staleTime: 0 });
  if (!data) return null;
  return (
    <section className={s.form}>
      <h2>{t.you.room}</h2>
      <p>{t.you.stored(bytes(data.stored_bytes), data.quota_bytes === null ? "" : bytes(data.quota_bytes))}</p>
    </section>
  );
}

function Password() {
  const [now, setNow] = useState("");
  const [next, setNext] = useState("");
  const [error, setError] = useState("");
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if ([...next].length < 8) return setError(t.door.atLeast(8));
    try {
      await changePassword({ current_password: now, new_password: next });
      setNow("");
      setNext("");
      setError("");
      tell(t.you.passwordChanged);
    } catch (failure) {
      setError(sayError(failure));
    }
  };
  return (
    <form className={s.form} onSubmit={(event) => void submit(event)}>
      <h2>{t.you.changePassword}</h2>
      <TextField label={t.you.currentPassword} type="password" value={now} change={setNow} autoComplete="current-password" />
      <TextField label={t.newPassword} type="password" value={next} change={setNext} autoComplete="new-password" note={error} bad={Boolean(error)} />
      <button type="submit" className="b" aria-disabled={!now || !next}>
        {t.you.changePassword}
      </button>
    </form>
  );
}

/** What goes and what stays, the password, and a typed word. */
export function Leave() {
  const [password, setPassword] = useState("");
  const [word, setWord] = useState("");
  const [error, setError] = useState("");
  const ready = password !== "" && word.trim().toLocaleLowerCase() === t.you.leaveWord;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!ready) return;
    try {
      await deleteMe(password);
      leave();
    } catch (failure) {
      setError(sayError(failure));
    }
  };
  return (
    <form className={s.form} onSubmit={(event) => void submit(event)}>
      <h2>{t.you.parts.leave}</h2>
      <p className="muted">{t.you.leaveHow}</p>
      <TextField label={t.password} type="password" value={password} change={setPassword} autoComplete="current-password" note={error} bad={Boolean(error)} />
      <TextField label={t.you.leaveType(t.you.leaveWord)} value={word} change={setWord} autoComplete="off" />
      <button type="submit" className="b b-danger" aria-disabled={!ready}>
        {t.you.leave}
      </button>
    </form>
  );
}
