// Small parts that several screens share.
import { type ReactNode, useEffect, useLayoutEffect, useRef, useState } from "react";
import { ApiError, type SnippetPart } from "../api";
import { nameScreen } from "../live/notify";
import { keep, recall } from "./storage";
import { t } from "./words";

/** A sentence for an error, whatever it is. */
export function sayError(error: unknown): string {
  if (error instanceof ApiError) {
    if (error.status === 0) return t.noAnswer;
    if (error.status === 429) return t.tooOften(error.retryAfter ?? 5);
    if (error.message) return error.message;
    if (error.status >= 500) return t.serverFailed;
  }
  return t.wentWrong;
}

export function Loading({ what }: { what: string }) {
  return (
    <p className="loading" role="status">
      <span className="vh">{what}</span>
    </p>
  );
}

export function Failed({ error, again }: { error: unknown; again?: () => void }) {
  return (
    <div className="empty" role="alert">
      <p>{sayError(error)}</p>
      {again && (
        <button type="button" className="b" onClick={again}>
          {t.tryAgain}
        </button>
      )}
    </div>
  );
}

interface EmptyProps {
  icon?: ReactNode;
  title: string;
  top?: boolean; // it is all that the screen shows
  children?: ReactNode;
}

export function Empty({ icon, title, top, children }: EmptyProps) {
  return (
    <div className="empty">
      {icon}
      {top ? <h1>{title}</h1> : <h2>{title}</h2>}
      {children}
    </div>
  );
}

export function Snippet({ parts }: { parts: SnippetPart[] }) {
  return parts.map((part, index) => (part.hit ? <mark key={index}>{part.text}</mark> : <span key={index}>{part.text}</span>));
}

/** Null leaves the name to a part of the screen. */
export function useScreenName(name: string | null): void {
  useEffect(() => {
    if (name !== null) nameScreen(name);
  }, [name]);
}

/** Back shows a list where it was left; *key* is what it showed, *ready* that its rows are there. */
export function useKeptScroll<T extends HTMLElement>(key: string, ready: boolean) {
  const ref = useRef<T>(null);
  useLayoutEffect(() => {
    if (ready && ref.current) ref.current.scrollTop = Number(recall(`scroll ${key}`, "sessionStorage") ?? 0);
  }, [key, ready]);
  useEffect(() => {
    const element = ref.current;
    if (!element || !ready) return;
    const listen = () => keep(`scroll ${key}`, String(element.scrollTop), "sessionStorage");
    element.addEventListener("scroll", listen, { passive: true });
    return () => element.removeEventListener("scroll", listen);
  }, [key, ready]);
  return ref;
}

export function useWide(): boolean {
  const [wide, setWide] = useState(() => matchMedia("(min-width: 45.01em)").matches);
  useEffect(() => {
    const query = matchMedia("(min-width: 45.01em)");
    const listen = () => setWide(query.matches);
    query.addEventListener("change", listen);
    return () => query.removeEventListener("change", listen);
  }, []);
  return wide;
}

export function useDebounced<T>(value: T, milliseconds: number): T {
  const [late, setLate] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setLate(value), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return late;
}

export function Toggle({ on, change, children }: { on: boolean; change: (on: boolean) => void; children: ReactNode }) {
  return (
    <button type="button" className="toggle" role="switch" aria-checked={on} onClick={() => change(!on)}>
      <i />
      {children}
    </button>
  );
}

interface Continued {
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  isFetchNextPageError: boolean;
  fetchNextPage: () => unknown;
}

/** The end of a list that goes on: more is loaded when it comes near, again and again until the end is far. */
export function MoreWhenSeen({ list }: { list: Continued }) {
  const ref = useRef<HTMLDivElement>(null);
  const { hasNextPage, isFetchingNextPage, isFetchNextPageError, fetchNextPage } = list;
  const waits = hasNextPage && !isFetchingNextPage && !isFetchNextPageError;
  useEffect(() => {
    if (!waits || !ref.current) return;
    const margins = { rootMargin: "600px", scrollMargin: "600px" } as IntersectionObserverInit;
    const observer = new IntersectionObserver((entries) => entries.at(-1)!.isIntersecting && void fetchNextPage(), margins);
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, [waits, fetchNextPage]);
  if (isFetchNextPageError) {
    return (
      <button type="button" className="b" onClick={() => void fetchNextPage()}>
        {t.tryAgain}
      </button>
    );
  }
  return <div ref={ref} aria-hidden="true" className="sentinel" />;
}
