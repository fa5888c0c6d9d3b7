import { WifiOff } from "lucide-react";
import { useEffect, useState } from "react";
import { connection, retryNow } from "../live/socket";
import { t } from "./words";

const QUIET_MS = 5_000;

/** One quiet line once the connection has been away for five seconds; gone by itself. */
export function Connection() {
  const { on, since, retryAt } = connection.use();
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (on) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, [on]);
  if (on || now - since < QUIET_MS) return null;
  const seconds = retryAt === null ? 0 : Math.ceil((retryAt - now) / 1000);
  return (
    <p className="net">
      <WifiOff className="i i-s" />
      <span>
        <span role="status">{t.net.away}</span> {seconds > 0 ? t.net.again(seconds) : t.net.trying}
      </span>
      {seconds > 0 && (
        <button type="button" className="b b-link" onClick={retryNow}>
          {t.net.now}
        </button>
      )}
    </p>
  );
}
