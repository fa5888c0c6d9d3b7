// Every string of the client in one language at a time; de.ts is loaded only by those who read it.
import { type Words, en } from "./en";
import { preferences } from "./preferences";

export let t: Words = en;
let current = "en";

export function language(): string {
  return current;
}

/** Before the first paint: the language of the preferences, else of the browser. */
export async function chooseLanguage(): Promise<void> {
  const wanted = preferences.get().language;
  const asked = wanted === "system" ? (navigator.languages ?? [navigator.language]) : [wanted];
  let found = asked.map((tag) => tag.toLowerCase()).find((tag) => /^(en|de)\b/.test(tag)) ?? "en";
  if (found.startsWith("de")) {
    try {
      t = (await import("./de")).de;
    } catch {
      found = "en"; // they did not come
    }
  }
  current = found;
  document.documentElement.lang = found.slice(0, 2);
  document.documentElement.dir = /^(ar|fa|he|ur)\b/.test(found) ? "rtl" : "ltr";
}
