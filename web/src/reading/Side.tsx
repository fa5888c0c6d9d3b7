// What is said about this document or page, and a place to say more.
import { useQuery } from "@tanstack/react-query";
import { ChevronDown, Quote as QuoteIcon, SendHorizontal, X } from "lucide-react";
import { Fragment, type RefObject, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { useLocation } from "wouter";
import { type Attachment, type DocumentDetails, type Message, listShares, listTalk } from "../api";
import { presence, upToDate } from "../live/cache";
import { useConversations } from "../live/conversations";
import { outbox, send } from "../live/outbox";
import { useMe } from "../live/session";
import { connection, say } from "../live/socket";
import { isOver } from "../ui/address";
import { placesShown } from "../ui/answers";
import { Composer } from "../ui/Composer";
import { Face } from "../ui/Face";
import { Menu } from "../ui/Menu";
import { day, daysAgo, shortName } from "../ui/format";
import { Failed, Loading } from "../ui/parts";
import { At, Moment, Prose, Tick } from "../ui/talk";
import { t } from "../ui/words";
import type { Quote } from "./Selected";
import s from "./reading.module.css";

interface Props {
  document: DocumentDetails;
  page: number;
  quote: Quote | null;
  unquote: () => void;
  go: (page: number, match: string) => void;
}

const NONE: Message[] = [];

function useTalk(id: number) {
  return useQuery({ queryKey: ["talk", id], queryFn: () => upToDate(() => listTalk(id)) });
}

/** With whom I can talk about it: who owns it, who may read it. */
function usePeople(document: DocumentDetails) {
  const me = useMe();
  const shares = useQuery({ queryKey: ["shares", document.id], queryFn: () => listShares(document.id) });
  return useMemo(() => [document.owner, ...(shares.data ?? [])].filter(({ id }) => id !== me.id), [document.owner, shares.data, me.id]);
}

/** What is new here is read once it is seen, if nothing else of its conversation is new. */
function useRead({ unread_count }: DocumentDetails, talk: Message[], log: RefObject<HTMLElement | null>) {
  const { on } = connection.use();
  const conversations = useConversations(Boolean(unread_count));
  const look = useCallback(() => {
    const top = log.current?.getBoundingClientRect().top ?? 0;
    if (!on || !unread_count || !document.hasFocus() || document.visibilityState !== "visible") return;
    for (const { user, unread_count: count, read_up_to_id } of conversations.data?.pages.flatMap((page) => page.conversations) ?? []) {
      const fresh = talk.filter(({ sender_id, id }) => sender_id === user.id && id > read_up_to_id);
      const first = log.current?.querySelector(`[data-said="${fresh[0]?.id}"]`);
      if (fresh.length !== count || !first || first.getBoundingClientRect().top < top) continue;
      say({ type: "read", user_id: user.id, up_to_id: fresh.at(-1)!.id });
    }
  }, [on, unread_count, conversations.data, talk, log]);
  useEffect(() => {
    look();
    window.addEventListener("focus", look);
    return () => window.removeEventListener("focus", look);
  }, [look]);
}

export function Side({ document, page, quote, unquote, go }: Props) {
  const me = useMe();
  const [, navigate] = useLocation();
  const [onlyPage, setOnlyPage] = useState(false);
  const talk = useTalk(document.id);
  const people = usePeople(document);
  const waiting = outbox.use().filter((entry) => entry.document_id === document.id);
  const { on } = connection.use();
  const present = presence.use();
  const shown = (talk.data ?? []).filter((message) => !message.deleted_at && (!onlyPage || message.attachment?.page === page));
  const places = placesShown(shown);
  const names = new Map(people.map(({ id, name }) => [id, name]));
  const partner = (message: Message) => (message.sender_id === me.id ? message.recipient_id : message.sender_id);
  const last = talk.data?.at(-1);
  const [chosen, setChosen] = useState<number | null>(null);
  const recipient = people.find(({ id }) => id === chosen) ?? people.find(({ id }) => last && id === partner(last)) ?? people[0];
  const [withPage, setWithPage] = useState(true);
  useEffect(() => setWithPage(true), [page, quote]);
  const input = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    if (quote) input.current?.focus();
  }, [quote]);
  const log = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (log.current) log.current.scrollTop = log.current.scrollHeight;
  }, [shown.length, waiting.length, onlyPage]);
  useRead(document, talk.data ?? NONE, log);
  const point = quote ?? (withPage ? { page, text: "" } : null);
  const here = (attachment: Attachment) => {
    if (attachment.page) go(attachment.page, attachment.match ?? "");
  };
  return (
    <aside className={s.side} aria-label={t.talk.about}>
      <header>
        <h2>{t.talk.title}</h2>
        <div className="seg seg-s" role="group" aria-label={t.talk.which}>
          <button type="button" aria-pressed={!onlyPage} onClick={() => setOnlyPage(false)}>
            {t.talk.wholeDocument}
          </button>
          <button type="button" aria-pressed={onlyPage} onClick={() => setOnlyPage(true)}>
            {t.page(page)}
          </button>
        </div>
      </header>
      <div className={s.log} role="log" aria-label={t.talk.about} tabIndex={0} ref={log}>
        {talk.isPending && <Loading what={t.loading} />}
        {talk.isError && <Failed error={talk.error} again={() => void talk.refetch()} />}
        {talk.isSuccess && shown.length === 0 && waiting.length === 0 && (
          <p className={`small muted ${s.quiet}`}>{people.length ? t.talk.quiet : t.talk.quietAlone}</p>
        )}
        <ol className={s.thread}>
          {shown.map((message, index) => {
            const before = shown[index - 1];
            const mine = message.sender_id === me.id;
            const other = names.get(partner(message)) ?? message.sender_name;
            const isNewDay = !before || daysAgo(before.created_at) !== daysAgo(message.created_at);
            return (
              <Fragment key={message.id}>
                {isNewDay && (
                  <li className="day">
                    <span>{day(message.created_at)}</span>
                  </li>
                )}
                <li className="m" data-said={message.id}>
                  <Face id={message.sender_id} name={mine ? me.name : message.sender_name} online={!mine && (present[message.sender_id]?.online ?? false)} />
                  <div>
                    <p className="who">
                      <b>{mine ? t.rail.you : shortName(message.sender_name)}</b> <span>{mine ? t.talk.toPerson(shortName(other)) : t.talk.toYou}</span>
                      <Moment message={message} />
                    </p>
                    {places.get(message.id) === "no" ? null : message.attachment?.page || message.attachment?.match ? (
                      <At attachment={message.attachment} bright={message.attachment.page === page} here={here} />
                    ) : (
                      shown.findIndex((one) => partner(one) === partner(message)) === index && <p className="shared">{t.talk.sharedThis}</p>
                    )}
                    {message.content && <Prose text={message.content}>{message.edited_at && <span className="edited">{t.talk.edited}</span>}</Prose>}
                  </div>
                </li>
              </Fragment>
            );
          })}
          {waiting.map((entry) => (
            <li className="m" key={entry.client_id}>
              <Face id={me.id} name={me.name} />
              <div>
                <p className="who">
                  <b>{t.rail.you}</b> <span>{t.talk.toPerson(shortName(names.get(entry.recipient_id) ?? ""))}</span>
                </p>
                {entry.content && <Prose text={entry.content} />}
                {entry.failed ? <p className="small err">{t.talk.notSent(entry.detail ?? "")}</p> : <Tick state={on ? "waiting" : "away"} />}
              </div>
            </li>
          ))}
        </ol>
      </div>
      {recipient && (
        <Composer
          place={`d${document.id}`}
          recipient={recipient.id}
          label={t.talk.message}
          placeholder={point ? t.talk.aboutPage : t.talk.aboutDocument}
          rows={2}
          input={input}
          onSend={(content) => {
            send({
              recipient_id: recipient.id,
              content,
              document_id: document.id,
              ...(point ? { page: point.page } : {}),
              ...(point?.text ? { match: point.text } : {}),
            });
            unquote();
          }}
        >
          {({ area, canSend }) => (
            <>
              {point && (
                <div className="ctx">
                  <span className="at now">
                    <QuoteIcon className="i i-s" />
                    <b>{t.page(point.page)}</b>
                    {point.text && <q>{point.text}</q>}
                    <button type="button" className="x" aria-label={t.talk.withoutPage} onClick={() => (quote ? unquote() : setWithPage(false))}>
                      <X className="i i-s" />
                    </button>
                  </span>
                </div>
              )}
              {area}
              <div className="row">
                <Menu
                  label={t.talk.toChange(recipient.name)}
                  className="b b-0 b-s to"
                  chosen={String(recipient.id)}
                  choices={[
                    ...people.map(({ id, name }) => ({ key: String(id), label: name, act: () => setChosen(id) })),
                    null,
                    { key: "open", label: t.talk.openConversation, act: () => navigate(`/messages/${recipient.id}`, { replace: isOver() }) },
                  ]}
                >
                  {t.talk.toLabel} <b>{recipient.name}</b>
                  <ChevronDown className="i i-s" />
                </Menu>
                <span className="grow" />
                <button type="submit" className="b b-1 b-s" aria-disabled={!canSend}>
                  <SendHorizontal className="i i-s" />
                  {t.talk.send}
                </button>
              </div>
            </>
          )}
        </Composer>
      )}
    </aside>
  );
}

/** On a phone: the last words of the talk at the foot of the page. */
export function Peek({ document, open }: { document: DocumentDetails; open: () => void }) {
  const talk = useTalk(document.id);
  const me = useMe();
  const last = talk.data?.findLast((message) => !message.deleted_at);
  return (
    <button type="button" className={s.peek} onClick={open}>
      <span className="vh">{t.talk.openTalk}</span>
      <i />
      <span className="row">
        {last && (
          <span className="faces">
            <Face id={last.sender_id} name={last.sender_name} size="s" />
          </span>
        )}
        <span className="grow">
          {last ? (
            <>
              <b>{last.sender_id === me.id ? t.rail.you : shortName(last.sender_name)}</b> <span className="muted">{last.content || t.talk.sharedThis}</span>
            </>
          ) : (
            <span className="muted">{t.talk.title}</span>
          )}
        </span>
        {Boolean(document.unread_count) && <span className="count">{document.unread_count}</span>}
      </span>
    </button>
  );
}

