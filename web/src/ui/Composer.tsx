// Where a message is written: kept while it is written, sent by Enter, never while an input method composes.
import { type KeyboardEvent, type ReactNode, type RefObject, useEffect, useLayoutEffect, useRef } from "react";
import { drafts, keepDraft } from "../live/outbox";
import { say } from "../live/socket";
import { preferences } from "./preferences";

interface Props {
  place: string; // of the draft
  recipient: number | null; // who sees that I am writing
  label: string;
  placeholder: string;
  rows?: number;
  onSend: (text: string) => void;
  onUp?: () => void; // in an empty box
  onEscape?: () => void;
  maxCharacters?: number;
  input?: RefObject<HTMLTextAreaElement | null>;
  focus?: boolean;
  children: (parts: { area: ReactNode; send: () => void; canSend: boolean }) => ReactNode;
  ready?: boolean; // may be sent without words
}

const REPEAT_MS = 4_000;
const MAX_HEIGHT = 200;

export function Composer({ place, recipient, label, placeholder, rows = 1, onSend, onUp, onEscape, maxCharacters = 32_000, input, focus, ready, children }: Props) {
  const text = drafts.use()[place] ?? "";
  const own = useRef<HTMLTextAreaElement>(null);
  const area = input ?? own;
  const said = useRef({ at: 0, to: 0 });
  const stopTyping = () => {
    if (said.current.at) say({ type: "typing", recipient_id: said.current.to, active: false });
    said.current = { at: 0, to: 0 };
  };
  useEffect(() => stopTyping, [recipient]);
  useEffect(() => {
    if (focus && matchMedia("(pointer: fine)").matches) area.current?.focus({ preventScroll: true });
  }, [focus, place, area]);
  useLayoutEffect(() => {
    const element = area.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${Math.min(element.scrollHeight, MAX_HEIGHT)}px`;
  }, [text, area, place]);
  const write = (next: string) => {
    keepDraft(place, next);
    if (recipient === null || !preferences.get().typing) return;
    if (!next) return stopTyping();
    if (Date.now() - said.current.at < REPEAT_MS) return;
    said.current = { at: Date.now(), to: recipient };
    say({ type: "typing", recipient_id: recipient, active: true });
  };
  const canSend = (text.trim() !== "" || ready === true) && [...text].length <= maxCharacters;
  const send = () => {
    if (!canSend) return;
    said.current = { at: 0, to: 0 }; // the message itself ends it
    keepDraft(place, "");
    onSend(text.trim());
    area.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter" && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      send();
    } else if (event.key === "ArrowUp" && !text && onUp) {
      event.preventDefault();
      onUp();
    } else if (event.key === "Escape" && onEscape) {
      event.preventDefault();
      onEscape();
    }
  };
  return (
    <form
      className="say"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {children({
        send,
        canSend,
        area: (
          <textarea
            ref={area}
            rows={rows}
            aria-label={label}
            placeholder={placeholder}
            value={text}
            onChange={(event) => write(event.target.value)}
            onKeyDown={onKeyDown}
            onBlur={stopTyping}
          />
        ),
      })}
    </form>
  );
}
