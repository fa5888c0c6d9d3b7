// Who did what, newest first.
import { useInfiniteQuery } from "@tanstack/react-query";
import { type AuditEntry, listAudit } from "../api";
import { when } from "../ui/format";
import { Failed, Loading, MoreWhenSeen } from "../ui/parts";
import { t } from "../ui/words";
import s from "../you/you.module.css";

export function History() {
  const list = useInfiniteQuery({
    queryKey: ["audit"],
    queryFn: ({ pageParam }) => listAudit(pageParam),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    staleTime: 0,
  });
  return (
    <section className={s.form}>
      <h2>{t.admin.history}</h2>
      <p className="muted">{t.admin.historyHow}</p>
      {list.isPending && <Loading what={t.loading} />}
      {list.isError && !list.isFetchNextPageError && <Failed error={list.error} again={() => void list.refetch()} />}
      <ul className={s.items}>
        {list.data?.pages.flatMap(({ audit }) => audit).map((entry) => (
          <li key={entry.id}>
            <span className="grow cut">
              <b className="cut">{said(entry)}</b>
              <small className="num cut">{[when(entry.last_at), entry.network].filter(Boolean).join(" · ")}</small>
            </span>
          </li>
        ))}
      </ul>
      <MoreWhenSeen list={list} />
    </section>
  );
}

/** "Ann: API key made", "Ann: password changed (Ben)", "Login failed (Ben) ×3" */
function said({ action, actor, user, times }: AuditEntry): string {
  const about = user && user.id !== actor?.id ? ` (${user.name ?? t.admin.gone})` : "";
  return `${actor ? `${actor.name ?? t.admin.gone}: ` : ""}${t.admin.actionsDone[action]}${about}${times > 1 ? ` ×${times}` : ""}`;
}
