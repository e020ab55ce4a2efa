/** `firn token`: keys that sign tokens, tokens, and tokens that are no longer taken. */
import { parseArgs, type ParseArgsConfig } from "node:util";
import { formatGrant, RIGHTS_FLAGS, tokenArgument } from "./token_text.ts";
import { keyOption } from "./access_options.ts";
import { readKeys } from "./access.ts";
import { openRevocations } from "./token_store.ts";
import { parseDuration } from "./stopped_options.ts";
import { UsageError } from "./usage.ts";

export const TOKEN_HELP = `firn token: who may read and write

usage: firn token key > FILE               make a key, which signs tokens; chmod 600 FILE
       firn token key --public             the public halves of keys: enough for a server, which makes no tokens
       firn token new RIGHTS [options]     make a token, and print it
       firn token show TOKEN|-             tell what one may; - reads it from standard input
       firn token revoke ID|TOKEN|-        take one back, on all servers of the store, within seconds
       firn token revoked                  list those that were taken back

  --read                    may read, where reading needs a token (serve --private)
  --write                   may write, and read
  --admin                   may revoke tokens, and read what an operator sees
  --paths PATTERN           only paths of such names: myapp-*; several with spaces between   [all]
  --expires DURATION        as 12h, 30d, 52w, or never                                       [90d]
  --name NAME               whom it is for: shown where it is refused, and in the log        [unnamed]
  --key FILE                the keys; new signs with the last             FIRN_TOKEN_KEY_FILE, FIRN_TOKEN_KEY

revoke and revoked work on a store that no server has open, or through its server:

  --store ADDRESS           where the store lives                                            [./firn-store]  FIRN_STORE
  --server URL              a running server, asked with the token in FIRN_TOKEN, which must have --admin
  --help                    show this

examples:
  firn token key > token.key; chmod 600 token.key; firn serve --token-key token.key
  firn token new --write --expires 30d --name ci --paths 'myapp-*' --key token.key
  echo "machine cache.example password $(firn token new --write --key token.key)" >> ~/.netrc
  FIRN_TOKEN=… firn token revoke 4k2v… --server https://cache.example

Keys are replaced by one more in the same file (firn token key >> FILE): its tokens are taken beside those of the old ones, until
these are removed.
`;

const DEFAULT_EXPIRY = "90d";

type Values = Readonly<Record<string, string | boolean | undefined>>;

/** Runs the command. */
export async function token(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args;
  const run = command !== undefined && Object.hasOwn(COMMANDS, command) ? COMMANDS[command] : undefined;
  if (!run || rest.includes("--help") || rest.includes("-h")) {
    if (command !== undefined && !run && !["help", "--help", "-h"].includes(command)) {
      throw new UsageError(`Cannot run token ${command}: no such command; firn token --help lists them`);
    }
    console.log(TOKEN_HELP);
    return command === undefined ? 2 : 0;
  }
  return await run(rest);
}

const COMMANDS: Readonly<Record<string, (args: readonly string[]) => Promise<number>>> = {
  key,
  new: make,
  show,
  revoke,
  revoked,
};

async function key(args: readonly string[]): Promise<number> {
  const { values } = read(args, { public: { type: "boolean" }, key: { type: "string" } }, 0);
  const { newTokenKey, publicHalf } = await import("../server/access/token_keys.ts");
  if (values.public) {
    for (const one of (await keysOf(values)).toReversed()) console.log(await publicHalf(one));
    return 0;
  }
  if (values.key !== undefined) {
    throw new UsageError("Cannot make a token key: --key goes with --public only");
  }
  console.log(await newTokenKey());
  console.error("A token key, for serve --token-key and firn token new. Keep it secret: chmod 600 its file.");
  return 0;
}

