// The query cache, and what events write into it.
import { type InfiniteData, QueryClient } from "@tanstack/react-query";
import { ApiError, type Conversation, type Document, type DocumentDetails, type DocumentList, type Message } from "../api";
import { createStore } from "../ui/store";
import { arrived } from "./outbox";
import type { Frame } from "./socket";

export interface Thread {
  messages: Message[];
  older: boolean; // there are more before
  newer: boolean; // and after: the thread was opened in the middle
}

export type Conversations = InfiniteData<{ conversations: Conversation[]; next_cursor: string | null }>;

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: Number.POSITIVE_INFINITY, // events tell what changes
      gcTime: 10 * 60_000,
      refetchOnWindowFocus: false,
      retry: (count, error) => count < 3 && error instanceof ApiError && (error.status === 0 || error.status >= 502),
    },
  },
});

export const unread = createStore(0);
export const progress = createStore<Record<number, { page: number; pages: number }>>({});
export const presence = createStore<Record<number, { online: boolean; last_seen_at: string | null }>>({});
export const typing = createStore<Record<number, number>>({}); // until when, by user
export const lastAnnouncement = createStore<{ content: string; sender_name: string | null } | null>(null);

const TYPING_MS = 6_000;
let me = 0;
let onIncoming: (message: Message) => void = () => {};

let taken = 0; // events so far

/** What *ask* answers; asked again if an event came meanwhile, which the answer may be without. */
export async function upToDate<T>(ask: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    const before = taken;
    const answer = await ask();
    if (taken === before || tries === 3) return answer;
  }
}

export function followAs(user: number, whenIncoming: (message: Message) => void): void {
  me = user;
  onIncoming = whenIncoming;
}

// Messages

export function partnerOf(message: Pick<Message, "sender_id" | "recipient_id">): number {
  return message.sender_id === me ? message.recipient_id : message.sender_id;
}

/** Put a message into its thread, at its place; one that is there is replaced. */
export function insert(message: Message): void {
  queries.setQueryData<Thread>(["messages", partnerOf(message)], (thread) => {
    if (!thread) return thread;
    const at = thread.messages.findIndex((other) => other.id >= message.id);
    if (at >= 0 && thread.messages[at]!.id === message.id) return { ...thread, messages: thread.messages.with(at, message) };
    if (at < 0) return thread.newer ? thread : { ...thread, messages: [...thread.messages, message] };
    return { ...thread, messages: thread.messages.toSpliced(at, 0, message) };
  });
}

function change(id: number, partner: number | null, by: (message: Message) => Message): void {
  const all = queries.getQueriesData<Thread>({ queryKey: partner === null ? ["messages"] : ["messages", partner] });
  for (const [key, thread] of all) {
    if (!thread?.messages.some((message) => message.id === id)) continue;
    const messages = thread.messages.map((message) => (message.id === id ? by(message) : message));
    queries.setQueryData<Thread>(key, { ...thread, messages });
  }
  for (const [key, messages] of queries.getQueriesData<Message[]>({ queryKey: ["talk"] })) {
    if (!messages?.some((message) => message.id === id)) continue;
    queries.setQueryData(key, messages.map((message) => (message.id === id ? by(message) : message)));
  }
  changeConversations((conversation) =>
    conversation.last_message.id === id
      ? { ...conversation, last_message: by(conversation.last_message) }
      : conversation,
  );
}

export function changeConversations(by: (conversation: Conversation) => Conversation): void {
  queries.setQueryData<Conversations>(["conversations"], (data) => {
    if (!data) return data;
    const pages = data.pages.map((page) => {
      const conversations = page.conversations.map(by);
      return conversations.every((conversation, index) => conversation === page.conversations[index])
        ? page
        : { ...page, conversations };
    });
    return { ...data, pages };
  });
}

