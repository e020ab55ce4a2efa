/**
 * Access by tokens: those of this server (`tokens.ts`) and of issuers it trusts (`oidc.ts`).
 *
 * A token is looked at where one is needed, and nowhere else: what everybody may read is read with any token, also an expired one.
 * The right to write brings the right to read with it, for who sends a path asks first what is there.
 *
 * What was verified is remembered by a hash of the token, so the next request with it costs a look-up. Whether a token is revoked is
 * asked of the store: known for up to five seconds when reading, one when writing, and asked each time for what only an
 * administrator may.
 */
import { decodeJwt } from "jose";
import { fromText } from "../../bytes/bytes.ts";
import { toHex } from "../../bytes/hex.ts";
import { Lru } from "../../bytes/lru.ts";
import { FormatError } from "../../errors.ts";
import { blake3 } from "../../hash/blake3.ts";
import type { Revocations } from "../../store/revocations.ts";
import type { Access, Asking, Caller, Right } from "../door.ts";
import { HttpError } from "../http_error.ts";
import { tokenIn } from "./credentials.ts";
import { namePattern } from "./name_pattern.ts";
import { nearbyAt, readerAt } from "./nearby_access.ts";
import type { OidcIssuer } from "./oidc.ts";
import { lacking, unauthorized, unknowable } from "./refusals.ts";
import type { TokenKey } from "./token_keys.ts";
import { CLOCK_TOLERANCE, faultOf, type Grant, ISSUER, verifyToken } from "./tokens.ts";

/** How long it is known that a token is not revoked, by what is to be done with it; in milliseconds. */
const FRESH_MS: Record<Right, number> = { read: 5000, write: 1000, admin: 0 };
/** Tokens remembered. */
const REMEMBERED = 10_000;

export interface TokenAccessOptions {
  readonly keys: readonly TokenKey[];
  readonly issuers?: readonly OidcIssuer[];
  /** Whether reading needs a token, too. */
  readonly private: boolean;
  readonly revocations: Revocations;
  /** Told what goes wrong inside. */
  readonly log: (line: string) => void;
  readonly now?: () => number;
}

/** A token that was verified. */
interface Known {
  readonly grant: Grant;
  readonly caller: Caller;
  /** When it was last seen not to be revoked. */
  checkedAt: number;
  revoked: boolean;
}

export class TokenAccess implements Access {
  readonly opensReads: boolean;
  readonly writesNeedToken = true;
  #options: TokenAccessOptions;
  #known = new Lru<string, Known>(REMEMBERED);
  /** Ids of tokens that were revoked here. */
  #revoked = new Lru<string, true>(REMEMBERED);
  #now: () => number;

  constructor(options: TokenAccessOptions) {
    this.#options = options;
    this.opensReads = !options.private;
    this.#now = options.now ?? Date.now;
  }

  admit(asking: Asking): Caller | Promise<Caller> {
    const { needs, address, header } = asking;
    if (needs === "nothing" || (needs === "read" && this.opensReads)) return readerAt(address);
    if (needs === "figures" && asking.local && !header.has("authorization")) return nearbyAt(address);
    const token = tokenIn(header);
    if (token === undefined) throw unauthorized(header, missing(needs));
    const key = toHex(blake3(fromText(token)).subarray(0, 16));
    const known = this.#known.get(key);
    if (!known) return this.#meet(asking, key, token);
    const right = needs === "figures" ? "read" : needs;
    if (this.#now() < known.checkedAt + FRESH_MS[right]) return this.#admitKnown(asking, known);
    return this.#look(known).then(() => this.#admitKnown(asking, known));
  }

  revoked(id: string): void {
    this.#revoked.set(id, true, 1);
  }

  async #meet(asking: Asking, key: string, token: string): Promise<Caller> {
    const grant = await this.#verify(asking.header, token);
    const known = { grant, caller: callerOf(grant), checkedAt: 0, revoked: false };
    await this.#look(known);
    this.#known.set(key, known, 1);
    return this.#admitKnown(asking, known);
  }

  async #verify(header: Headers, token: string): Promise<Grant> {
    try {
      const { keys, issuers = [] } = this.#options;
      const issuer = issuerOf(token);
      if (issuer === ISSUER) return await verifyToken(token, keys);
      const other = issuers.find(({ config }) => config.issuer === issuer);
      if (other) return await other.verify(token);
      throw new FormatError("token", "it is of an issuer that is not trusted here");
    } catch (error) {
      if (error instanceof HttpError) throw error;
      const why = faultOf(error);
      if (why === undefined) throw error;
      throw unauthorized(header, `Cannot take the token: ${why}`, "invalid_token");
    }
  }

  async #look(known: Known): Promise<void> {
    if (known.revoked) return;
    const at = this.#now();
    try {
      known.revoked = await this.#options.revocations.has(known.grant.id);
      known.checkedAt = at;
    } catch (error) {
      this.#options.log(`Cannot read the revocations: ${(error as Error).message}`);
      throw unknowable(
        "Cannot tell now whether the token is revoked: the store does not answer; try again",
        5,
      );
    }
  }

  #admitKnown({ header, needs, address }: Asking, { grant, caller, revoked }: Known): Caller {
    const refuse = (why: string) =>
      unauthorized(header, `Cannot take ${caller.name}: ${why}`, "invalid_token");
    if (revoked || this.#revoked.get(grant.id)) throw refuse("it was revoked");
    const { expiresAt } = grant;
    if (expiresAt !== undefined && expiresAt + CLOCK_TOLERANCE * 1000 <= this.#now()) {
      throw refuse(`it expired on ${new Date(expiresAt).toISOString()}`);
    }
    if (needs === "figures") {
      if (!caller.rights.has("admin") && !caller.rights.has("read")) throw lacking(caller, "read");
    } else if (needs !== "nothing" && !caller.rights.has(needs)) throw lacking(caller, needs);
    return address === undefined ? caller : { ...caller, address };
  }
}

function missing(needs: Asking["needs"]): string {
  const what = needs === "write"
    ? "write"
    : needs === "admin"
    ? "administer this server"
    : needs === "figures"
    ? "read the metrics"
    : "read";
  return `Cannot let you ${what} without a token: send one as Authorization: Bearer, or as the password in a netrc file`;
}

function callerOf({ id, name, rights, paths }: Grant): Caller {
  const all = new Set(rights);
  if (all.has("write")) all.add("read");
  const matches = paths === undefined ? undefined : namePattern(paths);
  return {
    token: id,
    name: `the token ${JSON.stringify(name)} (${id})`,
    rights: all,
    ...(matches && { reads: matches, writes: matches }),
  };
}

/** The issuer a token says it is of: only to choose who verifies it. */
function issuerOf(token: string): unknown {
  try {
    return decodeJwt(token).iss;
  } catch {
    throw new FormatError("token", "it is no JSON Web Token");
  }
}
