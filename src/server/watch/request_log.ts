/**
 * A line of the log for each request: a JSON object, or words for people. Either is one line, whatever a client sent: what could
 * end it, or act on a terminal, is escaped, and what is long is cut.
 */

export interface RequestEntry {
  readonly at: Date;
  /** `http` or `grpc`. */
  readonly protocol: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** Of a call. */
  readonly code?: number;
  /** Bytes of the bodies. */
  readonly received: number;
  readonly sent: number;
  readonly ms: number;
  readonly address?: string;
  /** The id of a token. */
  readonly token?: string;
  /** The client left, or the answer broke, before all was handed on. */
  readonly ended?: "left" | "broken";
  /** What was stored. */
  readonly did?: string;
  readonly error?: { readonly kind: string; readonly message: string };
}

export type LogFormat = "json" | "text";

const LONGEST_PATH = 1024;
const LONGEST_TEXT = 4096;

/** Controls and separators of lines that JSON leaves as they are, and marks that turn the direction of what follows. */
// deno-lint-ignore no-control-regex -- that is what it is for
const ACTING = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** Most texts. */
const PLAIN = /^[ -~]*$/;
const WORD = /^[!-~]*$/;

/** A text that cannot end a line or act on a terminal, at most so long. */
export function harmless(text: string, longest = LONGEST_TEXT): string {
  if (text.length <= longest && PLAIN.test(text)) return text;
  const cut = text.length > longest ? text.slice(0, longest) + "…" : text;
  return cut.toWellFormed().replaceAll(ACTING, escaped);
}

function escaped(character: string): string {
  if (character === "\n") return "\\n";
  return "\\u" + character.charCodeAt(0).toString(16).padStart(4, "0");
}

/** The line of a request. */
export function requestLine(entry: RequestEntry, format: LogFormat): string {
  return format === "json" ? jsonLine(entry) : textLine(entry);
}

/** The line of what is not of one request. */
export function plainLine(at: Date, message: string, format: LogFormat): string {
  const text = harmless(message, 4 * LONGEST_TEXT);
  return format === "json" ? JSON.stringify({ time: isoTime(at), message: text }) : `${isoTime(at)} ${text}`;
}

function jsonLine(entry: RequestEntry): string {
  const { at, protocol, method, path, status, code, received, sent, ms, address, token, ended, did, error } =
    entry;
  return JSON.stringify({
    time: isoTime(at),
    method: harmless(method, 32),
    path: harmless(path, LONGEST_PATH),
    status,
    ...(code !== undefined && { code }),
    in: received,
    out: sent,
    ms: round(ms),
    protocol,
    address,
    token: token === undefined ? undefined : harmless(token, 128),
    ended,
    did: did === undefined ? undefined : harmless(did),
    ...(error && { error: error.kind, message: harmless(error.message) }),
  });
}

function textLine(entry: RequestEntry): string {
  const { at, protocol, method, path, status, code, received, sent, ms, address, token, ended, did, error } =
    entry;
  let line = `${isoTime(at)} ${word(method, 32)} ${word(path, LONGEST_PATH)} ${status}`;
  if (code !== undefined) line += ` code=${code}`;
  line += ` in=${received} out=${sent} ms=${round(ms)} ${protocol} ${address ?? "-"}`;
  if (token !== undefined) line += ` token=${word(token, 128)}`;
  if (ended === "left") line += ", the client left";
  if (ended === "broken") line += ", the answer broke";
  if (did !== undefined) line += `: ${harmless(did)}`;
  if (error) line += `: ${error.kind}: ${harmless(error.message)}`;
  return line;
}

/** A text that is one word: nothing in it can be taken for what follows. */
function word(text: string, longest: number): string {
  if (text.length <= longest && WORD.test(text)) return text;
  return harmless(text, longest).replaceAll(" ", "\\u0020");
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}

let lastTime = 0;
let lastText = "";

/** The same text as long as the millisecond is the same: many requests end in one. */
function isoTime(at: Date): string {
  const time = at.getTime();
  if (time !== lastTime || lastText === "") [lastTime, lastText] = [time, at.toISOString()];
  return lastText;
}
