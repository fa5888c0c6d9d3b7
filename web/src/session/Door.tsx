// The way in: the first account, sign in, a new account, a forgotten password.
import { type FormEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { ApiError, type Boot, boot, confirmEmail, forgotPassword, register, resetPassword, signIn } from "../api";
import { begin, enter } from "../live/session";
import { useBackCloses } from "../ui/address";
import { Logo } from "../ui/Logo";
import { sayError, useScreenName } from "../ui/parts";
import { t } from "../ui/words";
import { Scene } from "./Scene";
import s from "./door.module.css";

type Way = "in" | "new" | "forgot" | "reset" | "confirm";

/** The addresses of links that work once; their token is in the hash, which no server or log sees. */
const LINKS: Record<string, Way> = { "/app/reset-password": "reset", "/app/confirm-email": "confirm" };

const isLink = (way: Way) => way === "reset" || way === "confirm";

interface Props {
  boot: Boot;
  email?: string; // of the person whose session ended
  over?: boolean; // the page is kept under it
  onSubmit?: () => void;
}

const MIN_CHARACTERS = 8;
const MAX_BYTES = 72;

export default function Door({ boot: known, email: expected, over, onSubmit }: Props) {
  const { installation } = known;
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  const [way, setWay] = useState<Way>(installation.first_run ? "new" : over ? "in" : (LINKS[location.pathname] ?? "in"));
  const [email, setEmail] = useState(expected ?? "");
  const [isChosen, setChosen] = useState(false); // a password, by a link
  useScreenName(way === "new" ? (installation.first_run ? t.door.first : t.door.make) : t.door.signIn);
  const first = installation.first_run ? "new" : "in";
  useBackCloses(() => setWay(first), way !== first && !isLink(way));
  const shared = { email, setEmail, installation: known.installation, go: setWay };
  return (
    <div className={s.door}>
      <main onSubmit={onSubmit}>
        {way === "in" && <SignIn {...shared} lead={over ? t.door.expired : isChosen ? t.door.chosen : location.host} isNew={isChosen} />}
        {way === "new" && <Register {...shared} />}
        {way === "forgot" && <Forgot {...shared} />}
        {way === "reset" && <Reset {...shared} token={token ?? ""} chosen={() => setChosen(true)} />}
        {way === "confirm" && <Confirm token={token ?? ""} />}
      </main>
      <Scene />
    </div>
  );
}

interface FormProps {
  email: string;
  setEmail: (email: string) => void;
  installation: Boot["installation"];
  go: (way: Way) => void;
}

/** Seconds until another try is taken; counts down. */
function useCountdown(): [number, (seconds: number) => void] {
  const [left, setLeft] = useState(0);
  useEffect(() => {
    if (left <= 0) return;
    const timer = setTimeout(() => setLeft(left - 1), 1000);
    return () => clearTimeout(timer);
  }, [left]);
  return [left, setLeft];
}

function Frame({ title, lead, onSubmit, children }: { title: string; lead: string; onSubmit: (event: FormEvent) => void; children: ReactNode }) {
  return (
    <form onSubmit={onSubmit} noValidate>
      <p className={s.brand}>
        <Logo />
        Pagewire
      </p>
      <h1>{title}</h1>
      <p className={s.lead}>{lead}</p>
      {children}
    </form>
  );
}

interface FieldProps {
  id: string;
  label: string;
  value: string;
  change: (value: string) => void;
  type?: string;
  complete: string;
  note?: string;
  bad?: boolean;
  good?: boolean;
  focus?: boolean;
}

function Field({ id, label, value, change, type = "text", complete, note = "", bad, good, focus }: FieldProps) {
  const [shown, setShown] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (focus) input.current?.focus();
  }, [focus]);
  return (
    <>
      <label className={s.f} htmlFor={id}>
        {label}
      </label>
      <span className={`field${bad ? ` ${s.bad}` : ""}`}>
        <input
          ref={input}
          id={id}
          name={id}
          type={type === "password" && shown ? "text" : type}
          autoComplete={complete}
          value={value}
          onChange={(event) => change(event.target.value)}
          aria-invalid={bad || undefined}
          aria-describedby={`${id}-note`}
          {...(type === "text" ? {} : { autoCapitalize: "none", spellCheck: false })}
        />
        {type === "password" && (
          <button type="button" className={s.show} aria-pressed={shown} onClick={() => setShown(!shown)}>
            {shown ? t.door.hide : t.door.show}
            <span className="vh"> {label}</span>
          </button>
        )}
      </span>
      {/* Its room is always there, so that the button below never moves under a click. */}
      <p className={`${s.note}${bad ? ` ${s.err}` : good ? ` ${s.ok}` : ""}`} id={`${id}-note`} role={bad ? "alert" : undefined}>
        {note}
      </p>
    </>
  );
}

