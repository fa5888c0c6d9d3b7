// Everything behind the door: the frame, the screens by address, and what works on all of them.
import { FileUp } from "lucide-react";
import { Suspense, lazy, useEffect, useState } from "react";
import { Route, Router, Switch, useLocation } from "wouter";
import { I18nProvider, RouterProvider } from "react-aria-components";
import { Boundary } from "./ui/Boundary";
import { Announcement } from "./ui/Announcement";
import { Frame } from "./ui/Frame";
import { Help } from "./ui/Help";
import { useKeys } from "./ui/keys";
import { Empty, Loading, useScreenName } from "./ui/parts";
import { Toasts } from "./ui/toasts";
import { language, t } from "./ui/words";
import { addFiles } from "./live/uploads";
import { SCREENS, part } from "./screens";

// A screen that is left goes at once, also while the next one's code is on its way: each has a Suspense of its own.
const PARTS = SCREENS.map(([address, load]) => [address, lazy(part(load))] as const);

export default function App() {
  return (
    <I18nProvider locale={language()}>
      <Router base="/app">
        <Screens />
      </Router>
    </I18nProvider>
  );
}

function Screens() {
  const [path, navigate] = useLocation();
  const [helping, setHelping] = useState(false);
  useKeys({
    "?": () => setHelping(true),
    "/": (event) => {
      const find = document.querySelector<HTMLInputElement>("[data-find]");
      event.preventDefault();
      if (find) find.focus();
      else navigate("/search");
    },
  });
  const deep = /^\/documents\/|^\/messages\/\d/.test(path);
  return (
    <RouterProvider navigate={navigate} useHref={(href) => (href.startsWith("/documents/") && href.includes("/file") ? href : `/app${href}`)}>
      <Frame deep={deep} help={() => setHelping(true)}>
        <Boundary place={path}>
          <Switch>
            {PARTS.map(([address, Screen]) => (
              <Route key={address.source} path={address}>
                <Suspense fallback={<main><Loading what={t.loading} /></main>}>
                  <Screen />
                </Suspense>
              </Route>
            ))}
            <Route component={NotFound} />
          </Switch>
        </Boundary>
      </Frame>
      <DropAnywhere arrive={() => navigate("/")} />
      <Announcement />
      <Toasts />
      {helping && <Help onClose={() => setHelping(false)} />}
    </RouterProvider>
  );
}

function NotFound() {
  const [, navigate] = useLocation();
  useScreenName(t.notFound);
  return (
    <main className="plain">
      <Empty top title={t.notFound}>
        <p>{t.notFoundWhy}</p>
        <button type="button" className="b" onClick={() => navigate("/")}>
          {t.toLibrary}
        </button>
      </Empty>
    </main>
  );
}

/** Files may be dropped on every screen, or pasted; the library shows them coming in. */
function DropAnywhere({ arrive }: { arrive: () => void }) {
  const [over, setOver] = useState(false);
  useEffect(() => {
    let depth = 0;
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const enter = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth++;
      setOver(true);
    };
    const leave = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      depth--;
      if (depth <= 0) setOver(false);
    };
    const above = (event: DragEvent) => {
      if (hasFiles(event)) event.preventDefault();
    };
    const drop = (event: DragEvent) => {
      depth = 0;
      setOver(false);
      if (!hasFiles(event)) return;
      event.preventDefault();
      addFiles(event.dataTransfer!.files);
      arrive();
    };
    const paste = (event: ClipboardEvent) => {
      const files = event.clipboardData?.files;
      if (!files?.length) return;
      event.preventDefault();
      addFiles(files);
      arrive();
    };
    const pairs = { dragenter: enter, dragleave: leave, dragover: above, drop, paste } as unknown as Record<string, EventListener>;
    for (const [name, listen] of Object.entries(pairs)) window.addEventListener(name, listen);
    return () => {
      for (const [name, listen] of Object.entries(pairs)) window.removeEventListener(name, listen);
    };
  }, [arrive]);
  if (!over) return null;
  return (
    <div className="dropping">
      <FileUp className="i" />
      {t.dropHere}
    </div>
  );
}
