/**
 * The token of a request, in its Authorization header or, of a call, in the metadata of that name:
 *
 *   Bearer TOKEN                    what programs send
 *   Basic base64(USER ":" TOKEN)    what Nix, curl and git make of a netrc file; any user
 *
 * Schemes in any case. Nothing of the header is ever told again.
 */
import { fromBase64 } from "../../bytes/base64.ts";
import { toText } from "../../bytes/bytes.ts";
import { unauthorized } from "./refusals.ts";

/** Longest token, in characters: those of CI systems have some 2,000. */
const MAX_TOKEN = 16 * 1024;
/** A JSON Web Token in its compact form. Libraries would take other alphabets for base64url, too. */
const TOKEN = /^[\w\-]+\.[\w\-]+\.[\w\-]*$/;

/** The token; `undefined` where there is none. Throws an `HttpError` of status 401 for what cannot be one. */
export function tokenIn(header: Headers): string | undefined {
  const text = header.get("authorization");
  if (text === null) return undefined;
  if (text.length > MAX_TOKEN * 2) throw malformed(header, `it has over ${MAX_TOKEN} characters`);
  const [, scheme, rest] = /^ *([A-Za-z0-9\-]+) +(\S+) *$/.exec(text) ?? [];
  const token = scheme?.toLowerCase() === "basic" ? passwordIn(rest, header) : rest;
  if (token === undefined || !/^(?:basic|bearer)$/i.test(scheme)) {
    throw malformed(header, "want Authorization: Bearer TOKEN, or Basic with the token as the password");
  }
  if (token.length > MAX_TOKEN) throw malformed(header, `the token has over ${MAX_TOKEN} characters`);
  if (!TOKEN.test(token)) throw malformed(header, "what stands for the token is no JSON Web Token");
  return token;
}

/** Whether the token is one that somebody put there: browsers send those of Basic by themselves, once they know them. */
export function isDeliberate(header: Headers): boolean {
  return /^ *bearer /i.test(header.get("authorization") ?? "");
}

function passwordIn(encoded: string, header: Headers): string {
  let text: string;
  try {
    text = toText(fromBase64(encoded));
  } catch {
    throw malformed(header, "what follows Basic is not base64 of text");
  }
  const colon = text.indexOf(":");
  if (colon < 0) throw malformed(header, "what follows Basic has no colon between the user and the token");
  return text.slice(colon + 1);
}

function malformed(header: Headers, why: string): Error {
  return unauthorized(header, `Cannot read the Authorization header: ${why}`, "invalid_request");
}
