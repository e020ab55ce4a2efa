/**
 * What `DirectoryService` promises, sentence by sentence.
 */
import { toHex } from "../../src/bytes/hex.ts";
import type { Digest } from "../../src/castore/digest.ts";
import {
  type Directory,
  directoryDigest,
  type DirectoryItem,
  directoryOf,
  directorySize,
  encodeDirectory,
} from "../../src/castore/directory.ts";
import type { DirectoryService, NamedDirectory } from "../../src/castore/directory_service.ts";
import { directoryKey } from "../../src/castore/layout.ts";
import { DamageError, FormatError, MissingError } from "../../src/errors.ts";
import {
  A,
  B,
  type Backing,
  C,
  COMPLICATED,
  COMPLICATED_SNIX,
  D,
  D_SNIX,
  file,
  folder,
  type KnownDirectory,
  symlink,
  WITH_KEEP,
} from "./_castore_samples.ts";
import { type ContractCase, ensure, ensureRejects, ensureSame, promiseOf } from "./case.ts";

/** A DirectoryService to be examined. */
export interface DirectorySubject extends AsyncDisposable {
  readonly directories: DirectoryService;
}

const directoriesOf = (known: KnownDirectory[]): Directory[] => known.map(({ directory }) => directory);

async function closureOf(directories: DirectoryService, root: Digest): Promise<NamedDirectory[]> {
  return await Array.fromAsync(directories.getClosure(root));
}

const hexOf = (known: readonly { digest: Digest }[]): string =>
  known.map(({ digest }) => toHex(digest)).join();

/** Throws unless the list is a closure: root first, each after one that refers to it, each once, none missing. */
function ensureClosure(got: readonly NamedDirectory[], root: Digest, count: number): void {
  const referred = new Set([toHex(root)]);
  const seen = new Set<string>();
  for (const [i, { digest, directory }] of got.entries()) {
    const key = toHex(digest);
    ensureSame(digest, directoryDigest(directory), `the digest of Directory ${i}`);
    if (i === 0) ensureSame(digest, root, "the first digest");
    ensure(referred.has(key), `Directory ${i} comes before any that refers to it`);
    ensure(!seen.has(key), `Directory ${i} comes twice`);
    seen.add(key);
    for (const { node } of directory.items) if (node.type === "directory") referred.add(toHex(node.digest));
  }
  ensureSame(seen.size, count, "how many Directories there are");
  ensureSame(referred.size, count, "how many Directories are referred to");
}

/** A tree with shared folders, leaves first: each level has `width` folders that all refer to all of the next. */
function lattice(levels: number, width: number): Directory[] {
  const all: Directory[] = [];
  let below: { digest: Digest; size: bigint }[] = [];
  for (let level = 0; level < levels; level++) {
    const row = Array.from({ length: level === levels - 1 ? 1 : width }, (_, i) => {
      const children = below.map(({ digest, size }, k) => folder(`d${k}`, digest, size));
      return directoryOf([...children, symlink("here", `${level}/${i}`)]);
    });
    all.push(...row);
    below = row.map((directory) => ({
      digest: directoryDigest(directory),
      size: directorySize(directory, "documented"),
    }));
  }
  return all;
}

