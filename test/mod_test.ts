/** The barrel: what it exports is usable as it stands, its example runs, and importing it starts nothing. */
import assert from "node:assert/strict";
import * as firn from "../mod.ts";
import { sameBytes } from "./bytes/_same_bytes.ts";
import { vector } from "./nar/_nars.ts";
import { permissions, testNeeding } from "./needs.ts";

const test = testNeeding(permissions);

test("mod: a NAR goes in and comes out with nothing but what it exports", async () => {
  const names = firn.openMemory();
  const index = await firn.indexOver(firn.openMemory());
  await using bytes = await firn.openPacked({ bytes: firn.openMemory(), names, index });
  const services = firn.servicesOver({ names, bytes });
  const nar = vector("complicated.nar");
  const options: firn.IngestOptions = { ...services, hashes: firn.portableHashes };
  const { node, narSize, narSha256 } = await firn.ingestNar([nar], options);
  assert.equal(firn.toNixBase32(narSha256), "06li2smqgskxxr291x1cgzf61rzm7c8f93bisnglq0nzm1wj5mgb");
  const layout: firn.NarLayout = await firn.narLayout(node, services.directories);
  const pieces: firn.Bytes[] = [];
  for await (const piece of firn.renderNar(layout, services.blobs)) pieces.push(piece);
  assert.equal(layout.size, narSize);
  sameBytes(pieces[0], nar);
  const keep = await firn.descend(services.directories, node, [
    new TextEncoder().encode("keep") as firn.Bytes,
  ]);
  assert.equal(keep?.type, "directory");
  assert.deepEqual(Object.keys(JSON.parse([...layout.listing()].join("")).root.entries), [
    ".keep",
    "aa",
    "keep",
  ]);
});

Deno.test("mod: errors are exported, and told apart by their class", async () => {
  const services = firn.servicesOver({ names: firn.openMemory(), bytes: firn.openMemory() });
  const root: firn.Node = { type: "directory", digest: new Uint8Array(32), size: 0n };
  await assert.rejects(firn.narLayout(root, services.directories), firn.MissingError);
  assert.throws(() => firn.parseNarInfo(""), firn.FormatError);
  assert.ok(new firn.DamageError("blob", "x") instanceof Error);
});

Deno.test("mod: what deno serve runs is there, and nothing of it was loaded", () => {
  assert.deepEqual(Object.keys(firn.default), ["fetch", "onListen"]);
  assert.equal(firn.default.fetch.length, 2);
});

Deno.test("mod: every name has its own meaning", () => {
  const names = Object.keys(firn);
  for (
    const name of [
      "blobsOver",
      "directoriesOver",
      "readNar",
      "writeNar",
      "publish",
      "receiveNar",
      "createApp",
    ]
  ) {
    assert.ok(names.includes(name), name);
  }
  assert.deepEqual(names.filter((name) => (firn as Record<string, unknown>)[name] === undefined), []);
});

for (const [file, count] of [["mod.ts", 1], ["README.md", 2]] as const) {
  test(`mod: the examples of ${file} are checked and run`, async () => {
    const path = new URL(`../${file}`, import.meta.url).pathname;
    const command = new Deno.Command(Deno.execPath(), {
      args: ["test", "--doc", "--quiet", path],
      env: { NO_COLOR: "1" },
    });
    const { success, stdout, stderr } = await command.output();
    const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert.ok(success, said);
    assert.match(said, new RegExp(`${count} passed`));
  });
}
