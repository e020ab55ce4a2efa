/**
 * What the benchmark copies. Each corpus is a nix store in a folder of its own and a `file://` cache of it, written by
 * nix with no compression; made once and kept outside the repository, about three gigabytes in all.
 *
 * | corpus | what |
 * |---|---|
 * | big | one file of 1 GiB, every other 64 KiB of it random, the rest text |
 * | small | 20,000 files of 4 KiB, half of each random, the rest text |
 * | tree | the Go toolchain, or where there is none the first 12,000 files of /usr/share and /usr/lib |
 * | closure | an installed Debian package and all it depends on, one path a package |
 * | versions | two releases of the Go toolchain, as its module proxy has them, one path each; for sizes only |
 * | updates | two versions of git, as apt has them, one path each; for sizes only |
 *
 * The first two and versions are the same bytes everywhere; a quick run has a quarter of big.
 */
import { lines, type Nix, User } from "../e2e/nix.ts";
import { field, hashPart } from "../e2e/cache_folder.ts";
import { debianClosure } from "../e2e/closures.ts";
import { twoVersions } from "./debian_versions.ts";
import { emptyFolder, run } from "./measure.ts";

export const CORPUS_NAMES = ["tree", "small", "big", "closure"] as const;
export type CorpusName = typeof CORPUS_NAMES[number] | "versions" | "updates";

/** One path, as files ready to be uploaded. */
export interface CorpusPath {
  readonly hashPart: string;
  /** Where the narinfo goes below a cache's URL, and the file with its text. */
  readonly narInfo: { readonly url: string; readonly file: string };
  /** Where the NAR goes below a cache's URL, and the file with its bytes. */
  readonly nar: { readonly url: string; readonly file: string };
  readonly narSize: number;
}

export interface Corpus {
  readonly name: CorpusName;
  /** What it was made of. */
  readonly about: string;
  /** The nix store: a folder for `--store`, which holds this corpus and nothing else. */
  readonly store: string;
  /** The `file://` cache. */
  readonly cache: string;
  /** The store path that reaches all others; of two versions the newer one. */
  readonly root: string;
  /** Every path, each after those it refers to. */
  readonly paths: readonly CorpusPath[];
  /** Bytes of all NARs. */
  readonly narBytes: number;
}

/** Raised whenever what is made changes, so that nothing made before is used. */
const VERSION = 1;
const PACKAGES = ["gcc", "git", "bash"];
/** Versions of `golang.org/toolchain`. */
const VERSIONS = ["v0.0.1-go1.26.7.linux-amd64", "v0.0.1-go1.26.8.linux-amd64"];
/** A Debian package that has had security fixes. */
const UPDATED = "git";
const TREE_LEAST = 10_000;

