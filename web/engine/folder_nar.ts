/**
 * A folder that was dropped, as the archive Nix would make of it.
 */
import { type Bytes, compare, EMPTY } from "../../src/bytes/bytes.ts";
import { iterate } from "../../src/bytes/streams.ts";
import { FormatError, LimitError } from "../../src/errors.ts";
import type { NarToken } from "../../src/nar/parser.ts";
import { writeNar } from "../../src/nar/writer.ts";
import type { FolderEntry } from "./engine.ts";
import { nameBytes } from "./path_text.ts";
import { shown } from "./shown.ts";

/** Most files in a folder that is dropped. */
const MOST_ENTRIES = 2_000_000;
/** Most folders inside each other, as everywhere. */
const MOST_DEPTH = 4096;

/** The entries of a folder, by their paths below it. */
export async function listFolder(
  folder: readonly FolderEntry[] | FileSystemDirectoryHandle,
): Promise<Map<string, File | undefined>> {
  const entries = new Map<string, File | undefined>();
  const add = (path: string, file: File | undefined) => {
    if (entries.size >= MOST_ENTRIES) {
      throw new LimitError(MOST_ENTRIES, `Cannot take the folder: it has over ${MOST_ENTRIES} files`);
    }
    entries.set(path, file);
  };
  if (Array.isArray(folder)) {
    for (const { path, file } of folder as readonly FolderEntry[]) add(path.replace(/\/+$/, ""), file);
    return entries;
  }
  const todo = [{ handle: folder as FileSystemDirectoryHandle, path: "" }];
  for (let next = todo.pop(); next; next = todo.pop()) {
    // Its types are missing from the library of Deno.
    const children = next.handle as unknown as { values(): AsyncIterable<FileSystemHandle> };
    let empty = true;
    for await (const child of children.values()) {
      empty = false;
      const path = next.path === "" ? child.name : `${next.path}/${child.name}`;
      if (child.kind === "file") add(path, await (child as FileSystemFileHandle).getFile());
      else todo.push({ handle: child as FileSystemDirectoryHandle, path });
    }
    if (empty && next.path !== "") add(next.path, undefined);
  }
  return entries;
}

interface Branch {
  readonly children: Map<string, Branch | File>;
}

/** The NAR of a folder. `guess`: files that begin as programs do are marked as executable. */
export function folderNar(
  entries: ReadonlyMap<string, File | undefined>,
  executables: "guess" | "none",
): ReadableStream<Bytes> {
  const root: Branch = { children: new Map() };
  for (const [path, file] of entries) plant(root, path, file);
  return writeNar(tokensOf(root, executables === "guess"));
}

function plant(root: Branch, path: string, file: File | undefined): void {
  const parts = path.split("/");
  if (parts.length > MOST_DEPTH) {
    throw new LimitError(
      MOST_DEPTH,
      `Cannot take the folder: it has over ${MOST_DEPTH} folders inside each other`,
    );
  }
  let branch = root;
  for (const part of file ? parts.slice(0, -1) : parts) {
    const next = branch.children.get(part) ?? { children: new Map() };
    if (!("children" in next)) {
      throw new FormatError("folder", `Cannot take the folder: ${shown(path)} lies in what is a file`);
    }
    branch.children.set(part, next);
    branch = next;
  }
  if (file) branch.children.set(parts[parts.length - 1], file);
}

async function* tokensOf(root: Branch, guess: boolean): AsyncGenerator<NarToken, void, void> {
  yield { type: "directory", name: EMPTY };
  const open = [sorted(root)];
  while (open.length > 0) {
    const { done, value } = open[open.length - 1].next();
    if (done) {
      open.pop();
      yield { type: "end" };
    } else if ("children" in value.child) {
      yield { type: "directory", name: value.name };
      open.push(sorted(value.child));
    } else yield* fileTokens(value.name, value.child, guess);
  }
}

async function* fileTokens(name: Bytes, file: File, guess: boolean): AsyncGenerator<NarToken, void, void> {
  const executable = guess && await looksExecutable(file);
  yield { type: "file", name, executable, size: file.size };
  for await (const bytes of iterate(file.stream())) yield { type: "data", bytes };
  yield { type: "end" };
}

function* sorted({ children }: Branch): Generator<{ name: Bytes; child: Branch | File }, void, void> {
  const named = [...children].map(([text, child]) => ({ name: nameBytes(text), child }));
  yield* named.sort((a, b) => compare(a.name, b.name));
}

/** `#!`, or ELF. */
async function looksExecutable(file: File): Promise<boolean> {
  if (file.size < 4) return false;
  const [a, b, c, d] = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  return (a === 0x23 && b === 0x21) || (a === 0x7f && b === 0x45 && c === 0x4c && d === 0x46);
}