function toTop(message: Message): void {
  const partner = partnerOf(message);
  const data = queries.getQueryData<Conversations>(["conversations"]);
  if (!data) return;
  const found = data.pages.flatMap((page) => page.conversations).find(({ user }) => user.id === partner);
  if (!found) return void queries.invalidateQueries({ queryKey: ["conversations"] });
  if (found.last_message.id >= message.id) return;
  const moved: Conversation = {
    ...found,
    last_message: message,
    unread_count: message.sender_id === me ? found.unread_count : found.unread_count + 1,
  };
  const pages = data.pages.map((page, index) => {
    const others = page.conversations.filter(({ user }) => user.id !== partner);
    return { ...page, conversations: index === 0 ? [moved, ...others] : others };
  });
  queries.setQueryData<Conversations>(["conversations"], { ...data, pages });
}

function takeMessage(frame: Frame): void {
  const message: Message = {
    id: frame["id"],
    sender_id: frame["sender_id"],
    recipient_id: frame["recipient_id"],
    content: frame["content"] ?? "",
    created_at: frame["timestamp"],
    sender_name: frame["sender_name"],
    client_id: frame["client_id"],
    attachment: frame["attachment"] ?? null,
    edited_at: frame["edited_at"] ?? null,
    deleted_at: frame["deleted"] ? frame["timestamp"] : null,
  };
  insert(message);
  arrived(message.client_id);
  if (message.attachment) {
    const id = message.attachment.document_id;
    queries.setQueryData<Message[]>(["talk", id], (talk) =>
      talk && !talk.some((other) => other.id === message.id) ? [...talk, message] : talk,
    );
    changeDocuments(id, (document) => ({
      ...document,
      message_count: (document.message_count ?? 0) + 1,
      unread_count: (document.unread_count ?? 0) + (message.sender_id === me ? 0 : 1),
    }));
  }
  if (message.sender_id !== me) {
    unread.set((count) => count + 1);
    typing.set(({ [message.sender_id]: _, ...others }) => others);
    onIncoming(message);
  }
  toTop(message);
}

// Documents

export function changeDocuments(id: number, by: (document: Document) => Document): void {
  queries.setQueriesData<InfiniteData<DocumentList>>({ queryKey: ["documents"] }, (data) => {
    if (!data) return data;
    const change = (document: Document) => (document.id === id ? by(document) : document);
    return { ...data, pages: data.pages.map((page) => ({ ...page, documents: page.documents.map(change) })) };
  });
  queries.setQueryData<DocumentDetails>(["document", id], (document) => document && { ...document, ...by(document) });
}

export function forgetDocument(id: number): void {
  queries.setQueriesData<InfiniteData<DocumentList>>({ queryKey: ["documents"] }, (data) => {
    if (!data) return data;
    const kept = (page: DocumentList) => page.documents.filter((document) => document.id !== id);
    return { ...data, pages: data.pages.map((page) => ({ ...page, documents: kept(page) })) };
  });
  queries.setQueryData<Document[]>(["coming-in"], (all) => all?.filter((document) => document.id !== id));
}

let soon: ReturnType<typeof setTimeout> | undefined;

/** Load the library's lists again, once for many events. */
export function reloadLibrary(): void {
  clearTimeout(soon);
  soon = setTimeout(() => {
    void queries.invalidateQueries({ queryKey: ["documents"] });
    void queries.invalidateQueries({ queryKey: ["coming-in"] });
  }, 120);
}

// Frames

