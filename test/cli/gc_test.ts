// Pins, garbage collection and statistics as a user runs them, over a store that a server filled.
import assert from "node:assert/strict";
import { pattern } from "../contract/_byte_store_samples.ts";
import { FirnServer } from "../e2e/server.ts";
import { assertTaken, narFile, narInfo, narInfoName, pathOf, treeNar } from "../server/_site.ts";
import { assertMisused, commandTest, firn } from "./_command.ts";

/** Runs a command that succeeds; resolves to its stdout. */
async function ok(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await firn(args);
  assert.equal(code, 0, stderr);
  return stdout;
}

async function upload(
  server: FirnServer,
  base: string,
  text: string,
  references: string[] = [],
): Promise<void> {
  const file = await narFile(await treeNar({ bin: { tool: text }, shared: SHARED }));
  for (
    const [name, body] of [[file.url, file.bytes], [
      narInfoName(base),
      narInfo(base, file, { References: references.join(" ") }),
    ]] as const
  ) {
    await assertTaken(await fetch(`${server.url}/${name}`, { method: "PUT", body }));
  }
}

/** Random text of this many characters. */
function long(length: number, seed: number): string {
  return pattern(length / 2, seed).toHex();
}

const SHARED = long(300_000, 9);

async function folderSize(folder: string): Promise<number> {
  let size = 0;
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    size += isDirectory ? await folderSize(`${folder}/${name}`) : (await Deno.stat(`${folder}/${name}`)).size;
  }
  return size;
}

commandTest("pin, stats and gc over a store that a server filled, and serves again", async (folder) => {
  const store = `${folder}/store`;
  const [lib, app, other] = [pathOf("lib"), pathOf("app"), pathOf("other")];
  {
    await using server = await FirnServer.start(store);
    await upload(server, lib, long(2_000_000, 1));
    await upload(server, app, "small", [lib]);
    await upload(server, other, long(3_000_000, 2));
    const busy = await firn(["gc", "--store", store]);
    assert.equal(busy.code, 1);
    assert.match(busy.stderr, /^firn: Cannot open this store: another process holds the lock [^\n]*\n$/);
  }
  const at = ["--store", store];
  assert.match(
    await ok("stats", ...at),
    /^archives +\S+ MiB {2}of 3 paths\nafter sharing .*times less\nstored .*times less\n/,
  );
  const lines = (await ok("stats", "--paths", ...at)).trim().split("\n").map((line) => line.split("\t"));
  assert.deepEqual(
    lines.map((line) => line[4]).sort(),
    [lib, app, other].map((base) => `/nix/store/${base}`).sort(),
  );
  const row = lines.find((line) => line[4].endsWith(app))!;
  assert.equal(row[3], "2");
  assert.ok(Number(row[0]) < 1000 && Number(row[1]) > 300_000 && Number(row[2]) > 2_600_000, row.join());

  assert.equal(await ok("pin", ...at, "web", `/nix/store/${app}/bin/tool`), "");
  assert.equal(await ok("pins", ...at), `web\t/nix/store/${app}\n`);
  for (
    const [args, why] of [
      [
        ["gc", "--delete", lib],
        /^firn: Cannot delete \/nix\/store\/\w{32}-lib: \/nix\/store\/\w{32}-app refers to it; delete what refers to it, too\n$/,
      ],
      [["gc", "--with-referrers", "--delete", lib], /pinned as web; unpin it first/],
      [["gc", "--delete", "0".repeat(32)], /no such path is in this store/],
      [["pin", "x", "0".repeat(32)], /Cannot pin x: no path 0{32} is in this store/],
      [["pin", "a b", app], /Cannot use the pin name "a b"/],
    ] as const
  ) {
    const { code, stdout, stderr } = await firn([...args, ...at]);
    assert.deepEqual([code, stdout], [1, ""], stderr);
    assert.match(stderr, why);
  }

  const size = await folderSize(`${store}/bytes`);
  assert.match(await ok("gc", "--dry-run", "--delete", other, ...at), /^would delete 1 path, /);
  assert.equal(await folderSize(`${store}/bytes`), size);
  const would = await ok("gc", "--keep-roots-only", "--grace", "0", "--dry-run", ...at);
  const did = await ok("gc", "--keep-roots-only", "--grace", "0", ...at);
  assert.match(
    did,
    /^deleted 1 path, 1 archive record, 0 side files and \d+ values of \S+ MiB; \d+ values stay\n/,
  );
  assert.equal(would, did.split("\n")[0].replace("deleted", "would delete") + "\n");
  assert.match(did, /\ngave back \S+ MiB: \d packs? removed, \d rewritten\n$/);
  assert.ok(await folderSize(`${store}/bytes`) < size / 2); // what was deleted was nine tenths of it
  await Deno.remove(`${store}/index.sqlite`); // made anew from what is left
  assert.match(await ok("stats", ...at), /garbage +0 B/);

  await using server = await FirnServer.start(store);
  for (const [base, status] of [[lib, 200], [app, 200], [other, 404]] as const) {
    const info = await fetch(`${server.url}/${narInfoName(base)}`);
    const text = await info.text();
    assert.equal(info.status, status);
    if (status === 404) continue;
    const nar = await fetch(`${server.url}/${/^URL: (.*)$/m.exec(text)![1]}`);
    assert.equal((await nar.bytes()).length, Number(/^NarSize: (\d+)$/m.exec(text)![1]));
  }
  await upload(server, other, long(3_000_000, 2));
});

