// The door while nobody is signed in, the app behind it otherwise; a session that ends puts the door over the app.
import { QueryClientProvider } from "@tanstack/react-query";
import { Suspense, lazy } from "react";
import { queries } from "./live/cache";
import { begin, session } from "./live/session";
import { loadAhead, loadApp, part } from "./screens";
import { Boundary } from "./ui/Boundary";
import { Empty, Loading } from "./ui/parts";
import { t } from "./ui/words";

const App = lazy(() => {
  loadAhead(); // its screen together with it
  return part(loadApp)();
});
const Door = lazy(part(() => import("./session/Door")));

/** A link of a mail or of an admin is for the one who opens it, whoever is signed in here. */
const isLink = () => ["/app/reset-password", "/app/confirm-email"].includes(location.pathname);

export function Root() {
  const now = session.use();
  if (now.state === "loading") return <Loading what={t.loading} />;
  if (now.state === "unreachable") {
    return (
      <main>
        <Empty top title={t.noAnswer}>
          <button type="button" className="b" onClick={() => void begin()}>
            {t.tryAgain}
          </button>
        </Empty>
      </main>
    );
  }
  return (
    <Boundary place="">
      <Suspense fallback={<Loading what={t.loading} />}>
        {now.state === "out" || isLink() ? (
          <Door boot={now.boot} onSubmit={loadAhead} />
        ) : (
          <QueryClientProvider client={queries}>
            <div inert={now.expired} className="behind">
              <App />
            </div>
            {now.expired && (
              <div className="over">
                <Door boot={{ ...now.boot, user: null }} email={now.me.email} over />
              </div>
            )}
          </QueryClientProvider>
        )}
      </Suspense>
    </Boundary>
  );
}
