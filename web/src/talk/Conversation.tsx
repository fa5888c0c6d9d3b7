// One conversation: it opens at the first unread message, stays where I read, and says what became of what I sent.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { ArrowDown, ArrowLeft, CornerDownRight, Files, Paperclip, Search, SendHorizontal, X } from "lucide-react";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { Link, useLocation, useSearch } from "wouter";
import { type Document, type Message, listMessages, readPerson } from "../api";
import { type Thread, queries, typing, upToDate } from "../live/cache";
import { useConversations } from "../live/conversations";
import { keepDraft, outbox, send } from "../live/outbox";
import { useMe } from "../live/session";
import { connection, request, say } from "../live/socket";
import { placeToAnswer } from "../ui/answers";
import { Composer } from "../ui/Composer";
import { Connection } from "../ui/Connection";
import { DocumentPicker } from "../ui/DocumentPicker";
import { Face, usePresence } from "../ui/Face";
import { Menu } from "../ui/Menu";
import { Empty, Failed, Loading, useScreenName, useWide } from "../ui/parts";
import { shortName, when } from "../ui/format";
import { placeOf } from "../ui/talk";
import { tell } from "../ui/toasts";
import { t } from "../ui/words";
import { Flow } from "./Flow";
import s from "./talk.module.css";

const NONE: Message[] = [];
const PAGE = 50;
const KEPT = 300; // messages
const NEAR = 400; // pixels from an end, where more is loaded
const AT_END = 24; // pixels

const isAtEnd = (log: Element, within = AT_END) => log.scrollHeight - log.scrollTop - log.clientHeight < within;

async function load(id: number, around: number | null): Promise<Thread> {
  if (around === null) {
    const messages = await listMessages(id, { limit: PAGE });
    return { messages, older: messages.length === PAGE, newer: false };
  }
  const messages = await listMessages(id, { around, limit: PAGE });
  return { messages, older: true, newer: true };
}

