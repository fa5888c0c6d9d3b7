// What a screen writes into the address by itself: where one is in it, what one chose and typed; and what Back does.
import { useCallback, useEffect, useRef, useState } from "react";
import { useLocation, useRouter } from "wouter";

const LATE_MS = 250;

/** Writes the screen's address in place of the one it has, or as a step to which Back returns. A screen that is being left writes no more. */
export function useOwnAddress(): (address: string, isStep?: boolean) => void {
  const { base } = useRouter();
  const [path, navigate] = useLocation();
  return useCallback(
    (address, isStep = false) => {
      if (location.pathname.replace(/\/$/, "") !== `${base}${path}`.replace(/\/$/, "")) return;
      navigate(address, isStep ? {} : { replace: true, state: history.state });
    },
    [base, path, navigate],
  );
}

/** Words of a field that the address has as *q*: what is typed gets there a little later, what the address says is in the field at once. */
export function useTyped(q: string, write: (q: string) => void) {
  const [words, setWords] = useState(q);
  const written = useRef(q);
  const latest = useRef(write);
  latest.current = write;
  useEffect(() => {
    if (q !== written.current) setWords(q); // another link, or Back; not what was typed here
    written.current = q;
  }, [q]);
  useEffect(() => {
    if (words.trim() === written.current) return;
    const timer = setTimeout(() => {
      written.current = words.trim();
      latest.current(words.trim());
    }, LATE_MS);
    return () => clearTimeout(timer);
  }, [words]);
  return [words, setWords] as const;
}

/** Whether Back closes something; who goes elsewhere from there replaces that step. */
export const isOver = () => (history.state as { over?: boolean } | null)?.over === true;

/** Back closes what lies over the screen, instead of leaving the screen. */
export function useBackCloses(close: () => void, on = true): void {
  const latest = useRef(close);
  latest.current = close;
  useEffect(() => {
    if (!on) return;
    history.pushState({ over: true }, "");
    let isOpen = true;
    const closeIt = () => {
      isOpen = false;
      latest.current();
    };
    window.addEventListener("popstate", closeIt);
    return () => {
      window.removeEventListener("popstate", closeIt);
      if (isOpen && isOver()) history.back();
    };
  }, [on]);
}
