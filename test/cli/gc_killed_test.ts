// Killed by the system in the middle of a collection, again and again: what is pinned is served whole, and the next run finishes.
import assert from "node:assert/strict";
import { toNixBase32 } from "../../src/bytes/nixbase32.ts";
import { sha256 } from "../../src/hash/sha256.ts";
import { pattern } from "../contract/_byte_store_samples.ts";
import { FirnServer } from "../e2e/server.ts";
import { assertTaken, narFile, narInfo, narInfoName, pathOf, treeNar } from "../server/_site.ts";
import { commandTest, firn, MAIN } from "./_command.ts";

const KILLS = 8;

/** A tree of many files, of which some are in every tree. */
function manyFiles(seed: number): Record<string, Record<string, string>> {
  const folders: Record<string, Record<string, string>> = {};
  for (let folder = 0; folder < 20; folder++) {
    const files: Record<string, string> = {};
    for (let i = 0; i < 100; i++) {
      files[`f${i}`] = pattern(400, folder % 3 === 0 ? i : seed * 10_000 + i).toHex();
    }
    folders[`d${folder}`] = files;
  }
  return folders;
}

commandTest(`killed ${KILLS} times, what is pinned is whole, and then all else is gone`, async (folder) => {
  const store = `${folder}/store`;
  const at = ["--store", store];
  const paths = Array.from({ length: 6 }, (_, i) => pathOf(`p${i}`));
  {
    await using server = await FirnServer.start(store);
    for (const [i, path] of paths.entries()) {
      const file = await narFile(await treeNar({ ...manyFiles(i), long: pattern(300_000, i).toHex() }));
      for (
        const [name, body] of [[file.url, file.bytes], [narInfoName(path), narInfo(path, file)]] as const
      ) {
        await assertTaken(await fetch(`${server.url}/${name}`, { method: "PUT", body }));
      }
    }
    await server.stop();
  }
  for (const path of paths.slice(0, 2)) assert.equal((await firn(["pin", ...at, path, path])).code, 0);
  const args = ["gc", "--keep-roots-only", "--grace", "0", ...at];
  const begun = performance.now();
  assert.equal((await firn([...args, "--dry-run"])).code, 0);
  const whole = performance.now() - begun;
  let killed = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", MAIN, ...args],
      stdout: "null",
      stderr: "null",
    }).spawn();
    // From early to late: what is deleted makes the next one shorter, and this machine may be slow now and quick then.
    const ended = child.status.then(() => true);
    const pause = (milliseconds: number) =>
      new Promise<false>((resolve) => setTimeout(resolve, milliseconds, false));
    const over = await Promise.race([ended, pause(whole * (0.3 + 0.8 * (kill + Math.random()) / KILLS))]);
    if (!over && kill9(child)) killed++;
    await child.status;
    await assertPinned(store, paths.slice(0, 2));
  }
  assert.ok(killed > 0, "it was over before it could be killed");
  assert.equal((await firn(args)).code, 0);
  await assertPinned(store, paths.slice(0, 2));
  const { stdout } = await firn(["stats", ...at]);
  assert.match(stdout, /of 2 paths\n/);
  assert.match(stdout, /^garbage +0 B/m);
});

/** Kills a process, unless it has ended just now. */
function kill9(child: Deno.ChildProcess): boolean {
  try {
    child.kill("SIGKILL");
    return true;
  } catch (error) {
    if (error instanceof TypeError || error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Fails unless each of these is there, and its NAR is what it was. */
async function assertPinned(store: string, paths: string[]): Promise<void> {
  await using server = await FirnServer.start(store);
  for (const path of paths) {
    const text = await (await fetch(`${server.url}/${narInfoName(path)}`)).text();
    const nar = await fetch(`${server.url}/${/^URL: (.*)$/m.exec(text)![1]}`);
    const hash = toNixBase32(sha256(await nar.bytes()));
    assert.equal(`sha256:${hash}`, /^NarHash: (.*)$/m.exec(text)![1]);
  }
  await server.stop();
}
