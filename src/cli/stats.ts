/** `firn stats`: what a store holds, in words. */
import { formatStorePath } from "../nix/store_path.ts";
import { measureStore, type StoreStatistics } from "../store/statistics.ts";
import type { ContentsKind } from "../store/owners.ts";
import type { PackedUse } from "../combinators/packed.ts";
import { openStopped } from "./home.ts";
import { InterruptedError, Interruption, Progress } from "./progress.ts";
import { count, formatSize, readStoppedOptions, STORE_HELP } from "./stopped_options.ts";
import { UsageError } from "./usage.ts";

export const STATS_HELP =
  `firn stats: what a store holds, what sharing and compression save, and what deleting would free

usage: firn stats [options]

${STORE_HELP}
  --paths                   a line a path instead: bytes, as they are stored, that no other path has (so
                            much comes free when it is deleted), bytes of its archive, bytes of the
                            archives of all it refers to with its own, paths among those, and the path;
                            between them tabs
  --help                    show this

examples:
  firn stats
  firn stats --paths | sort -n | tail                     the paths that take the most room
`;

/** Runs the command. */
export async function stats(args: readonly string[]): Promise<number> {
  const options = readStoppedOptions(args, { paths: { type: "boolean" } });
  if (!options) {
    console.log(STATS_HELP);
    return 0;
  }
  if (options.positionals.length > 0) {
    throw new UsageError(
      `Cannot run stats ${options.positionals[0]}: want firn stats, or firn stats --paths`,
    );
  }
  await using home = await openStopped(options.store, (line) => console.error(line));
  using progress = new Progress();
  using interruption = new Interruption();
  const { names, packs } = home;
  try {
    const statistics = await measureStore({
      names,
      bytes: packs,
      lengths: (prefix) => packs.lengths(prefix),
      signal: interruption.signal,
      onProgress: ({ paths, of, values }) =>
        progress.tell(() =>
          `looked at ${paths.toLocaleString("en")} of ${count(of, "path")}, ${count(values, "value")}`
        ),
    });
    const use = await packs.use();
    progress[Symbol.dispose]();
    if (options.values.paths) await printPaths(statistics);
    else for (const line of report(statistics, use)) console.log(line);
    return 0;
  } catch (error) {
    if (!(error instanceof InterruptedError)) throw error;
    return 1;
  }
}

async function printPaths(statistics: StoreStatistics): Promise<void> {
  for await (const { info, ownBytes, closureSize, closurePaths } of statistics.eachPath()) {
    console.log(
      [ownBytes, info.narSize, closureSize, closurePaths, formatStorePath(info.storePath)].join("\t"),
    );
  }
}

/** As a person calls them. */
const KINDS: readonly [string, ContentsKind][] = [
  ["chunks", "chunk"],
  ["folders", "dir"],
  ["lists", "blob"],
  ["outboards", "outboard"],
  ["runs", "run"],
  ["pressed", "pressed"],
];

/** What there would be as archives, what is left of it, and of what that is made. */
function* report(
  { paths, narBytes, contents, distinct, stored, garbage, broken }: StoreStatistics,
  use: PackedUse,
): Generator<string> {
  const row = (name: string, bytes: number, note: string) =>
    `${name.padEnd(14)}${formatSize(bytes).padStart(12)}  ${note}`;
  const less = (bytes: number) => {
    return bytes > 0 && narBytes > bytes ? `, ${(narBytes / bytes).toFixed(2)} times less` : "";
  };
  yield row("archives", narBytes, `of ${count(paths, "path")}`);
  yield row(
    "after sharing",
    distinct.bytes,
    `${count(distinct.values, "value")}, each once${less(distinct.bytes)}`,
  );
  yield row("stored", stored, `as it lies in packs${less(stored)}`);
  for (const [name, kind] of KINDS) {
    const { values, bytes, stored } = contents[kind];
    const of = stored === bytes ? "" : `of ${formatSize(bytes)}, `;
    yield row(`  ${name}`, stored, of + count(values, "value"));
  }
  yield row(
    "garbage",
    garbage.bytes,
    `${count(garbage.values, "value")} that belong to no path; firn gc deletes them`,
  );
  yield row("deleted", use.dead, `in ${count(use.packs, "pack")}, until firn gc gives the room back`);
  if (broken > 0) {
    yield `${count(broken, "file or folder", "files and folders")} of paths cannot be read: they are damaged`;
  }
}
