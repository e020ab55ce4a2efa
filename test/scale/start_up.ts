/**
 * Starting a server over an empty store and over one with many paths and many indexed values: it must not make a
 * difference that is felt.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { openSqliteIndex } from "../../src/adapters/sqlite/sqlite_index.ts";
import { toBase64Url } from "../../src/bytes/base64.ts";
import { toHex } from "../../src/bytes/hex.ts";
import { openHome } from "../../src/cli/home.ts";
import { encodeEntry } from "../../src/castore/messages.ts";
import type { PackEntry } from "../../src/combinators/pack_index.ts";
import { pathInfosOver } from "../../src/store/path_infos_over.ts";
import { parseStorePathBase } from "../../src/nix/store_path.ts";
import { FirnServer } from "../e2e/server.ts";
import { pathOf } from "../server/_site.ts";
import { MOST_MEMORY } from "./large_nars.ts";
import { row } from "./rows.ts";

const MIB = 1024 * 1024;
const ROUNDS = 5;
/** Path infos that are put at the same time. */
const BATCH = 2000;
const VALUES_PER_PACK = 2000;
/** Values after which the speed of indexing is told. */
const STRETCH = 500_000;

const pathNumber = (i: number) => pathOf(`path-${i}`);

/** Measures both, with so many path infos and values in the full one. */
export async function measureStartUp(paths: number, values: number): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "firn-scale-" });
  try {
    const [empty, full] = [`${folder}/empty`, `${folder}/full`];
    await fillStore(empty, 1, 0);
    await fillStore(full, paths, values);
    const few = await startOften("a store of 1 path", empty, 1);
    const many = await startOften(`a store of ${paths} paths and ${values} values`, full, paths);
    row("start-up, how much longer with the full store", many.ms - few.ms, "ms", { below: 500 });
    row("first narinfo, how much longer", many.narInfoMs - few.narInfoMs, "ms", { below: 500 });
    row("first look-up in the index, how much longer", many.lookUpMs - few.lookUpMs, "ms", { below: 500 });
    row("memory at start, how much more", many.mib - few.mib, "MiB", { below: 40 });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function fillStore(folder: string, paths: number, values: number): Promise<void> {
  {
    await using home = await openHome(folder, () => {});
    const pathInfos = pathInfosOver(home.names);
    const started = performance.now();
    for (let first = 0; first < paths; first += BATCH) {
      const batch = Array.from({ length: Math.min(BATCH, paths - first) }, (_, i) => first + i);
      await Promise.all(batch.map((i) =>
        pathInfos.put({
          storePath: parseStorePathBase(pathNumber(i)),
          node: { type: "file", digest: digestOf(i), size: i, executable: false },
          references: i === 0 ? [] : [parseStorePathBase(pathNumber(i - 1))],
          narSha256: digestOf(i + 0.5),
          narSize: i + 120,
          signatures: [],
          unclaimedReferences: [],
          registeredAt: 1_700_000_000_000,
        })
      ));
    }
    if (paths > BATCH) row("path infos put", paths / (performance.now() - started) * 1000, "/s");
  }
  await using index = openSqliteIndex(new DatabaseSync(`${folder}/index.sqlite`));
  assert.ok(index.complete);
  let started = performance.now();
  for (let first = 0; first < values; first += VALUES_PER_PACK) {
    if (first > 0 && first % STRETCH === 0) {
      row(`values indexed, up to ${first}`, STRETCH / (performance.now() - started) * 1000, "/s");
      started = performance.now();
    }
    const entries: PackEntry[] = Array.from({ length: VALUES_PER_PACK }, (_, i) => ({
      key: `chunk/${toHex(digestOf(first + i))}`,
      offset: i * 2000,
      length: 2000,
    }));
    await index.add(`pack/${toHex(digestOf(first + 0.25))}`, false, entries);
  }
}

/** 32 bytes that look like a digest, spread over the whole range of keys. */
function digestOf(i: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(8);
  let state = Math.imul(i * 4 + 1, 2654435761) | 1;
  for (let at = 0; at < words.length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[at] = state;
  }
  words[7] = i * 4; // no two are equal
  return new Uint8Array(words.buffer);
}

interface Start {
  readonly ms: number;
  readonly narInfoMs: number;
  /** Of a question to the index of packs. */
  readonly lookUpMs: number;
  readonly mib: number;
}

/** The medians of several starts. */
async function startOften(name: string, store: string, paths: number): Promise<Start> {
  const starts: Start[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const started = performance.now();
    await using server = await FirnServer.start(store);
    const ms = performance.now() - started;
    const asked = performance.now();
    const path = pathNumber(Math.floor(paths * (round + 0.5) / ROUNDS));
    const answer = await fetch(`${server.url}/${path.slice(0, 32)}.narinfo`);
    assert.match(await answer.text(), new RegExp(`^StorePath: /nix/store/${path}\n`));
    const narInfoMs = performance.now() - asked;
    const lookUpMs = await lookUp(server, round);
    starts.push({ ms, narInfoMs, lookUpMs, mib: server.memory().peak / MIB });
    assert.equal(await server.stop(), 0);
  }
  const median = (of: (start: Start) => number) => starts.map(of).toSorted((a, b) => a - b)[ROUNDS >> 1];
  const result = {
    ms: median((start) => start.ms),
    narInfoMs: median((start) => start.narInfoMs),
    lookUpMs: median((start) => start.lookUpMs),
    mib: median((start) => start.mib),
  };
  row(`${name}: start-up`, result.ms, "ms");
  row(`${name}: first narinfo`, result.narInfoMs, "ms");
  row(`${name}: first look-up in the index`, result.lookUpMs, "ms");
  row(`${name}: memory at start (VmHWM)`, result.mib, "MiB", MOST_MEMORY);
  return result;
}

/** How long it takes to say that a file is not here, which only the index of packs knows. */
async function lookUp(server: FirnServer, round: number): Promise<number> {
  const node = encodeEntry({ type: "file", digest: digestOf(1e8 + round), size: 1, executable: false });
  const started = performance.now();
  const answer = await fetch(`${server.url}/nar/snix-castore/${toBase64Url(node)}`);
  assert.equal(answer.status, 404, await answer.text());
  return performance.now() - started;
}
