/**
 * The layers: which file may import which. Imports go down only, folders of one level do not know each other, npm
 * packages stay in their rooms, and what is portable asks for nothing a browser lacks.
 */
import assert from "node:assert/strict";
import { permissions, permitted, testNeeding } from "./needs.ts";

const ROOT = new URL("..", import.meta.url);

interface Source {
  /** From the root of the repository: `src/nar/wire.ts`. */
  readonly path: string;
  readonly text: string;
  /** As in `path` for files of the repository; anything else as it is written. */
  readonly imports: readonly string[];
}

/** Code without comments, for rules about names that comments may speak of. Good enough for code that is formatted. */
function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|\s)\/\/.*$/gm, "$1");
}

function importsOf(path: string, text: string): string[] {
  const code = withoutComments(text);
  const found = code.matchAll(/(?:^|[;}\s])(?:import|export)\b[^"'`;]*?from\s*["']([^"']+)["']/g);
  const bare = code.matchAll(/(?:^|\s)import\s*\(?\s*["']([^"']+)["']/g);
  return [...found, ...bare].map(([, specifier]) => {
    if (!specifier.startsWith(".")) return specifier;
    return new URL(specifier, new URL(path, ROOT)).pathname.slice(ROOT.pathname.length);
  });
}

/** Tools that are run by a task and are part of nothing. */
const TOOLS = ["src/hash/wasm/build.ts"];

const sources: Source[] = [];
/** What is compiled to WASM: another language with the same ending. */
const ASSEMBLY = "src/hash/wasm/assembly/";

async function readSources(folder: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    const path = folder + name;
    if (isDirectory) await readSources(path + "/");
    else if (/\.tsx?$/.test(name) && !path.startsWith(ASSEMBLY)) await add(path);
  }
}

async function add(path: string): Promise<void> {
  const text = await Deno.readTextFile(new URL(path, ROOT));
  sources.push({ path, text, imports: importsOf(path, text) });
}

const test = testNeeding(permissions);
if (permitted) {
  await readSources("src/");
  await readSources("web/engine/");
  await readSources("web/page/");
  await add("mod.ts");
}

const LEVELS: Record<string, number> = {
  "src/bytes": 0,
  "src/errors.ts": 0,
  "src/gen": 0,
  "src/hash": 1,
  "src/nar": 2,
  "src/nix": 2,
  "src/castore": 2,
  "src/store": 3,
  "src/combinators": 4,
  "src/server": 5,
  "src/cli": 6,
  "web/engine": 6,
  "web/page": 7,
  "mod.ts": 6,
};

/** The folder that counts: one adapter is a folder of its own. */
function folderOf(path: string): string {
  return /^src\/adapters\/[^/]+/.exec(path)?.[0] ?? /^(?:src|web)\/[^/]+/.exec(path)?.[0] ?? path;
}

function levelOf(path: string): number {
  const folder = folderOf(path);
  const level = folder.startsWith("src/adapters/") ? 5 : LEVELS[folder];
  assert.notEqual(level, undefined, `${path} is in no layer`);
  return level;
}

const portable = () => sources.filter(({ path }) => levelOf(path) <= 4 && !TOOLS.includes(path));

function layerTest(name: string, violations: () => string[]): void {
  test(`layers: ${name}`, () => assert.deepEqual(violations(), []));
}

/** The repository's own files. */
const OWN = /^(src\/|web\/|mod\.ts$)/;

/** Every import of the repository's own files. */
function* own(): Generator<{ from: string; to: string }> {
  for (const { path, imports } of sources) {
    for (const to of imports) if (OWN.test(to)) yield { from: path, to };
  }
}

