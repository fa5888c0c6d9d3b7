// The screens by address. Each is loaded when it is first seen, or ahead, while somebody signs in.
import type { ComponentType } from "react";
import { areUploadsUnderWay } from "./live/uploads";

type Loaded = { default: ComponentType };

const RELOADED = "pagewire.reloaded"; // for want of a part: the address of the client that ran then

/** A part that a newer server does not have any more: the page begins anew, with the newer client. */
export function part<T>(load: () => Promise<T>): () => Promise<T> {
  return () =>
    load().catch(async (error: unknown) => {
      const own = document.querySelector<HTMLScriptElement>("script[type=module][src]")!.src;
      if (!(await isReplaced(own)) || areUploadsUnderWay() || !isFirstReload(own)) throw error;
      location.reload();
      return new Promise<T>(() => {});
    });
}

/** Whether the server has another client than the one that runs here. */
async function isReplaced(own: string): Promise<boolean> {
  try {
    const page = await (await fetch("/app/", { cache: "no-store" })).text();
    return page.includes("<script type=\"module\"") && !page.includes(new URL(own).pathname);
  } catch {
    return false; // it does not answer
  }
}

/** Once for each client: if the reload brings the same one, another reload would not help. */
function isFirstReload(own: string): boolean {
  try {
    if (sessionStorage.getItem(RELOADED) === own) return false;
    sessionStorage.setItem(RELOADED, own);
    return true;
  } catch {
    return false; // nothing is stored here: the reload is left to the person
  }
}

export const SCREENS: [RegExp, () => Promise<Loaded>][] = [
  [/^\/$/, () => import("./library/Library")],
  [/^\/documents\/(?<id>[^/]+)\/tables\/?$/, () => import("./tables/Tables")],
  [/^\/documents\/(?<id>[^/]+)(?:\/(?<page>[^/]+))?\/?$/, () => import("./reading/Reading")],
  [/^\/messages(?:\/(?<id>[^/]+))?\/?$/, () => import("./talk/Messages")],
  [/^\/search\/?$/, () => import("./search/Search")],
  [/^\/you(?:\/(?<part>[^/]+))?\/?$/, () => import("./you/You")],
  [/^\/admin\/?$/, () => import("./admin/Admin")],
];

export const loadApp = () => import("./App");

/** The code of what the address shows, before it is known that it may be seen. Never reloads: a form may be under way. */
export function loadAhead(): void {
  const path = location.pathname.replace(/^\/app/, "") || "/";
  const screen = SCREENS.find(([address]) => address.test(path))?.[1];
  Promise.all([loadApp(), screen?.()]).catch(() => {}); // the lazy screen asks again, and says so
}
