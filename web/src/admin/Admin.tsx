// The people of this installation: made without mail, given a new password, promoted, deleted; a word to all, and who did what.
import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { Copy, Ellipsis, KeyRound, ShieldCheck, ShieldOff, ShieldX, Trash2, UserPlus } from "lucide-react";
import { type FormEvent, useState } from "react";
import { ApiError, type Person, broadcast, deletePerson, listPeopleFrom, makePerson, resetPerson, setAdmin } from "../api";
import { useMe } from "../live/session";
import { copy } from "../ui/clipboard";
import { Dialog } from "../ui/Dialog";
import { Face } from "../ui/Face";
import { Menu } from "../ui/Menu";
import { TextField } from "../ui/TextField";
import { when } from "../ui/format";
import { Empty, Failed, Loading, sayError, useDebounced, useScreenName } from "../ui/parts";
import { tell } from "../ui/toasts";
import { t } from "../ui/words";
import s from "../you/you.module.css";
import { History } from "./History";

export default function Admin() {
  const me = useMe();
  useScreenName(t.admin.title);
  if (!me.is_admin) {
    return (
      <main className="plain">
        <Empty top icon={<ShieldX className="i" />} title={t.admin.only} />
      </main>
    );
  }
  return <People />;
}

/** Without PUBLIC_URL the server's link is a path. */
const whole = (link: string | null) => link && new URL(link, location.origin).href;

function People() {
  const me = useMe();
  const cache = useQueryClient();
  const [words, setWords] = useState("");
  const q = useDebounced(words, 200);
  const list = useInfiniteQuery({
    queryKey: ["people", q, "admin"],
    queryFn: ({ pageParam }) => listPeopleFrom(q, pageParam),
    initialPageParam: null as number | null,
    getNextPageParam: (page) => page.next_cursor,
    staleTime: 0,
  });
  const people = list.data?.pages.flatMap((page) => page.people) ?? [];
  const reload = () => void cache.invalidateQueries({ queryKey: ["people"] });
  const [adding, setAdding] = useState(false);
  const [link, setLink] = useState<string | null>(null);
  const [removing, setRemoving] = useState<Person | null>(null);
  const attempt = (work: Promise<unknown>, done: string) =>
    void work.then(() => tell(done), (error: unknown) => tell(sayError(error))).finally(reload);
  const actions = (person: Person) => [
    {
      key: "reset",
      label: t.admin.reset,
      icon: <KeyRound className="i" />,
      act: () => void resetPerson(person.id).then((answer) => setLink(whole(answer.link)), (error: unknown) => tell(sayError(error))),
    },
    person.is_admin
      ? { key: "demote", label: t.admin.unAdmin, icon: <ShieldOff className="i" />, act: () => attempt(setAdmin(person, false), t.you.changed) }
      : { key: "promote", label: t.admin.makeAdmin, icon: <ShieldCheck className="i" />, act: () => attempt(setAdmin(person, true), t.you.changed) },
    null,
    { key: "delete", label: t.admin.remove, icon: <Trash2 className="i" />, danger: true, act: () => setRemoving(person) },
  ];
  return (
    <main className={s.you}>
      <header className="top">
        <h1 className="grow">{t.admin.title}</h1>
        <button type="button" className="b b-1" onClick={() => setAdding(true)}>
          <UserPlus className="i" />
          {t.admin.make}
        </button>
      </header>
      <div className={s.part}>
        <section className={s.form}>
          <p className="muted">{t.admin.how}</p>
          {link && <OneTime link={link} />}
          <label className="field">
            <input value={words} placeholder={t.findPeople} aria-label={t.findPeople} onChange={(event) => setWords(event.target.value)} />
          </label>
          {list.isPending && <Loading what={t.loading} />}
          {list.isError && !list.isFetchNextPageError && <Failed error={list.error} again={() => void list.refetch()} />}
          <ul className={s.items}>
            <li>
              <Face id={me.id} name={me.name} />
              <span className="grow cut">
                <b className="cut">
                  {me.name} <span className={s.this}>{t.rail.you}</span>
                </b>
                <small className="cut">{me.email}</small>
              </span>
              <span className="small muted">{t.admin.admin}</span>
            </li>
            {people.map((person) => (
              <li key={person.id}>
                <Face id={person.id} name={person.name} />
                <span className="grow cut">
                  <b className="cut">{person.name}</b>
                  <small className="cut">
                    {person.email} · {t.you.since(when(person.created_at))}
                  </small>
                </span>
                {person.is_admin && <span className="small muted">{t.admin.admin}</span>}
                <Menu label={t.admin.actions(person.name)} choices={actions(person)}>
                  <Ellipsis className="i i-s" />
                </Menu>
              </li>
            ))}
          </ul>
          {list.isFetchNextPageError && <Failed error={list.error} />}
          {list.hasNextPage && (
            <button type="button" className="b" aria-disabled={list.isFetchingNextPage} onClick={() => !list.isFetchingNextPage && void list.fetchNextPage()}>
              {t.admin.morePeople}
            </button>
          )}
        </section>
        <Announce />
        <History />
      </div>
      {adding && (
        <Add
          onClose={() => setAdding(false)}
          made={(answer) => {
            setAdding(false);
            setLink(whole(answer.link));
            reload();
          }}
        />
      )}
      {removing && (
        <Dialog title={t.admin.removeSure(removing.name)} onClose={() => setRemoving(null)} alert>
          <p className="muted">{t.admin.removeHow}</p>
          <div className="actions">
            <button type="button" className="b" onClick={() => setRemoving(null)}>
              {t.cancel}
            </button>
            <button
              type="button"
              className="b b-danger"
              onClick={() => {
                attempt(deletePerson(removing.id), t.admin.removed(removing.name));
                setRemoving(null);
              }}
            >
              {t.admin.remove}
            </button>
          </div>
        </Dialog>
      )}
    </main>
  );
}