test({
  name: "layers: the graph is read whole, or nothing here could fail",
  fn() {
    assert.ok(sources.length > 60, `${sources.length} files`);
    const known = new Set(sources.map(({ path }) => path));
    const links = [...own()];
    assert.ok(links.length > 300, `${links.length} imports`);
    assert.deepEqual(links.filter(({ to }) => !known.has(to)), []);
    assert.ok(
      links.some(({ from, to }) => from === "mod.ts" && to === "src/cli/main.ts"),
      "a dynamic import",
    );
    const text = 'import "./a.ts";\nexport type { B } from "./b.ts";\nconst c = await import("./c.ts");\n' +
      'import {\n  d,\n} from "./d.ts";\n// import "./no.ts";\n/* import "./no.ts"; */\nimport e from "npm:e";\n';
    assert.deepEqual(importsOf("src/x/y.ts", text).sort(), [
      "npm:e",
      "src/x/a.ts",
      "src/x/b.ts",
      "src/x/c.ts",
      "src/x/d.ts",
    ]);
  },
});

layerTest("imports go down only, and folders of one level do not know each other", () => {
  const wrong: string[] = [];
  for (const { from, to } of own()) {
    const inside = folderOf(from) === folderOf(to);
    const errors = to === "src/errors.ts" && from.startsWith("src/bytes/"); // the error tree has no folder
    const root = from === "mod.ts" && levelOf(to) === 6;
    if (!inside && !errors && !root && levelOf(to) >= levelOf(from)) wrong.push(`${from} imports ${to}`);
  }
  return wrong;
});

layerTest("nothing imports the barrel", () => {
  return [...own()].filter(({ to }) => to === "mod.ts").map(({ from }) => from);
});

/** Who speaks protobuf. */
const SPEAKERS =
  /^src\/(gen\/|castore\/messages\.ts$|store\/(?:messages|revocation_message)\.ts$|server\/grpc|adapters\/grpc\/)/;

layerTest("generated code is seen only by those who speak its messages", () => {
  return [...own()].filter(({ from, to }) => to.startsWith("src/gen/") && !SPEAKERS.test(from)).map((
    { from },
  ) => from);
});

