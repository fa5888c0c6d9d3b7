// Parts of a message that the conversation, the talk beside a page and the search share.
import { Check, CheckCheck, Clock, CornerDownRight, FileX2 } from "lucide-react";
import { Fragment, type MouseEvent, type ReactNode } from "react";
import { Link } from "wouter";
import type { Attachment, Message } from "../api";
import { time } from "./format";
import { Picture } from "./Picture";
import { Snippet } from "./parts";
import { t } from "./words";

/** Where a card leads: the page and the hit that were fixed when it was sent. */
export function placeOf(attachment: Pick<Attachment, "document_id" | "page" | "match">): string {
  const page = attachment.page ? `/${attachment.page}` : "";
  const match = attachment.match ? `?q=${encodeURIComponent(attachment.match)}&hit=1` : "";
  return `/documents/${attachment.document_id}${page}${match}`;
}

const ADDRESS = /(https?:\/\/[^\s<>"]+[^\s<>".,;:!?)\]'])/;

/** A message's text, its addresses as links. */
export function Prose({ text, children }: { text: string; children?: ReactNode }) {
  const parts = text.split(ADDRESS);
  return (
    <p className="prose">
      {parts.map((part, index) =>
        index % 2 ? (
          <a key={index} href={part} target="_blank" rel="noopener noreferrer">
            {part}
          </a>
        ) : (
          <Fragment key={index}>{part}</Fragment>
        ),
      )}
      {children}
    </p>
  );
}

export function Card({ attachment }: { attachment: Attachment }) {
  const { available, filename, page, page_count, snippet } = attachment;
  const text = (
    <span className="txt">
      <span>
        <b>{page ? t.fileAndPage(filename, page) : filename}</b>
        {snippet && snippet.length > 0 && (
          <q>
            <Snippet parts={snippet} />
          </q>
        )}
      </span>
      <span className="meta num">
        <span>{!available ? t.talk.unavailable : attachment.match ? t.talk.opensAtHit : page ? t.talk.opensAtPage : page_count ? t.pages(page_count) : ""}</span>
      </span>
    </span>
  );
  if (!available) {
    return (
      <span className="card away">
        <span className="pic">
          <FileX2 className="i" />
        </span>
        {text}
      </span>
    );
  }
  return (
    <Link className="card" href={placeOf(attachment)}>
      <span className="pic">
        {attachment.thumbnail && (
          <Picture className="paper" src={`${attachment.thumbnail}&format=webp`} alt="" lazy />
        )}
      </span>
      {text}
    </Link>
  );
}

/** In a line, where a message is about: its card stands above already. */
export function Place({ attachment }: { attachment: Attachment }) {
  const { filename, page, match } = attachment;
  return (
    <Link className="at" href={placeOf(attachment)}>
      <CornerDownRight className="i i-s" />
      <b className="cut">{page ? t.fileAndPage(filename, page) : filename}</b>
      {match && <q>{match}</q>}
    </Link>
  );
}

export function At({ attachment, bright, here }: { attachment: Attachment; bright: boolean; here?: (attachment: Attachment) => void }) {
  const quote = attachment.match ?? attachment.snippet?.map((part) => part.text).join("") ?? "";
  const inside = (
    <>
      <CornerDownRight className="i i-s" />
      <b>{attachment.page ? t.page(attachment.page) : t.talk.wholeDocument}</b>
      {quote && <q>{quote}</q>}
    </>
  );
  const go = (event: MouseEvent) => {
    if (!here || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    here(attachment);
  };
  return (
    <Link className={`at${bright ? " now" : ""}`} href={placeOf(attachment)} onClick={go}>
      {inside}
    </Link>
  );
}

export function Tick({ state }: { state: "waiting" | "away" | "sent" | "read" }) {
  return (
    <span className={`tick${state === "read" ? " seen" : ""}`}>
      {state === "waiting" || state === "away" ? <Clock className="i" /> : state === "sent" ? <Check className="i" /> : <CheckCheck className="i" />}
      {state === "waiting" ? t.talk.sending : state === "away" ? t.talk.goesOut : state === "sent" ? t.talk.sent : t.talk.read}
    </span>
  );
}

export function Moment({ message }: { message: Pick<Message, "created_at"> }) {
  return <time dateTime={message.created_at}>{time(message.created_at)}</time>;
}
