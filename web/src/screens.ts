// The screens by address. Each is loaded when it is first seen, or ahead, while somebody signs in.
import type { ComponentType } from "react";

type Loaded = { default: ComponentType };

/** A part that a newer server does not have any more: the page begins anew, with the newer client. */
export function part<T>(load: () => Promise<T>): () => Promise<T> {
  return () =>
    load().catch(async (error: unknown) => {
      if (!(await isReplaced())) throw error;
      location.reload();
      return new Promise<T>(() => {});
    });
}

/** Whether the server has another client than the one that runs here. */
async function isReplaced(): Promise<boolean> {
  try {
    const page = await (await fetch("/app/", { cache: "no-store" })).text();
    const own = document.querySelector<HTMLScriptElement>("script[type=module][src]")!;
    return page.includes("<script type=\"module\"") && !page.includes(new URL(own.src).pathname);
  } catch {
    return false; // it does not answer
  }
}

export const SCREENS: [RegExp, () => Promise<Loaded>][] = [
  [/^\/$/, part(() => import("./library/Library"))],
  [/^\/documents\/(?<id>[^/]+)\/tables\/?$/, part(() => import("./tables/Tables"))],
  [/^\/documents\/(?<id>[^/]+)(?:\/(?<page>[^/]+))?\/?$/, part(() => import("./reading/Reading"))],
  [/^\/messages(?:\/(?<id>[^/]+))?\/?$/, part(() => import("./talk/Messages"))],
  [/^\/search\/?$/, part(() => import("./search/Search"))],
  [/^\/you(?:\/(?<part>[^/]+))?\/?$/, part(() => import("./you/You"))],
  [/^\/admin\/?$/, part(() => import("./admin/Admin"))],
];

export const loadApp = part(() => import("./App"));

/** The code of what the address shows, before it is known that it may be seen. */
export function loadAhead(): void {
  const path = location.pathname.replace(/^\/app/, "") || "/";
  const screen = SCREENS.find(([address]) => address.test(path))?.[1];
  Promise.all([loadApp(), screen?.()]).catch(() => {}); // it is told when it is needed
}
