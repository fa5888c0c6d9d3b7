// The messages of a conversation, by day and by author, and after them what has not been acknowledged.
import { CircleAlert, Copy, Pencil, Undo2 } from "lucide-react";
import { Fragment, memo, useMemo, useState } from "react";
import type { Me, Message } from "../api";
import { type Outgoing, discard, sendAgain } from "../live/outbox";
import { connection, request } from "../live/socket";
import { placesShown } from "../ui/answers";
import { copy } from "../ui/clipboard";
import { Face } from "../ui/Face";
import { day, daysAgo, fullDate, shortName } from "../ui/format";
import { Card, Moment, Place, Prose, Tick } from "../ui/talk";
import { tell } from "../ui/toasts";
import { t } from "../ui/words";
import s from "./talk.module.css";

interface Props {
  messages: Message[];
  waiting: Outgoing[];
  me: Me;
  other: { id: number; name: string };
  newFrom: number | null;
  marked: number | null;
  read: number; // by the other person
  whole: boolean; // up to the newest
  edit: (message: Message) => void;
}

const TOGETHER_MS = 5 * 60_000;

export function Flow({ messages, waiting, me, other, newFrom, marked, read, whole, edit }: Props) {
  const lastMine = messages.findLast((message) => message.sender_id === me.id && !message.deleted_at)?.id ?? 0;
  const lastRead = messages.findLast((message) => message.sender_id === me.id && message.id <= read && !message.deleted_at)?.id ?? 0;
  const places = useMemo(() => placesShown(messages), [messages]);
  return (
    <ol className={s.flow}>
      {messages.map((message, index) => {
        const before = messages[index - 1];
        const isNewDay = !before || daysAgo(before.created_at) !== daysAgo(message.created_at);
        const isNew = message.id === newFrom;
        const more =
          !isNewDay && !isNew && before.sender_id === message.sender_id && Date.parse(message.created_at) - Date.parse(before.created_at) < TOGETHER_MS;
        return (
          <Fragment key={message.id}>
            {isNewDay && (
              <li className="day">
                <span>{day(message.created_at)}</span>
              </li>
            )}
            {isNew && (
              <li className="sep" data-new>
                <span>{t.talk.new}</span>
              </li>
            )}
            <Row
              message={message}
              mine={message.sender_id === me.id}
              name={message.sender_id === me.id ? me.name : other.name}
              more={more}
              place={places.get(message.id) ?? "no"}
              marked={message.id === marked}
              tick={!whole ? null : message.id === lastRead ? "read" : message.id === lastMine && message.id > read ? "sent" : null}
              edit={edit}
            />
          </Fragment>
        );
      })}
      {waiting.map((entry, index) => (
        <Waiting key={entry.client_id} entry={entry} me={me} more={index > 0 || messages.at(-1)?.sender_id === me.id} />
      ))}
    </ol>
  );
}

interface RowProps {
  message: Message;
  mine: boolean;
  name: string;
  more: boolean;
  place: "card" | "line" | "no";
  marked: boolean;
  tick: "sent" | "read" | null;
  edit: (message: Message) => void;
}

const Row = memo(function Row({ message, mine, name, more, place, marked, tick, edit }: RowProps) {
  const [hot, setHot] = useState(false);
  const gone = message.deleted_at !== null;
  return (
    <li
      className={`m${more ? " more" : ""}${marked || hot ? " hot" : ""} ${s.row}`}
      data-id={message.id}
      {...(mine ? {} : { "data-theirs": message.id })}
      onPointerUp={(event) => event.pointerType === "touch" && !(event.target as Element).closest("a, button") && setHot(!hot)}
    >
      {!more && <Face id={message.sender_id} name={name} />}
      {!gone && <Tools message={message} mine={mine} edit={edit} />}
      <div>
        {more ? (
          <span className="vh">
            {mine ? t.rail.you : name}, {fullDate(message.created_at)}
          </span>
        ) : (
          <p className="who">
            <b>{mine ? t.rail.you : shortName(name)}</b>
            <Moment message={message} />
          </p>
        )}
        {gone ? (
          <p>
            <span className="gone">
              <Undo2 className="i i-s" />
              {mine ? t.talk.youTookBack : t.talk.tookBack(shortName(name))}
            </span>
          </p>
        ) : (
          <>
            {message.attachment && place === "line" && <Place attachment={message.attachment} />}
            {message.content && (
              <Prose text={message.content}>{message.edited_at && <span className="edited">{t.talk.edited}</span>}</Prose>
            )}
            {message.attachment && place === "card" && <Card attachment={message.attachment} />}
            {tick && (
              <p className="tail">
                <Tick state={tick} />
              </p>
            )}
          </>
        )}
      </div>
    </li>
  );
});

function Tools({ message, mine, edit }: { message: Message; mine: boolean; edit: (message: Message) => void }) {
  const takeBack = () =>
    void request({ type: "delete", id: message.id }).then((answer) => {
      if (answer.type === "error") tell(t.talk.notTakenBack(String(answer["detail"])));
    });
  return (
    <div className="tools" role="toolbar" aria-label={t.talk.thisMessage}>
      <button type="button" className="b b-0 b-s b-i" aria-label={t.copy} onClick={() => void copy(message.content, t.copied)}>
        <Copy className="i i-s" />
      </button>
      {mine && (
        <>
          <button type="button" className="b b-0 b-s b-i" aria-label={t.talk.edit} onClick={() => edit(message)}>
            <Pencil className="i i-s" />
          </button>
          <button type="button" className="b b-0 b-s b-i" aria-label={t.talk.takeBack} onClick={takeBack}>
            <Undo2 className="i i-s" />
          </button>
        </>
      )}
    </div>
  );
}

function Waiting({ entry, me, more }: { entry: Outgoing; me: Me; more: boolean }) {
  const { on } = connection.use();
  return (
    <li className={`m${more ? " more" : ""}${entry.failed ? "" : ` ${s.pending}`} ${s.row}`}>
      {!more && <Face id={me.id} name={me.name} />}
      <div className={entry.failed ? s.lost : ""}>
        {!more && (
          <p className="who">
            <b>{t.rail.you}</b>
          </p>
        )}
        {entry.content && <Prose text={entry.content} />}
        {entry.document_id && <p className="small faint">{t.talk.withCard}</p>}
        {entry.failed ? (
          <p className={s.bad}>
            <span>
              <CircleAlert className="i i-s" />
              {t.talk.notSent(entry.detail ?? "")}
            </span>
            <button type="button" className="b b-link" onClick={() => sendAgain(entry.client_id)}>
              {t.talk.sendAgain}
            </button>
            <button type="button" className="b b-link" onClick={() => discard(entry.client_id)}>
              {t.remove}
            </button>
          </p>
        ) : (
          <p className="tail">
            <Tick state={on ? "waiting" : "away"} />
          </p>
        )}
      </div>
    </li>
  );
}
