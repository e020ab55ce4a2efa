/** What `firn push` is to send, from what a person names: paths of the Nix store, files and folders, paths of a firn store. */
import { basename, dirname, resolve } from "node:path";
import type { RawNames } from "../adapters/fs/raw_names.ts";
import { askNix } from "../adapters/nix_db/nix_command.ts";
import { openNixDatabase } from "../adapters/nix_db/nix_database.ts";
import type { NixRecords, RecordedPath } from "../adapters/nix_db/recorded_path.ts";
import type { Outgoing } from "../adapters/nix_http/push_paths.ts";
import { equals } from "../bytes/bytes.ts";
import { DamageError, MissingError, UnreadableError } from "../errors.ts";
import { contentAddressedPath } from "../nix/content_address.ts";
import { formatNixHash } from "../nix/hash_text.ts";
import {
  formatStorePath,
  isStorePathName,
  splitStorePath,
  STORE_DIR,
  type StorePath,
} from "../nix/store_path.ts";
import type { PathInfo } from "../store/path_info.ts";
import { referencesFirst } from "../store/references_first.ts";
import { servicesOver } from "../store/services.ts";
import { type OpenHome } from "./home.ts";
import { outline } from "./outline.ts";
import type { PushCommand } from "./push_options.ts";
import { parsePathArgument } from "./stopped_options.ts";
import { UsageError } from "./usage.ts";

export interface Sources {
  /** The store path of each argument, in their order. */
  readonly roots: readonly StorePath[];
  /** All that is to be sent, each after what it refers to. */
  readonly outgoing: readonly Outgoing[];
}

export interface SourceOptions {
  readonly rawNames: RawNames;
  readonly signal: AbortSignal;
  /** Told bytes that were read and hashed, and of which path. */
  readonly read: (path: string, bytes: number) => void;
  /** Told what a person should know. */
  readonly note: (line: string) => void;
}

/** Looks up paths of the Nix store, and reads files and folders. */
export async function sourcesOf(command: PushCommand, options: SourceOptions): Promise<Sources> {
  const places = command.paths.map((text) => locate(text, command.nixRoot ?? ""));
  const inStore = places.filter((place) => typeof place !== "string");
  if (command.name !== undefined && inStore.length > 0) {
    throw new UsageError(
      `Cannot use --name: ${formatStorePath(inStore[0])} is a store path, which has its name`,
    );
  }
  const outgoing = await outgoingPaths(inStore, command, options);
  const roots: StorePath[] = [];
  for (const place of places) {
    const added = typeof place === "string" ? await outgoingFolder(place, command.name, options) : undefined;
    if (added) outgoing.push(added);
    roots.push(added?.storePath ?? place as StorePath);
  }
  return { roots, outgoing };
}

