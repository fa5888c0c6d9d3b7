// What a message is about, and where an answer to it goes.
import type { Attachment, Message } from "../api";

const isSame = (one: Attachment, other: Attachment) => one.document_id === other.document_id && one.page === other.page && one.match === other.match;

/** The place that the last words are about, if the other person spoke of it: an answer goes there too. */
export function placeToAnswer(messages: Message[], other: number): Attachment | null {
  const place = messages.at(-1)?.attachment;
  if (!place?.available) return null;
  const asked = messages.some(({ sender_id, attachment }) => sender_id === other && attachment && isSame(attachment, place));
  return asked ? place : null;
}

/** How each message shows its place: as a card the first time, later in a line, and not at all right after words about the same. */
export function placesShown(messages: Message[]): Map<number, "card" | "line" | "no"> {
  const shown = new Map<number, "card" | "line" | "no">();
  const seen = new Set<string>();
  let before: Attachment | null = null;
  for (const { id, attachment, content } of messages) {
    if (attachment) {
      const place = `${attachment.document_id} ${attachment.page} ${attachment.match}`;
      shown.set(id, !content || !seen.has(place) ? "card" : before && isSame(before, attachment) ? "no" : "line");
      seen.add(place);
    }
    before = attachment;
  }
  return shown;
}
