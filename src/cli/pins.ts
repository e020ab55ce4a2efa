/** `firn pin`, `firn unpin`, `firn pins`: names that keep paths. */
import { formatStorePath } from "../nix/store_path.ts";
import { pathInfosOver } from "../store/path_infos_over.ts";
import { pinsOver } from "../store/roots.ts";
import { openStopped } from "./home.ts";
import { parsePathArgument, readStoppedOptions, type StoppedOptions, STORE_HELP } from "./stopped_options.ts";
import { UsageError } from "./usage.ts";

export const PIN_HELP = `firn pin: keep a path, and all it refers to, under a name

usage: firn pin [options] NAME PATH

${STORE_HELP}
  --help                    show this

A name that is there already keeps the new path instead. firn gc does not delete what is pinned.

examples:
  firn pin web /nix/store/kj6p4lc0wfay23imjkdi5jbhak0jsf15-hello
  firn pin releases/2.12 kj6p4lc0wfay23imjkdi5jbhak0jsf15
`;

export const UNPIN_HELP = `firn unpin: remove a pin

usage: firn unpin [options] NAME

${STORE_HELP}
  --help                    show this

The path stays until it is deleted: firn gc --keep-roots-only, or firn gc --delete PATH.

examples:
  firn unpin web
`;

export const PINS_HELP = `firn pins: list what is pinned

usage: firn pins [options]

${STORE_HELP}
  --help                    show this

One line a pin: its name, a tab, and the path it keeps.

examples:
  firn pins
  firn pins --store /srv/firn | cut -f1
`;

export async function pin(args: readonly string[]): Promise<number> {
  const options = readStoppedOptions(args);
  if (!options) return help(PIN_HELP);
  const [name, path] = take(options, "pin", ["NAME", "PATH"]);
  const hashPart = parsePathArgument(path);
  await using home = await openStopped(options.store, (line) => console.error(line));
  await pinsOver(home.names).add(name, hashPart);
  return 0;
}

export async function unpin(args: readonly string[]): Promise<number> {
  const options = readStoppedOptions(args);
  if (!options) return help(UNPIN_HELP);
  const [name] = take(options, "unpin", ["NAME"]);
  await using home = await openStopped(options.store, (line) => console.error(line));
  if (await pinsOver(home.names).remove(name)) return 0;
  throw new UsageError(`Cannot unpin ${name}: nothing is pinned under that name; firn pins lists the names`);
}

export async function pins(args: readonly string[]): Promise<number> {
  const options = readStoppedOptions(args);
  if (!options) return help(PINS_HELP);
  take(options, "pins", []);
  await using home = await openStopped(options.store, (line) => console.error(line));
  const pathInfos = pathInfosOver(home.names);
  for await (const { name, hashPart } of pinsOver(home.names).list()) {
    const info = await pathInfos.get(hashPart);
    console.log(`${name}\t${info ? formatStorePath(info.storePath) : `${hashPart} (which is not here)`}`);
  }
  return 0;
}

function help(text: string): number {
  console.log(text);
  return 0;
}

/** The arguments of a command, as many as it has. */
function take({ positionals }: StoppedOptions, command: string, names: readonly string[]): readonly string[] {
  if (positionals.length === names.length) return positionals;
  throw new UsageError(`Cannot run ${command}: want firn ${[command, ...names].join(" ")}`);
}