/** Every promise of a DirectoryService. */
export const directoryServiceContract: readonly ContractCase<DirectorySubject>[] = [
  promiseOf("an absent Directory is undefined and its closure is nothing", async ({ directories }) => {
    for (const { digest } of [A, B, COMPLICATED]) {
      ensureSame(await directories.get(digest), undefined, "get");
      ensureSame(hexOf(await closureOf(directories, digest)), "", "getClosure");
    }
  }),

  promiseOf(
    "a closure is stored under the digest of its root, each Directory under its own",
    async ({ directories }) => {
      const closures = [[A], [WITH_KEEP], [A, B], [A, C], [A, B, D], [WITH_KEEP, COMPLICATED]];
      closures.push([WITH_KEEP, COMPLICATED_SNIX], [A, B, D_SNIX]);
      for (const closure of closures) {
        ensureSame(
          await directories.putClosure(directoriesOf(closure)),
          closure.at(-1)!.digest,
          "the digest",
        );
        for (const { directory, digest } of closure) {
          const got = await directories.get(digest);
          ensure(got !== undefined, "a Directory that was put is absent");
          ensureSame(encodeDirectory(got), encodeDirectory(directory), "a Directory");
        }
      }
    },
  ),

  promiseOf("getClosure gives the root first and each Directory once", async ({ directories }) => {
    await directories.putClosure(directoriesOf([A, C]));
    ensureSame(hexOf(await closureOf(directories, C.digest)), hexOf([C, A]), "closure of C");
    ensureSame(hexOf(await closureOf(directories, A.digest)), hexOf([A]), "closure of A");
    await directories.putClosure(directoriesOf([A, B, D]));
    const got = hexOf(await closureOf(directories, D.digest));
    ensure(got === hexOf([D, B, A]) || got === hexOf([D, A, B]), `the closure of D is ${got}`);
  }),

  promiseOf("a Directory may come twice when it is put, and is given once", async ({ directories }) => {
    ensureSame(await directories.putClosure(directoriesOf([A, A, C])), C.digest, "root of A, A, C");
    ensureSame(hexOf(await closureOf(directories, C.digest)), hexOf([C, A]), "closure of C");
    ensureSame(await directories.putClosure(directoriesOf([A, B, B])), B.digest, "root of A, B, B");
    ensureSame(await directories.putClosure(directoriesOf([A, B, A, D])), D.digest, "root of A, B, A, D");
    ensureSame(await directories.putClosure(directoriesOf([A, C])), C.digest, "root when put again");
  }),

  promiseOf(
    "a closure of many Directories, wide, deep and shared, is given whole",
    async ({ directories }) => {
      for (const [levels, width] of [[60, 1], [12, 12], [2, 300]]) {
        const all = lattice(levels, width);
        const root = await directories.putClosure(all);
        ensureSame(root, directoryDigest(all.at(-1)!), "the root");
        ensureClosure(await closureOf(directories, root), root, (levels - 1) * width + 1);
      }
    },
  ),

  promiseOf("a closure may come as a stream", async ({ directories }) => {
    async function* slowly() {
      for (const directory of lattice(5, 5)) {
        await new Promise((resolve) => setTimeout(resolve));
        yield directory;
      }
    }
    const root = await directories.putClosure(slowly());
    ensureClosure(await closureOf(directories, root), root, 21);
  }),

  promiseOf("leaving getClosure early leaves the service in order", async ({ directories }) => {
    const root = await directories.putClosure(lattice(6, 40));
    for (let turn = 0; turn < 3; turn++) {
      for await (const { digest } of directories.getClosure(root)) {
        ensureSame(digest, root, "the first Directory");
        break;
      }
    }
    ensureClosure(await closureOf(directories, root), root, 5 * 40 + 1);
  }),

  promiseOf("any Directory of any length survives", async ({ directories }) => {
    const odd: DirectoryItem[] = [
      symlink("…", "\x01\xff"),
      file("x", A.digest, Number.MAX_SAFE_INTEGER, true),
    ];
    const name = (i: number) => `${i}-`.padEnd(255, "n");
    const long = Array.from({ length: 6000 }, (_, i) => symlink(name(i), "t".repeat(i % 10 ? 1 : 1000)));
    for (const directory of [directoryOf(odd), directoryOf(long)]) {
      const encoded = encodeDirectory(directory);
      const digest = await directories.putClosure([directory]);
      const got = await directories.get(digest);
      ensure(got !== undefined, "it is absent");
      ensureSame(encodeDirectory(got), encoded, `a Directory of ${encoded.length} bytes`);
    }
  }),

  promiseOf("no Directory at all is a FormatError", async ({ directories }) => {
    await ensureRejects(directories.putClosure([]), FormatError, "putting nothing");
  }),

  promiseOf("Directories not connected to the last one are a FormatError", async ({ directories }) => {
    for (const list of [[A, C, B], [A, WITH_KEEP], [A, B, A], [WITH_KEEP, A, B]]) {
      await ensureRejects(directories.putClosure(directoriesOf(list)), FormatError, hexOf(list));
    }
    await directories.putClosure(directoriesOf([A, C]));
  }),

  promiseOf(
    "a child that did not come before is a FormatError, though it is stored",
    async ({ directories }) => {
      await directories.putClosure(directoriesOf([A]));
      for (const list of [[B], [C, A], [B, A, D], [COMPLICATED]]) {
        await ensureRejects(directories.putClosure(directoriesOf(list)), FormatError, hexOf(list));
      }
    },
  ),

  promiseOf("a child of the wrong size is a FormatError", async ({ directories }) => {
    const wrong = (digest: Digest, size: bigint) => directoryOf([folder("keep", digest, size)]);
    for (
      const directory of [
        wrong(WITH_KEEP.digest, 43n),
        wrong(WITH_KEEP.digest, 0n),
        wrong(WITH_KEEP.digest, 3n),
      ]
    ) {
      const putting = directories.putClosure([WITH_KEEP.directory, directory]);
      await ensureRejects(putting, FormatError, "putting it");
    }
    await ensureRejects(
      directories.putClosure([A.directory, wrong(A.digest, 42n)]),
      FormatError,
      "over the empty one",
    );
  }),

  promiseOf(
    "sizes of both rules are taken and kept, of both in one closure refused",
    async ({ directories }) => {
      for (const { directory, digest } of [COMPLICATED, COMPLICATED_SNIX]) {
        await directories.putClosure([WITH_KEEP.directory, directory]);
        const got = (await directories.get(digest))?.items.find(({ node }) => node.type === "directory")
          ?.node;
        const want = digest === COMPLICATED.digest ? 1n : 2n;
        ensureSame(got?.type === "directory" && got.size, want, "the size of keep");
      }
      const mixed = directoryOf([
        folder("documented", COMPLICATED.digest, 4n),
        folder("snix", COMPLICATED_SNIX.digest, 8n),
      ]);
      const all = [WITH_KEEP.directory, COMPLICATED.directory, COMPLICATED_SNIX.directory, mixed];
      await ensureRejects(directories.putClosure(all), FormatError, "a closure of both rules");
      // Where both rules give the same, neither is chosen by it.
      const either = directoryOf([folder("a", A.digest, 0n), folder("keep", WITH_KEEP.digest, 2n)]);
      ensureSame(
        await directories.putClosure([A.directory, WITH_KEEP.directory, either]),
        directoryDigest(either),
        "a closure with an empty folder",
      );
    },
  ),

  promiseOf("if the source throws, so does putClosure", async ({ directories }) => {
    const thrown = new RangeError("the source fails");
    function* failing() {
      yield A.directory;
      throw thrown;
    }
    async function* failingLater() {
      yield* directoriesOf([A, C]);
      await new Promise((resolve) => setTimeout(resolve));
      throw thrown;
    }
    for (const source of [failing(), failingLater()]) {
      const error = await ensureRejects(directories.putClosure(source), RangeError, "putting");
      ensureSame(error, thrown, "what was thrown");
    }
    ensureSame(await directories.putClosure(directoriesOf([A, C])), C.digest, "putting it whole afterwards");
  }),

  promiseOf("many closures are put and read at once", async ({ directories }) => {
    const tops = Array.from(
      { length: 100 },
      (_, i) => directoryOf([folder("a", A.digest, 0n), symlink("i", `${i}`)]),
    );
    const roots = await Promise.all(tops.map((top) => directories.putClosure([A.directory, top])));
    const got = await Promise.all(roots.map((root) => closureOf(directories, root)));
    for (const [i, closure] of got.entries()) ensureClosure(closure, directoryDigest(tops[i]), 2);
  }),
];

