// The one socket of this tab, by the rules of docs/protocol.md: every event once and in order, whatever happens to it.
import { createStore } from "../ui/store";

// biome-ignore lint: frames are what the protocol page says they are
export type Frame = { type: string } & Record<string, any>;

interface Asked {
  frame: Frame;
  answer: (frame: Frame) => void;
  timer?: ReturnType<typeof setTimeout>;
}

interface Handlers {
  onEvent: (frame: Frame) => void; // durable, in order
  onOther: (frame: Frame) => void;
  onReload: () => void; // what was missed cannot be replayed
  onReady: () => void;
  onSignedOut: () => void;
  onSomebodyElse: () => void; // another account has the cookie by now
}

export interface Connection {
  on: boolean;
  since: number; // when it went, in milliseconds since 1970
  retryAt: number | null;
}

const SILENCE_MS = 30_000; // without a frame, the socket is asked whether it lives
const PONG_MS = 8_000;

export const connection = createStore<Connection>({ on: false, since: Date.now(), retryAt: null });

let handlers: Handlers | null = null;
let userId: number | undefined;
let socket: WebSocket | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;
let pulse: ReturnType<typeof setTimeout> | undefined;
let lastSeq: number | undefined;
let epoch: string | undefined;
let resuming = false;
let isReady = false;
let isOver = true;
let failures = 0;
let lastRef = 0;
let opened = 0;
const unanswered = new Map<number, Asked>();

function transmit(frame: Frame): void {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
}

function resume(): void {
  if (resuming || lastSeq === undefined) return; // a first visit starts from `ready`
  resuming = true;
  transmit({ type: "resume", last_seq: lastSeq, ...(epoch === undefined ? {} : { epoch }) });
}

function settle(frame: Frame): void {
  const asked = unanswered.get(frame["ref"] as number);
  if (!asked) return handlers?.onOther(frame);
  if (frame.type === "error" && frame["retry_after"] !== null) {
    clearTimeout(asked.timer);
    asked.timer = setTimeout(() => isReady && transmit(asked.frame), 1000 * Number(frame["retry_after"]));
    return;
  }
  clearTimeout(asked.timer);
  unanswered.delete(frame["ref"] as number);
  asked.answer(frame);
}

function take(frame: Frame): void {
  if (frame.type === "ready" && frame["user_id"] !== userId) return handlers?.onSomebodyElse();
  if ("epoch" in frame) epoch = frame["epoch"] as string;
  if ("prev" in frame) {
    if (lastSeq === undefined || frame["seq"] <= lastSeq) return;
    if (frame["prev"] !== lastSeq) return resume();
    lastSeq = frame["seq"] as number;
    return handlers?.onEvent(frame);
  }
  if (frame.type === "ack" || frame.type === "error") return settle(frame);
  const isNew = frame.type === "resync" || (frame.type === "ready" && lastSeq === undefined);
  if (isNew) {
    lastSeq = frame["seq"] as number;
    handlers?.onReload();
  }
  if (isNew || frame["resumed"]) {
    resuming = false;
    if (!isReady) {
      isReady = true;
      failures = 0;
      connection.set({ on: true, since: Date.now(), retryAt: null });
      for (const { frame: asked } of unanswered.values()) transmit(asked);
      handlers?.onReady();
    }
  } else if (frame.type !== "ready" && frame.type !== "epoch" && frame.type !== "pong") handlers?.onOther(frame);
}

function listenForLife(): void {
  clearTimeout(pulse);
  pulse = setTimeout(() => {
    transmit({ type: "ping" });
    pulse = setTimeout(() => socket && drop(socket, 1006, ""), PONG_MS);
  }, SILENCE_MS);
}

function drop(mine: WebSocket, code: number, reason: string): void {
  if (mine !== socket) return;
  socket = undefined;
  mine.close();
  clearTimeout(pulse);
  const wasReady = isReady;
  isReady = resuming = false;
  if (isOver) return;
  if (code === 4401 || code === 4403) {
    isOver = true;
    connection.set({ on: false, since: Date.now(), retryAt: null });
    return handlers?.onSignedOut();
  }
  if (wasReady && Date.now() - opened > 10_000) failures = 0;
  const told = Number(/retry_after=(\d+)/.exec(reason)?.[1] ?? Math.min(30, 0.5 * 2 ** failures++));
  const wait = 1000 * told * (0.5 + Math.random());
  connection.set((was) => ({ on: false, since: was.on ? Date.now() : was.since, retryAt: Date.now() + wait }));
  timer = setTimeout(connect, wait);
}

function connect(): void {
  clearTimeout(timer);
  if (isOver || socket) return;
  const mine = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/ws`, ["pagewire.v2"]);
  socket = mine;
  opened = Date.now();
  mine.onopen = () => {
    resume();
    listenForLife();
  };
  mine.onmessage = ({ data }) => {
    if (mine !== socket) return;
    listenForLife();
    take(JSON.parse(data as string) as Frame);
  };
  mine.onclose = ({ code, reason }) => drop(mine, code, reason);
}

/** Begin after event *seq* of *user*; null starts from what `ready` says. */
export function open(user: number, from: number | null, by: Handlers): void {
  handlers = by;
  userId = user;
  isOver = false;
  lastSeq ??= from ?? undefined;
  connect();
}

/** For good, or until `open`; with *forget*, what was seen so far counts no more. */
export function close(forget: boolean): void {
  isOver = true;
  clearTimeout(timer);
  clearTimeout(pulse);
  socket?.close(1000);
  socket = undefined;
  isReady = resuming = false;
  if (!forget) return;
  lastSeq = epoch = undefined;
  unanswered.clear();
}

/** Do not wait for the next try. */
export function retryNow(): void {
  if (!isOver && !socket) connect();
}

/** Resolves to the ack or the error, however many sockets it takes. */
export function request(frame: Frame): Promise<Frame> {
  const asked = { ...frame, ref: ++lastRef };
  if (isReady) transmit(asked);
  return new Promise((answer) => unanswered.set(asked.ref, { frame: asked, answer }));
}

/** Not answered unless it is wrong; lost if there is no connection. */
export function say(frame: Frame): void {
  if (isReady) transmit(frame);
}

window.addEventListener("online", retryNow);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState !== "visible") return;
  if (!isReady) connection.set((was) => ({ ...was, since: Date.now() })); // a tab that wakes only reconnects
  retryNow();
  if (isReady) {
    transmit({ type: "ping" });
    clearTimeout(pulse);
    pulse = setTimeout(() => socket && drop(socket, 1006, ""), PONG_MS);
  }
});
