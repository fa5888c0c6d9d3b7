// Everything about me: my account, how it looks, where I am signed in, my keys, and the way out.
import { LogOut, Users } from "lucide-react";
import type { ComponentType } from "react";
import { Link, useParams } from "wouter";
import { signOut } from "../api";
import { leave, useMe } from "../live/session";
import { Face } from "../ui/Face";
import { sayError, useScreenName } from "../ui/parts";
import { tell } from "../ui/toasts";
import { t } from "../ui/words";
import { Account, Leave } from "./Account";
import { Keys } from "./Keys";
import { Look } from "./Look";
import { Sessions } from "./Sessions";
import s from "./you.module.css";

const PARTS: Record<keyof typeof t.you.parts, ComponentType> = { me: Account, look: Look, sessions: Sessions, keys: Keys, leave: Leave };

export default function You() {
  const me = useMe();
  const asked = useParams<{ part?: string }>().part ?? "me";
  const part = (asked in PARTS ? asked : "me") as keyof typeof PARTS;
  const Part = PARTS[part];
  useScreenName(t.you.parts[part]);
  return (
    <main className={s.you}>
      <header className="top">
        <h1 className="grow">{t.you.title}</h1>
        <button type="button" className="b" onClick={() => void signOut().then(leave, (error: unknown) => tell(sayError(error)))}>
          <LogOut className="i" />
          {t.you.signOut}
        </button>
      </header>
      <div className={s.body}>
        <nav className={s.parts} aria-label={t.you.title}>
          <p className={s.me}>
            <Face id={me.id} name={me.name} size="l" />
            <span className="cut">
              <b className="cut">{me.name}</b>
              <small className="cut">{me.email}</small>
            </span>
          </p>
          {(Object.keys(PARTS) as (keyof typeof PARTS)[]).map((name) => (
            <Link key={name} href={name === "me" ? "/you" : `/you/${name}`} aria-current={name === part ? "page" : undefined}>
              {t.you.parts[name]}
            </Link>
          ))}
          {me.is_admin && (
            <Link href="/admin">
              <Users className="i i-s" />
              {t.you.people}
            </Link>
          )}
        </nav>
        <div className={s.part}>
          <Part />
        </div>
      </div>
    </main>
  );
}
