/**
 * Tokens of other issuers: verified with the keys the issuer publishes (a JWKS), which are kept for ten minutes, and asked for again
 * when a token names another, at most every half minute. An issuer that cannot be reached is asked again after five seconds.
 */
import { createRemoteJWKSet, customFetch, errors, type JWTPayload, jwtVerify, type RemoteJWKSet } from "jose";
import { toNixBase32 } from "../../bytes/nixbase32.ts";
import { type Bytes, concat, fromText, toText } from "../../bytes/bytes.ts";
import { iterate } from "../../bytes/streams.ts";
import { FormatError } from "../../errors.ts";
import { blake3 } from "../../hash/blake3.ts";
import type { HttpError } from "../http_error.ts";
import type { OidcConfig } from "./oidc_config.ts";
import { unknowable } from "./refusals.ts";
import { CLOCK_TOLERANCE, type Grant } from "./tokens.ts";

const TIMEOUT_MS = 5000;
/** How long an issuer that could not be reached is left alone, in seconds. */
const PAUSE = 5;
const MAX_ANSWER = 1024 * 1024;

export interface OidcOptions {
  readonly fetch?: typeof fetch;
  /** Told why an issuer cannot be asked. */
  readonly log: (line: string) => void;
  readonly now?: () => number;
}

/** One issuer. */
export class OidcIssuer {
  #keys: Promise<RemoteJWKSet> | undefined;
  #downUntil = 0;
  #now: () => number;

  constructor(readonly config: OidcConfig, readonly options: OidcOptions) {
    this.#now = options.now ?? Date.now;
  }

  /**
   * What a token of this issuer grants. Throws an error of `jose`, or {@link FormatError}, for one that must not be taken, and an
   * {@link HttpError} of status 503 when the issuer's keys cannot be had now.
   */
  async verify(token: string): Promise<Grant> {
    const { issuer, audience, algorithms, rules } = this.config;
    const { payload } = await jwtVerify(token, (header, input) => this.#keyOf(header, input), {
      algorithms: [...algorithms],
      issuer,
      audience,
      clockTolerance: CLOCK_TOLERANCE,
      requiredClaims: ["exp"],
    });
    const rule = rules.find(({ matches }) => matches(payload));
    const name = nameOf(payload);
    return {
      // Its own id would be any text, or none. Without the signature, of which there may be several that are good.
      id: toNixBase32(blake3(fromText(token.slice(0, token.lastIndexOf(".")))).slice(0, 10)),
      name: `${name} of ${new URL(issuer).host}`,
      rights: rule?.rights ?? [],
      ...(rule?.paths !== undefined && { paths: rule.paths }),
      expiresAt: payload.exp! * 1000,
    };
  }

  async #keyOf(...[header, input]: Parameters<RemoteJWKSet>): ReturnType<RemoteJWKSet> {
    if (this.#now() < this.#downUntil) throw this.#unreachable();
    try {
      this.#keys ??= this.#open();
      return await (await this.#keys)(header, input);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) {
        throw error;
      }
      if (error instanceof errors.JOSENotSupported) throw error;
      this.#downUntil = this.#now() + PAUSE * 1000;
      this.options.log(`Cannot have the keys of ${this.config.issuer}: ${(error as Error).message}`);
      throw this.#unreachable();
    }
  }

  #unreachable(): HttpError {
    return unknowable(
      `Cannot tell now whether the token is genuine: the keys of ${this.config.issuer} cannot be had; try again`,
      PAUSE,
    );
  }

  async #open(): Promise<RemoteJWKSet> {
    try {
      const url = this.config.jwks ?? await this.#discover();
      return createRemoteJWKSet(new URL(url), {
        timeoutDuration: TIMEOUT_MS,
        [customFetch]: async (url, init) => {
          const { status, bytes } = await this.#get(url, init.signal);
          return new Response(bytes, { status });
        },
      });
    } catch (error) {
      this.#keys = undefined; // it is asked anew
      throw error;
    }
  }

  /** Where the issuer says that its keys are (OpenID Connect Discovery 1.0, section 4). */
  async #discover(): Promise<string> {
    const { issuer } = this.config;
    const url = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
    const { status, bytes } = await this.#get(url, AbortSignal.timeout(TIMEOUT_MS));
    if (status !== 200) throw new Error(`${url} answers with status ${status}`);
    const told = JSON.parse(toText(bytes));
    if (told?.issuer !== issuer) throw new Error(`${url} is of another issuer`);
    const jwks = URL.canParse(told.jwks_uri) ? new URL(told.jwks_uri) : undefined;
    if (jwks?.protocol !== "https:" && jwks?.protocol !== new URL(issuer).protocol) {
      throw new Error(`${url} names no keys with https`);
    }
    return jwks.href;
  }

  async #get(url: string, signal: AbortSignal): Promise<{ status: number; bytes: Bytes }> {
    const ask = this.options.fetch ?? fetch;
    const response = await ask(url, { signal, redirect: "manual", headers: { accept: "application/json" } });
    const parts: Bytes[] = [];
    let length = 0;
    for await (const part of response.body ? iterate(response.body) : []) {
      length += part.length;
      if (length > MAX_ANSWER) throw new Error(`${url} answers with over ${MAX_ANSWER} bytes`);
      parts.push(part);
    }
    return { status: response.status, bytes: concat(parts) };
  }
}

function nameOf({ sub }: JWTPayload): string {
  if (typeof sub !== "string") throw new FormatError("token", "it has no subject");
  return sub.replaceAll(/\p{Cc}/gu, "").slice(0, 200);
}
