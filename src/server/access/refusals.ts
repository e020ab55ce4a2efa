/**
 * How those are refused who may not: 401 with the ways to say who one is, 403 with the right that is missing.
 *
 * Basic is offered for Nix, curl and git, and to browsers for documents, which then ask for a token. Not to what a page
 * fetches: the browser would open a window in front of the page.
 */
import type { Caller, Right } from "../door.ts";
import { HttpError } from "../http_error.ts";

/** Nobody said who they are, or what they said is not true. */
export function unauthorized(header: Headers, why: string, error?: string): HttpError {
  const told = error ? `, error="${error}", error_description="${quotable(why)}"` : "";
  const bearer = `Bearer realm="firn"${told}`;
  const challenge = isFetchedByPage(header) ? bearer : `${bearer}, Basic realm="firn", charset="UTF-8"`;
  return new HttpError(401, why, { "www-authenticate": challenge });
}

/** One who is known and may not. */
export function forbidden(why: string, right?: Right): HttpError {
  const told = `Bearer realm="firn", error="insufficient_scope"${right ? `, scope="${right}"` : ""}`;
  return new HttpError(403, why, { "www-authenticate": told });
}

/** One who lacks a right. */
export function lacking({ name, rights }: Caller, right: Right): HttpError {
  const has = rights.size === 0 ? "no right at all" : `the right to ${[...rights].map(verb).join(" and ")}`;
  return forbidden(
    `Cannot ${verb(right)}: ${name} has ${has}, and this needs the right to ${verb(right)}`,
    right,
  );
}

/** One whose right does not reach a path of this name. */
export function outOfReach({ name }: Caller, right: Right, pathName: string): HttpError {
  return forbidden(`Cannot ${right} a path named ${pathName}: ${name} is for paths of other names`, right);
}

/** What cannot be known now. */
export function unknowable(why: string, seconds: number): HttpError {
  return new HttpError(503, why, { "retry-after": String(seconds) });
}

function verb(right: Right): string {
  return right === "admin" ? "administer" : right;
}

/** Of browsers only documents are asked for as HTML. */
function isFetchedByPage(header: Headers): boolean {
  const mode = header.get("sec-fetch-mode");
  if (mode !== null) return mode !== "navigate";
  if (header.has("origin")) return true;
  return /^Mozilla\//.test(header.get("user-agent") ?? "") && !/text\/html/.test(header.get("accept") ?? "");
}

/** As it may stand between quotes in a header. */
function quotable(text: string): string {
  return text.replaceAll(/[^ !#-\[\]-~]/g, "'");
}
