/** What a token may, as a person reads it, and tokens as they are given on a command line. */
import { readAtMost } from "../server/bodies.ts";
import { toText } from "../bytes/bytes.ts";
import { iterate } from "../bytes/streams.ts";
import type { Grant } from "../server/access/tokens.ts";

/** For `parseArgs`. */
export const RIGHTS_FLAGS = {
  read: { type: "boolean" },
  write: { type: "boolean" },
  admin: { type: "boolean" },
} as const;

const WHAT = { read: "read", write: "write and read", admin: "administer" } as const;
/** Longest token, in bytes. */
const MAX_TOKEN = 64 * 1024;

/** `token "ci" (4k2v…): may write and read paths named myapp-*, until 2026-12-24T10:00:00.000Z`. */
export function formatGrant({ id, name, rights, paths, expiresAt }: Grant): string {
  const shown = rights.filter((right) => right !== "read" || !rights.includes("write"));
  const may = shown.map((right) => WHAT[right]).join(", ");
  const where = paths === undefined ? "" : `, paths named ${paths}`;
  const until = expiresAt === undefined ? "for ever" : `until ${new Date(expiresAt).toISOString()}`;
  return `token ${JSON.stringify(name)} (${id}): may ${may}${where}, ${until}`;
}

/** A token, or what else was given in its place; `-` is read from standard input, so that none stands on a command line. */
export async function tokenArgument(text: string): Promise<string> {
  if (text !== "-") return text;
  return toText(await readAtMost(iterate(Deno.stdin.readable), MAX_TOKEN, "token")).trim();
}
