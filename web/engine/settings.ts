/** What a person may choose: whose signatures count, and which caches are asked. */
import { FormatError } from "../../src/errors.ts";
import { formatPublicKey, parsePublicKey } from "../../src/nix/signature.ts";
import type { Settings } from "./engine.ts";
import type { Records } from "./records.ts";
import { parseAddress } from "./tab_store.ts";

/** The key of cache.nixos.org, which every Nix trusts unless told otherwise. */
export const NIXOS_KEY = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
const MOST = 100;

/** The settings that are kept, or those at first. */
export async function readSettings(records: Records, server: string | undefined): Promise<Settings> {
  const kept = await records.settings<Partial<Settings>>();
  return {
    trustedKeys: kept?.trustedKeys ?? [NIXOS_KEY],
    caches: kept?.caches ?? [...(server ? [server] : []), "https://cache.nixos.org"],
    tokens: Object.keys(await records.tokens()).sort(),
  };
}

/** Changes settings; throws {@link FormatError} for a key or an address that is none, and nothing is changed. */
export async function changeSettings(
  changes: Partial<Omit<Settings, "tokens">>,
  records: Records,
  server: string | undefined,
): Promise<Settings> {
  const before = await readSettings(records, server);
  const settings = {
    trustedKeys: changes.trustedKeys
      ? unique(changes.trustedKeys, (text) => formatPublicKey(parsePublicKey(text)))
      : before.trustedKeys,
    caches: changes.caches ? unique(changes.caches, parseAddress) : before.caches,
  };
  await records.putSettings(settings);
  return { ...settings, tokens: before.tokens };
}

/** A token as it is sent. Throws {@link FormatError}, which does not repeat it, for what is none. */
export function parseToken(text: string): string {
  const token = text.trim().replace(/^Bearer\s+/i, "");
  if (/^[\x21-\x7e]{1,8192}$/.test(token)) return token;
  throw new FormatError("token", "Cannot use this as a token: want one word of letters, digits and signs");
}

function unique(texts: readonly string[], read: (text: string) => string): string[] {
  if (texts.length > MOST) throw new FormatError("settings", `Cannot keep over ${MOST} of these`);
  return [...new Set(texts.map(read))];
}