async function make(args: readonly string[]): Promise<number> {
  const { values } = read(args, {
    ...RIGHTS_FLAGS,
    paths: { type: "string" },
    expires: { type: "string" },
    name: { type: "string" },
    key: { type: "string" },
  }, 0);
  const { newToken, RIGHTS } = await import("../server/access/tokens.ts");
  const rights = RIGHTS.filter((right) => values[right]);
  if (rights.length === 0) {
    throw new UsageError("Cannot make a token that may nothing: add --read, --write or --admin");
  }
  const keys = await keysOf(values);
  const { token, grant } = await newToken(keys, {
    name: values.name as string ?? "unnamed",
    rights,
    paths: values.paths as string | undefined,
    expiresAt: expiryOf(values.expires as string ?? DEFAULT_EXPIRY),
  });
  console.log(token);
  console.error(`${formatGrant(grant)}; firn token revoke ${grant.id} takes it back`);
  return 0;
}

function expiryOf(text: string): number | undefined {
  if (text === "never") return undefined;
  const duration = parseDuration("--expires", text);
  if (duration === 0) {
    throw new UsageError("Cannot make a token that expires at once: want --expires 30d, or never");
  }
  return Date.now() + duration;
}

async function show(args: readonly string[]): Promise<number> {
  const { values, positionals } = read(args, { key: { type: "string" } }, 1, "TOKEN, or - to read it");
  const text = await tokenArgument(positionals[0]);
  const { describeToken, faultOf, verifyToken } = await import("../server/access/tokens.ts");
  const grant = describeToken(text);
  console.log(formatGrant(grant));
  const keys = await readKeys(keyOption(values.key as string | undefined, Deno.env.get), console.error);
  if (!keys) {
    console.log("not verified: --key FILE does that");
    return 0;
  }
  try {
    await verifyToken(text, keys);
  } catch (error) {
    const why = faultOf(error);
    if (why === undefined) throw error;
    console.log(`not good: ${why}`);
    return 1;
  }
  console.log("good: signed with one of these keys (whether it is revoked, firn token revoked tells)");
  return 0;
}

async function revoke(args: readonly string[]): Promise<number> {
  const { values, positionals } = read(args, PLACE, 1, "ID, a token, or - to read one");
  const text = await tokenArgument(positionals[0]);
  let [id, expiresAt]: [string, number | undefined] = [text, undefined];
  if (text.includes(".")) {
    const { describeToken } = await import("../server/access/tokens.ts");
    ({ id, expiresAt } = describeToken(text));
  }
  await using revocations = await openRevocations(placeOf(values));
  await revocations.add(id, expiresAt);
  console.error(`the token ${id} is no longer taken`);
  return 0;
}

async function revoked(args: readonly string[]): Promise<number> {
  const { values } = read(args, PLACE, 0);
  await using revocations = await openRevocations(placeOf(values));
  for await (const { id, revokedAt, expiresAt } of revocations.list()) {
    const until = expiresAt === undefined ? "for ever" : `until it expires on ${dateOf(expiresAt)}`;
    console.log(`${id}\trevoked on ${dateOf(revokedAt)}\t${until}`);
  }
  return 0;
}

const PLACE = { store: { type: "string" }, server: { type: "string" } } as const;

function placeOf({ store, server }: Values): { store: string } | { server: string } {
  if (store !== undefined && server !== undefined) {
    throw new UsageError("Cannot use both --store and --server");
  }
  if (server !== undefined) return { server: server as string };
  return { store: store as string ?? Deno.env.get("FIRN_STORE") ?? "./firn-store" };
}

function dateOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

async function keysOf({ key }: Values) {
  const keys = await readKeys(keyOption(key as string | undefined, Deno.env.get), console.error);
  if (keys) return keys;
  throw new UsageError("Cannot go on without a token key: want --key FILE, which firn token key makes");
}

function read(
  args: readonly string[],
  options: NonNullable<ParseArgsConfig["options"]>,
  count: number,
  what = "no arguments",
): { values: Values; positionals: string[] } {
  let parsed;
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message.split("\n")[0]);
  }
  const { values, positionals } = parsed;
  if (positionals.length !== count) {
    throw new UsageError(`Cannot run that: want ${what}; firn token --help tells more`);
  }
  return { values: values as Values, positionals };
}
