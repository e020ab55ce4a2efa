// What leaves the store as files: single files, zips that unpack safely, and a zip that is a binary cache; and the way back.
import assert from "node:assert/strict";
import { concat, fromText } from "../../../src/bytes/bytes.ts";
import { iterate } from "../../../src/bytes/streams.ts";
import { safeName, zipPath } from "../../../web/engine/file_name.ts";
import { ZipReader } from "../../../web/engine/zip_reader.ts";
import { writeZip, type ZipEntry } from "../../../web/engine/zip_writer.ts";
import { permissions, testNeeding, tool } from "../../needs.ts";
import { narFile, narInfo, noise, pathOf, treeNar } from "../../server/_site.ts";
import { bytesOf, open, Tab, World } from "./_tab.ts";

const test = testNeeding(permissions);
const unzipTest = testNeeding(tool("unzip", "unzip"));
const MIB = 1024 * 1024;

async function run(command: string, args: string[], cwd: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args, cwd }).output();
  assert.ok(success, new TextDecoder().decode(stderr) + new TextDecoder().decode(stdout));
  return new TextDecoder().decode(stdout);
}

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "firn-zip-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

unzipTest("engine: a zip of a path unpacks with its marks and links", async () => {
  await using world = await World.open();
  const long = concat([noise(2 * MIB), new Uint8Array(2 * MIB)]);
  const path = await world.publish("tool", {
    bin: { "run.sh": "#!/bin/sh\necho ran\n", link: { link: "run.sh" } },
    empty: {},
    long,
    "ünï": "text ".repeat(1000),
  });
  const tab = world.tab();
  await open(tab, world, path);
  const { blob, name } = await tab.engine.save({ type: "zip", path });
  assert.equal(name, `${path.slice("/nix/store/".length)}.zip`);
  assert.ok(blob!.size < 2.1 * MIB, `${blob!.size} bytes: what can be is compressed`);
  await inFolder(async (folder) => {
    await Deno.writeFile(`${folder}/x.zip`, await bytesOf(blob));
    await run("unzip", ["-q", "x.zip"], folder);
    const root = `${folder}/${path.slice("/nix/store/".length)}`;
    assert.equal(await run(`${root}/bin/link`, [], folder), "ran\n", "executable, through a symlink");
    assert.deepEqual(await Deno.readFile(`${root}/long`), long);
    assert.equal(await Deno.readTextFile(`${root}/ünï`), "text ".repeat(1000));
    assert.ok((await Deno.stat(`${root}/empty`)).isDirectory);
    assert.equal((await Deno.stat(`${root}/long`)).mode! & 0o111, 0);
  });
  const part = await tab.engine.save({ type: "zip", path, file: "bin" });
  assert.equal(part.name, "bin.zip");
  const file = await tab.engine.save({ type: "file", path, file: "bin/run.sh" });
  assert.deepEqual([file.name, await file.blob!.text()], ["run.sh", "#!/bin/sh\necho ran\n"]);
});

unzipTest("engine: names in a zip lead nowhere else, wherever it is unpacked", async () => {
  await using world = await World.open();
  const path = await world.publish("slippery", {
    "..\\..\\evil": "1",
    "C:evil": "2",
    "a\nb\u202e": "3",
    // On a system where these are one name, what is in the folder would go through the link, if that came first.
    "LINK": { passwd: "4" },
    "link": { link: "/etc" },
    "x:y": { link: "/etc" },
    "x_y": { passwd: "5" },
  });
  const tab = world.tab();
  await open(tab, world, path);
  const { blob } = await tab.engine.save({ type: "zip", path });
  const names = [...(await ZipReader.open(blob!)).files.keys()];
  assert.equal(new Set(names).size, names.length);
  for (const name of names) {
    assert.ok(!/[\\:]|\p{Cc}|\u202e/u.test(name) && !name.split("/").includes(".."), JSON.stringify(name));
  }
  const links = names.filter((name) => /(link|x_y~2)$/.test(name));
  assert.deepEqual(names.slice(-2), links, "links are last");
  await inFolder(async (folder) => {
    await Deno.writeFile(`${folder}/x.zip`, await bytesOf(blob));
    await run("unzip", ["-q", "x.zip"], folder);
    assert.deepEqual([...Deno.readDirSync(folder)].length, 2);
  });
  assert.deepEqual(["CON", "nul.txt", "a/b", "..", "x.", ""].map(safeName), [
    "_CON",
    "_nul.txt",
    "a_b",
    "_",
    "x",
    "_",
  ]);
  assert.equal(zipPath("a/../b"), "a/_../b");
});