export function takeEvent(frame: Frame): void {
  taken++;
  const id = frame["document_id"] as number;
  switch (frame.type) {
    case "message":
      return takeMessage(frame);
    case "edited":
      return change(frame["id"], null, (message) => ({
        ...message,
        content: frame["content"] ?? "",
        edited_at: frame["edited_at"],
      }));
    case "deleted":
      return change(frame["id"], null, (message) => ({
        ...message,
        content: "",
        attachment: null,
        deleted_at: frame["deleted_at"] ?? new Date().toISOString(),
      }));
    case "announcement":
      return lastAnnouncement.set({ content: frame["content"], sender_name: frame["sender_name"] });
    case "document.changed":
      if (frame["filename"]) changeDocuments(id, (document) => ({ ...document, filename: frame["filename"] }));
      return reloadLibrary();
    case "document.deleted":
    case "document.unshared":
      forgetDocument(id);
      void queries.invalidateQueries({ queryKey: ["document", id] });
      markUnavailable(id);
      return reloadLibrary();
    case "document.ready":
    case "document.failed":
      progress.set(({ [id]: _, ...others }) => others);
      for (const kind of ["document", "pages", "page-text", "tables"]) {
        void queries.invalidateQueries({ queryKey: [kind, id] });
      }
      return reloadLibrary();
    default: // document.added, document.shared, and what comes later
      if (frame.type.startsWith("document.")) {
        void queries.invalidateQueries({ queryKey: ["document", id] });
        void queries.invalidateQueries({ queryKey: ["shares", id] });
        reloadLibrary();
      }
  }
}

/** What I read was perhaps said about documents that are marked as new. */
function forgetNewTalk(): void {
  const lists = queries.getQueriesData<InfiniteData<DocumentList>>({ queryKey: ["documents"] });
  const known = lists.flatMap(([, data]) => data?.pages.flatMap(({ documents }) => documents) ?? []);
  const open = queries.getQueriesData<DocumentDetails>({ queryKey: ["document"] });
  for (const [key, document] of open) if (document?.unread_count) void queries.invalidateQueries({ queryKey: key });
  if (known.some(({ unread_count }) => unread_count)) reloadLibrary();
}

/** Cards of a document that I may not read any more say so. */
function markUnavailable(id: number): void {
  for (const [key, thread] of queries.getQueriesData<Thread>({ queryKey: ["messages"] })) {
    if (!thread?.messages.some((message) => message.attachment?.document_id === id)) continue;
    const messages = thread.messages.map((message) =>
      message.attachment?.document_id === id
        ? { ...message, attachment: { ...message.attachment, available: false } }
        : message,
    );
    queries.setQueryData<Thread>(key, { ...thread, messages });
  }
}

export function takeOther(frame: Frame): void {
  const user = frame["user_id"] as number;
  switch (frame.type) {
    case "presence":
      return presence.set((all) => ({
        ...all,
        [user]: { online: frame["status"] === "online", last_seen_at: frame["last_seen_at"] },
      }));
    case "typing":
      typing.set(({ [user]: _, ...others }) => (frame["active"] ? { ...others, [user]: Date.now() + TYPING_MS } : others));
      if (frame["active"]) {
        setTimeout(() => {
          if ((typing.get()[user] ?? 0) <= Date.now()) typing.set(({ [user]: _, ...others }) => others);
        }, TYPING_MS + 50);
      }
      return;
    case "read": // a frame for both people: who read what whom wrote
      return changeConversations((conversation) =>
        user !== me && conversation.user.id === user && frame["other_id"] === me
          ? { ...conversation, their_read_up_to_id: Math.max(conversation.their_read_up_to_id, frame["up_to_id"]) }
          : conversation,
      );
    case "unread":
      unread.set(frame["total"] as number);
      forgetNewTalk();
      return changeConversations((conversation) =>
        conversation.user.id === user
          ? { ...conversation, unread_count: frame["unread_count"], read_up_to_id: frame["read_up_to_id"] }
          : conversation,
      );
    case "document.progress":
      return progress.set((all) => ({
        ...all,
        [frame["document_id"] as number]: { page: frame["page"], pages: frame["pages"] },
      }));
  }
}

/** The server is back: what it did not answer meanwhile is asked once more. */
export function askAgain(): void {
  void queries.refetchQueries({ type: "active", predicate: ({ state }) => state.error instanceof ApiError && (state.error.status === 0 || state.error.status >= 502) });
}

export function reloadEverything(): void {
  void queries.invalidateQueries();
}
