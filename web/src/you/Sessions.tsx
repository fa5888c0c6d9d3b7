import { useQuery } from "@tanstack/react-query";
import { KeyRound, Monitor, Smartphone } from "lucide-react";
import { endSession, listSessions } from "../api";
import { when } from "../ui/format";
import { Failed, Loading, sayError } from "../ui/parts";
import { tell } from "../ui/toasts";
import { t } from "../ui/words";
import { deviceOf } from "./device";
import s from "./you.module.css";

export function Sessions() {
  const list = useQuery({ queryKey: ["sessions"], queryFn: listSessions, staleTime: 0 });
  const end = async (ids: number[]) => {
    try {
      for (const id of ids) await endSession(id);
      tell(t.you.ended);
    } catch (error) {
      tell(sayError(error));
    }
    void list.refetch();
  };
  const others = list.data?.filter(({ current }) => !current) ?? [];
  return (
    <section className={s.form}>
      <h2>{t.you.parts.sessions}</h2>
      <p className="muted">{t.you.sessionsHow}</p>
      {list.isPending && <Loading what={t.loading} />}
      {list.isError && <Failed error={list.error} again={() => void list.refetch()} />}
      <ul className={s.items}>
        {list.data?.map(({ id, kind, created_at, last_used_at, user_agent, ip, current }) => {
          const device = deviceOf(user_agent);
          return (
            <li key={id}>
              {kind === "api" ? <KeyRound className="i" /> : device.phone ? <Smartphone className="i" /> : <Monitor className="i" />}
              <span className="grow cut">
                <b className="cut">
                  {device.name || t.you.unknownDevice} {current && <span className={s.this}>{t.you.thisOne}</span>}
                </b>
                <small className="num cut">
                  {[t.you.kinds[kind], last_used_at ? t.you.used(when(last_used_at)) : t.you.since(when(created_at)), ip].filter(Boolean).join(" · ")}
                </small>
              </span>
              {!current && (
                <button type="button" className="b b-s" onClick={() => void end([id])}>
                  {t.you.end}
                  <span className="vh"> {device.name}</span>
                </button>
              )}
            </li>
          );
        })}
      </ul>
      {others.length > 1 && (
        <button type="button" className="b" onClick={() => void end(others.map(({ id }) => id))}>
          {t.you.endOthers}
        </button>
      )}
    </section>
  );
}