function SignIn({ email, setEmail, installation, go, lead, isNew }: FormProps & { lead: string; isNew: boolean }) {
  const [password, setPassword] = useState("");
  const [keep, setKeep] = useState(true);
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const [wait, setWait] = useCountdown();
  const [isKnown] = useState(email !== ""); // at first: the focus stays where one types
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (busy || wait) return;
    if (!email || !password) return setError(t.door.both);
    setBusy(true);
    try {
      await signIn({ email, password, keep });
      const answer = await boot();
      if (answer.user) enter(answer);
      else setError(t.door.noCookies);
    } catch (failure) {
      if (failure instanceof ApiError && failure.status === 429) setWait(failure.retryAfter ?? 30);
      setError(failure instanceof ApiError && [401, 422].includes(failure.status) ? t.door.wrong : sayError(failure));
    }
    setBusy(false);
  };
  return (
    <Frame title={isNew ? t.door.signIn : t.door.welcome} lead={lead} onSubmit={(event) => void submit(event)}>
      <Field id="email" label={t.email} type="email" complete="username" value={email} change={setEmail} focus={!isKnown} />
      <Field
        id="password"
        label={t.password}
        type="password"
        complete="current-password"
        value={password}
        change={(value) => {
          setPassword(value);
          setError("");
        }}
        bad={Boolean(error) || wait > 0}
        note={wait ? t.door.wait(wait) : error}
        focus={isKnown}
      />
      <label className={s.keep}>
        <input type="checkbox" checked={keep} onChange={(event) => setKeep(event.target.checked)} />
        {t.door.keep}
      </label>
      <button className="b b-1" type="submit" aria-disabled={busy || wait > 0}>
        {t.door.signIn}
      </button>
      {installation.mail ? (
        <p className={s.alt}>
          <button type="button" className="b b-link" onClick={() => go("forgot")}>
            {t.door.forgot}
          </button>
        </p>
      ) : (
        <p className={s.alt}>{t.door.forgotNoMail}</p>
      )}
      <p className={s.alt}>
        {installation.registration === "open" ? (
          <>
            {t.door.newHere}{" "}
            <button type="button" className="b b-link" onClick={() => go("new")}>
              {t.door.make}
            </button>
          </>
        ) : (
          t.door.closed
        )}
      </p>
    </Frame>
  );
}

function passwordNote(password: string): { note: string; bad: boolean; good: boolean } {
  const characters = [...password].length;
  const isLong = new TextEncoder().encode(password).length > MAX_BYTES;
  if (isLong) return { note: t.door.tooLong, bad: true, good: false };
  if (characters >= 14) return { note: t.door.strong(characters), bad: false, good: true };
  if (characters >= MIN_CHARACTERS) return { note: t.door.fair(characters), bad: false, good: false };
  return { note: t.door.atLeast(MIN_CHARACTERS), bad: false, good: false };
}