function OneTime({ link }: { link: string }) {
  return (
    <div className={s.made} role="status">
      <p className="small">{t.admin.link}</p>
      <code>{link}</code>
      <button type="button" className="b b-s" onClick={() => void copy(link, t.copied)}>
        <Copy className="i i-s" />
        {t.copy}
      </button>
    </div>
  );
}

function Add({ onClose, made }: { onClose: () => void; made: (answer: { link: string | null }) => void }) {
  const [name, setName] = useState("");
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [error, setError] = useState<unknown>(null);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    try {
      const answer = await makePerson({ name, email, ...(password ? { password } : {}) });
      tell(t.admin.made(name));
      made(answer);
    } catch (failure) {
      setError(failure);
    }
  };
  const about = (field: string) => (error instanceof ApiError ? error.about(field) : undefined);
  const general = error && !(error instanceof ApiError && error.problems.length) ? sayError(error) : "";
  return (
    <Dialog title={t.admin.make} onClose={onClose}>
      <form className="sharing" onSubmit={(event) => void submit(event)}>
        <TextField label={t.admin.name} value={name} change={setName} autoComplete="off" note={about("name")} bad={Boolean(about("name"))} />
        <TextField label={t.email} type="email" value={email} change={setEmail} autoComplete="off" note={about("email") ?? general} bad={Boolean(about("email") ?? general)} />
        <TextField label={t.admin.firstPassword} value={password} change={setPassword} autoComplete="off" note={about("password") ?? t.admin.orLink} bad={Boolean(about("password"))} />
        <div className="actions">
          <button type="submit" className="b b-1">
            {t.admin.make}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function Announce() {
  const [content, setContent] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!content.trim()) return;
    broadcast(content.trim()).then(
      () => {
        setContent("");
        tell(t.admin.announced);
      },
      (error: unknown) => tell(sayError(error)),
    );
  };
  return (
    <form className={s.form} onSubmit={submit}>
      <h2>{t.admin.announce}</h2>
      <p className="muted">{t.admin.announceHow}</p>
      <textarea className="area" rows={2} aria-label={t.admin.announce} value={content} onChange={(event) => setContent(event.target.value)} />
      <button type="submit" className="b" aria-disabled={!content.trim()}>
        {t.admin.announce}
      </button>
    </form>
  );
}
