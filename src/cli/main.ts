/** The command line: which command, and how errors are told. */
import {
  ConflictError,
  DamageError,
  FormatError,
  MissingError,
  StoreBusyError,
  StoreFullError,
} from "../errors.ts";
import { UsageError } from "./usage.ts";

const HELP = `firn: a Nix store of content-addressed files and folders

usage: firn COMMAND [options]

  serve     serve a store over HTTP, as a binary cache that Nix copies into and out of
  gc        delete paths, and the contents that no path has
  pin       keep a path, and all it refers to, under a name
  unpin     remove such a name
  pins      list them
  token     keys and tokens: who may read and write; take tokens back
  stats     tell what a store holds, what sharing saves, and what deleting would free

  firn COMMAND --help tells more. Without installing anything, firn is: deno run -A mod.ts
`;

/** What is told in a line. Anything else is a fault of firn, and told with where it happened. */
const EXPECTED = [
  ...[UsageError, ConflictError, DamageError, FormatError, MissingError, StoreBusyError, StoreFullError],
];

/** Runs a command and returns the exit code: 0, 1 for a failure, 2 for a command line that cannot be carried out. */
export async function main(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args;
  try {
    switch (command) {
      case "serve":
        await (await import("./serve.ts")).serve(rest);
        return 0;
      case "gc":
        return await (await import("./gc.ts")).gc(rest);
      case "pin":
      case "unpin":
      case "pins":
        return await (await import("./pins.ts"))[command](rest);
      case "stats":
        return await (await import("./stats.ts")).stats(rest);
      case "token":
        return await (await import("./token.ts")).token(rest);
      case undefined:
      case "help":
      case "--help":
      case "-h":
        console.log(HELP);
        return command === undefined ? 2 : 0;
      default:
        throw new UsageError(`Cannot run ${command}: no such command; firn --help lists them`);
    }
  } catch (error) {
    const expected = EXPECTED.some((kind) => error instanceof kind);
    console.error(expected ? `firn: ${(error as Error).message}` : error);
    return error instanceof UsageError ? 2 : 1;
  }
}
