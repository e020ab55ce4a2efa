/** Options that say who may read and write: what they may be, and what a server tells about them when it starts. */
import { isLoopbackHost } from "../server/peer.ts";
import { networksTest } from "../server/networks.ts";
import { UsageError } from "./usage.ts";

export const ACCESS_HELP = `  --token-key FILE          take tokens made with these keys (firn token),
                            and let nobody write without one                                FIRN_TOKEN_KEY_FILE
                            in the variable FIRN_TOKEN_KEY: the keys
  --oidc FILE               take tokens of CI systems, as this JSON says:
                            issuer, audience, rules; in FIRN_OIDC: the JSON
  --private                 reading needs a token, too                                      FIRN_PRIVATE=1
  --trust-proxy ADDRESS     believe this proxy whom it asks for: 192.0.2.1,
                            10.0.0.0/8; may be given several times                          FIRN_TRUST_PROXY (A B…)`;

/** Texts that may be secret: to be told to nobody. */
export interface AccessOptions {
  /** A file with token keys. */
  readonly tokenKeyFile?: string;
  /** Token keys themselves. */
  readonly tokenKey?: string;
  readonly oidcFile?: string;
  readonly oidc?: string;
  /** Whether reading needs a token. */
  readonly private: boolean;
  readonly trustedProxies: readonly string[];
}

/** Flags of the command line, as they were given. */
export interface AccessFlags {
  readonly "token-key"?: string;
  readonly oidc?: string;
  readonly private?: boolean;
  readonly "trust-proxy"?: readonly string[];
}

/** For `parseArgs`. */
export const ACCESS_FLAGS = {
  "token-key": { type: "string" },
  oidc: { type: "string" },
  private: { type: "boolean" },
  "trust-proxy": { type: "string", multiple: true },
} as const;

/** Reads flags and environment. Throws {@link UsageError}. */
export function parseAccess(flags: AccessFlags, env: (name: string) => string | undefined): AccessOptions {
  const given = (name: string) => env(name) || undefined;
  const key = keyOption(flags["token-key"], env);
  const oidc = flags.oidc === undefined ? given("FIRN_OIDC") : undefined;
  const isPrivate = flags.private ?? yes("FIRN_PRIVATE", env("FIRN_PRIVATE"));
  const options = {
    ...key,
    ...(flags.oidc !== undefined && { oidcFile: flags.oidc }),
    ...(oidc !== undefined && { oidc }),
    private: isPrivate,
  };
  if (isPrivate && !takesTokens(options)) {
    throw new UsageError(
      "Cannot serve --private: nobody could read; add --token-key, which firn token key makes",
    );
  }
  const trustedProxies = flags["trust-proxy"] ?? given("FIRN_TRUST_PROXY")?.split(/\s+/).filter(Boolean) ??
    [];
  try {
    networksTest(trustedProxies);
  } catch (error) {
    throw new UsageError(`${(error as Error).message} (--trust-proxy)`);
  }
  return { ...options, trustedProxies };
}

/** Where token keys are: what was said last counts, a flag before the environment. */
export function keyOption(
  flag: string | undefined,
  env: (name: string) => string | undefined,
): Pick<AccessOptions, "tokenKey" | "tokenKeyFile"> {
  if (flag !== undefined) return { tokenKeyFile: flag };
  const [file, key] = [env("FIRN_TOKEN_KEY_FILE"), env("FIRN_TOKEN_KEY")];
  if (file && key) throw new UsageError("Cannot use both FIRN_TOKEN_KEY and FIRN_TOKEN_KEY_FILE: want one");
  return file ? { tokenKeyFile: file } : key ? { tokenKey: key } : {};
}

/** Whether there is anything to verify tokens with. */
export function takesTokens(
  { tokenKeyFile, tokenKey, oidcFile, oidc }: Pick<
    AccessOptions,
    "tokenKey" | "tokenKeyFile" | "oidc" | "oidcFile"
  >,
): boolean {
  return [tokenKeyFile, tokenKey, oidcFile, oidc].some((text) => text !== undefined);
}

/** What a server tells when it starts: what is open to whom, and what to do about it. `hosts` are those it listens at. */
export function tellAccess(options: AccessOptions, hosts: readonly string[]): string {
  if (takesTokens(options)) {
    return options.private
      ? "reading and writing need a token (firn token new)"
      : "reading is open to all who reach this server; writing needs a token (firn token new --write)";
  }
  const nearby = hosts.some(isLoopbackHost);
  if (hosts.every(isLoopbackHost)) {
    return "reading and writing are open to all programs on this machine; " +
      "behind a proxy give it a token key: firn token key > token.key, and --token-key token.key";
  }
  return `reading is open to all who reach this server; writing is refused${
    nearby ? ", but to programs on this machine that use its loopback address" : ""
  }: to let others write, firn token key > token.key, and serve with --token-key token.key`;
}

function yes(name: string, text: string | undefined): boolean {
  if (text === undefined || text === "" || text === "0" || text === "false") return false;
  if (text === "1" || text === "true") return true;
  throw new UsageError(`Cannot use ${name}=${text}: want 1 or 0`);
}
