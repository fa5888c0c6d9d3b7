// Single keys and combinations; they are off while somebody writes, and single keys where the settings say so.
import { useLayoutEffect, useRef } from "react";
import { preferences } from "./preferences";

export type Keys = Record<string, (event: KeyboardEvent) => void>;

export function isWriting(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches("input:not([type=checkbox]), textarea, select"));
}

/** Names are `event.key`, with "Ctrl+" in front where Control or Command is held, "Shift+" for named keys. */
export function useKeys(keys: Keys): void {
  const latest = useRef(keys);
  latest.current = keys;
  useLayoutEffect(() => {
    // not later: what is seen is pressed
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.isComposing || event.altKey) return;
      const held = event.ctrlKey || event.metaKey;
      if (document.querySelector(".veil, .pop")) return;
      const name = `${held ? "Ctrl+" : ""}${event.shiftKey && event.key.length > 1 ? "Shift+" : ""}${event.key}`;
      const act = latest.current[name];
      if (!act) return;
      const isSingle = !held && event.key.length === 1;
      if ((isSingle || !held) && isWriting(event.target)) return;
      if (isSingle && !preferences.get().shortcuts) return;
      act(event);
    };
    window.addEventListener("keydown", onKeyDown);
    return () => window.removeEventListener("keydown", onKeyDown);
  }, []);
}
