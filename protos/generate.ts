/**
 * Generates `src/gen` from the .proto files here.
 *
 *   deno run -A protos/generate.ts           replace src/gen
 *   deno run -A protos/generate.ts --check   change nothing; exit 1 if src/gen is not what would be generated
 */
const PROTOS = new URL("./", import.meta.url);
const GENERATED = new URL("../src/gen/", import.meta.url);

async function generate(into: string): Promise<void> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-config", "npm:@bufbuild/buf@1.74.0", "generate", "--output", into],
    cwd: PROTOS,
  }).spawn().status;
  if (!success) throw new Error("Cannot generate src/gen: buf failed, see its message above");
}

/** Texts by path below `root`; none if there is no such folder. */
async function readTree(root: URL): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  try {
    for await (const entry of Deno.readDir(root)) {
      if (entry.isDirectory) {
        for (const [path, text] of await readTree(new URL(`${entry.name}/`, root))) {
          texts.set(`${entry.name}/${path}`, text);
        }
      } else texts.set(entry.name, await Deno.readTextFile(new URL(entry.name, root)));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return texts;
}

async function writeTree(root: URL, texts: Map<string, string>): Promise<void> {
  await Deno.remove(root, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  for (const [path, text] of texts) {
    const file = new URL(path, root);
    await Deno.mkdir(new URL("./", file), { recursive: true });
    await Deno.writeTextFile(file, text);
  }
}

/** Paths that are in one tree only, or differ. */
function differences(a: Map<string, string>, b: Map<string, string>): string[] {
  return [...new Set([...a.keys(), ...b.keys()])].filter((path) => a.get(path) !== b.get(path)).sort();
}

const temporary = await Deno.makeTempDir();
try {
  await generate(temporary);
  const wanted = await readTree(new URL(`${temporary}/`, "file:///"));
  if (Deno.args.includes("--check")) {
    const different = differences(wanted, await readTree(GENERATED));
    for (const path of different) console.error(`src/gen/${path} is not what protos/ generates`);
    if (different.length > 0) {
      console.error("Cannot accept src/gen: run `deno task protos`");
      Deno.exitCode = 1;
    }
  } else await writeTree(GENERATED, wanted);
} finally {
  await Deno.remove(temporary, { recursive: true });
}
