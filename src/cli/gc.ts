/** `firn gc`: deleting paths, and the contents that no path has. */
import { openCodecs } from "../adapters/codecs/codecs.ts";
import type { Compacted } from "../combinators/compaction.ts";
import { type CollectedGarbage, collectGarbage } from "../store/garbage.ts";
import { pinsOver } from "../store/roots.ts";
import { openStopped } from "./home.ts";
import { InterruptedError, Interruption, Progress } from "./progress.ts";
import {
  count,
  formatSize,
  parseDuration,
  parsePathArgument,
  readStoppedOptions,
  type StoppedOptions,
  STORE_HELP,
} from "./stopped_options.ts";
import { UsageError } from "./usage.ts";

export const GC_HELP = `firn gc: delete paths, and the contents that no path has

usage: firn gc [options]
       firn gc [options] --delete PATH…

${STORE_HELP}
  --delete PATH…            delete these paths; refused when another path refers to one, or a pin keeps it
  --with-referrers          delete what refers to them, too
  --keep-roots-only         delete every path that no pin keeps (firn pins lists them)
  --grace DURATION          with --keep-roots-only, keep paths that are younger; and always keep archives
                            whose narinfo may still come: 0, 30m, 12h, 7d   [24h]
  --dry-run                 delete nothing, and tell what would be
  --help                    show this

Without --delete and --keep-roots-only every path stays, and what belongs to none goes: what was left by
uploads that did not end, or by paths that were deleted. The store must not be open in a server.
Stopped or killed in the middle, all that is visible is whole; run it again to finish.

examples:
  firn gc                                                 what belongs to no path
  firn gc --delete /nix/store/kj6p4lc0wfay23imjkdi5jbhak0jsf15-hello
  firn pin web /nix/store/kj6p4lc0wfay23imjkdi5jbhak0jsf15-hello; firn gc --keep-roots-only --grace 7d
`;

/** Runs the command. */
export async function gc(args: readonly string[]): Promise<number> {
  const options = readStoppedOptions(args, {
    delete: { type: "string", multiple: true },
    "with-referrers": { type: "boolean" },
    "keep-roots-only": { type: "boolean" },
    grace: { type: "string" },
    "dry-run": { type: "boolean" },
  });
  if (!options) {
    console.log(GC_HELP);
    return 0;
  }
  const choice = readChoice(options);
  await using home = await openStopped(options.store, (line) => console.error(line));
  if (choice.keep === "pinned") await checkPins(home.names);
  using progress = new Progress();
  using interruption = new Interruption();
  const { signal } = interruption;
  const { packs } = home;
  try {
    const collected = await collectGarbage({
      ...choice,
      names: home.names,
      bytes: packs,
      alone: true,
      lengthOf: (key) => packs.lengthOf(key),
      codec: openCodecs(),
      signal,
      onProgress: ({ stage, done, values }) => progress.tell(() => STAGES[stage](done, values)),
    });
    const compacted = choice.dryRun ? undefined : await packs.compact({
      alone: true,
      signal,
      onProgress: (done, of) => progress.tell(() => `giving back room: ${done} of ${count(of, "pack")}`),
    });
    progress[Symbol.dispose]();
    for (const line of report(collected, compacted)) console.log(line);
  } catch (error) {
    if (!(error instanceof InterruptedError)) throw error;
    progress[Symbol.dispose]();
    console.error("firn: stopped; run firn gc again to finish");
    return 1;
  }
  return 0;
}

const STAGES = {
  records: (done: number) => `deleting paths: ${count(done, "path")}`,
  mark: (done: number, values: number) =>
    `looking what is in use: ${count(done, "record")}, ${count(values, "value")}`,
  sweep: (done: number) => `deleting what is not: looked at ${count(done, "value")}`,
};

function readChoice({ values, positionals }: StoppedOptions) {
  const asked = values.delete as string[] | undefined;
  if (!asked && positionals.length > 0) {
    throw new UsageError(`Cannot collect ${positionals[0]}: want --delete before the paths to delete`);
  }
  if (!asked && values["with-referrers"]) {
    throw new UsageError("Cannot use --with-referrers without --delete PATH");
  }
  return {
    delete: [...asked ?? [], ...positionals].map(parsePathArgument),
    withReferrers: values["with-referrers"] === true,
    keep: values["keep-roots-only"] ? "pinned" as const : "all" as const,
    graceMs: parseDuration("--grace", values.grace as string ?? "24h"),
    dryRun: values["dry-run"] === true,
  };
}

/** With no pin at all everything would go, which is more likely a mistake. */
async function checkPins(names: Parameters<typeof pinsOver>[0]): Promise<void> {
  for await (const _ of pinsOver(names).list()) return;
  throw new UsageError(
    "Cannot keep roots only: nothing is pinned, and every path would go; firn pin NAME PATH pins one",
  );
}

function* report(
  { paths, nars, sideFiles, values, bytes, kept, broken }: CollectedGarbage,
  compacted: Compacted | undefined,
): Generator<string> {
  const verb = compacted ? "deleted" : "would delete";
  yield `${verb} ${count(paths, "path")}, ${count(nars, "archive record")}, ${
    count(sideFiles, "side file")
  } and ${count(values, "value")} of ${formatSize(bytes)}; ${count(kept, "value")} stay${
    kept === 1 ? "s" : ""
  }`;
  if (broken > 0) {
    yield `${
      count(broken, "file or folder", "files and folders")
    } of paths that stay cannot be read: they are damaged`;
  }
  if (!compacted) return;
  const { removed, rewritten, freed, damaged } = compacted;
  yield `gave back ${formatSize(Math.max(0, freed))}: ${
    count(removed, "pack")
  } removed, ${rewritten} rewritten`;
  for (const pack of damaged) yield `left as it is, for it cannot be read: ${pack}`;
}
