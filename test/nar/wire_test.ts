/** The fixed words and the framing around names, sizes and targets, against words encoded here and vectors. */
import assert from "node:assert/strict";
import { concat, fromText } from "../../src/bytes/bytes.ts";
import * as wire from "../../src/nar/wire.ts";
import { permissions, testNeeding } from "../needs.ts";
import { nar, vector } from "./_nars.ts";

const test = testNeeding(permissions);

Deno.test("fixed runs have the words of the grammar and the published lengths", () => {
  assert.deepEqual(concat([wire.NAR_START, wire.NODE_START]), nar("nix-archive-1", "(", "type"));
  assert.equal(wire.NAR_START.length + wire.NODE_START.length, 56);
  assert.deepEqual(wire.SYMLINK, nar("symlink", "target"));
  assert.equal(wire.SYMLINK.length, 32);
  assert.equal(wire.REGULAR.length + wire.CONTENTS.length, 32);
  assert.equal(wire.REGULAR.length + wire.EXECUTABLE.length + wire.CONTENTS.length, 64);
  assert.equal(wire.DIRECTORY.length, 24);
  assert.equal(wire.ENTRY.length, 48);
  assert.equal(wire.NODE.length + wire.NODE_START.length, 48);
  assert.equal(wire.CLOSE.length, 16);
});

Deno.test("what is written has the length announced, also over bytes that were there before", () => {
  const buffer = new Uint8Array(5000).fill(0xff);
  for (let length = 1; length < 20; length++) {
    const name = new Uint8Array(length).fill(0x6e);
    let end = wire.writeEntryStart(buffer, 3, name);
    assert.equal(end - 3, wire.entryStartLength(length));
    assert.deepEqual(
      buffer.slice(3, end),
      nar("entry", "(", "name", nar(new TextDecoder().decode(name)), "node"),
    );
    end = wire.writeSymlink(buffer, 3, name);
    assert.equal(end - 3, wire.symlinkLength(length));
    assert.deepEqual(
      buffer.slice(3, end),
      nar("(", "type", "symlink", "target", new TextDecoder().decode(name), ")"),
    );
    end = wire.writeFileEnd(buffer, 3, length);
    assert.equal(end - 3, wire.fileEndLength(length));
    assert.equal((length + end - 3) % 8, 0);
    assert.ok(buffer.slice(3, end - 16).every((byte) => byte === 0));
    buffer.fill(0xff);
  }
});

Deno.test("sizes are 64 bits, little-endian", () => {
  const buffer = new Uint8Array(200);
  for (const size of [0, 1, 255, 256, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 3, Number.MAX_SAFE_INTEGER]) {
    for (const executable of [false, true]) {
      const end = wire.writeFileStart(buffer, 0, executable, size);
      assert.equal(end, wire.fileStartLength(executable));
      assert.equal(new DataView(buffer.buffer).getBigUint64(end - 8, true), BigInt(size));
    }
  }
});

test("the pieces make the archive of a file, a symlink and a directory", () => {
  const buffer = new Uint8Array(1000);
  let at = wire.writeBytes(buffer, 0, wire.NAR_START);
  at = wire.writeFileStart(buffer, at, false, 12);
  assert.equal(at, 0x60);
  at = wire.writeBytes(buffer, at, fromText("Hello World!"));
  at = wire.writeFileEnd(buffer, at, 12);
  assert.deepEqual(buffer.slice(0, at), vector("helloworld.nar"));

  const target = fromText("/nix/store/somewhereelse");
  const empty = (at: number) => wire.writeFileEnd(buffer, wire.writeFileStart(buffer, at, false, 0), 0);
  at = wire.writeBytes(buffer, 0, wire.NAR_START);
  at = wire.writeBytes(buffer, at, wire.DIRECTORY_START);
  at = empty(wire.writeEntryStart(buffer, at, fromText(".keep")));
  at = wire.writeBytes(buffer, at, wire.ENTRY_END);
  at = wire.writeSymlink(buffer, wire.writeEntryStart(buffer, at, fromText("aa")), target);
  at = wire.writeBytes(buffer, at, wire.ENTRY_END);
  at = wire.writeEntryStart(buffer, at, fromText("keep"));
  at = wire.writeBytes(buffer, at, wire.DIRECTORY_START);
  at = empty(wire.writeEntryStart(buffer, at, fromText(".keep")));
  for (const end of [wire.ENTRY_END, wire.DIRECTORY_END, wire.ENTRY_END, wire.DIRECTORY_END]) {
    at = wire.writeBytes(buffer, at, end);
  }
  assert.deepEqual(buffer.slice(0, at), vector("complicated.nar"));
});
