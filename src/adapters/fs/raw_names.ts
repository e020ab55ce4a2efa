/**
 * Names that are no UTF-8, which Deno's functions for files cannot say. A shell can: it lists a folder byte for byte, and makes a link
 * with a plain name to each entry, under which that can be opened. Rare enough that starting one for each such folder does not matter.
 */
import { type Bytes, compare, toText } from "../../bytes/bytes.ts";
import { UnreadableError } from "../../errors.ts";
import type { TreeEntry } from "./read_tree.ts";

/** Prints for each entry of folder $1 its type, name and target, each ended by a zero byte, and links $2/0, $2/1, … to them. */
const LIST = String.raw`
set -e; LC_ALL=C; export LC_ALL
cd -- "$1"
number=0
for name in * .[!.]* ..?*; do
  if [ -h "$name" ]; then type=l; elif [ -d "$name" ]; then type=d; elif [ -f "$name" ]; then type=f
  elif [ -e "$name" ]; then type=o; else continue; fi
  printf '%s\0%s\0' "$type" "$name"
  if [ "$type" = l ]; then readlink -n -- "$name"; fi
  printf '\0'
  ln -s -- "$1/$name" "$2/$number"
  number=$((number + 1))
done`;

const TYPES = { l: "symlink", d: "directory", f: "file", o: "other" } as const;

/** Knows raw names. Disposing removes the links. */
export class RawNames implements Disposable {
  /** Folder of folders of links. */
  #folder: string | undefined;
  #count = 0;

  /** What is in a folder, which has so many entries, in the order of the names' bytes. @param path absolute */
  async list(path: string, count: number): Promise<TreeEntry[]> {
    this.#folder ??= Deno.makeTempDirSync({ prefix: "firn-names-" });
    const links = `${this.#folder}/${this.#count++}`;
    Deno.mkdirSync(links);
    const fields = split(await run(LIST, path, links));
    const entries: TreeEntry[] = [];
    for (let i = 0; i + 2 < fields.length; i += 3) {
      const type = TYPES[toText(fields[i]) as keyof typeof TYPES];
      entries.push({
        name: fields[i + 1],
        path: `${links}/${i / 3}`,
        type,
        ...(type === "symlink" && { target: fields[i + 2] }),
      });
    }
    if (entries.length !== count) {
      throw new UnreadableError(`Cannot read ${path}: it changed while it was read`);
    }
    return entries.sort((a, b) => compare(a.name, b.name));
  }

  /** The target of a link. */
  async target(path: string): Promise<Bytes> {
    return await run('readlink -n -- "$1"', path);
  }

  [Symbol.dispose](): void {
    if (this.#folder !== undefined) Deno.removeSync(this.#folder, { recursive: true });
    this.#folder = undefined;
  }
}

async function run(script: string, ...args: string[]): Promise<Bytes> {
  const { success, stdout, stderr } = await new Deno.Command("/bin/sh", {
    args: ["-c", script, "sh", ...args],
  })
    .output();
  if (!success) {
    const why = new TextDecoder().decode(stderr).trim();
    throw new UnreadableError(`Cannot read names that are no UTF-8 in ${args[0]}: ${why}`);
  }
  return stdout;
}

function split(bytes: Bytes): Bytes[] {
  const fields: Bytes[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(0, at);
    fields.push(bytes.slice(at, end));
    at = end + 1;
  }
  return fields;
}