function Register({ email, setEmail, installation, go }: FormProps) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [problems, setProblems] = useState<Record<string, string>>({});
  const [busy, setBusy] = useState(false);
  const [code, setCode] = useState<string | null>(null); // asked for when the first account is made from afar
  const first = installation.first_run;
  const judged = passwordNote(password);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (busy) return;
    const missing: Record<string, string> = {};
    if (!name.trim()) missing["name"] = t.door.nameMissing;
    if (!/^\S+@\S+$/.test(email)) missing["email"] = t.door.emailMissing;
    if ([...password].length < MIN_CHARACTERS) missing["password"] = t.door.atLeast(MIN_CHARACTERS);
    setProblems(missing);
    if (Object.keys(missing).length) return;
    setBusy(true);
    try {
      await register({ name: name.trim(), email, password, ...(code ? { setup_code: code.trim() } : {}) });
      const answer = await boot();
      if (answer.user) enter(answer);
      else setProblems({ password: t.door.noCookies });
    } catch (error) {
      const said: Record<string, string> = {};
      if (error instanceof ApiError && error.problems.length) {
        for (const { loc, msg } of error.problems) said[String(loc.at(-1))] = msg;
      } else if (error instanceof ApiError && error.code === "setup_code_required") {
        if (code !== null) said["code"] = t.door.setupCodeWrong;
        setCode(code ?? "");
      } else if (error instanceof ApiError && error.code === "email_taken") said["email"] = t.door.taken;
      else said["password"] = sayError(error);
      setProblems(said);
    }
    setBusy(false);
  };
  return (
    <Frame
      title={first ? t.door.first : t.door.make}
      lead={first ? t.door.firstLead : location.host}
      onSubmit={(event) => void submit(event)}
    >
      <Field id="name" label={t.yourName} complete="name" value={name} change={setName} note={problems["name"] ?? ""} bad={"name" in problems} focus />
      <Field id="email" label={t.email} type="email" complete="username" value={email} change={setEmail} note={problems["email"] ?? ""} bad={"email" in problems} />
      <Field
        id="password"
        label={t.password}
        type="password"
        complete="new-password"
        value={password}
        change={setPassword}
        note={problems["password"] ?? judged.note}
        bad={"password" in problems || judged.bad}
        good={judged.good}
      />
      {code !== null && (
        <Field id="code" label={t.door.setupCode} complete="off" value={code} change={setCode} note={problems["code"] ?? t.door.setupCodeWhere} bad={"code" in problems} focus />
      )}
      <button className="b b-1" type="submit" aria-disabled={busy}>
        {t.door.makeMine}
      </button>
      {first ? (
        <p className={s.alt}>{t.door.next}</p>
      ) : (
        <p className={s.alt}>
          {t.door.haveOne}{" "}
          <button type="button" className="b b-link" onClick={() => go("in")}>
            {t.door.signIn}
          </button>
        </p>
      )}
    </Frame>
  );
}

function Forgot({ email, setEmail, go }: FormProps) {
  const [said, setSaid] = useState("");
  const [bad, setBad] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    try {
      await forgotPassword(email);
      setBad(false);
      setSaid(t.door.mailed);
    } catch (error) {
      setBad(true);
      setSaid(sayError(error));
    }
  };
  return (
    <Frame title={t.door.forgot} lead={t.door.forgotLead} onSubmit={(event) => void submit(event)}>
      <Field id="email" label={t.email} type="email" complete="username" value={email} change={setEmail} note={said} bad={bad} good={!bad} focus />
      <button className="b b-1" type="submit">
        {t.door.mailMe}
      </button>
      <p className={s.alt}>
        <button type="button" className="b b-link" onClick={() => go("in")}>
          {t.door.back}
        </button>
      </p>
    </Frame>
  );
}

function Reset({ go, token, chosen }: FormProps & { token: string; chosen: () => void }) {
  const [password, setPassword] = useState("");
  const [error, setError] = useState("");
  const judged = passwordNote(password);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if ([...password].length < MIN_CHARACTERS) return setError(t.door.atLeast(MIN_CHARACTERS));
    try {
      await resetPassword(token, password);
      history.replaceState(null, "", "/app/");
      void begin();
      chosen();
      go("in");
    } catch (failure) {
      setError(sayError(failure));
    }
  };
  return (
    <Frame title={t.door.choose} lead={t.door.chooseLead} onSubmit={(event) => void submit(event)}>
      <Field id="password" label={t.newPassword} type="password" complete="new-password" value={password} change={setPassword} note={error || judged.note} bad={Boolean(error) || judged.bad} good={judged.good} focus />
      <button className="b b-1" type="submit">
        {t.door.chooseThis}
      </button>
    </Frame>
  );
}

/** A new address is mine once its link was opened. */
function Confirm({ token }: { token: string }) {
  const [said, setSaid] = useState("");
  const [failed, setFailed] = useState("");
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    try {
      await confirmEmail(token);
      setSaid(t.door.confirmed);
    } catch (error) {
      setFailed(sayError(error));
    }
  };
  return (
    <Frame title={t.door.confirm} lead={said || t.door.confirmLead} onSubmit={(event) => void submit(event)}>
      <p className={`${s.note} ${s.err}`} role="alert">
        {failed}
      </p>
      {said ? (
        <a className="b b-1" href="/app/">
          {t.toLibrary}
        </a>
      ) : (
        <button className="b b-1" type="submit">
          {t.door.confirm}
        </button>
      )}
    </Frame>
  );
}
