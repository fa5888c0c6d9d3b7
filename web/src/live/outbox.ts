// What I wrote and the server has not acknowledged, and what I have not sent yet. Kept by user, so that a crash or a
// closed tab loses nothing; every entry has its own client_id, so that nothing is stored twice.
import { keep, recall, recallAll } from "../ui/storage";
import { createStore } from "../ui/store";
import { type Frame, request } from "./socket";

export interface Outgoing {
  client_id: string;
  recipient_id: number;
  content: string;
  document_id?: number;
  page?: number;
  match?: string;
  share?: false; // an answer about a document, to somebody who may read it
  created_at: string;
  failed?: string; // why: an error code
  detail?: string;
}

let userId = 0;
let onSent: (entry: Outgoing, ack: Frame) => void = () => {};
const underWay = new Set<string>();
export const outbox = createStore<Outgoing[]>([]);
export const drafts = createStore<Record<string, string>>({});

const outboxKey = () => `pagewire.${userId}.outbox`;
const draftsKey = () => `pagewire.${userId}.draft.`;

function read(): Outgoing[] {
  try {
    return JSON.parse(recall(outboxKey()) ?? "[]") as Outgoing[];
  } catch {
    return [];
  }
}

/** Change what all tabs share, then what this one shows. */
function change(by: (entries: Outgoing[]) => Outgoing[]): void {
  const entries = by(read());
  keep(outboxKey(), entries.length ? JSON.stringify(entries) : null);
  outbox.set(entries);
}

/** Whose outbox this is from now on. */
export function openOutbox(user: number, whenSent: (entry: Outgoing, ack: Frame) => void): void {
  userId = user;
  onSent = whenSent;
  outbox.set(read());
  drafts.set(recallAll(draftsKey()));
}

/** Their answers do not come any more. */
export function forgetUnderWay(): void {
  underWay.clear();
}

/** Send what waits; *again* also what was refused. */
export function sendWaiting(again = false): void {
  for (const entry of outbox.get()) if (!entry.failed || again) void transmit(entry);
}

async function transmit(entry: Outgoing): Promise<void> {
  if (underWay.has(entry.client_id)) return;
  underWay.add(entry.client_id);
  const { created_at: _, failed: __, detail: ___, ...message } = entry;
  const answer = await request({ type: "message", ...message });
  underWay.delete(entry.client_id);
  if (answer.type === "ack") {
    onSent(entry, answer);
    change((entries) => entries.filter((other) => other.client_id !== entry.client_id));
  } else if (entry.share === false && answer["code"] === "document_not_found") {
    if (!read().some((other) => other.client_id === entry.client_id)) return; // it arrived, or was discarded
    discard(entry.client_id); // taken back meanwhile: what was written goes without it
    send({ recipient_id: entry.recipient_id, content: entry.content });
  } else {
    const failed = { failed: String(answer["code"]), detail: String(answer["detail"]) };
    change((entries) => entries.map((other) => (other.client_id === entry.client_id ? { ...other, ...failed } : other)));
  }
}

export function send(message: Omit<Outgoing, "client_id" | "created_at">): void {
  const client_id = globalThis.crypto.randomUUID?.() ?? Array.from(crypto.getRandomValues(new Uint32Array(4))).join("-");
  const entry = { ...message, client_id, created_at: new Date().toISOString() };
  change((entries) => [...entries, entry]);
  void transmit(entry);
}

export function sendAgain(client_id: string): void {
  change((entries) =>
    entries.map((entry) => {
      if (entry.client_id !== client_id) return entry;
      const { failed: _, detail: __, ...rest } = entry;
      return rest;
    }),
  );
  sendWaiting();
}

export function discard(client_id: string): void {
  change((entries) => entries.filter((entry) => entry.client_id !== client_id));
}

/** It arrived as an event, perhaps in another tab. */
export function arrived(client_id: string | null | undefined): void {
  if (client_id && outbox.get().some((entry) => entry.client_id === client_id)) discard(client_id);
}

/** *place* is a conversation (a user's id) or a document ("d7"). */
export function keepDraft(place: string, text: string): void {
  drafts.set(({ [place]: _, ...others }) => (text ? { ...others, [place]: text } : others));
  keep(draftsKey() + place, text || null);
}

window.addEventListener("storage", ({ key, newValue }) => {
  if (!userId || !key) return;
  if (key === outboxKey()) outbox.set(read());
  if (key.startsWith(draftsKey())) {
    const place = key.slice(draftsKey().length);
    drafts.set(({ [place]: _, ...others }) => (newValue ? { ...others, [place]: newValue } : others));
  }
});
