/** Several processes that serve one store and know nothing of each other, and what can be seen of that store from outside. */
import assert from "node:assert/strict";
import { openKvHome } from "../../src/cli/kv_home.ts";
import { openPacks } from "../../src/cli/packs_address.ts";
import type { PackedStore, PackedUse } from "../../src/combinators/packed.ts";
import type { DenokvServer } from "./_denokv.ts";
import { field, hashPart } from "./cache_folder.ts";
import type { Closure } from "./closures.ts";
import { FirnServer } from "./server.ts";
import { TOKEN_ENV } from "./tokens.ts";
import { narDigest } from "./whole.ts";

/** Endpoints and servers on one store, by turns, which let those write who have a token. */
export async function startInstances(
  store: string,
  count: number,
  packs?: string,
): Promise<FirnServer[] & AsyncDisposable> {
  const env = packs === undefined ? TOKEN_ENV : { ...TOKEN_ENV, FIRN_PACKS: packs };
  const starting = Array.from(
    { length: count },
    (_, i) =>
      i % 2 === 0
        ? FirnServer.startEdge(store, env)
        : FirnServer.startWith(env, store, "--hash-workers", "0"),
  );
  const settled = await Promise.allSettled(starting);
  const started = settled.flatMap((start) => start.status === "fulfilled" ? [start.value] : []);
  const stop = async () => void await Promise.all(started.map((server) => server.kill()));
  const failed = settled.find((start) => start.status === "rejected");
  if (!failed) return Object.assign(started, { [Symbol.asyncDispose]: stop });
  await stop();
  throw (failed as PromiseRejectedResult).reason;
}

/** An answer that does not end is an error, not a test that hangs. */
function inTime(): RequestInit {
  return { signal: AbortSignal.timeout(60_000) };
}

/** Looks at paths while they are uploaded: a narinfo that one instance shows leads to a NAR that is whole at any other. */
export class Watcher {
  #stopped = false;
  #looking: Promise<void>;
  /** Paths that were seen in the moment they came, with their NARs. */
  readonly seen = new Set<string>();

  /** @param digests SHA-256 of each path's NAR in hexadecimal, in the order of the closure */
  constructor(instances: readonly FirnServer[], closure: Closure, digests: readonly string[]) {
    this.#looking = this.#look(instances, closure, digests);
    this.#looking.catch(() => {}); // told by `stop`
  }

  async #look(instances: readonly FirnServer[], closure: Closure, digests: readonly string[]): Promise<void> {
    // To the last path: a turn without any to look at would wait for nothing, and let nothing else happen.
    for (let turn = 0; this.seen.size < closure.paths.length; turn++) {
      for (const [i, path] of closure.paths.entries()) {
        if (this.#stopped) return;
        if (this.seen.has(path)) continue;
        const asked = instances[(turn + i) % instances.length];
        const answer = await fetch(`${asked.url}/${hashPart(path)}.narinfo`, inTime());
        const narInfo = await answer.text();
        if (answer.status === 404) continue;
        assert.equal(answer.status, 200, narInfo);
        const other = instances[(turn + i + 1) % instances.length];
        const nar = await fetch(`${other.url}/${field(narInfo, "URL")}`, inTime());
        assert.equal(nar.status, 200, `the NAR of ${path}`);
        assert.equal(await narDigest(nar, narInfo), digests[i], `the NAR of ${path}`);
        this.seen.add(path);
      }
    }
  }

  /** Throws what was wrong. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#looking;
  }
}

/** Bytes that a store takes: of its values in Deno KV, and of its packs in a bucket. */
export async function storedBytes({ url }: DenokvServer, packs: string | undefined): Promise<number> {
  let bytes = 0;
  const kv = await Deno.openKv(url);
  for await (const { value } of kv.list({ prefix: [] }, { batchSize: 100 })) {
    if (value instanceof Uint8Array) bytes += value.length;
  }
  kv.close();
  if (packs === undefined) return bytes;
  await using bucket = (await openPacks(packs, {})).bytes;
  for await (const key of bucket.list("")) bytes += (await bucket.get(key))!.length;
  return bytes;
}

/** What the packs of a store are used for. */
export async function usedIn(store: string, packs: string | undefined): Promise<PackedUse> {
  await using home = await openKvHome(store, { packs });
  return await (home.bytes as PackedStore).use();
}
