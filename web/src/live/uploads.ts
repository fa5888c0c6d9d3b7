// PDFs on their way to the server: checked, sent with progress, and cancelled. From 202 on they are rows of the library.
import { deleteDocument, findSame } from "../api";
import { createStore } from "../ui/store";
import { reloadLibrary } from "./cache";

export interface Upload {
  key: string;
  file: File;
  state: "waiting" | "checking" | "twin" | "sending" | "refused";
  sent: number; // bytes
  twin?: number; // the document that has these bytes
  document?: number; // that it has become: the server reads it
  why?: "too_large" | "not_pdf" | "empty" | "no_answer" | "other";
  detail?: string;
}

const AT_ONCE = 2;
const HASHED_BYTES = 64 * 1024 * 1024; // what the browser hashes in memory

export const uploads = createStore<Upload[]>([]);
const requests = new Map<string, XMLHttpRequest>();
export let limitMegabytes = 50;

export function limitUploads(megabytes: number): void {
  limitMegabytes = megabytes;
}

function update(key: string, change: Partial<Upload>): void {
  uploads.set((all) => all.map((upload) => (upload.key === key ? { ...upload, ...change } : upload)));
}

function find(key: string): Upload | undefined {
  return uploads.get().find((upload) => upload.key === key);
}

/** Stop it, wherever it is: on its way, or at the server already. */
export function cancel(key: string): void {
  const upload = find(key);
  const request = requests.get(key);
  const remove = (document: number) =>
    void deleteDocument(document).finally(() => {
      reloadLibrary();
      dismiss(key); // not before it is gone: who reloads now would have it
    });
  if (upload?.document !== undefined) return remove(upload.document);
  if (!request || !upload || upload.sent < upload.file.size) return dismiss(key);
  // The server has all of it: it goes when the answer says what it has become.
  request.onload = () => (request.status < 300 ? remove(documentOf(request)) : dismiss(key));
  request.onerror = () => dismiss(key);
}

function documentOf(request: XMLHttpRequest): number {
  return (JSON.parse(request.responseText) as { document_id: number }).document_id;
}

export function dismiss(key: string): void {
  requests.get(key)?.abort();
  requests.delete(key);
  uploads.set((all) => all.filter((upload) => upload.key !== key));
  startNext();
}

/** None of them is sent any more. */
export function dropUploads(): void {
  uploads.set([]);
  for (const request of requests.values()) request.abort();
  requests.clear();
}

export function addFiles(files: Iterable<File>): void {
  const added = Array.from(files, (file): Upload => ({ key: crypto.getRandomValues(new Uint32Array(4)).join("-"), file, state: "checking", sent: 0 }));
  if (!added.length) return;
  uploads.set((all) => [...all, ...added]);
  for (const upload of added) void check(upload);
}

async function hash(file: File): Promise<string> {
  if (!crypto.subtle) return (await import("./sha256")).sha256(file); // over plain http
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Refuse before a byte is sent; ask about bytes that are here already. */
async function check(upload: Upload): Promise<void> {
  const { file, key } = upload;
  if (file.size > limitMegabytes * 1024 * 1024) return update(key, { state: "refused", why: "too_large" });
  if (file.size === 0) return update(key, { state: "refused", why: "empty" });
  try {
    const head = new Uint8Array(await file.slice(0, 1024).arrayBuffer());
    if (!new TextDecoder("latin1").decode(head).includes("%PDF-")) {
      return update(key, { state: "refused", why: "not_pdf" });
    }
    if (file.size <= HASHED_BYTES) {
      const hex = await hash(file);
      const same = await findSame(hex).then(({ documents }) => documents[0], () => undefined);
      if (same?.sha256 === hex) return update(key, { state: "twin", twin: same.id });
    }
  } catch {
    return update(key, { state: "refused", why: "other" }); // a folder, or a file that was moved meanwhile
  }
  update(key, { state: "waiting" });
  startNext();
}

export function keepBoth(key: string): void {
  update(key, { state: "waiting", twin: -1 });
  startNext();
}

export function startNext(): void {
  for (const upload of uploads.get()) {
    if (requests.size >= AT_ONCE) return;
    if (upload.state === "waiting") transmit(upload);
  }
}

function transmit(upload: Upload): void {
  const { key, file } = upload;
  const request = new XMLHttpRequest();
  requests.set(key, request);
  update(key, { state: "sending", sent: 0 });
  const form = new FormData();
  form.append("client_id", key.slice(0, 64));
  form.append("file", file, file.name);
  request.upload.onprogress = ({ loaded }) => update(key, { sent: Math.min(loaded, file.size) });
  request.onload = () => finish(key, request);
  request.onerror = () => fail(key, { why: "no_answer" });
  request.open("POST", "/upload-pdf");
  request.setRequestHeader("Prefer", "respond-async");
  request.send(form);
}

function finish(key: string, request: XMLHttpRequest): void {
  if (request.status < 300) {
    reloadLibrary();
    requests.delete(key);
    update(key, { document: documentOf(request) });
    setTimeout(() => dismiss(key), 400); // its row of the library takes over
    return startNext();
  }
  let detail = "";
  try {
    const body = JSON.parse(request.responseText) as { detail: unknown };
    detail = typeof body.detail === "string" ? body.detail : "";
  } catch {
    // a proxy's own page
  }
  fail(key, request.status === 413 ? { why: "too_large" } : { why: "other", detail });
}

function fail(key: string, reason: Pick<Upload, "why" | "detail">): void {
  requests.delete(key);
  if (find(key)) update(key, { state: "refused", ...reason });
  startNext();
}

export function tryAgain(key: string): void {
  update(key, { state: "waiting", sent: 0 });
  startNext();
}

/** Whether leaving the page would lose one of them. */
export function areUploadsUnderWay(): boolean {
  return requests.size > 0 || uploads.get().some(({ state }) => state === "checking" || state === "waiting");
}

window.addEventListener("beforeunload", (event) => {
  if (areUploadsUnderWay()) event.preventDefault();
});