export function Conversation({ id }: { id: number }) {
  const me = useMe();
  const wide = useWide();
  const [, navigate] = useLocation();
  const cache = useQueryClient();
  const params = new URLSearchParams(useSearch());
  const at = Number(params.get("at")) || null; // a message that a search found
  const conversations = useConversations();
  const conversation = conversations.data?.pages.flatMap((page) => page.conversations).find(({ user }) => user.id === id);
  const person = useQuery({ queryKey: ["person", id], queryFn: () => readPerson(id), enabled: !conversation, retry: false });
  const user = conversation?.user ?? person.data;
  const thread = useQuery({
    queryKey: ["messages", id],
    queryFn: () => upToDate(() => load(id, at)),
    enabled: conversations.isSuccess,
    retry: false,
  });
  const waiting = outbox.use().filter((entry) => entry.recipient_id === id);
  const presence = usePresence(user);
  const isTyping = id in typing.use();
  const messages = thread.data?.messages ?? NONE;
  useScreenName(user?.name ?? t.rail.messages);

  // What was new when I came stays marked while I look.
  const [newFrom, setNewFrom] = useState<number | null | undefined>(undefined);
  useEffect(() => {
    if (newFrom !== undefined || !thread.isSuccess) return;
    const read = conversation?.read_up_to_id ?? 0;
    const first = conversation?.unread_count ? messages.find((message) => message.sender_id === id && message.id > read) : undefined;
    setNewFrom(first?.id ?? null);
  }, [newFrom, thread.isSuccess, conversation, messages, id]);

  // Scrolling
  const log = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const placed = useRef(false);
  const kept = useRef<{ row: HTMLElement; offset: number; top: number } | null>(null); // where I read, while older ones come above it
  const [below, setBelow] = useState(0); // new ones that I have not scrolled to
  const loading = useRef(false);
  const lastId = messages.at(-1)?.id ?? 0;
  const toEnd = useCallback(() => {
    if (log.current) log.current.scrollTop = log.current.scrollHeight;
  }, []);
  const change = useCallback((by: (thread: Thread) => Thread) => queries.setQueryData<Thread>(["messages", id], (was) => was && by(was)), [id]);

  useLayoutEffect(() => {
    if (!log.current || !thread.isSuccess || newFrom === undefined) return;
    if (!placed.current) {
      placed.current = true;
      const target = at ? log.current.querySelector(`[data-id="${at}"]`) : log.current.querySelector("[data-new]");
      if (target) {
        target.scrollIntoView({ block: at ? "center" : "start" });
        if (!at) log.current.scrollTop -= 60;
        atEnd.current = isAtEnd(log.current);
      } else toEnd();
      return;
    }
    if (atEnd.current) toEnd();
  }, [lastId, waiting.length, thread.isSuccess, newFrom, at, toEnd]);

  // What grows keeps the end in sight: rows get their true heights as they are drawn, the box below gets lines.
  useEffect(() => {
    const observer = new ResizeObserver(() => placed.current && atEnd.current && toEnd());
    if (log.current) observer.observe(log.current);
    if (log.current?.lastElementChild) observer.observe(log.current.lastElementChild);
    return () => observer.disconnect();
  }, [thread.isSuccess, toEnd]);

  const firstId = messages[0]?.id ?? 0;
  useLayoutEffect(() => {
    const element = log.current;
    const was = kept.current;
    if (element && was && element.scrollTop === was.top) element.scrollTop += was.row.offsetTop - was.offset;
    kept.current = null;
  }, [firstId]);

  const seenLast = useRef(0);
  useEffect(() => {
    if (!placed.current || lastId <= seenLast.current) return;
    const fresh = messages.filter((message) => message.id > seenLast.current && message.sender_id === id).length;
    if (seenLast.current && !atEnd.current) setBelow((count) => count + fresh);
    seenLast.current = lastId;
  }, [lastId, messages, id]);

  const more = useCallback(
    async (where: "before" | "after") => {
      const now = cache.getQueryData<Thread>(["messages", id]);
      const edge = where === "before" ? now?.messages[0] : now?.messages.at(-1);
      if (!now || !edge || loading.current || !(where === "before" ? now.older : now.newer)) return;
      loading.current = true;
      try {
        const found = await listMessages(id, { [where]: edge.id, limit: PAGE });
        const second = now.messages[1] ?? edge; // the first one may lose the head above it
        const row = log.current?.querySelector<HTMLElement>(`[data-id="${second.id}"]`);
        if (where === "before" && row) kept.current = { row, offset: row.offsetTop, top: log.current!.scrollTop };
        change((was) => {
          const known = new Set(was.messages.map((message) => message.id));
          const added = found.filter((message) => !known.has(message.id));
          // What is far from here goes: a talk of years is no longer to scroll than one of days.
          if (where === "before") {
            const messages = [...added, ...was.messages];
            return { messages: messages.slice(0, KEPT), older: found.length === PAGE, newer: was.newer || messages.length > KEPT };
          }
          const messages = [...was.messages, ...added];
          return { messages: messages.slice(-KEPT), older: was.older || messages.length > KEPT, newer: found.length === PAGE };
        });
      } catch {
        // scrolling asks again
      }
      loading.current = false;
    },
    [cache, change, id],
  );

  // Read is what was seen: the tab visible, the window focused, the message on the screen.
  const told = useRef(0);
  const lastTheirs = useMemo(() => messages.findLast((message) => message.sender_id === id)?.id ?? 0, [messages, id]);
  const markRead = useCallback(() => {
    const element = log.current;
    if (!element || !document.hasFocus() || document.visibilityState !== "visible" || !connection.get().on) return;
    const read = Math.max(told.current, conversation?.read_up_to_id ?? 0);
    if (lastTheirs <= read) return;
    const end = element.getBoundingClientRect().bottom;
    const rows = element.querySelectorAll<HTMLElement>("[data-theirs]");
    for (let index = rows.length - 1; index >= 0; index--) {
      const row = rows[index]!;
      const seen = Number(row.dataset["theirs"]);
      if (seen <= read) return;
      if (row.getBoundingClientRect().top + 16 > end) continue;
      told.current = seen;
      return say({ type: "read", user_id: id, up_to_id: seen });
    }
  }, [id, conversation, lastTheirs]);
  const { on } = connection.use();
  useEffect(() => {
    const timer = setTimeout(markRead, 120);
    window.addEventListener("focus", markRead);
    document.addEventListener("visibilitychange", markRead);
    return () => {
      clearTimeout(timer);
      window.removeEventListener("focus", markRead);
      document.removeEventListener("visibilitychange", markRead);
    };
  }, [markRead, lastId, newFrom, on]);

  const onScroll = () => {
    const element = log.current;
    if (!element) return;
    atEnd.current = isAtEnd(element) && !thread.data?.newer;
    if (atEnd.current) setBelow(0);
    if (element.scrollTop < NEAR) void more("before");
    if (isAtEnd(element, NEAR)) void more("after");
    markRead();
  };
  const goDown = async () => {
    if (thread.data?.newer) {
      placed.current = true;
      queries.setQueryData(["messages", id], await load(id, null));
    }
    atEnd.current = true;
    setBelow(0);
    requestAnimationFrame(toEnd);
  };

  // Writing
  const [attached, setAttached] = useState<Document | null>(null);
  const [picking, setPicking] = useState(false);
  const [editing, setEditing] = useState<Message | null>(null);
  const input = useRef<HTMLTextAreaElement>(null);
  const place = editing ? `edit${editing.id}` : String(id);
  const startEdit = useCallback((message: Message) => {
    keepDraft(`edit${message.id}`, message.content);
    setEditing(message);
    setTimeout(() => input.current?.focus());
  }, []);
  const stopEdit = () => {
    if (editing) keepDraft(`edit${editing.id}`, "");
    setEditing(null);
    setTimeout(() => input.current?.focus());
  };
  // An answer goes under the document that was spoken of, unless its chip was taken away.
  const [plain, setPlain] = useState(0); // the last message, answered without its place
  const asked = useMemo(() => (thread.data?.newer ? null : placeToAnswer(messages, id)), [messages, id, thread.data?.newer]);
  const about = attached || editing || plain === lastId ? null : asked;
  const submit = (text: string) => {
    if (editing) {
      const message = editing;
      setEditing(null);
      if (text === message.content) return;
      void request({ type: "edit", id: message.id, content: text }).then((answer) => {
        if (answer.type !== "error") return;
        tell(t.talk.notChanged(String(answer["detail"])));
        keepDraft(`edit${message.id}`, text); // what was written is not lost
        setEditing(message);
      });
      return;
    }
    atEnd.current = true;
    if (thread.data?.newer) void goDown();
    const { document_id = 0, page, match } = about ?? {};
    const place = about && { document_id, ...(page ? { page } : {}), ...(match ? { match } : {}), share: false as const };
    send({ recipient_id: id, content: text, ...(attached ? { document_id: attached.id } : place) });
    setAttached(null);
  };
  const documents = useMemo(() => {
    const found = new Map<number, NonNullable<Message["attachment"]>>();
    for (const { attachment } of messages) if (attachment?.available) found.set(attachment.document_id, attachment);
    return [...found.values()];
  }, [messages]);

  if (!user && (person.isError || thread.isError)) {
    return (
      <section className={s.talks}>
        <Failed error={person.error ?? thread.error} />
      </section>
    );
  }
  const name = user?.name ?? "";
  const status = presence.online ? t.talk.online : presence.last_seen_at ? t.talk.seen(when(presence.last_seen_at)) : "";
  return (
    <section className={s.talks} aria-label={name}>
      <header className="top">
        {!wide && (
          <Link className="b b-0 b-i" href="/messages" aria-label={t.talk.back}>
            <ArrowLeft className="i" />
          </Link>
        )}
        <Face id={id} name={name || "?"} size="l" online={presence.online} />
        <div className="grow">
          <h1 className="cut">{name}</h1>
          <p className="small muted">{status}</p>
        </div>
        <button type="button" className="b b-0 b-i" aria-label={t.talk.searchHere} onClick={() => navigate(`/search?type=message&from=${id}`)}>
          <Search className="i" />
        </button>
        {documents.length > 0 && (
          <Menu
            label={t.talk.documents(documents.length)}
            className={`b b-0${wide ? "" : " b-i"}`}
            choices={documents.map((one) => ({ key: String(one.document_id), label: one.filename, act: () => navigate(placeOf({ ...one, page: null, match: null })) }))}
          >
            <Files className="i" />
            {wide && <span className="num">{t.talk.documents(documents.length)}</span>}
          </Menu>
        )}
      </header>
      <Connection />
      {thread.isPending && <Loading what={t.loading} />}
      {thread.isError && <Failed error={thread.error} again={() => void thread.refetch()} />}
      <div className={s.logbox}>
        <div className={s.log} role="log" aria-label={t.rail.messages} ref={log} onScroll={onScroll} tabIndex={0}>
          {thread.isSuccess && messages.length === 0 && waiting.length === 0 && user && (
            <Empty icon={<Face id={id} name={name} size="l" />} title={name}>
              <p>{t.talk.first(shortName(name))}</p>
            </Empty>
          )}
          <Flow
            messages={messages}
            waiting={waiting}
            me={me}
            other={user ?? { id, name }}
            newFrom={newFrom ?? null}
            marked={at}
            read={conversation?.their_read_up_to_id ?? 0}
            whole={!thread.data?.newer}
            edit={startEdit}
          />
        </div>
        {(below > 0 || thread.data?.newer) && (
          <button type="button" className={`b ${s.down}`} onClick={() => void goDown()}>
            <ArrowDown className="i i-s" />
            {below > 0 ? t.talk.newBelow(below) : t.talk.toEnd}
          </button>
        )}
      </div>
      <p className={s.isty} role="status">
        {isTyping && (
          <>
            <span className="dots">
              <i />
              <i />
              <i />
            </span>
            {t.talk.typing(shortName(name))}
          </>
        )}
      </p>
      <Composer
        key={place}
        place={place}
        recipient={editing ? null : id}
        label={t.talk.to(shortName(name))}
        placeholder={t.talk.to(shortName(name))}
        onSend={submit}
        input={input}
        focus
        ready={attached !== null}
        onUp={() => {
          const mine = messages.findLast((message) => message.sender_id === me.id && !message.deleted_at);
          if (mine && !editing) startEdit(mine);
        }}
        {...(editing ? { onEscape: stopEdit } : {})}
      >
        {({ area, canSend }) => (
          <>
            {(editing || attached) && (
              <div className={`ctx ${s.ctx}`}>
                <span className={`at${editing ? "" : " now"}`}>
                  <b>{editing ? t.talk.editing : attached?.filename}</b>
                  <button type="button" className="x" aria-label={editing ? t.talk.stopEditing : t.talk.withoutDocument} onClick={() => (editing ? stopEdit() : setAttached(null))}>
                    <X className="i i-s" />
                  </button>
                </span>
              </div>
            )}
            {about && (
              <div className={`ctx ${s.ctx}`}>
                <span className="at now">
                  <CornerDownRight className="i i-s" />
                  <b className="cut">{about.page ? t.fileAndPage(about.filename, about.page) : about.filename}</b>
                  {about.match && <q>{about.match}</q>}
                  <button type="button" className="x" aria-label={t.talk.withoutPlace} onClick={() => setPlain(lastId)}>
                    <X className="i i-s" />
                  </button>
                </span>
              </div>
            )}
            <button type="button" className="b b-0 b-i" aria-label={t.talk.attach} onClick={() => setPicking(true)}>
              <Paperclip className="i" />
            </button>
            {area}
            <button type="submit" className="b b-1 b-i" aria-label={editing ? t.save : t.talk.send} aria-disabled={!canSend}>
              <SendHorizontal className="i" />
            </button>
          </>
        )}
      </Composer>
      {picking && (
        <DocumentPicker
          onClose={() => setPicking(false)}
          choose={(document) => {
            setAttached(document);
            setPicking(false);
            setTimeout(() => input.current?.focus());
          }}
        />
      )}
    </section>
  );
}

