// The one door to the server: openapi-fetch with the server's own types, and one kind of error.
import createClient from "openapi-fetch";
import type { paths } from "./schema";

export interface FieldProblem {
  loc: (string | number)[];
  msg: string;
  type: string;
}

export class ApiError extends Error {
  constructor(
    readonly status: number, // 0: no answer
    readonly code: string,
    message: string,
    readonly problems: FieldProblem[] = [],
    readonly retryAfter: number | null = null, // seconds
  ) {
    super(message);
  }

  /** What is wrong with one field of a form. */
  about(field: string): string | undefined {
    return this.problems.find((problem) => problem.loc.at(-1) === field)?.msg;
  }
}

let whenSignedOut = () => {};

/** Called when an answer says that nobody is signed in any more. */
export function onSignedOut(listener: () => void): void {
  whenSignedOut = listener;
}

export const api = createClient<paths>({ baseUrl: "", credentials: "same-origin" });

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The data of an answer, or its error thrown. */
export async function ask<T>(asked: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>;
  try {
    answer = await asked;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "no_answer", "");
  }
  if (answer.response.ok) return answer.data as T;
  throw refusal(answer.response.status, answer.error, answer.response.headers.get("retry-after"));
}

/** An answer's body as an error; the session is over when it is a 401 that is not about a password. */
function refusal(status: number, body: unknown, retryAfter: string | null): ApiError {
  const { code = "error", detail } = (typeof body === "object" && body !== null ? body : {}) as {
    code?: string;
    detail?: string | FieldProblem[];
  };
  const problems = Array.isArray(detail) ? detail : [];
  const message = typeof detail === "string" ? detail : (problems[0]?.msg ?? "");
  if (status === 401 && ["not_authenticated", "invalid_token", "token_expired"].includes(code)) whenSignedOut();
  return new ApiError(status, code, message, problems, retryAfter === null ? null : Number(retryAfter));
}