unzipTest(
  "engine: a zip of more files than 16 bits can count, and of a file over 4 GiB, is right",
  async () => {
    async function* many(): AsyncGenerator<ZipEntry> {
      for (let i = 0; i < 70_000; i++) {
        yield await {
          name: `f${i}`,
          kind: "file",
          contents: new Uint8Array(0),
          size: 0,
        };
      }
    }
    const zeros = new Uint8Array(64 * MIB);
    const size = 4.25 * 1024 * MIB;
    async function* huge(): AsyncGenerator<ZipEntry> {
      async function* contents() {
        for (let left = size; left > 0; left -= zeros.length) yield await zeros.subarray(0, left);
      }
      yield { name: "huge", kind: "file", contents: contents(), size };
      yield await { name: "after", kind: "executable", contents: fromText("it"), size: 2 };
    }
    await inFolder(async (folder) => {
      for (const [name, entries] of [["many", many()], ["huge", huge()]] as const) {
        using file = await Deno.open(`${folder}/${name}.zip`, { write: true, create: true });
        for await (const piece of writeZip(entries)) {
          for (let at = 0; at < piece.length;) at += await file.write(piece.subarray(at));
        }
      }
      assert.match(await run("unzip", ["-l", "many.zip"], folder), /70000 files/);
      assert.match(await run("unzip", ["-tq", "huge.zip"], folder), /No errors detected/);
      const zip = await ZipReader.open(new Blob([await Deno.readFile(`${folder}/huge.zip`)]));
      assert.equal(zip.files.get("huge")?.size, size);
      const after = zip.files.get("after")!;
      assert.deepEqual(concat(await Array.fromAsync(zip.contents(after))), fromText("it"));
      const more = await ZipReader.open(new Blob([await Deno.readFile(`${folder}/many.zip`)]));
      assert.equal(more.files.size, 70_000);
    });
  },
);

test("engine: everything goes into a zip and comes back from it, all proven again", async () => {
  await using world = await World.open();
  const lib = await world.publish("lib", { "libx.so": noise(100_000) });
  const References = lib.slice("/nix/store/".length);
  const path = await world.publish("app", { bin: { app: `uses ${lib}/libx.so` } }, { References });
  const tab = world.tab();
  await open(tab, world, path, { everything: true, closure: true });
  const { blob, name } = await tab.engine.save({ type: "cache" });
  assert.equal(name, "nix-cache.zip");

  const offline = new Tab(() => Response.error());
  const file = new File([blob!], name);
  const { paths, refused } = await offline.engine.open({ type: "files", files: [file] });
  assert.deepEqual(refused, []);
  assert.deepEqual(
    paths.map(({ path, state }) => [path, state]).sort(),
    [[lib, "whole"], [path, "whole"]].sort(),
  );
  assert.equal((await offline.engine.truth(path)).references.verdict, "true");

  const zip = await ZipReader.open(blob!);
  const entries = await Promise.all([...zip.files.values()].map(async (zipped) => ({
    path: zipped.name,
    file: new File([concat(await Array.fromAsync(zip.contents(zipped)))], zipped.name),
  })));
  const folder = new Tab(() => Response.error());
  const opened = await folder.engine.open({ type: "folder", name: "cache", entries });
  assert.equal(opened.paths.length, 2);

  const tampered = new Uint8Array(await blob!.arrayBuffer());
  tampered[200] ^= 1;
  const third = new Tab(() => Response.error());
  const result = await third.engine.open({ type: "files", files: [new File([tampered], name)] });
  assert.equal(result.refused.length, 1, JSON.stringify(result));
  assert.equal(result.paths.length, 1);
});

