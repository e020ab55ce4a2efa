/**
 * Header lists of requests, responses and trailers (RFC 9113, section 8):
 *
 *   request  = :method :scheme :authority :path, each once, in any order, and before all other fields;
 *              CONNECT has neither :scheme nor :path; `host` may stand for :authority
 *   response = :status, then all other fields
 *   trailers = no field whose name begins with a colon
 *
 * Names are lower-case tokens, values hold no NUL, CR or LF and neither begin nor end with white space. Fields that belong
 * to one connection of HTTP/1.1 are refused when they come in and left out when they go out. What values mean is not
 * looked at, apart from `content-length`.
 */
import type { HeaderField } from "./hpack_tables.ts";
import { ErrorCode, StreamFault } from "./http2_error.ts";

/** Why a header list is malformed. */
export class MalformedError extends Error {}

export interface RequestHead {
  readonly method: string;
  /** Absolute. */
  readonly url: string;
  readonly header: Headers;
  /** What `content-length` says, if it is there. */
  readonly contentLength: number | undefined;
}

export interface ResponseHead {
  readonly status: number;
  readonly header: Headers;
  readonly contentLength: number | undefined;
}

/** Reads a header list of a stream, of which it is the fault if that is malformed. */
export function wellFormed<T>(streamId: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new StreamFault(streamId, ErrorCode.PROTOCOL_ERROR, error.message);
  }
}

const CONNECTION_FIELDS = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const NO_VALUE = /[\0\r\n]|^[ \t]|[ \t]$/;
const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const SCHEME = /^[a-z][a-z0-9+.\-]*$/;
const AUTHORITY = /^[!-~]+$/;
const NO_AUTHORITY = /[@/?#\\]/;
const PATH = /^(?:\/[!-"$-~]*|\*)$/;

/** Reads the head of a request. Throws {@link MalformedError}. */
export function readRequest(fields: readonly HeaderField[]): RequestHead {
  const { pseudo, header } = readFields(fields, [":method", ":scheme", ":authority", ":path"]);
  const method = pseudo.get(":method");
  if (method === undefined || !METHOD.test(method)) throw new MalformedError("no proper :method");
  const scheme = pseudo.get(":scheme");
  const path = pseudo.get(":path");
  const authority = readAuthority(pseudo.get(":authority"), header.get("host"));
  if (method === "CONNECT") {
    if (scheme !== undefined || path !== undefined) {
      throw new MalformedError("CONNECT with :scheme or :path");
    }
    return { method, url: `http://${authority}/`, header, contentLength: undefined };
  }
  if (scheme === undefined || !SCHEME.test(scheme)) throw new MalformedError("no proper :scheme");
  if (path === undefined || !PATH.test(path)) throw new MalformedError("no proper :path");
  const url = `${scheme}://${authority}${path === "*" ? "/*" : path}`;
  return { method, url, header, contentLength: readContentLength(header) };
}

function readAuthority(authority: string | undefined, host: string | null): string {
  const named = authority ?? host;
  if (named === null || !AUTHORITY.test(named) || NO_AUTHORITY.test(named)) {
    throw new MalformedError("no proper :authority");
  }
  if (host !== null && host.toLowerCase() !== named.toLowerCase()) {
    throw new MalformedError("host differs from :authority");
  }
  return named;
}

/** Reads the head of a response. Throws {@link MalformedError}. */
export function readResponse(fields: readonly HeaderField[]): ResponseHead {
  const { pseudo, header } = readFields(fields, [":status"]);
  const status = pseudo.get(":status");
  if (status === undefined || !/^[1-9]\d\d$/.test(status)) throw new MalformedError("no proper :status");
  return { status: Number(status), header, contentLength: readContentLength(header) };
}

/** Reads trailers. Throws {@link MalformedError}. */
export function readTrailers(fields: readonly HeaderField[]): Headers {
  return readFields(fields, []).header;
}

function readFields(fields: readonly HeaderField[], allowed: readonly string[]) {
  const pseudo = new Map<string, string>();
  const header = new Headers();
  let cookie: string | undefined;
  let regular = false;
  for (const [name, value] of fields) {
    if (NO_VALUE.test(value)) throw new MalformedError("a value that is none");
    if (name.charCodeAt(0) === 0x3a) {
      if (regular) throw new MalformedError(`${name} after other fields`);
      if (!allowed.includes(name)) {
        throw new MalformedError("a pseudo-header field that does not belong there");
      }
      if (pseudo.has(name)) throw new MalformedError(`${name} twice`);
      pseudo.set(name, value);
      continue;
    }
    regular = true;
    if (!NAME.test(name)) throw new MalformedError("a name that is none");
    if (CONNECTION_FIELDS.has(name)) throw new MalformedError(`${name}, which belongs to HTTP/1.1`);
    if (name === "te" && value.toLowerCase() !== "trailers") {
      throw new MalformedError("te that is not trailers");
    }
    if (name === "cookie") cookie = cookie === undefined ? value : `${cookie}; ${value}`;
    else header.append(name, value);
  }
  if (cookie !== undefined) header.set("cookie", cookie);
  return { pseudo, header };
}

function readContentLength(header: Headers): number | undefined {
  const text = header.get("content-length");
  if (text === null) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw new MalformedError("content-length that is no number");
  return Number(text);
}

/** The header list of a request. Throws `TypeError` for a URL that is none. */
export function requestFields(method: string, url: string, header: Headers): HeaderField[] {
  const { protocol, host, pathname, search } = new URL(url);
  const fields: HeaderField[] = [
    [":method", method],
    [":scheme", protocol.slice(0, -1)],
    [":authority", host],
    [":path", pathname + search],
  ];
  return append(fields, header);
}

/** The header list of a response. Throws `RangeError` for a status that ends no exchange. */
export function responseFields(status: number, header: Headers | undefined): HeaderField[] {
  if (!(Number.isInteger(status) && status >= 200 && status <= 999)) {
    throw new RangeError(`Cannot answer with status ${status}: want 200 to 999`);
  }
  const fields: HeaderField[] = [[":status", String(status)]];
  return header ? append(fields, header) : fields;
}

/** The header list of trailers. Empty: there are none. */
export function trailerFields(trailer: Headers | undefined): HeaderField[] {
  return trailer ? append([], trailer) : [];
}

function append(fields: HeaderField[], header: Headers): HeaderField[] {
  for (const [name, value] of header) {
    if (CONNECTION_FIELDS.has(name) || name === "host") continue;
    fields.push([name, value]);
  }
  return fields;
}