/** A folder of this user for what is kept between runs. */
export function cacheFolder(): string {
  const cache = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`;
  return `${cache}/firn/bench`;
}

/** A corpus, made now if it was not made before. */
export async function openCorpus(name: CorpusName, nix: Nix, quick: boolean): Promise<Corpus> {
  const folder = `${cacheFolder()}/v${VERSION}/${name}${quick && name === "big" ? "-quick" : ""}`;
  const made = `${folder}/made.json`;
  try {
    return JSON.parse(await Deno.readTextFile(made));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  await emptyFolder(folder); // of what an interrupted run left
  const corpus = await make(name, nix, folder, quick ? 256 : 1024);
  await Deno.writeTextFile(made, JSON.stringify(corpus));
  return corpus;
}

/** Let the operating system have all of it in memory, so that whoever comes first is no slower than the others. */
export async function warm({ store, cache }: Corpus): Promise<void> {
  await run("nix-store", ["--dump", `${store}/nix/store`], true);
  await run("sh", ["-c", `cat "$0"/nar/*`, new URL(cache).pathname], true);
}

async function make(name: CorpusName, nix: Nix, folder: string, bigMebibytes: number): Promise<Corpus> {
  const user = new User(nix, `${folder}/home`);
  const store = `${folder}/store`;
  const source = `${folder}/source`;
  const add = async (path: string, name: string) => {
    return (await user.nixCommand("store", "add-path", "--store", store, "--name", name, path)).trim();
  };
  const added = async (path: string, about: string) => ({ roots: [await add(path, name)], about });
  const { roots, about } = await (async () => {
    switch (name) {
      case "big":
        await writeBig(source, bigMebibytes);
        return await added(source, `one file of ${bigMebibytes} MiB`);
      case "small":
        await writeSmall(source, 20_000);
        return await added(source, "20,000 files of 4 KiB");
      case "tree":
        return await added(...await findTree(source));
      case "closure":
        return await copyClosure(user, store);
      case "versions": {
        const roots: string[] = [];
        for (const version of VERSIONS) roots.push(await add(await goToolchain(source, version), version));
        return { roots, about: `the Go toolchain, ${VERSIONS.join(" and ")}` };
      }
      case "updates": {
        await Deno.mkdir(source);
        const versions = await twoVersions(UPDATED, source);
        const roots: string[] = [];
        for (const [i, { root }] of versions.entries()) roots.push(await add(root, `${UPDATED}-${i + 1}`));
        return {
          roots,
          about: `the Debian package ${UPDATED}, ${versions.map(({ version }) => version).join(" and ")}`,
        };
      }
    }
  })();
  const root = roots.at(-1)!;
  await run("rm", ["-rf", source]);
  const cache = `${folder}/cache`;
  await user.nixCommand("copy", "--from", store, "--to", `file://${cache}?compression=none`, ...roots);
  const inOrder = lines(await user.nixStore("--store", store, "--query", "--requisites", ...roots));
  const paths = await Promise.all(inOrder.map((path) => readPath(cache, path)));
  const narBytes = paths.reduce((sum, { narSize }) => sum + narSize, 0);
  return { name, about, store, cache: `file://${cache}`, root, paths, narBytes };
}

async function readPath(cache: string, storePath: string): Promise<CorpusPath> {
  const url = `${hashPart(storePath)}.narinfo`;
  const text = await Deno.readTextFile(`${cache}/${url}`);
  const nar = field(text, "URL");
  return {
    hashPart: hashPart(storePath),
    narInfo: { url, file: `${cache}/${url}` },
    nar: { url: nar, file: `${cache}/${nar}` },
    narSize: Number(field(text, "NarSize")),
  };
}

async function copyClosure(user: User, store: string): Promise<{ roots: string[]; about: string }> {
  for (const name of PACKAGES) {
    const installed = await new Deno.Command("dpkg", { args: ["--status", name] }).output();
    if (!installed.success) continue;
    const { root, paths } = await debianClosure(user.home, name);
    await user.nixCommand("copy", "--no-check-sigs", "--to", store, root);
    return { roots: [root], about: `the Debian package ${name}: ${paths.length} paths` };
  }
  throw new Error(`Cannot make a closure: none of the Debian packages ${PACKAGES.join(", ")} is installed`);
}

/** Gets a toolchain as a module, and returns its folder below `cache`. */
async function goToolchain(cache: string, version: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("go", {
    args: ["mod", "download", "-json", `golang.org/toolchain@${version}`],
    env: { GOMODCACHE: cache, GOFLAGS: "-modcacherw", GOTOOLCHAIN: "local" },
  }).output();
  const decoder = new TextDecoder();
  if (!success) {
    throw new Error(`Cannot get ${version}: ${decoder.decode(stderr)}${decoder.decode(stdout)}`);
  }
  return JSON.parse(decoder.decode(stdout)).Dir;
}

async function findTree(copy: string): Promise<[path: string, about: string]> {
  const go = await new Deno.Command("sh", { args: ["-c", "go env GOROOT"] }).output();
  const root = new TextDecoder().decode(go.stdout).trim();
  if (go.success && await countFiles(root) >= TREE_LEAST) return [root, `the Go toolchain in ${root}`];
  await Deno.mkdir(copy);
  const first = `find /usr/share /usr/lib -type f -readable | LC_ALL=C sort | head --lines 12000`;
  await run("sh", ["-c", `${first} | tar --create --files-from - | tar --extract --directory "$0"`, copy]);
  const files = await countFiles(copy);
  if (files < TREE_LEAST) throw new Error(`Cannot make a tree: /usr/share and /usr/lib have ${files} files`);
  return [copy, `the first ${files} files of /usr/share and /usr/lib`];
}

async function countFiles(folder: string): Promise<number> {
  return lines(await run("find", [folder, "-type", "f"])).length;
}

const BLOCK = 64 * 1024;

async function writeBig(path: string, mebibytes: number): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true });
  const writer = file.writable.getWriter();
  const random = new Random(1);
  for (let i = 0; i < mebibytes * 8; i++) {
    await writer.write(random.bytes(BLOCK));
    await writer.write(text(i, BLOCK));
  }
  await writer.ready;
}

async function writeSmall(folder: string, files: number): Promise<void> {
  const random = new Random(2);
  for (let i = 0; i < files; i++) {
    const inner = `${folder}/folder-${Math.floor(i / 200)}`;
    if (i % 200 === 0) await Deno.mkdir(inner, { recursive: true });
    const bytes = new Uint8Array(4096);
    bytes.set(random.bytes(2048));
    bytes.set(text(i, 2048), 2048);
    await Deno.writeFile(`${inner}/file-${i}`, bytes);
  }
}

/** Lines that no other block has. */
function text(block: number, length: number): Uint8Array {
  const line = `line of block ${block}, one of many that are alike\n`;
  return new TextEncoder().encode(line.repeat(Math.ceil(length / line.length)).slice(0, length));
}

/** The same bytes for the same seed: xorshift32 (Marsaglia, "Xorshift RNGs", 2003). */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** @param length a multiple of 4 */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    const words = new Uint32Array(length / 4);
    for (let i = 0; i < words.length; i++) {
      this.#state ^= this.#state << 13;
      this.#state ^= this.#state >>> 17;
      this.#state ^= this.#state << 5;
      words[i] = this.#state;
    }
    return new Uint8Array(words.buffer);
  }
}
