// What a screen writes into the address by itself: where one is in it, and what one typed.
import { useCallback, useEffect, useRef, useState } from "react";
import { useLocation, useRouter } from "wouter";

const LATE_MS = 250;

/** Writes the screen's address in place of the one it has. A screen that is being left writes no more. */
export function useOwnAddress(): (address: string) => void {
  const { base } = useRouter();
  const [path, navigate] = useLocation();
  return useCallback(
    (address) => {
      if (location.pathname.replace(/\/$/, "") === `${base}${path}`.replace(/\/$/, "")) navigate(address, { replace: true });
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
