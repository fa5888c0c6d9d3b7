// The server's words for what the screens show.
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Person = Omit<Schemas["Person"], "is_admin"> & { is_admin?: boolean; online?: boolean; last_seen_at?: string | null };
export type Me = Schemas["Me"];
export type Failure = Schemas["Failure"];
export type Table = Schemas["DocumentTable"];
export type PageHits = Schemas["PageHits"];
export type SearchContext = Schemas["SearchContext"];
export type DocumentSearch = Schemas["DocumentSearchAnswer"];

export type SnippetPart = Schemas["SnippetPiece"];
export type Attachment = Schemas["Attachment"];

export type Message = Schemas["Message"];

export interface Conversation extends Omit<Schemas["Conversation"], "last_message" | "user"> {
  user: Person;
  last_message: Message;
}

export type Reader = Schemas["Reader"];
export type Document = Schemas["Document"];
export type DocumentDetails = Schemas["DocumentDetails"];
export type DocumentList = Schemas["DocumentPage"];
export type Counts = Schemas["Counts"];
export type PageSize = Schemas["PageSize"];

export type PageText = Schemas["Page"];
export type PageWord = Schemas["PageWord"];
export type Boot = Schemas["Boot"];
export type Found = Schemas["SearchPage"]["results"][number];
export type Totals = Schemas["Totals"];
export type SessionInfo = Schemas["SessionInfo"];
export type AuditEntry = Schemas["AuditEntry"];