/** Where an argument leads: to a store path, or to a file or folder elsewhere, whose absolute path it is. */
function locate(text: string, nixRoot: string): StorePath | string {
  let path = resolve(text);
  for (let links = 0; links < 40; links++) {
    if (path === STORE_DIR) throw new UsageError(`Cannot push ${STORE_DIR} as one path: name paths in it`);
    if (path.startsWith(STORE_DIR + "/")) return splitStorePath(path).path;
    try {
      const real = `${Deno.realPathSync(dirname(path))}/${basename(path)}`.replace(/^\/\//, "/");
      if (nixRoot && real.startsWith(`${resolve(nixRoot)}${STORE_DIR}/`)) {
        return splitStorePath(real.slice(resolve(nixRoot).length)).path;
      }
      if (real.startsWith(STORE_DIR + "/")) return splitStorePath(real).path;
      if (!Deno.lstatSync(path).isSymlink) return real;
      path = resolve(dirname(real), Deno.readLinkSync(path));
    } catch (cause) {
      if (cause instanceof SyntaxError) throw cause; // in the store, but no store path
      throw new UnreadableError(
        `Cannot read ${text}: ${(cause as Error).message.replace(/: [a-z]+ '.*'$/s, "")}`,
        {
          cause,
        },
      );
    }
  }
  throw new UnreadableError(`Cannot read ${text}: it leads through too many links`);
}

async function outgoingPaths(
  roots: readonly StorePath[],
  { closure, nixRoot }: PushCommand,
  options: SourceOptions,
): Promise<Outgoing[]> {
  if (roots.length === 0) return [];
  using records = await openRecords(roots, closure, nixRoot);
  const find = (path: StorePath): Promise<RecordedPath> => {
    const record = records.find(path);
    if (record) return Promise.resolve(record);
    const name = formatStorePath(path);
    throw new MissingError(
      "path",
      name,
      `Cannot push ${name}: it is not valid in the Nix store of this machine`,
    );
  };
  const found = closure ? await referencesFirst(roots, find) : await Promise.all(roots.map(find));
  return found.map((record) => ({
    storePath: record.storePath,
    narSize: record.narSize,
    open: async () => {
      const path = formatStorePath(record.storePath);
      const { rawNames, signal } = options;
      const read = (bytes: number) => options.read(path, bytes);
      const source = await outline((nixRoot ?? "") + path, { rawNames, signal, read });
      if (!equals(source.narSha256, record.narSha256)) {
        throw new DamageError(
          "path",
          path,
          `Cannot push ${path}: its contents are not what Nix has recorded (${
            formatNixHash("sha256", source.narSha256)
          } where ${formatNixHash("sha256", record.narSha256)} is recorded); ` +
            `nix-store --repair-path ${path} may mend it`,
        );
      }
      const info: PathInfo = { ...record, node: source.node, unclaimedReferences: [], registeredAt: 0 };
      return { info, source };
    },
  }));
}

/** What Nix has recorded: from its database, or where that cannot be read, from its command. */
async function openRecords(
  roots: readonly StorePath[],
  recursive: boolean,
  nixRoot: string | undefined,
): Promise<NixRecords> {
  const state = nixRoot === undefined
    ? Deno.env.get("NIX_STATE_DIR") ?? "/nix/var/nix"
    : `${nixRoot}/nix/var/nix`;
  try {
    return openNixDatabase(`${state}/db/db.sqlite`);
  } catch (error) {
    if (!(error instanceof UnreadableError)) throw error;
    try {
      return await askNix(roots, { recursive, root: nixRoot });
    } catch (other) {
      if (!(other instanceof UnreadableError)) throw other;
      throw new UnreadableError(`${error.message}. ${other.message}`, { cause: other });
    }
  }
}

async function outgoingFolder(
  place: string,
  named: string | undefined,
  { rawNames, signal, read, note }: SourceOptions,
): Promise<Outgoing> {
  const name = named ?? basename(place);
  if (!isStorePathName(name)) {
    throw new UsageError(
      `Cannot name a store path after ${place}: it may have A-Z a-z 0-9 + - . _ ? =; use --name`,
    );
  }
  const source = await outline(place, { rawNames, signal, read: (bytes) => read(place, bytes) });
  const { node, narSha256, narSize, found } = source;
  const ca = { method: "nar", algorithm: "sha256", digest: narSha256 } as const;
  const storePath = contentAddressedPath({ name, ca });
  if (found.size > 0) {
    note(
      `${place} mentions ${found.size} store path${found.size === 1 ? "" : "s"}, which are not sent with it`,
    );
  }
  const info: PathInfo = {
    ...{ storePath, node, narSha256, narSize, ca },
    ...{ references: [], signatures: [], unclaimedReferences: [], registeredAt: 0 },
  };
  return { storePath, narSize, open: () => Promise.resolve({ info, source }) };
}

/** Looks up paths of a firn store. */
export async function storedSources({ paths, closure }: PushCommand, home: OpenHome): Promise<Sources> {
  const source = servicesOver(home);
  const find = async (hashPart: string): Promise<PathInfo> => {
    const info = await source.pathInfos.get(hashPart);
    if (info) return info;
    throw new MissingError("path", hashPart, `Cannot push ${hashPart}: it is not in this store`);
  };
  const roots = await Promise.all(paths.map((text) => find(parsePathArgument(text))));
  const infos = closure
    ? await referencesFirst(roots.map(({ storePath }) => storePath), ({ hashPart }) => find(hashPart))
    : roots;
  const outgoing = infos.map((info) => ({ ...info, open: () => Promise.resolve({ info, source }) }));
  return { roots: roots.map(({ storePath }) => storePath), outgoing };
}
