// Every question that the screens ask the server, by name.
import { api, ask } from "./client";
import type * as T from "./types";

export { ApiError, onSignedOut } from "./client";
export type * from "./types";

// The door

/** Of a first visit from another machine: the code that the server's log has, from the address. */
const setupCode = new URLSearchParams(location.search).get("setup_code") ?? undefined;

export const boot = () => ask(api.GET("/session", { params: { query: { setup_code: setupCode } } }));
export const signIn = (body: { email: string; password: string; keep: boolean }) => ask(api.POST("/session", { body }));
export const signOut = () => ask(api.DELETE("/session"));
export const register = (body: { email: string; password: string; name: string; setup_code?: string }) =>
  ask(api.POST("/register", { body: { setup_code: setupCode, ...body, session: true } }));
export const forgotPassword = (email: string) => ask(api.POST("/forgot-password", { body: { email } }));
export const resetPassword = (token: string, password: string) => ask(api.POST("/reset-password", { body: { token, password } }));
export const confirmEmail = (token: string) => ask(api.POST("/confirm-email", { body: { token } }));

// Documents

export interface DocumentFilter {
  show: "all" | "mine" | "shared" | "failed";
  sort: "created_at" | "filename" | "page_count" | "file_size";
  order: "asc" | "desc";
  q: string;
}

export const listDocuments = (filter: DocumentFilter, cursor: string | null, signal?: AbortSignal) =>
  ask(
    api.GET("/documents", {
      params: {
        query: {
          limit: 50,
          cursor,
          sort: filter.sort,
          order: filter.order,
          q: filter.q || undefined,
          owner: filter.show === "mine" ? "me" : filter.show === "shared" ? "others" : undefined,
          status: filter.show === "failed" ? "failed" : undefined,
        },
      },
      ...(signal ? { signal } : {}),
    }),
  );
export const listComingIn = async (): Promise<T.Document[]> => {
  const list = (status: "processing" | "failed") =>
    ask(api.GET("/documents", { params: { query: { status, limit: 50, owner: "me" } } }));
  const [processing, failed] = await Promise.all([list("processing"), list("failed")]);
  return [...processing.documents, ...failed.documents];
};
export const findSame = (sha256: string) => ask(api.GET("/documents", { params: { query: { sha256, limit: 1 } } }));
export const readDocument = (document_id: number) =>
  ask(api.GET("/documents/{document_id}", { params: { path: { document_id } } })) as Promise<T.DocumentDetails>;
export const listPages = (document_id: number) =>
  ask(api.GET("/documents/{document_id}/pages", { params: { path: { document_id } } })).then((answer) => answer.pages);
export const readPage = (document_id: number, page_number: number, words: boolean) =>
  ask(
    api.GET("/documents/{document_id}/pages/{page_number}", {
      params: { path: { document_id, page_number }, query: { words } },
    }),
  ) as Promise<T.PageText>;
export const findInDocument = async (document_id: number, q: string): Promise<T.DocumentSearch> => {
  const path = { document_id };
  const first = await ask(
    api.GET("/documents/{document_id}/search", { params: { path, query: { q, limit: 200 } } }),
  );
  let { next_cursor } = first;
  while (next_cursor) {
    const more = await ask(
      api.GET("/documents/{document_id}/search", {
        params: { path, query: { q, limit: 200, cursor: Number(next_cursor) } },
      }),
    );
    first.matches_by_page.push(...more.matches_by_page);
    next_cursor = more.next_cursor;
  }
  return first;
};
export const listTables = (document_id: number, merge: boolean): Promise<T.Table[]> =>
  ask(api.GET("/documents/{document_id}/tables", { params: { path: { document_id }, query: { merge } } })).then(
    ({ tables }) => tables as T.Table[], // a span is four numbers, which the description's tuple does not say here
  );
export const renameDocument = (document_id: number, filename: string) =>
  ask(api.PATCH("/documents/{document_id}", { params: { path: { document_id } }, body: { filename } }));
export const deleteDocument = (document_id: number) =>
  ask(api.DELETE("/documents/{document_id}", { params: { path: { document_id } } }));
export const readAgain = (document_id: number, password?: string) =>
  ask(api.POST("/documents/{document_id}/read", { params: { path: { document_id } }, body: password === undefined ? {} : { password } }));
export const listShares = (document_id: number) =>
  ask(api.GET("/documents/{document_id}/shares", { params: { path: { document_id }, query: { limit: 200 } } })).then(
    ({ shares }) => shares.map(({ user }) => user),
  );
