// Following symlinks inside a store: every way there is, and none that leads out.
import assert from "node:assert/strict";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { fromText, toText } from "../../src/bytes/bytes.ts";
import { portableHashes } from "../../src/hash/hashes.ts";
import { parseStorePathBase } from "../../src/nix/store_path.ts";
import { follow, type Walkable } from "../../src/store/follow.ts";
import { ingestNar } from "../../src/store/ingest_nar.ts";
import { servicesOver } from "../../src/store/services.ts";
import { fileNar, pathOf, treeNar } from "../server/_site.ts";
import { writeNar } from "../../src/nar/writer.ts";

const services = servicesOver({ names: openMemory(), bytes: openMemory() });
const paths = new Map<string, Walkable>();

async function add(
  name: string,
  nar: Uint8Array | ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<Walkable> {
  const source = nar instanceof Uint8Array ? [nar] : nar;
  const { node } = await ingestNar(source, { ...services, hashes: portableHashes });
  const path = { storePath: parseStorePathBase(pathOf(name)), node };
  paths.set(path.storePath.hashPart, path);
  return path;
}

async function arrive(start: Walkable, way: string): Promise<string | undefined> {
  const place = await follow(start, way.split("/").map(fromText), {
    directories: services.directories,
    find: (hashPart) => Promise.resolve(paths.get(hashPart)),
  });
  return place && `${place.path.storePath.name}:${place.names.map(toText).join("/")} ${place.via.length}`;
}

Deno.test("follow: names, dots, links, and paths that are links or files themselves", async () => {
  const lib = pathOf("lib");
  await add(
    "lib",
    await treeNar({ file: "x", dir: { file: "y" }, back: { link: `../${pathOf("start")}/here` } }),
  );
  await add("single", await fileNar("z"));
  await add("link", writeNar([{ type: "symlink", name: fromText(""), target: fromText(`${lib}/dir`) }]));
  const start = await add(
    "start",
    await treeNar({
      here: "x",
      a: { up: { link: "../here" }, far: { link: `../../${lib}/dir/../file` } },
      absolute: { link: `//nix/./store/${lib}/file` },
      through: { link: `/nix/store/${lib}/back` },
      single: { link: `/nix/store/${pathOf("single")}` },
      "to link": { link: `/nix/store/${pathOf("link")}` },
      circle: { link: "circle2" },
      circle2: { link: "circle" },
      out: { link: "/etc/passwd" },
      above: { link: "../../../etc/passwd" },
      store: { link: "/nix/store" },
      unknown: { link: `/nix/store/${pathOf("unknown")}` },
      renamed: { link: `/nix/store/${lib.slice(0, 32)}-other/file` },
      empty: { link: "a/" },
    }),
  );
  const ways: Record<string, string | undefined> = {
    "": "start: 0",
    "here": "start:here 0",
    "a/./../here": "start:here 0",
    "a/up": "start:here 1",
    "a/far": "lib:file 1",
    "absolute": "lib:file 1",
    "through": "start:here 2",
    "single": "single: 1",
    "to link/file": "lib:dir/file 2",
    "empty/up": "start:here 2",
    "circle": undefined,
    "out": undefined,
    "above": undefined,
    "store": undefined,
    "unknown": undefined,
    "renamed": undefined,
    "here/below": undefined,
    "none": undefined,
  };
  for (const [way, where] of Object.entries(ways)) assert.equal(await arrive(start, way), where, way);
});

Deno.test("follow: links that grow the way without end are left", async () => {
  const start = await add("growing", await treeNar({ a: { link: `${"a/".repeat(1000)}a` } }));
  assert.equal(await arrive(start, "a"), undefined);
});