test("engine: dropped NARs, with and without their narinfo, and folders", async () => {
  const nar = await treeNar({ "run.sh": "#!/bin/sh\n", data: noise(100_000) });
  const packed = await narFile(nar, "zstd");
  const base = pathOf("dropped");
  const drop = async (...files: File[]) => {
    const tab = new Tab(() => Response.error());
    return { tab, ...await tab.engine.open({ type: "files", files }) };
  };
  const narName = packed.url.slice(4);
  const withInfo = await drop(
    new File([narInfo(base, packed)], "x.narinfo"),
    new File([packed.bytes], narName),
  );
  assert.deepEqual(withInfo.refused, []);
  assert.equal(withInfo.paths[0].path, `/nix/store/${base}`);

  const alone = await drop(new File([packed.bytes], "my tool.nar.zst"));
  assert.match(alone.paths[0].path, /^\/nix\/store\/[0-9a-z]{32}-my-tool$/);
  assert.match(alone.paths[0].ca!, /^fixed:r:sha256:/);
  assert.equal((await alone.tab.engine.truth(alone.paths[0].path)).trusted, true);

  const lying = await drop(
    new File([narInfo(base, packed, { NarHash: `sha256:${"0".repeat(52)}` })], "x.narinfo"),
    new File([packed.bytes], narName),
  );
  assert.deepEqual([lying.paths.length, lying.refused[0].fault.claim], [0, "NarHash"]);
  assert.equal((await drop(new File(["no nar"], "x.nar"))).refused[0].fault.name, "FormatError");

  const entries = [
    { path: "data", file: new File([noise(100_000)], "data") },
    { path: "run.sh", file: new File(["#!/bin/sh\n"], "run.sh") },
  ];
  const folder = new Tab(() => Response.error());
  const { paths } = await folder.engine.open({ type: "folder", name: "my-tool", entries });
  assert.equal(paths[0].path, alone.paths[0].path, "the same contents under the same name are the same path");
  assert.equal(paths[0].narHash, alone.paths[0].narHash);
  const unmarked = await folder.engine.open({
    type: "folder",
    name: "my-tool",
    entries,
    executables: "none",
  });
  assert.notEqual(unmarked.paths[0].path, paths[0].path);
});

test("engine: a zip that is damaged, or expands to more than it says, is refused", async () => {
  async function* entries(): AsyncGenerator<ZipEntry> {
    yield await { name: "zeros", kind: "file", contents: new Uint8Array(500_000), size: 500_000 };
  }
  const bytes = concat(await Array.fromAsync(writeZip(entries())));
  const read = async (bytes: Uint8Array<ArrayBuffer>) => {
    const zip = await ZipReader.open(new Blob([bytes]));
    return concat(await Array.fromAsync(iterate(zip.contents(zip.files.get("zeros")!)))).length;
  };
  assert.equal(await read(bytes), 500_000);
  const at = bytes.length - 22 - 46 - 5; // the entry in the directory
  for (const [offset, what] of [[24, "its size"], [16, "its sum"]] as const) {
    const changed = bytes.slice();
    new DataView(changed.buffer).setUint32(at + offset, 10, true);
    await assert.rejects(read(changed), { name: "FormatError" }, what);
  }
  for (const length of [0, 10, bytes.length - 1, bytes.length - 30]) {
    await assert.rejects(ZipReader.open(new Blob([bytes.subarray(0, length)])), { name: "FormatError" });
  }
});
