/**
 * Builds the page of the store in a tab into `dist/`: plain files for any host. The same source gives the same bytes, so the built
 * page is committed, and a server needs no build step. With `--check` nothing is written: exits with 1 if `dist/` is not
 * what its source gives. Prints what each part weighs.
 *
 * Names under `assets/` hold a hash of what is in them and may be cached for ever; all others must be asked for again.
 */
import * as esbuild from "esbuild";
import { brotliCompressSync, constants } from "node:zlib";
import { fileURLToPath } from "node:url";

/** Most bytes of the first load, compressed: what must be here before the page can be used. */
export const FIRST_LOAD_BOUND = 200_000;

const HERE = fileURLToPath(new URL(".", import.meta.url));
const DIST = new URL("dist/", import.meta.url);

/** A file of the built page. */
export interface BuiltFile {
  /** Below `dist/`. */
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Whether the page cannot be used without it. */
  readonly first: boolean;
}

const SHARED = {
  absWorkingDir: HERE,
  bundle: true,
  format: "esm",
  target: ["chrome123", "firefox128", "safari18"],
  minify: true,
  legalComments: "none",
  charset: "utf8",
  write: false,
  metafile: true,
  outdir: "dist",
  entryNames: "assets/[name]-[hash]",
  chunkNames: "assets/[name]-[hash]",
  assetNames: "assets/[name]-[hash]",
  jsx: "automatic",
  jsxImportSource: "preact",
  logLevel: "error",
} as const satisfies esbuild.BuildOptions;

/** Names that `deno.json` gives to packages, where they are not the packages' own. */
const importMap: esbuild.Plugin = {
  name: "deno.json",
  async setup(build) {
    const { imports } = JSON.parse(await Deno.readTextFile(new URL("../deno.json", import.meta.url)));
    const renamed = new Map<string, string>();
    for (const [name, target] of Object.entries(imports as Record<string, string>)) {
      const own = target.replace(/^npm:\/?/, "").replace(/^((?:@[^/]+\/)?[^@/]+)@[^/]+/, "$1");
      if (own !== name && !name.endsWith("/")) renamed.set(name, own);
    }
    build.onResolve({ filter: /^[^./]/ }, async ({ path, kind, pluginData }) => {
      const own = renamed.get(path);
      if (own === undefined || pluginData === importMap) return undefined;
      return await build.resolve(own, { kind, resolveDir: HERE, pluginData: importMap });
    });
  },
};

/** One entry and what it loads. */
interface Bundle {
  /** Of the entry, below `dist/`. */
  readonly entry: string;
  readonly files: readonly BuiltFile[];
}

/** Bundles an entry; `core` is a module that it imports dynamically and cannot do without. */
async function bundle(
  entry: string,
  { core, ...options }: esbuild.BuildOptions & { core?: string } = {},
): Promise<Bundle> {
  const built = await esbuild.build({
    ...SHARED,
    plugins: [importMap],
    splitting: true,
    entryPoints: [entry],
    ...options,
  });
  const outputs = built.metafile!.outputs;
  const outputOf = (source: string) =>
    Object.keys(outputs).find((path) => outputs[path].entryPoint === source)!;
  const name = outputOf(entry);
  const first = new Set<string>();
  const follow = (path: string) => {
    if (first.has(path)) return;
    first.add(path);
    for (const { path: next, kind } of outputs[path].imports) if (kind === "import-statement") follow(next);
  };
  follow(name);
  if (core) follow(outputOf(core));
  const files = built.outputFiles!.map(({ path, contents }) => {
    const below = path.slice(HERE.length);
    return { path: below.slice("dist/".length), bytes: contents, first: first.has(below) };
  });
  return { entry: name.slice("dist/".length), files };
}

