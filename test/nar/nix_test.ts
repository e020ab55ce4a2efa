/** Real Nix on the other side: what it dumps is read and written again the same, what is written here it restores. */
import assert from "node:assert/strict";
import { fromText } from "../../src/bytes/bytes.ts";
import { type NarToken, readNar } from "../../src/nar/reader.ts";
import { testNeeding, tool } from "../needs.ts";
import { joined, parse, streamOf, write } from "./_nars.ts";

const test = testNeeding(tool("nix-store", "nix-bin"));

async function run(command: string, args: string[]): Promise<Uint8Array<ArrayBuffer>> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return stdout;
}

/** Small numbers that look random and are the same each time. */
function* numbers(seed: number): Generator<number> {
  for (;;) yield (seed = (seed * 1103515245 + 12345) % 2 ** 31) >>> 8;
}

const dump = (path: string) => run("nix-store", ["--dump", path]);

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

test({
  name: "trees of any shape, dumped by nix-store",
  fn: () =>
    withFolder(async (folder) => {
      for (let seed = 1; seed <= 10; seed++) {
        const random = numbers(seed);
        const next = (below: number) => random.next().value! % below;
        const root = `${folder}/${seed}`;
        const made = { file: 0, directory: 1, symlink: 0 };
        const fill = async (path: string, depth: number): Promise<void> => {
          await Deno.mkdir(path);
          for (let i = next(12); i >= 0; i--) {
            const child = `${path}/${["a", "A", "a-", "é", "~", " "][next(6)]}${i}`;
            const kind = next(10);
            if (kind < 2 && depth < 6) {
              await fill(child, depth + 1);
              made.directory++;
            } else if (kind === 2) {
              await Deno.symlink("x".repeat(1 + next(100)), child);
              made.symlink++;
            } else {
              const size = [next(18), next(5000), next(200_000)][next(3)];
              await Deno.writeFile(child, new Uint8Array(size).fill(next(256)), {
                mode: next(2) ? 0o755 : 0o644,
              });
              made.file++;
            }
          }
        };
        await fill(root, 0);
        const nar = await dump(root);
        const tokens = parse([nar]);
        for (const type of ["file", "directory", "symlink"] as const) {
          assert.equal(tokens.filter((token) => token.type === type).length, made[type]);
        }
        assert.deepEqual(await write(tokens), nar);
        assert.deepEqual(await write(readNar(streamOf(nar, 10_007).stream)), nar);
      }
    }),
});

test({
  name: "an archive written here is restored by nix-store",
  fn: () =>
    withFolder(async (folder) => {
      const contents = new Uint8Array(100_003).fill(7);
      const tokens: NarToken[] = [
        { type: "directory", name: new Uint8Array(0) },
        { type: "directory", name: fromText("bin") },
        { type: "file", name: fromText("tool"), executable: true, size: contents.length },
        { type: "data", bytes: contents.subarray(0, 70_001) },
        { type: "data", bytes: contents.subarray(70_001) },
        { type: "end" },
        { type: "end" },
        { type: "file", name: fromText("empty"), executable: false, size: 0 },
        { type: "end" },
        { type: "symlink", name: fromText("link"), target: fromText("bin/tool") },
        { type: "end" },
      ];
      const nar = await write(tokens);
      await Deno.writeFile(`${folder}/nar`, nar);
      await run("sh", ["-c", 'nix-store --restore "$1/out" < "$1/nar"', "sh", folder]);
      assert.deepEqual(await Deno.readFile(`${folder}/out/bin/tool`), contents);
      assert.equal((await Deno.stat(`${folder}/out/bin/tool`)).mode! & 0o111, 0o111);
      assert.equal(await Deno.readLink(`${folder}/out/link`), "bin/tool");
      assert.equal((await Deno.stat(`${folder}/out/empty`)).size, 0);
      assert.deepEqual(await dump(`${folder}/out`), nar);
      assert.equal(joined(parse([nar])).length, tokens.length - 1);
    }),
});