commandTest("an archive whose narinfo may still come stays, unless the grace is over", async (folder) => {
  const store = `${folder}/store`;
  const file = await narFile(await treeNar({ a: long(1_000_000, 3) }));
  const base = pathOf("late");
  {
    await using server = await FirnServer.start(store);
    await assertTaken(await fetch(`${server.url}/${file.url}`, { method: "PUT", body: file.bytes }));
  }
  assert.match(await ok("gc", "--store", store), /0 archive records/);
  {
    await using server = await FirnServer.start(store);
    const body = narInfo(base, file);
    await assertTaken(await fetch(`${server.url}/${narInfoName(base)}`, { method: "PUT", body }));
  }
  await ok("gc", "--store", store, "--grace", "0", "--delete", base);
  assert.match(
    await ok("stats", "--store", store),
    /of 0 paths\nafter sharing +0 B .*\nstored +0 B .*\n[^]*garbage +0 B/,
  );
});

commandTest("what cannot be carried out is told, and makes no store", async (folder) => {
  const at = ["--store", `${folder}/none`];
  await assertMisused(["gc", ...at], /Cannot open the store .*none: there is none; --store says where it is/);
  await assertMisused(["stats", "--store", "memory:"], /Cannot open the store memory:: want a folder/);
  await assertMisused(["gc", ...at, "path"], /want --delete before the paths to delete/);
  await assertMisused(["gc", ...at, "--with-referrers"], /without --delete/);
  await assertMisused(
    ["gc", ...at, "--grace", "soon"],
    /Cannot use --grace soon: want a duration such as 30m, 24h or 7d/,
  );
  await assertMisused(["gc", ...at, "--delete", "x"], /Cannot find the path x: want \/nix\/store\//);
  await assertMisused(["gc", "--unknown"], /--unknown/);
  await assertMisused(["pin", ...at, "x"], /want firn pin NAME PATH/);
  await assertMisused(["unpin", ...at], /want firn unpin NAME/);
  await assertMisused(["pins", ...at, "x"], /want firn pins/);
  await assertMisused(["stats", ...at, "x"], /want firn stats/);
  await Deno.mkdir(`${folder}/store`);
  await Deno.writeTextFile(`${folder}/store/format`, "firn-store 1\n");
  const store = ["--store", `${folder}/store`];
  await assertMisused(["gc", "--keep-roots-only", ...store], /nothing is pinned, and every path would go/);
  await assertMisused(["unpin", "x", ...store], /Cannot unpin x: nothing is pinned under that name/);
  await assert.rejects(Deno.stat(`${folder}/none`));
});

commandTest("--help of each tells its options and examples", async () => {
  for (const command of ["gc", "pin", "unpin", "pins", "stats"]) {
    const help = await ok(command, "--help");
    assert.match(help, new RegExp(`^firn ${command}: .*\n\nusage: firn ${command}`));
    assert.match(help, /--store ADDRESS .*FIRN_STORE/);
    assert.match(help, /^examples:\n(?: {2}.*\n)+/m);
    for (const line of help.split("\n")) assert.ok(line.length <= 120, line);
  }
});
