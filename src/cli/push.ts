/** `firn push`: paths to a firn server, in pieces, and only what it lacks. */
import { openCodecs } from "../adapters/codecs/codecs.ts";
import { RawNames } from "../adapters/fs/raw_names.ts";
import { fetchFirnSite } from "../adapters/nix_http/binary_cache.ts";
import { FirnUploads, LEAST_BODY } from "../adapters/nix_http/firn_uploads.ts";
import { type PushedPaths, pushPaths } from "../adapters/nix_http/push_paths.ts";
import { RefusedError } from "../adapters/nix_http/refused_error.ts";
import type { RemoteOptions } from "../adapters/nix_http/request.ts";
import { retrying } from "../adapters/nix_http/retries.ts";
import { type Bytes, concat } from "../bytes/bytes.ts";
import { RemoteError, UnsupportedError } from "../errors.ts";
import { formatStorePath } from "../nix/store_path.ts";
import { openStopped } from "./home.ts";
import { InterruptedError, Interruption, Progress } from "./progress.ts";
import { PUSH_HELP, type PushCommand, readPushCommand } from "./push_options.ts";
import { type Sources, sourcesOf, storedSources } from "./push_sources.ts";
import { PushTally } from "./push_tally.ts";
import { readToken } from "./shown_token.ts";
import { formatSize } from "./stopped_options.ts";

/** A request takes at most so long: the server may have gigabytes to hash. */
const REQUEST_MS = 15 * 60_000;

/** Runs the command. */
export async function push(args: readonly string[]): Promise<number> {
  const command = readPushCommand(args);
  if (!command) {
    console.log(PUSH_HELP);
    return 0;
  }
  const token = await readToken(command.tokenFile, (name) => Deno.env.get(name));
  using progress = new Progress();
  using interruption = new Interruption();
  const tally = new PushTally(progress);
  try {
    const { sources, pushed } = await send(command, token, tally, interruption.signal);
    progress[Symbol.dispose]();
    if (command.json) console.log(tally.json(command.to, sources.roots, pushed));
    else for (const root of sources.roots) console.log(formatStorePath(root));
    console.error(tally.summary(pushed));
    return 0;
  } catch (error) {
    progress[Symbol.dispose]();
    if (error instanceof InterruptedError) {
      console.error("firn: stopped; what arrived stays there, and the same command goes on");
      return 1;
    }
    throw error instanceof RefusedError ? advised(error, command, token !== undefined) : error;
  }
}

async function send(
  command: PushCommand,
  token: string | undefined,
  tally: PushTally,
  signal: AbortSignal,
): Promise<{ sources: Sources; pushed: PushedPaths }> {
  const remote: RemoteOptions = {
    address: command.to,
    fetch: tally.fetch,
    signal,
    ...(token !== undefined && { token }),
    stay: true,
    unreachable: "is it up?",
    timeoutMs: REQUEST_MS,
    retry: {
      patienceMs: command.retryForMs,
      waiting: (error, ms) => tally.note(`${error.message}; trying again in ${(ms / 1000).toFixed(1)} s`),
    },
  };
  if (token !== undefined && /^http:\/\/(?!127\.|localhost[:/]|localhost$|\[::1\])/.test(command.to)) {
    tally.note(`The token goes to ${command.to} unencrypted, and who is in between can read it; use https`);
  }
  const site = await retrying(remote, () => fetchFirnSite(remote, [400, 404, 405, 410]));
  if (!site) {
    throw new UnsupportedError(
      `Cannot push to ${command.to}: it is no firn server; nix copy --to ${command.to} sends to other caches`,
    );
  }
  using rawNames = new RawNames();
  await using home = command.from === undefined
    ? undefined
    : await openStopped(command.from, (line) => tally.note(line));
  const read = (path: string, bytes: number) => tally.read(path, bytes);
  const note = (line: string) => tally.note(line);
  const sources = home
    ? await storedSources(command, home)
    : await sourcesOf(command, { rawNames, signal, read, note });
  const uploads = new FirnUploads(remote, {
    bodyBytes: command.maxBody,
    ...(command.compress && { compress: { encoding: "zstd", run: compress } }),
  });
  tally.begin(sources.outgoing);
  const pushed = await pushPaths(sources.outgoing, uploads, {
    signal,
    enter: (phase, path) => tally.enter(phase, path),
    count: (bytes, shared) => tally.count(bytes, shared),
    published: (paths) => tally.published(paths),
  });
  return { sources, pushed };
}

const codecs = openCodecs();

async function compress(body: Bytes): Promise<Bytes> {
  return concat(await Array.fromAsync(codecs.compress("zstd", [body])));
}

/** What a person can do about a refusal. */
function advised(error: RefusedError, { to, maxBody }: PushCommand, hasToken: boolean): RemoteError {
  const { status, reason } = error;
  const said = `${status} ${reason}`;
  const tell = (why: string) =>
    new RemoteError(to, `Cannot push to ${to}: ${why} (${said})`, { cause: error });
  if (status === 401) {
    return tell(
      hasToken
        ? "it does not take this token, which may have expired; ask for another"
        : "it wants a token; give one with --token-file FILE, or FIRN_TOKEN",
    );
  }
  if (status === 403) {
    return tell(hasToken ? "this token does not allow it" : "it does not allow it without a token");
  }
  if (status === 413) {
    return tell(
      maxBody > LEAST_BODY
        ? `something is too long for it, or for what stands before it; try a --max-body under ${
          formatSize(maxBody)
        }`
        : `something is too long for it, or for what stands before it, whose limit must be over ${
          formatSize(LEAST_BODY)
        }`,
    );
  }
  if (status === 507) {
    return tell("it has no room; what arrived stays, and the same command goes on when it has");
  }
  if (status === 408 || status === 429 || status >= 500) {
    return tell("it goes on failing; what arrived stays there, and the same command goes on");
  }
  return error;
}
