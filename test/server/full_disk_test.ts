// A disk that fills up, for real: a small file system in memory, which only root can mount.
import assert from "node:assert/strict";
import { mounting, type Need, testNeeding, xz } from "../needs.ts";
import { FirnServer } from "../e2e/server.ts";
import {
  assertRefused,
  assertTaken,
  fileNar,
  type NarFile,
  narFile,
  narInfo,
  narInfoName,
  noise,
  pathOf,
} from "./_site.ts";

const MIB = 1024 * 1024;

async function run(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args }).output();
  if (!success) {
    throw new Error(`Cannot ${command} a small disk: ${new TextDecoder().decode(stderr)}`);
  }
}

/** Declares a test with a disk of so many MiB for its store. */
function diskTest(
  title: string,
  size: number,
  body: (disk: string) => Promise<void>,
  ...needs: Need[]
): void {
  testNeeding(mounting, ...needs)({
    name: title,
    // The runtime keeps signal handlers of children for a moment longer than a test takes.
    sanitizeResources: false,
    fn: async () => {
      const disk = await Deno.makeTempDir({ prefix: "firn-disk-" });
      await run("mount", "-t", "tmpfs", "-o", `size=${size}m`, "tmpfs", disk);
      try {
        await body(disk);
      } finally {
        await run("umount", disk);
        await Deno.remove(disk);
      }
    },
  });
}

async function put(server: FirnServer, name: string, body: BodyInit): Promise<Response> {
  return await fetch(`${server.url}/${name}`, { method: "PUT", body });
}

async function statusOf(server: FirnServer, method: string, name: string): Promise<number> {
  const answer = await fetch(`${server.url}/${name}`, { method });
  await answer.body?.cancel();
  return answer.status;
}

async function publish(server: FirnServer, path: string, file: NarFile): Promise<void> {
  await assertTaken(await put(server, file.url, file.bytes));
  await assertTaken(await put(server, narInfoName(path), narInfo(path, file)));
}

async function assertServed(server: FirnServer, path: string, file: NarFile): Promise<void> {
  const text = await (await fetch(`${server.url}/${narInfoName(path)}`)).text();
  const answer = await fetch(`${server.url}/${/^URL: (.*)$/m.exec(text)![1]}`);
  assert.equal(answer.status, 200);
  assert.ok(Buffer.compare(await answer.bytes(), file.nar) === 0, path);
}

/** Fills what is left of a disk with a file. */
async function fill(path: string): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true });
  for (const piece of [new Uint8Array(65_536), new Uint8Array(512)]) {
    try {
      while (true) await file.write(piece);
    } catch { /* full */ }
  }
}

const before = { path: pathOf("before"), file: await narFile(await fileNar(noise(5 * MIB, 61)), "none") };
const large = { path: pathOf("large"), file: await narFile(await fileNar(noise(30 * MIB, 62)), "zstd") };
const NO_ROOM = /no room|full/;

diskTest(
  "an upload that does not fit is 507; reading goes on; with more room it is taken",
  24,
  async (disk) => {
    await using server = await FirnServer.start(`${disk}/store`);
    await publish(server, before.path, before.file);
    for (let attempt = 0; attempt < 3; attempt++) {
      const answer = await put(server, large.file.url, large.file.bytes);
      assert.ok(answer.headers.has("retry-after"));
      await assertRefused(answer, 507, NO_ROOM);
      assert.equal(await statusOf(server, "HEAD", large.file.url), 404);
      assert.equal(await statusOf(server, "GET", large.file.url), 404);
      await assertRefused(
        await put(server, narInfoName(large.path), narInfo(large.path, large.file)),
        400,
        /no NAR with NarHash/,
      );
      await assertServed(server, before.path, before.file);
    }
    await run("mount", "-o", "remount,size=96m", disk);
    await publish(server, large.path, large.file);
    await assertServed(server, large.path, large.file);
    await assertServed(server, before.path, before.file);
    assert.equal(await server.stop(), 0);
    await using again = await FirnServer.start(`${disk}/store`);
    await assertServed(again, large.path, large.file);
    await assertServed(again, before.path, before.file);
  },
);

diskTest(
  "no room for the least thing: every kind of write is 507, and works when there is room",
  48,
  async (disk) => {
    await using server = await FirnServer.start(`${disk}/store`);
    await publish(server, before.path, before.file);
    const short = await narFile(await fileNar(noise(200_000, 63)), "xz");
    await assertTaken(await put(server, short.url, short.bytes));
    const kinds: ((i: number) => Promise<[name: string, body: BodyInit]>)[] = [
      async (i) => {
        const { url, bytes } = await narFile(await fileNar(`small, so that it goes to the names: ${i}`));
        return [url, bytes];
      },
      (i) => {
        const path = pathOf(`crammed-${i}`);
        return Promise.resolve([narInfoName(path), narInfo(path, short)]);
      },
      (i) => Promise.resolve([`log/${pathOf(`${i}`)}.drv`, noise(100_000, i + 1)]),
    ];
    const refused: [string, BodyInit][] = [];
    for (const kind of kinds) {
      // Databases have some room set aside, so the first few may be taken.
      for (let i = 0; refused.length <= kinds.indexOf(kind); i++) {
        assert.ok(i < 1000, "the disk is full");
        await fill(`${disk}/filler-${kinds.indexOf(kind)}-${i}`);
        const [name, body] = await kind(i);
        const answer = await put(server, name, body);
        if (answer.status === 200) {
          await answer.body?.cancel();
          continue;
        }
        await assertRefused(answer, 507, NO_ROOM);
        assert.equal(await statusOf(server, "GET", name), 404, name);
        refused.push([name, body]);
      }
    }
    await assertServed(server, before.path, before.file);
    for await (const { name } of Deno.readDir(disk)) {
      if (name.startsWith("filler")) {
        await Deno.remove(`${disk}/${name}`);
      }
    }
    for (const [name, body] of refused) {
      await assertTaken(await put(server, name, body));
      assert.equal(await statusOf(server, "GET", name), 200, name);
    }
    assert.equal(await server.stop(), 0);
  },
  xz,
);

diskTest("many uploads at once on a disk that fills up: each is whole or refused", 32, async (disk) => {
  await using server = await FirnServer.start(`${disk}/store`);
  const paths = await Promise.all(Array.from({ length: 12 }, async (_, i) => ({
    path: pathOf(`crowd-${i}`),
    file: await narFile(await fileNar(noise(4 * MIB, i + 71)), "none"),
  })));
  const taken = await Promise.all(paths.map(async ({ file }) => {
    const answer = await put(server, file.url, file.bytes);
    if (answer.status !== 200) await assertRefused(answer, 507, NO_ROOM);
    else await answer.body?.cancel();
    return answer.status === 200;
  }));
  assert.ok(taken.includes(false), "not all fit");
  for (const [i, { file }] of paths.entries()) {
    assert.equal(await statusOf(server, "HEAD", file.url), taken[i] ? 200 : 404);
    if (taken[i]) {
      assert.ok(Buffer.compare(await (await fetch(`${server.url}/${file.url}`)).bytes(), file.nar) === 0);
    }
  }
  await run("mount", "-o", "remount,size=160m", disk);
  for (const { path, file } of paths) await publish(server, path, file);
  for (const { path, file } of paths) await assertServed(server, path, file);
});
