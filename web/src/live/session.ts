// Who is signed in, from one question at the start; and what begins and ends with it.
import { type Boot, type Me, boot, onSignedOut } from "../api";
import { keep } from "../ui/storage";
import { createStore } from "../ui/store";
import { type Thread, askAgain, followAs, insert, queries, reloadEverything, takeEvent, takeOther, unread } from "./cache";
import { announce } from "./notify";
import { arrived, forgetUnderWay, openOutbox, sendWaiting } from "./outbox";
import { close, open } from "./socket";
import { dropUploads, limitUploads } from "./uploads";

export type Session =
  | { state: "loading" }
  | { state: "unreachable" }
  | { state: "out"; boot: Boot }
  | { state: "in"; me: Me; boot: Boot; expired: boolean };

/** Who was signed in here last; tells the other tabs of somebody else. */
export const USER = "pagewire.user";

export const session = createStore<Session>({ state: "loading" });

export async function begin(): Promise<void> {
  try {
    enter(await boot());
  } catch {
    session.set((was) => (was.state === "in" ? was : { state: "unreachable" }));
  }
}

/** After boot and after signing in; the socket goes on where it was if it is the same person. */
export function enter(answer: Boot): void {
  const was = session.get();
  if (!answer.user) {
    if (was.state !== "in") session.set({ state: "out", boot: answer });
    return;
  }
  const me = answer.user;
  if (was.state === "in" && was.me.id !== me.id) return makeWay();
  keep(USER, String(me.id));
  limitUploads(answer.installation.max_upload_mb);
  unread.set(answer.unread.messages);
  followAs(me.id, announce);
  openOutbox(me.id, (entry, ack) => {
    arrived(entry.client_id);
    if (ack["duplicate"]) return void queries.invalidateQueries({ queryKey: ["messages", entry.recipient_id] });
    const thread = queries.getQueryData<Thread>(["messages", entry.recipient_id]);
    if (thread?.messages.some((message) => message.id === ack["id"])) return; // the event came first
    insert({
      id: ack["id"],
      sender_id: me.id,
      recipient_id: entry.recipient_id,
      content: entry.content,
      created_at: ack["created_at"],
      sender_name: me.name,
      client_id: entry.client_id,
      attachment: null,
      edited_at: null,
      deleted_at: null,
    });
  });
  session.set({ state: "in", me, boot: answer, expired: false });
  open(me.id, answer.seq, {
    onEvent: takeEvent,
    onOther: takeOther,
    onReload: reloadEverything,
    onReady: () => {
      sendWaiting();
      askAgain();
    },
    onSignedOut: expire,
    onSomebodyElse: makeWay,
  });
  if (was.state === "in" && was.expired) reloadEverything();
}

/** The session ended elsewhere: the page stays as it is, under the door. */
export function expire(): void {
  session.set((was) => (was.state === "in" ? { ...was, expired: true } : was));
}

export function leave(): void {
  keep(USER, null);
  makeWay();
}

/** This browser is somebody else's now: nothing of the previous person stays in memory or is sent. */
function makeWay(): void {
  close(true);
  forgetUnderWay();
  dropUploads();
  session.set({ state: "loading" });
  queries.clear();
  location.assign("/app/");
}

/** Out of the browser's memory by Back or Forward; or somebody signed in in another tab. */
async function lookAgain(): Promise<void> {
  const now = session.get();
  if (now.state !== "in") return begin();
  const answer = await boot().catch(() => null); // without an answer, the socket will tell
  if (answer && answer.user?.id !== now.me.id) makeWay();
}

window.addEventListener("pageshow", ({ persisted }) => persisted && void lookAgain());
window.addEventListener("storage", ({ key, newValue }) => {
  const now = session.get();
  if (key === USER && newValue !== null && now.state === "in" && newValue !== String(now.me.id)) makeWay();
});

export function changeSelf(me: Me): void {
  session.set((was) => (was.state === "in" ? { ...was, me } : was));
}

export function useMe(): Me {
  const now = session.use();
  if (now.state !== "in") throw new Error("nobody is signed in");
  return now.me;
}

onSignedOut(() => {
  close(false);
  expire();
});
