/** Keys and tokens of all sorts, and sites that ask for them. */
import assert from "node:assert/strict";
import { base64url, CompactSign, SignJWT, UnsecuredJWT } from "jose";
import { openMemory } from "../../../src/adapters/memory/memory_store.ts";
import { nativeHashes } from "../../../src/adapters/native/hashes.ts";
import { openCodecs } from "../../../src/adapters/codecs/codecs.ts";
import type { ByteStore } from "../../../src/castore/byte_store.ts";
import { TokenAccess, type TokenAccessOptions } from "../../../src/server/access/token_access.ts";
import { newTokenKey, publicHalf, readTokenKeys } from "../../../src/server/access/token_keys.ts";
import { type Grant, newToken } from "../../../src/server/access/tokens.ts";
import { createServer, type Server, type ServerOptions } from "../../../src/server/app.ts";
import { revocationsOver } from "../../../src/store/revocations.ts";
import { type Services, servicesOver } from "../../../src/store/services.ts";

export const KEY_TEXT = await newTokenKey();
export const KEYS = await readTokenKeys(KEY_TEXT);
export const OTHER_KEYS = await readTokenKeys(await newTokenKey());
const DAY = 86_400_000;

/** A token of the site's key. */
export async function tokenFor(grant: Partial<Omit<Grant, "id">>, now?: number): Promise<string> {
  const all = { name: "test", rights: ["read"] as const, expiresAt: Date.now() + DAY, ...grant };
  return (await newToken(KEYS, all, now)).token;
}

/** The claims of a token that is good, and changes to them; `undefined` leaves one out. */
export function claims(changes: Record<string, unknown> = {}): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000);
  const all = {
    iss: "firn",
    aud: "firn",
    jti: "0123456789abcdef",
    name: "forged",
    rights: ["read", "write", "admin"],
  };
  return { ...all, iat: now, nbf: now, exp: now + 3600, ...changes };
}

/** Claims signed by the site's own key. */
export async function signed(
  payload: Record<string, unknown>,
  header: Record<string, unknown> = {},
): Promise<string> {
  return await new SignJWT(payload).setProtectedHeader({ alg: "EdDSA", kid: KEYS[0].id, ...header })
    .sign(KEYS[0].signing!);
}

