// The frame of every screen: the rail, and the place beside it.
import { Keyboard, Library as LibraryIcon, MessagesSquare, Search } from "lucide-react";
import type { ReactNode } from "react";
import { Link, useLocation } from "wouter";
import { unread } from "../live/cache";
import { useMe } from "../live/session";
import { Face } from "./Face";
import { Logo } from "./Logo";
import { t } from "./words";

interface Props {
  children: ReactNode;
  deep?: boolean; // on a phone the bar gives way to the page
  help: () => void;
}

export function Frame({ children, deep, help }: Props) {
  const [path] = useLocation();
  const me = useMe();
  const count = unread.use();
  const at = (...starts: string[]) => (starts.some((start) => path.startsWith(start)) ? ("page" as const) : undefined);
  return (
    <div className={`app${deep ? " deep" : ""}`}>
      <nav className="rail" aria-label={t.rail.main}>
        <Logo />
        <Link href="/" aria-current={path === "/" || at("/documents") ? "page" : undefined}>
          <LibraryIcon className="i" />
          {t.rail.library}
        </Link>
        <Link href="/messages" aria-current={at("/messages")}>
          <MessagesSquare className="i" />
          {t.rail.messages}
          {count > 0 && (
            <span className="count">
              {count > 99 ? "99+" : count}
              <span className="vh"> {t.rail.unread}</span>
            </span>
          )}
        </Link>
        <Link href="/search" aria-current={at("/search")}>
          <Search className="i" />
          {t.rail.search}
        </Link>
        <div className="end">
          <button type="button" className="more" aria-label={t.rail.keys} title={`${t.rail.keys} (?)`} onClick={help}>
            <Keyboard className="i" />
          </button>
          <Link href="/you" aria-current={at("/you", "/admin")}>
            <Face id={me.id} name={me.name} size="s" />
            {t.rail.you}
          </Link>
        </div>
      </nav>
      {children}
    </div>
  );
}