/** What a DirectoryService promises about values that were changed or lost below it. */
export const directoryDamageContract: readonly ContractCase<DirectorySubject & Backing>[] = [
  promiseOf("a Directory that was changed is a DamageError", async (subject) => {
    const { directories } = subject;
    const digest = await directories.putClosure(directoriesOf([WITH_KEEP, COMPLICATED]));
    await subject.corrupt(encodeDirectory(COMPLICATED.directory));
    await ensureRejects(directories.get(digest), DamageError, "get");
    await ensureRejects(closureOf(directories, digest), DamageError, "getClosure");
    const keep = await directories.get(WITH_KEEP.digest);
    ensureSame(keep && encodeDirectory(keep), encodeDirectory(WITH_KEEP.directory), "its child");
  }),

  promiseOf("a long Directory that was changed, or lost a part, is a DamageError", async (subject) => {
    const { directories } = subject;
    const items = Array.from({ length: 9000 }, (_, i) => symlink(`${i}-`.padEnd(200, "n"), `${i}`));
    const directory = directoryOf(items);
    const digest = await directories.putClosure([directory]);
    await subject.corrupt(encodeDirectory(directory).subarray(1_500_000, 1_500_200));
    await ensureRejects(directories.get(digest), DamageError, "get");
  }),

  promiseOf("a descendant that is gone is a MissingError at its place", async (subject) => {
    const { directories } = subject;
    const all = lattice(4, 3);
    const root = await directories.putClosure(all);
    await subject.bytes.delete(directoryKey(directoryDigest(all[0])));
    const got: NamedDirectory[] = [];
    const reading = (async () => {
      for await (const named of directories.getClosure(root)) got.push(named);
    })();
    await ensureRejects(reading, MissingError, "getClosure");
    ensure(got.length >= 4, `only ${got.length} Directories came before the one that is gone`);
    for (const { digest, directory } of got) ensureSame(digest, directoryDigest(directory), "a digest");
    await subject.bytes.delete(directoryKey(root));
    ensureSame(hexOf(await closureOf(directories, root)), "", "the closure of a root that is gone");
  }),
];
