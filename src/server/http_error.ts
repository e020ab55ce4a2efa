/**
 * From errors to HTTP: the one map, and the shape of every refusal: a line of plain text that says what is wrong.
 *
 * Nix tries again after 408, 429 and most of 5xx, and takes 401 and 407 for final, so what a client could mend by asking
 * again later is a 5xx, and what only another upload can mend is a 4xx.
 */
import {
  ClaimError,
  ConflictError,
  DamageError,
  FormatError,
  LimitError,
  MissingError,
  RemoteError,
  StoreBusyError,
  StoreFullError,
  UnsupportedError,
} from "../errors.ts";

/** An error with a status of its own. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  constructor(readonly status: number, message: string, readonly headers: Record<string, string> = {}) {
    super(message);
  }
}

/** The status that tells a client of an error. */
export function statusOf(error: unknown): number {
  if (error instanceof HttpError) return error.status;
  if (error instanceof FormatError || error instanceof ClaimError || error instanceof MissingError) {
    return 400;
  }
  if (error instanceof LimitError) return 413;
  if (error instanceof ConflictError) return 409;
  if (error instanceof StoreFullError) return 507;
  if (error instanceof StoreBusyError || error instanceof RemoteError) return 503;
  if (error instanceof UnsupportedError) return 501;
  return 500;
}

/** The answer to a request that failed. What went wrong inside is for the log, not for the client. */
export function errorResponse(error: unknown): Response {
  const status = statusOf(error);
  const known = error instanceof DamageError || (status !== 500 && !(error instanceof RemoteError));
  const failed = error instanceof RemoteError
    ? "Cannot reach a store that this server asks; its log says why" // the address may be nobody else's to know
    : "The server failed; its log says why";
  const message = known ? (error as Error).message : failed;
  const line = new TextEncoder().encode(message.replaceAll(/\s*\n\s*/g, " ") + "\n");
  return new Response(line, {
    status,
    headers: {
      "content-type": "text/plain; charset=utf-8",
      "content-length": String(line.length),
      ...(status === 507 && { "retry-after": "60" }),
      ...(error instanceof RemoteError && { "retry-after": "5" }),
      ...(error instanceof HttpError && error.headers),
    },
  });
}