export const unshare = (document_id: number, user_id: number) =>
  ask(api.DELETE("/documents/{document_id}/shares/{user_id}", { params: { path: { document_id, user_id } } }));
/** What was said about a document, oldest first. */
export const listTalk = (document_id: number): Promise<T.Message[]> =>
  ask(
    api.GET("/documents/{document_id}/messages", { params: { path: { document_id }, query: { limit: 200 } } }),
  ).then(({ messages }) => messages.reverse());

/** A page's picture; *version* makes its address one that never changes. */
export function picture(document: number, page: number, width: number, version: string | null | undefined): string {
  return `/documents/${document}/pages/${page}/image?width=${width}&format=webp${version ? `&v=${version.slice(0, 8)}` : ""}`;
}

// People and messages

export const listPeople = (q: string) =>
  ask(api.GET("/users", { params: { query: { q: q || undefined, limit: 50 } } })) as Promise<T.Person[]>;
export async function listPeopleFrom(q: string, cursor: number | null): Promise<{ people: T.Person[]; next_cursor: number | null }> {
  const asked = api.GET("/users", { params: { query: { q: q || undefined, limit: 50, cursor } } });
  const people = (await ask(asked)) as T.Person[];
  return { people, next_cursor: Number((await asked).response.headers.get("X-Next-Cursor")) || null };
}
export const readPerson = (user_id: number) =>
  ask(api.GET("/users/{user_id}", { params: { path: { user_id } } })) as Promise<T.Person>;
export const listConversations = (cursor: string | null) =>
  ask(api.GET("/conversations", { params: { query: { limit: 100, cursor } } })) as Promise<{
    conversations: T.Conversation[];
    next_cursor: string | null;
  }>;
export const listMessages = (
  user_id: number,
  query: { before?: number; after?: number; around?: number; limit: number },
): Promise<T.Message[]> => ask(api.GET("/messages/{user_id}", { params: { path: { user_id }, query } }));
export interface SearchFilter {
  q: string;
  type?: "page" | "message";
  from?: number;
  document_id?: number;
  sort?: "newest";
}
export const search = (
  filter: SearchFilter,
  cursor: string | null,
  signal?: AbortSignal,
) => ask(api.GET("/search", { params: { query: { ...filter, cursor, limit: 30 } }, ...(signal ? { signal } : {}) }));

// You

export const readMe = () => ask(api.GET("/me"));
export const changeMe = (body: { name?: string; email?: string; current_password?: string }) => ask(api.PATCH("/me", { body }));
export const changePassword = (body: { current_password: string; new_password: string }) => ask(api.POST("/me/password", { body }));
export const deleteMe = (password: string) => ask(api.DELETE("/me", { body: { password } }));
export const listSessions = () => ask(api.GET("/sessions", { params: { query: { limit: 200 } } })).then(({ sessions }) => sessions);
export const endSession = (session_id: number) => ask(api.DELETE("/sessions/{session_id}", { params: { path: { session_id } } }));
export const listKeys = () => ask(api.GET("/api-keys", { params: { query: { limit: 200 } } })).then(({ api_keys }) => api_keys);
export const makeKey = (body: { name: string; read_only: boolean }) => ask(api.POST("/api-keys", { body: { admin: false, ...body } }));
export const revokeKey = (key_id: number) => ask(api.DELETE("/api-keys/{key_id}", { params: { path: { key_id } } }));

// Admin

export const makePerson = (body: { name: string; email: string; password?: string }) => ask(api.POST("/users", { body: { is_admin: false, ...body } }));
export const setAdmin = ({ id, email, name }: T.Person, is_admin: boolean) =>
  ask(api.PUT("/users/{user_id}", { params: { path: { user_id: id } }, body: { email, name, is_admin } }));
export const deletePerson = (user_id: number) => ask(api.DELETE("/users/{user_id}", { params: { path: { user_id } } }));
/** A link by which they choose a password, once. */
export const resetPerson = (user_id: number) => ask(api.POST("/users/{user_id}/reset", { params: { path: { user_id } } }));
export const listAudit = (cursor: string | null) => ask(api.GET("/admin/audit", { params: { query: { limit: 50, cursor: cursor === null ? undefined : Number(cursor) } } }));
export const broadcast = (content: string) => ask(api.POST("/admin/broadcast", { body: { content } }));
