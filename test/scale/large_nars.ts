/**
 * Long archives through a server with the default store on a disk: uploaded, published, downloaded and compared, in
 * bounded memory.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { FirnServer } from "../e2e/server.ts";
import { narInfoName, nix32, pathOf } from "../server/_site.ts";
import { RawRequest } from "../server/_wire.ts";
import { watching } from "./memory.ts";
import type { LongNar } from "./nars.ts";
import { row } from "./rows.ts";

const MIB = 1024 * 1024;

/** The memory a server may have, in MiB. */
export const MOST_MEMORY = { below: 480 };

interface Measured {
  readonly sha256: Uint8Array<ArrayBuffer>;
  readonly size: number;
}

/** Uploads and downloads an archive and prints what it took. */
export async function measureNar(nar: LongNar): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "firn-scale-" });
  try {
    const known = await measure(nar.make());
    await using server = await FirnServer.start(`${folder}/store`);
    const path = pathOf("scale");
    const up = await watching(server, () => upload(server, path, nar, known));
    report(nar, "upload", known.size, up);
    // Again from the start, so that the peak is that of the download.
    await server.stop();
    await using reader = await FirnServer.start(`${folder}/store`);
    const down = await watching(reader, () => download(reader, path));
    assert.deepEqual(down.result, known, "what came back is what was sent");
    report(nar, "download", known.size, down);
    const list = await watching(reader, async () => {
      const answer = await fetch(`${reader.url}/${path.slice(0, 32)}.ls`);
      assert.equal(answer.status, 200);
      return (await answer.bytes()).length;
    });
    report(nar, "listing", list.result, list);
    const part = await watching(reader, () => downloadPart(reader, path, known.size));
    row(`${nar.name}: last 1000 bytes`, part.seconds * 1000, "ms");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function report(
  nar: LongNar,
  what: string,
  bytes: number,
  { seconds, memory }: { seconds: number; memory: { median: number; highest: number; peak: number } },
): void {
  row(`${nar.name}: ${what}`, bytes / 1e6 / seconds, "MB/s");
  row(`${nar.name}: ${what}, memory (median)`, memory.median / MIB, "MiB");
  row(`${nar.name}: ${what}, memory (highest sample)`, memory.highest / MIB, "MiB", MOST_MEMORY);
  row(`${nar.name}: ${what}, memory (VmHWM)`, memory.peak / MIB, "MiB", MOST_MEMORY);
}

async function measure(stream: ReadableStream<Uint8Array>): Promise<Measured> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const piece of stream) {
    hash.update(piece);
    size += piece.length;
  }
  return { sha256: new Uint8Array(hash.digest()), size };
}

/** The NAR without compression, with its length said beforehand as Nix does, and the narinfo. */
async function upload(
  server: FirnServer,
  path: string,
  nar: LongNar,
  { sha256, size }: Measured,
): Promise<void> {
  const hash = nix32(sha256);
  using request = await RawRequest.put(server.url, `nar/${hash}.nar`, size);
  for await (const piece of nar.make()) await request.send(piece);
  const { status, body } = await request.response();
  assert.equal(status, 200, body);
  const text = [
    `StorePath: /nix/store/${path}`,
    `URL: nar/${hash}.nar`,
    "Compression: none",
    `NarHash: sha256:${hash}`,
    `NarSize: ${size}`,
    "References: ",
  ];
  const answer = await fetch(`${server.url}/${narInfoName(path)}`, {
    method: "PUT",
    body: text.join("\n") + "\n",
  });
  assert.equal(answer.status, 200, await answer.text());
}

async function urlOf(server: FirnServer, path: string): Promise<string> {
  const text = await (await fetch(`${server.url}/${narInfoName(path)}`)).text();
  return `${server.url}/${/^URL: (.*)$/m.exec(text)![1]}`;
}

async function download(server: FirnServer, path: string): Promise<Measured> {
  const answer = await fetch(await urlOf(server, path));
  assert.equal(answer.status, 200);
  return await measure(answer.body!);
}

async function downloadPart(server: FirnServer, path: string, size: number): Promise<void> {
  const answer = await fetch(await urlOf(server, path), { headers: { range: "bytes=-1000" } });
  assert.equal(answer.status, 206);
  assert.equal(answer.headers.get("content-range"), `bytes ${size - 1000}-${size - 1}/${size}`);
  assert.equal((await answer.bytes()).length, 1000);
}