/** A file of a package, as it is. */
async function copied(file: string): Promise<BuiltFile> {
  const bytes = await Deno.readFile(new URL(`../node_modules/${file}`, import.meta.url));
  const [name, ending] = file.slice(file.lastIndexOf("/") + 1).split(".");
  const hash = (await sha256(bytes)).slice(0, 8).toUpperCase();
  return { path: `assets/${name}-${hash}.${ending}`, bytes, first: false };
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** A version of the page: a hash of all names and bytes. */
async function versionOf(files: readonly BuiltFile[]): Promise<string> {
  const parts = files.flatMap(({ path, bytes }) => [new TextEncoder().encode(`${path}\0`), bytes]);
  return (await sha256(await new Blob(parts as BlobPart[]).bytes())).slice(0, 16);
}

/** The built page, files in the order of their names. */
export async function buildPage(): Promise<BuiltFile[]> {
  try {
    const [lane, liblzma, brotli] = await Promise.all([
      bundle("engine/hash_lane.ts"),
      copied("node-liblzma/lib/wasm/liblzma.wasm"),
      copied("brotli-dec-wasm/pkg/brotli_dec_wasm_bg.wasm"),
    ]);
    const [engine, highlighter, style, theme] = await Promise.all([
      bundle("page/engine_start.ts", {
        core: "engine/worker.ts",
        define: {
          __HASH_LANE__: JSON.stringify(lane.entry),
          __LIBLZMA__: JSON.stringify(liblzma.path),
          __BROTLI__: JSON.stringify(brotli.path),
        },
      }),
      bundle("page/highlighter.ts"),
      bundle("page/style/page.css", { splitting: false }),
      bundle("page/theme_at_start.ts", { splitting: false, format: "iife" }),
    ]);
    const define = {
      __ENGINE__: JSON.stringify(engine.entry),
      __HIGHLIGHTER__: JSON.stringify(highlighter.entry),
    };
    const page = await bundle("page/main.tsx", { define });
    const lazy = [...lane.files, ...highlighter.files].map((file) => ({ ...file, first: false }));
    const files = [...engine.files, ...lazy, liblzma, brotli, ...style.files, ...theme.files, ...page.files];
    const html = (await Deno.readTextFile(new URL("index.html", import.meta.url)))
      .replace("STYLE", style.entry).replace("THEME", theme.entry).replace("PAGE", page.entry)
      .replace(
        "<!-- PRELOAD -->",
        [
          ...page.files.filter(({ path, first }) => first && path !== page.entry).map(({ path }) =>
            `<link rel="modulepreload" href="${path}">`
          ),
        ].join("\n    "),
      );
    files.push({ path: "index.html", bytes: new TextEncoder().encode(html), first: true });
    for await (const { name } of Deno.readDir(new URL("icons/", import.meta.url))) {
      const bytes = await Deno.readFile(new URL(`icons/${name}`, import.meta.url));
      files.push({ path: name, bytes, first: name === "icon.svg" });
    }
    files.sort(byPath);
    return [...files, ...await serviceWorker(files)].sort(byPath);
  } finally {
    await esbuild.stop();
  }
}

/** The service worker, which is told what the page consists of; its own bytes change whenever the page does. */
async function serviceWorker(files: readonly BuiltFile[]): Promise<BuiltFile[]> {
  const paths = files.map(({ path }) => path === "index.html" ? "./" : path);
  const store = await asFunction("engine/store_answers.ts");
  const built = await bundle("engine/service_worker.ts", {
    splitting: false,
    entryNames: "[name]",
    banner: { js: `const __STORE__=${store};` },
    define: { __FILES__: JSON.stringify(paths), __VERSION__: JSON.stringify(await versionOf(files)) },
  });
  return built.files.map((file) => ({ ...file, first: false }));
}

/**
 * A module and all it imports as a function that loads it. Its modules wait for WebAssembly at their top, which no service worker may,
 * and it may not import later either.
 */
async function asFunction(entry: string): Promise<string> {
  const { files } = await bundle(entry, { splitting: false });
  const code = new TextDecoder().decode(files[0].bytes);
  const exported = /export\s*\{([^}]*)\};?\s*$/.exec(code);
  if (files.length !== 1 || !exported) {
    throw new Error(`Cannot make a function of ${entry}: want one file that exports names`);
  }
  const names = exported[1].split(",").map((name) => name.trim().split(/\s+as\s+/).reverse().join(":"));
  return `async()=>{${code.slice(0, exported.index)}return{${names.join(",")}}}`;
}

function byPath(a: BuiltFile, b: BuiltFile): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0;
}

/** Bytes that a file takes on its way, compressed as a server does. */
export function weigh({ path, bytes }: BuiltFile): number {
  if (path.endsWith(".png")) return bytes.length;
  return brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  }).length;
}

/** What the page weighs, by part, as a table. */
export function weights(files: readonly BuiltFile[]): { table: string; firstLoad: number } {
  const row = (path: string, bytes: number, compressed: number) =>
    `${path.padEnd(44)}${String(bytes).padStart(10)}${String(compressed).padStart(10)}`;
  const rows: string[] = ["".padEnd(44) + "     bytes    brotli"];
  let firstLoad = 0;
  for (const first of [true, false]) {
    let [bytes, compressed] = [0, 0];
    const part = files.filter((file) => file.first === first).map((file) => ({ file, weight: weigh(file) }));
    for (const { file, weight } of part.sort((a, b) => b.weight - a.weight)) {
      rows.push(row(file.path, file.bytes.length, weight));
      bytes += file.bytes.length;
      compressed += weight;
    }
    rows.push(row(first ? "the first load" : "what is loaded when it is needed", bytes, compressed), "");
    if (first) firstLoad = compressed;
  }
  return { table: rows.join("\n"), firstLoad };
}

/** How `dist/` differs from a build: one line a file. */
export async function differences(files: readonly BuiltFile[]): Promise<string[]> {
  const wrong: string[] = [];
  const left = new Set(await filesIn(""));
  for (const { path, bytes } of files) {
    const there = left.delete(path) ? await Deno.readFile(new URL(path, DIST)) : undefined;
    if (!there) wrong.push(`${path} is missing`);
    else if (there.length !== bytes.length || there.some((byte, i) => byte !== bytes[i])) {
      wrong.push(`${path} differs`);
    }
  }
  return [...wrong, ...[...left].map((path) => `${path} is not of this build`)];
}

async function filesIn(folder: string): Promise<string[]> {
  const found: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder || ".", DIST))) {
      if (isDirectory) found.push(...await filesIn(`${folder}${name}/`));
      else found.push(folder + name);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return found;
}

async function write(files: readonly BuiltFile[]): Promise<void> {
  await Deno.remove(DIST, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  await Deno.mkdir(new URL("assets/", DIST), { recursive: true });
  for (const { path, bytes } of files) await Deno.writeFile(new URL(path, DIST), bytes);
}

if (import.meta.main) {
  const files = await buildPage();
  if (Deno.args.includes("--check")) {
    const wrong = await differences(files);
    if (wrong.length > 0) {
      console.error(`Cannot accept web/dist: its source gives another page. Run \`deno task web\`.`);
      for (const line of wrong) console.error(`  ${line}`);
      Deno.exit(1);
    }
  } else await write(files);
  console.log(weights(files).table);
}
