// What this browser keeps by name. What it refuses to store (it is full, or forbids it) is held in memory until the tab closes.
const memory = new Map<string, string>();

type Area = "localStorage" | "sessionStorage";

export function recall(key: string, area: Area = "localStorage"): string | null {
  const held = memory.get(key);
  if (held !== undefined) return held;
  try {
    return window[area].getItem(key);
  } catch {
    return null;
  }
}

/** Null forgets it. */
export function keep(key: string, value: string | null, area: Area = "localStorage"): void {
  memory.delete(key);
  try {
    if (value === null) window[area].removeItem(key);
    else window[area].setItem(key, value);
  } catch {
    if (value !== null) memory.set(key, value);
  }
}

/** All that is kept in localStorage under names that begin so, by the rest of their names. */
export function recallAll(prefix: string): Record<string, string> {
  let names: string[] = [];
  try {
    names = Object.keys(localStorage);
  } catch {
    // forbidden
  }
  const all = new Set([...names, ...memory.keys()].filter((key) => key.startsWith(prefix)));
  return Object.fromEntries([...all].map((key) => [key.slice(prefix.length), recall(key) ?? ""]));
}
