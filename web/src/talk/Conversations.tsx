// Whom I talk with, the newest first; with words in the field, everybody whose name has them.
import { useQuery } from "@tanstack/react-query";
import { Check, CheckCheck, FileText, Search, SquarePen } from "lucide-react";
import { memo, useRef, useState } from "react";
import { Link, useLocation } from "wouter";
import { type Conversation, type Person, listPeople } from "../api";
import { typing } from "../live/cache";
import { useConversations } from "../live/conversations";
import { drafts, outbox } from "../live/outbox";
import { useMe } from "../live/session";
import { Alone } from "../ui/Alone";
import { Face, usePresence } from "../ui/Face";
import { when } from "../ui/format";
import { Failed, Loading, MoreWhenSeen, useDebounced } from "../ui/parts";
import { t } from "../ui/words";
import s from "./talk.module.css";

export function Conversations({ open }: { open: number | null }) {
  const [words, setWords] = useState("");
  const asked = useDebounced(words.trim(), 150);
  const list = useConversations();
  const none = list.isSuccess && !list.data.pages[0]?.conversations.length;
  const seeking = asked !== "" || none;
  const people = useQuery({ queryKey: ["people", asked], queryFn: () => listPeople(asked), enabled: seeking });
  const field = useRef<HTMLInputElement>(null);
  const [, navigate] = useLocation();
  return (
    <nav className={s.convs} aria-label={t.talk.conversations}>
      <header className="top">
        <h1>{t.rail.messages}</h1>
        <span className="grow" />
        <button type="button" className="b b-0 b-i" aria-label={t.talk.write} onClick={() => field.current?.focus()}>
          <SquarePen className="i" />
        </button>
      </header>
      <label className="field">
        <Search className="i" />
        <input
          ref={field}
          data-find
          value={words}
          aria-label={t.findPeople}
          placeholder={t.findPeople}
          onChange={(event) => setWords(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") setWords("");
            const first = people.data?.[0];
            if (event.key === "Enter" && first && seeking) {
              setWords("");
              navigate(`/messages/${first.id}`);
            }
          }}
        />
      </label>
      {list.isPending && <Loading what={t.loading} />}
      {list.isError && !list.isFetchNextPageError && <Failed error={list.error} again={() => void list.refetch()} />}
      {!asked && none && people.data?.length !== 0 && <p className={`small muted ${s.say}`}>{t.talk.none}</p>}
      <ol>
        {seeking
          ? people.data?.map((person) => (
              <li key={person.id}>
                <Stranger person={person} current={person.id === open} />
              </li>
            ))
          : list.data?.pages.map(({ conversations }, index) => <Rows key={index} conversations={conversations} open={open} />)}
        {seeking && people.isSuccess && people.data.length === 0 && (
          <li className={`small muted ${s.say}`}>{asked ? t.share.nobody(asked) : <Alone />}</li>
        )}
        {!seeking && list.hasNextPage && (
          <li>
            <MoreWhenSeen list={list} />
          </li>
        )}
      </ol>
    </nav>
  );
}

function Stranger({ person, current }: { person: Person; current: boolean }) {
  const { online } = usePresence(person);
  return (
    <Link href={`/messages/${person.id}`} aria-current={current ? "page" : undefined}>
      <Face id={person.id} name={person.name} size="l" online={online} />
      <span className="grow">
        <span className={s.l}>
          <b className="cut">{person.name}</b>
        </span>
        <span className={s.l}>
          <span className="cut">{person.email}</span>
        </span>
      </span>
    </Link>
  );
}

/** A page of the list is made once, however many come after it. */
const Rows = memo(function Rows({ conversations, open }: { conversations: Conversation[]; open: number | null }) {
  return conversations.map((conversation) => (
    <Row key={conversation.user.id} conversation={conversation} current={conversation.user.id === open} />
  ));
});

const Row = memo(function Row({ conversation, current }: { conversation: Conversation; current: boolean }) {
  const me = useMe();
  const { user, last_message: last, unread_count: count } = conversation;
  const { online } = usePresence(user);
  const isTyping = user.id in typing.use();
  const draft = drafts.use()[user.id];
  const waiting = outbox.use().findLast((entry) => entry.recipient_id === user.id);
  return (
    <li className={count > 0 && !current ? s.unread : ""}>
      <Link href={`/messages/${user.id}`} aria-current={current ? "page" : undefined}>
        <Face id={user.id} name={user.name} size="l" online={online} />
        <span className="grow">
          <span className={s.l}>
            <b className="cut">{user.name}</b>
            {online && <span className="vh">{t.talk.online}</span>}
            <time dateTime={last.created_at}>{when(last.created_at)}</time>
          </span>
          <span className={s.l}>
            {isTyping ? (
              <span className={`cut ${s.typing}`}>{t.talk.isTyping}</span>
            ) : draft && !current ? (
              <>
                <span className={s.draft}>{t.talk.draft}</span>
                <span className="cut">{draft}</span>
              </>
            ) : waiting ? (
              <span className="cut">{waiting.content}</span>
            ) : (
              <>
                {last.sender_id === me.id && !last.deleted_at && (last.id <= conversation.their_read_up_to_id ? <CheckCheck className="i" /> : <Check className="i" />)}
                {last.attachment && !last.content && <FileText className="i" />}
                <span className="cut">{last.deleted_at ? t.talk.gone : last.content || last.attachment?.filename}</span>
              </>
            )}
            {count > 0 && !current && (
              <span className="count">
                {count > 99 ? "99+" : count}
                <span className="vh"> {t.rail.unread}</span>
              </span>
            )}
          </span>
        </span>
      </Link>
    </li>
  );
});
