/** Who may read and write a store that is served, by the options. What verifies tokens is loaded only where there are any. */
import type { ByteStore } from "../castore/byte_store.ts";
import { FormatError } from "../errors.ts";
import { NEARBY_ACCESS } from "../server/access/nearby_access.ts";
import type { TokenKey } from "../server/access/token_keys.ts";
import type { Access } from "../server/app.ts";
import { revocationsOver } from "../store/revocations.ts";
import { type AccessOptions, takesTokens } from "./access_options.ts";
import { UsageError } from "./usage.ts";

/** Access to a store with these names. Throws {@link UsageError} for files that cannot be used. */
export async function openAccess(
  options: AccessOptions,
  names: ByteStore,
  log: (line: string) => void,
): Promise<Access> {
  if (!takesTokens(options)) return NEARBY_ACCESS;
  const { TokenAccess } = await import("../server/access/token_access.ts");
  return new TokenAccess({
    keys: await readKeys(options, log) ?? [],
    issuers: await readIssuers(options, log),
    private: options.private,
    revocations: revocationsOver(names),
    log,
  });
}

/** The token keys of the options; `undefined` where they name none. Throws {@link UsageError}. */
export async function readKeys(
  { tokenKey, tokenKeyFile }: Pick<AccessOptions, "tokenKey" | "tokenKeyFile">,
  log: (line: string) => void,
): Promise<TokenKey[] | undefined> {
  if (tokenKeyFile === undefined && tokenKey === undefined) return undefined;
  const where = tokenKeyFile ?? "FIRN_TOKEN_KEY";
  const text = tokenKey ?? await readText("token key", tokenKeyFile!);
  if (tokenKeyFile !== undefined) await warnIfOpen(tokenKeyFile, text, log);
  const { readTokenKeys } = await import("../server/access/token_keys.ts");
  return await usable(where, () => readTokenKeys(text));
}

async function readIssuers({ oidc, oidcFile }: AccessOptions, log: (line: string) => void) {
  if (oidc === undefined && oidcFile === undefined) return [];
  const text = oidc ?? await readText("OIDC configuration", oidcFile!);
  const { readOidcConfig } = await import("../server/access/oidc_config.ts");
  const { OidcIssuer } = await import("../server/access/oidc.ts");
  const configs = await usable(oidcFile ?? "FIRN_OIDC", () => Promise.resolve(readOidcConfig(text)));
  return configs.map((config) => new OidcIssuer(config, { log }));
}

async function usable<T>(where: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof FormatError) throw new UsageError(`${error.message} (${where})`);
    throw error;
  }
}

async function readText(what: string, path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new UsageError(`Cannot read the ${what} ${path}: ${(cause as Error).message}`);
  }
}

/** A private half that others on the machine can read is worth a word. */
async function warnIfOpen(path: string, text: string, log: (line: string) => void): Promise<void> {
  const { mode } = await Deno.stat(path);
  if (mode !== null && (mode & 0o077) !== 0 && /"d"\s*:/.test(text)) {
    log(`${path} can be read by others on this machine, who can make tokens then: chmod 600 ${path}`);
  }
}
