/** The command line of `firn push`. */
import { parseArgs } from "node:util";
import { LEAST_BODY, USUAL_BODY } from "../adapters/nix_http/firn_uploads.ts";
import { isStorePathName } from "../nix/store_path.ts";
import { formatSize, parseDuration } from "./stopped_options.ts";
import { UsageError } from "./usage.ts";

export const PUSH_HELP = `firn push: send paths to a firn server, in pieces, and only what it lacks

usage: firn push [options] PATH… --to URL

A PATH is a store path, or a link to one, which is sent with all it refers to; or any other file or folder, which
becomes a store path named by its contents, as nix store add-path makes one. The store paths are printed.

  --to URL                  the server
  --no-closure              send each store path alone, without what it refers to
  --name NAME               of the store path that a file or folder becomes                     [its own name]
  --token-file FILE         a file with the token that the server wants                         FIRN_TOKEN has it
  --max-body BYTES          the longest body to send: 1MiB, 4M, 1000000; at least 640KiB        [4MiB]
  --no-compress             send bodies as they are, and not compressed with zstd
  --retry-for DURATION      how long something may go on failing, when that may pass: 0, 30s, 5m [2m]
  --from STORE              send out of a firn store's folder that no server has open: paths or their hashes
  --nix-root FOLDER         the folder that the /nix of the paths is in                         [/]
  --json                    print a summary as JSON instead of the store paths
  --help                    show this

What is missing there is asked for first, and sent in bodies under --max-body, many files together or a file in pieces;
a path is published when all of it is there, after what it refers to, and when the server has recomputed its hashes
from what it got. Interrupted at any moment, the same command goes on where it was.

examples:
  firn push ./result --to https://cache.example.org
  FIRN_TOKEN=… firn push --max-body 1MiB /nix/store/kj6p4lc0wfay23imjkdi5jbhak0jsf15-hello --to https://cache.example.org
  firn push --name site-2025 ./public --to http://127.0.0.1:8080
`;

export interface PushCommand {
  readonly paths: readonly string[];
  readonly to: string;
  readonly closure: boolean;
  readonly name?: string;
  readonly tokenFile?: string;
  readonly maxBody: number;
  readonly compress: boolean;
  readonly retryForMs: number;
  readonly from?: string;
  readonly nixRoot?: string;
  readonly json: boolean;
}

const TEXT = { type: "string" } as const;
const FLAG = { type: "boolean" } as const;
const OPTIONS = {
  ...{ to: TEXT, "no-closure": FLAG, name: TEXT, "token-file": TEXT, token: TEXT, "max-body": TEXT },
  ...{ "no-compress": FLAG, "retry-for": TEXT, from: TEXT, "nix-root": TEXT, json: FLAG },
  help: { type: "boolean", short: "h" },
} as const;

/** Reads a command line; `undefined` when help was asked for. Throws {@link UsageError}. */
export function readPushCommand(args: readonly string[]): PushCommand | undefined {
  const { values, positionals: paths } = parse(args);
  if (values.help) return undefined;
  if (values.token !== undefined) {
    throw new UsageError(
      "Cannot take a token on the command line, which others can read: use --token-file FILE, or FIRN_TOKEN",
    );
  }
  if (paths.length === 0) throw new UsageError("Cannot push nothing: want firn push PATH… --to URL");
  if (values.to === undefined) throw new UsageError("Cannot push to nowhere: want --to URL");
  const { name, from } = values;
  if (name !== undefined && !isStorePathName(name)) {
    throw new UsageError(
      `Cannot use --name ${name}: want 1 to 211 of A-Z a-z 0-9 + - . _ ? =`,
    );
  }
  if (name !== undefined && paths.length > 1) {
    throw new UsageError("Cannot give several paths one name: --name is for one file or folder");
  }
  if (from !== undefined && (name !== undefined || values["nix-root"] !== undefined)) {
    throw new UsageError("Cannot use --name or --nix-root with --from: what is in a firn store has its name");
  }
  return {
    paths,
    to: parseServer(values.to),
    closure: !values["no-closure"],
    name,
    tokenFile: values["token-file"],
    maxBody: parseBody(values["max-body"]),
    compress: !values["no-compress"],
    retryForMs: parseDuration("--retry-for", values["retry-for"] ?? "2m"),
    from,
    nixRoot: values["nix-root"],
    json: values.json === true,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message.split("\n")[0]);
  }
}

function parseServer(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.search || url.hash) {
    throw new UsageError(`Cannot push to ${text}: want an address such as https://cache.example.org`);
  }
  if (url.username || url.password) {
    throw new UsageError("Cannot use an address with a password in it: use --token-file FILE, or FIRN_TOKEN");
  }
  return text.replace(/\/+$/, "");
}

const UNITS: Readonly<Record<string, number>> = { k: 1, m: 2, g: 3 };

/** A size as `4MiB`, `4M` (the same), `4MB` or `4000000`, in bytes. */
function parseBody(text: string | undefined): number {
  if (text === undefined) return USUAL_BODY;
  const match = /^(\d{1,15})(?:([kmg])(i?b?))?$/i.exec(text);
  const unit = match?.[3]?.toLowerCase() === "b" ? 1000 : 1024;
  const bytes = match ? Number(match[1]) * unit ** (UNITS[match[2]?.toLowerCase()] ?? 0) : 0;
  if (bytes >= LEAST_BODY && Number.isSafeInteger(bytes)) return bytes;
  throw new UsageError(
    `Cannot use --max-body ${text}: want bytes such as 4MiB or 1000000, and at least ${
      formatSize(LEAST_BODY)
    }, ` +
      "because a piece of a file may have 512 KiB",
  );
}
