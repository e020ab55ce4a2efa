/**
 * A process that writes is killed at a random moment, again and again. What it was told is durable is there and whole;
 * what it was not told is there whole, or is not there.
 */
import assert from "node:assert/strict";
import { openDenoKv } from "../../src/adapters/deno_kv/deno_kv_store.ts";
import { permissions, testNeeding } from "../needs.ts";
import { generationOf, openCrashStore } from "./_crash_store.ts";

const KILLS = 10;
/** A process is killed when it has printed this many lines, at most, */
const MOST_LINES = 60;
/** and some milliseconds later, so that the kill does not always come right after a line. */
const LONGEST_DELAY = 30;
const test = testNeeding(permissions);
const childPath = new URL("_crash_child.ts", import.meta.url).pathname;

for (const kind of ["fs", "kv"]) {
  test(`${kind}: what was acknowledged outlives ${KILLS} kills`, async () => {
    const directory = await Deno.makeTempDir();
    /** Generation that was acknowledged last for a key; `undefined`: its delete was. */
    const facts = new Map<string, number | undefined>();
    for (let kill = 0; kill < KILLS; kill++) {
      const lines = await writeUntilKilled(kind, directory, kill * 100_000);
      assert.ok(lines.length > 0);
      for (const [verb, key, generation] of lines) {
        facts.set(key, verb === "put" ? Number(generation) : undefined);
      }
      await checkFacts(kind, directory, facts);
    }
    await checkNothingLeft(kind, directory);
    await Deno.remove(directory, { recursive: true });
  });
}

/** Runs the writer and kills it at a random moment. Returns the words of every whole line it printed. */
async function writeUntilKilled(kind: string, directory: string, generation: number): Promise<string[][]> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--unstable-kv", "--no-check", childPath, kind, directory, String(generation)],
    stdout: "piped",
  }).spawn();
  const enough = Math.ceil(Math.random() * MOST_LINES);
  let output = "";
  let killer: ReturnType<typeof setTimeout> | undefined;
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    output += text;
    if (output.split("\n").length > enough) {
      killer ??= setTimeout(() => child.kill("SIGKILL"), Math.random() * LONGEST_DELAY);
    }
  }
  assert.equal((await child.status).signal, "SIGKILL");
  return output.split("\n").slice(0, -1).map((line) => line.split(" "));
}

async function checkFacts(
  kind: string,
  directory: string,
  facts: Map<string, number | undefined>,
): Promise<void> {
  await using store = await openCrashStore(kind, directory);
  for await (const key of store.list("")) {
    const value = await store.get(key);
    assert.ok(value && generationOf(value) !== undefined, `${key} is torn: ${value?.length} bytes`);
    const fact = facts.get(key);
    if (key.includes("/fresh/")) {
      assert.ok(fact !== undefined || !facts.has(key), `${key} is back after its delete`);
    } else if (fact !== undefined) {
      assert.ok(generationOf(value)! >= fact, `${key} is older than acknowledged`);
    }
  }
  for (const [key, generation] of facts) {
    // A value may have been deleted just before the kill, without a word; those of every third generation are.
    if (generation === undefined || (key.includes("/fresh/") && generation % 3 === 0)) continue;
    assert.ok(await store.has(key), `${key} was acknowledged and is gone`);
  }
}

/** No temporary file, and no piece without a value. */
async function checkNothingLeft(kind: string, directory: string): Promise<void> {
  if (kind === "fs") {
    await using _store = await openCrashStore(kind, directory);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(`${directory}/tmp`)), []);
    return;
  }
  using kv = await Deno.openKv(`${directory}/kv`);
  await openDenoKv(kv).sweepOrphans(0);
  const heads = await Array.fromAsync(kv.list<{ version?: string }>({ prefix: ["firn", "value"] }));
  const versions = new Set(heads.map(({ value }) => value.version));
  for await (const { key } of kv.list({ prefix: ["firn", "piece"] })) {
    assert.ok(versions.has(key[2] as string), `${key.map(String).join(" ")} belongs to no value`);
  }
}