/** npm packages, and who may import them. */
const ROOMS: [RegExp, RegExp][] = [
  [/^hash-wasm$/, /^src\/hash\//],
  [/^assemblyscript(@[^/]+)?\//, /^src\/hash\/wasm\/build\.ts$/],
  [/^@bufbuild\/protobuf/, SPEAKERS],
  [/^@connectrpc\//, /^src\/(server\/grpc|adapters\/grpc\/)/],
  [/^hono(\/|$)/, /^src\/server\//],
  [/^jose$/, /^src\/server\/access\//],
  [/^comlink$/, /^web\//],
  [
    /^(preact|@preact\/signals|lowlight|highlight\.js|d3-hierarchy|@types\/d3-hierarchy)(\/|$)/,
    /^web\/page\//,
  ],
  [/^idb$/, /^src\/adapters\/idb\//],
  [/^(node-liblzma|fzstd|pako|brotli|xz|zstd|seek-bzip|@bokuweb|lzma)/, /^src\/adapters\/codecs\//],
];

layerTest("npm packages stay in their rooms", () => {
  const wrong: string[] = [];
  for (const { path, imports } of sources) {
    for (const specifier of imports.filter((to) => !OWN.test(to) && !to.startsWith("node:"))) {
      const room = ROOMS.find(([name]) => name.test(specifier.replace(/^npm:\/?/, "")));
      if (!room?.[1].test(path)) wrong.push(`${path} imports ${specifier}`);
    }
  }
  return wrong;
});

layerTest("what is portable imports nothing of a platform", () => {
  return portable().flatMap(({ path, imports }) => {
    return imports.filter((to) => to.startsWith("node:")).map((to) => `${path} imports ${to}`);
  });
});

/** Names of what not every platform has. */
const PLATFORM =
  /\b(Deno\.|process\.|Buffer\b|window\.|document\.|navigator\.|indexedDB\b|localStorage\b|require\()/;

layerTest("what is for browsers imports and names nothing of Deno or Node", () => {
  const browsers = sources.filter(({ path }) => path.startsWith("src/adapters/idb/"));
  assert.ok(browsers.length > 0);
  return browsers.filter(({ text, imports }) => {
    return imports.some((to) => to.startsWith("node:")) ||
      /\b(Deno|process|Buffer)\b/.test(withoutComments(text));
  }).map(({ path }) => path);
});

layerTest("the engine of the page asks for nothing but a browser", () => {
  return sources.filter(({ path }) => path.startsWith("web/engine/")).flatMap(({ path, text, imports }) => {
    const found = imports.filter((to) => to.startsWith("node:") || to.startsWith("src/cli/"));
    const code = withoutComments(text).replaceAll(/"(?:[^"\\\n]|\\.)*"/g, '""');
    const named = code.split("\n").filter((line) => /\b(Deno\.|process\.|Buffer\b|document\.)/.test(line));
    return [...found, ...named].map((what) => `${path}: ${what.trim()}`);
  });
});

layerTest("the page knows the engine's interface, and nothing below it", () => {
  const face = /^web\/engine\/(engine|values|understanding|connect|fault|shown)\.ts$/;
  return [...own()].filter(({ from, to }) => {
    if (!from.startsWith("web/page/") || to.startsWith("web/page/")) return false;
    return !face.test(to) && !(from === "web/page/engine_start.ts" && to === "web/engine/worker.ts");
  }).map(({ from, to }) => `${from} imports ${to}`);
});

layerTest("the page makes no markup of texts", () => {
  return sources.filter(({ path, text }) => {
    return path.startsWith("web/page/") && /innerHTML|outerHTML|insertAdjacent|document\.write/i.test(text);
  }).map(({ path }) => path);
});

layerTest("what is portable names nothing of a platform", () => {
  return portable().flatMap(({ path, text }) => {
    const code = withoutComments(text).replaceAll(/"(?:[^"\\\n]|\\.)*"/g, '""');
    return code.split("\n").filter((line) => PLATFORM.test(line)).map((line) => `${path}: ${line.trim()}`);
  });
});

layerTest("ReadableStream.from, which browsers lack, is nowhere", () => {
  return sources.filter(({ text }) => withoutComments(text).includes("ReadableStream.from")).map(({ path }) =>
    path
  );
});

layerTest("the server knows no adapter, and no adapter the server or another adapter", () => {
  return [...own()].filter(({ from, to }) => {
    const [a, b] = [folderOf(from), folderOf(to)];
    const outside = (folder: string) => folder.startsWith("src/adapters/") || folder === "src/server";
    return a !== b && outside(a) && outside(b);
  }).map(({ from, to }) => `${from} imports ${to}`);
});

layerTest("adapters are chosen by composition roots only", () => {
  const roots = /^(mod\.ts$|src\/cli\/|web\/engine\/)/;
  return [...own()].filter(({ from, to }) => {
    return to.startsWith("src/adapters/") && folderOf(from) !== folderOf(to) && !roots.test(from);
  }).map(({ from, to }) => `${from} imports ${to}`);
});

layerTest("no file is over 400 lines, but what is generated", () => {
  return sources.filter(({ path, text }) => {
    return !path.startsWith("src/gen/") && !path.endsWith("_module.ts") && text.split("\n").length > 401;
  }).map(({ path, text }) => `${path}: ${text.split("\n").length - 1} lines`);
});

layerTest("every file says first what it is for", () => {
  // A file that is one interface may begin with its imports: the interface says it.
  const says = /^\/\*\*|^import[\s\S]*?\n\n\/\*\*[\s\S]*?\*\/\nexport interface/;
  return sources.filter(({ path, text }) => !path.startsWith("src/gen/") && !says.test(text)).map((
    { path },
  ) => path);
});

layerTest("files are named in snake_case, and after what they hold", () => {
  const vague = /(^|_)(utils?|helpers?|common|types|misc|manager)\.tsx?$/;
  return sources.map(({ path }) => path).filter((path) => {
    const name = path.slice(path.lastIndexOf("/") + 1);
    return !/^_?[a-z0-9]+(_[a-z0-9]+)*\.tsx?$/.test(name) || vague.test(name);
  });
});