/** Tokens that must not be taken, each with what is told of it. */
export async function badTokens(): Promise<Record<string, [token: string, why: RegExp]>> {
  const hour = 3_600_000;
  const good = await tokenFor({ rights: ["read", "write", "admin"] });
  const [header, payload, signature] = good.split(".");
  const publicJwk = JSON.parse(await publicHalf(KEYS[0]));
  const confused = new CompactSign(new TextEncoder().encode(JSON.stringify(claims())))
    .setProtectedHeader({ alg: "HS256", kid: KEYS[0].id })
    .sign(base64url.decode(publicJwk.x));
  const foreign = new SignJWT(claims()).setProtectedHeader({ alg: "EdDSA", kid: KEYS[0].id });
  const unknown = new SignJWT(claims()).setProtectedHeader({ alg: "EdDSA", kid: OTHER_KEYS[0].id });
  const seconds = Math.floor(Date.now() / 1000);
  const changed = base64url.encode(JSON.stringify({ ...claims(), rights: ["admin"] }));
  return {
    expired: [await tokenFor({ expiresAt: Date.now() - hour }, Date.now() - 2 * hour), /it expired on 20/],
    "not yet valid": [await signed(claims({ nbf: seconds + 3600 })), /it is not valid yet/],
    "made tomorrow": [
      await signed(claims({ iat: seconds + 86_400, nbf: seconds + 86_400 })),
      /not valid yet/,
    ],
    "changed payload": [`${header}.${changed}.${signature}`, /its signature is not right/],
    "changed signature": [`${header}.${payload}.${"A".repeat(86)}`, /its signature is not right/],
    "no signature": [`${header}.${payload}.`, /its signature is not right/],
    "forged by another key": [await foreign.sign(OTHER_KEYS[0].signing!), /its signature is not right/],
    "by a key that is not here": [
      await unknown.sign(OTHER_KEYS[0].signing!),
      /a key that is not one of this server/,
    ],
    "without a key id": [await signed(claims(), { kid: undefined }), /a key that is not one of this server/],
    "alg none": [new UnsecuredJWT(claims()).encode(), /an algorithm that is not taken here/],
    "alg none with a kid": [
      `${base64url.encode(JSON.stringify({ alg: "none", kid: KEYS[0].id }))}.${payload}.`,
      /an algorithm that is not taken here/,
    ],
    "HS256 by the public key": [await confused, /an algorithm that is not taken here/],
    "critical extension": [
      `${
        base64url.encode(JSON.stringify({ alg: "EdDSA", kid: KEYS[0].id, crit: ["x"], x: 1 }))
      }.${payload}.${signature}`,
      /no sound JSON Web Token/,
    ],
    "for another audience": [await signed(claims({ aud: "other" })), /it is for another audience/],
    "without an audience": [await signed(claims({ aud: undefined })), /it is for another audience/],
    "of another issuer": [
      await signed(claims({ iss: "https://issuer.example" })),
      /an issuer that is not trusted here/,
    ],
    "without an id": [await signed(claims({ jti: undefined })), /its claim jti is missing or wrong/],
    "with an id that is none": [await signed(claims({ jti: "../x" })), /its id is none/],
    "with rights unknown": [await signed(claims({ rights: ["read", "everything"] })), /its rights are none/],
    "with rights as a text": [await signed(claims({ rights: "write" })), /its rights are none/],
    "with a pattern that is none": [await signed(claims({ paths: "" })), /pattern/],
    "with paths that are no text": [await signed(claims({ paths: ["*"] })), /its paths are no pattern/],
    "with a name that breaks lines": [await signed(claims({ name: "a\nb" })), /its name is none/],
    "no JWT": ["hello", /is no JSON Web Token/],
    "in another alphabet": [`${good}=`, /is no JSON Web Token/],
    "three dots of nothing": ["a.b.c", /it is no JSON Web Token/],
    "a payload that is a list": [
      `${header}.${base64url.encode("[]")}.${signature}`,
      /it is no JSON Web Token/,
    ],
  };
}

/** A server over a store in memory that asks for tokens. */
export interface GuardedSite {
  readonly server: Server;
  readonly services: Services;
  readonly access: TokenAccess;
  readonly names: ByteStore;
  readonly log: string[];
  send(method: string, path: string, options?: SendOptions): Promise<Response>;
}

export interface SendOptions {
  readonly token?: string;
  readonly body?: BodyInit | null;
  readonly headers?: Record<string, string>;
  /** Whether it comes from this machine. */
  readonly local?: boolean;
}

export function guardedSite(
  access: Partial<TokenAccessOptions> = {},
  options: Partial<ServerOptions> = {},
): GuardedSite {
  const log: string[] = [];
  const names = openMemory();
  const services = servicesOver({ names, bytes: openMemory() });
  const given = new TokenAccess({
    keys: KEYS,
    private: true,
    revocations: revocationsOver(names),
    log: (line) => log.push(line),
    ...access,
  });
  const server = createServer({
    ...services,
    codec: openCodecs(),
    hashes: nativeHashes,
    log: (line) => log.push(line),
    access: given,
    ...options,
  });
  return {
    server,
    services,
    access: given,
    names,
    log,
    async send(method, path, { token, body, headers, local = false } = {}) {
      const all = new Headers(headers);
      if (token !== undefined) all.set("authorization", `Bearer ${token}`);
      const request = new Request(`http://cache.test/${path}`, { method, body, headers: all });
      return await server.fetch(request, { address: local ? "127.0.0.1" : "192.0.2.9", local });
    },
  };
}

/** An answer's status and text, which must be one line of plain text if it is a refusal. */
export async function told(answer: Response): Promise<[status: number, text: string]> {
  const text = await answer.text();
  if ([401, 403, 503].includes(answer.status)) assert.match(text, /^[^\n]+\n$/);
  return [answer.status, text];
}
