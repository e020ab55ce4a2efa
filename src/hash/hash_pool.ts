/**
 * Hashing in workers beside this thread. Long inputs go there, short ones stay here, and so does everything where there
 * are no workers, or none has started yet: the digests are the same.
 */
import type { Bytes } from "../bytes/bytes.ts";
import { blake3 } from "./blake3.ts";
import { CHUNK_LENGTH, parentValue, rootDigest, subtreeValue } from "./blake3_tree.ts";
import { type BlobHashes, type ChunkHashes, ownHashes } from "./blob_hashes.ts";
import { cutPoint } from "./fastcdc.ts";
import { HashLane, laneMemory, SLOT_INPUTS, SLOT_LENGTH } from "./hash_lane.ts";
import { HASH_LENGTHS, type Hasher, type HashName, type HashProvider } from "./hasher.ts";

/** Inputs up to this many bytes are hashed here: for those a worker costs more than it saves. */
const SHORT = 128 * 1024;
/** Blobs that are together up to this many bytes, too: they are hashed at once, so there is less to wait for. */
const FEW = 32 * 1024;
/** Bytes of a subtree that `createBlake3` gives to a worker. */
const SUBTREE = 256 * 1024;
const DIGEST_LENGTH = HASH_LENGTHS.sha256;

/**
 * What a pool needs of a `Worker`. Its module must hand the memory it is sent to `serveLane`, which it must import only then:
 * the message would not wait for modules that load slowly.
 */
export interface LaneWorker {
  postMessage(memory: SharedArrayBuffer): void;
  terminate(): void;
}

export interface HashPoolOptions {
  /** Hashes in this thread. */
  readonly hashes: HashProvider;
  /** Starts a worker. */
  readonly spawn: () => LaneWorker;
  /** How many to start. What suits a server is one less than it has cores. */
  readonly workers: number;
  /**
   * How many of them take whole hashes, of SHA-256 and the like: what was begun in one must be ended there, however slow it is
   * when the processors are wanted elsewhere. Default all but one, which does what this thread could do as well.
   */
  readonly hashers?: number;
}

/** Hashes in workers. Disposing ends them; hashes that are still under way then fail. */
export interface HashPool extends HashProvider, BlobHashes, AsyncDisposable {
  /** Starts a BLAKE3 hash whose subtrees are hashed in all workers and in this thread, whoever has time. */
  createBlake3(): Hasher;
  /** Resolves when all workers take work, or after so many milliseconds; says whether they do. */
  started(milliseconds: number): Promise<boolean>;
  /** Pieces of work that wait for workers, or are at work there. */
  readonly waiting: number;
}

/** Starts workers, if they can be: this thread must be one that may wait, which in browsers only workers are. */
export function openHashPool(options: HashPoolOptions): HashPool {
  return new Pool(options);
}

class Pool implements HashPool {
  readonly groups = ownHashes.groups;
  #hashes: HashProvider;
  #workers: LaneWorker[] = [];
  #lanes: HashLane[] = [];
  #ofHashers: HashLane[] = [];
  #hashers = 0;
  /** A hash that was begun in a worker and dropped leaves its state there. */
  #dropped = new FinalizationRegistry<{ lane: HashLane; hasher: number }>(({ lane, hasher }) => {
    lane.hashers--;
    try {
      if (lane.ready) lane.put({ operation: "forget", hasher }, []);
    } catch {
      // The worker has failed, and its state is gone with it.
    }
  });

  constructor({ hashes, spawn, workers, hashers = workers - 1 }: HashPoolOptions) {
    this.#hashes = hashes;
    if (!mayWait()) return;
    for (let i = 0; i < workers; i++) {
      const memory = laneMemory();
      const worker = spawn();
      worker.postMessage(memory);
      this.#workers.push(worker);
      this.#lanes.push(new HashLane(memory));
    }
    this.#ofHashers = this.#lanes.slice(Math.max(0, workers - hashers));
  }

  async create(name: HashName): Promise<Hasher> {
    return new PoolHasher(name, await this.#hashes.create(name), this);
  }

  createBlake3(): Hasher {
    return new PoolBlake3(this.#lanes);
  }

  digests(blobs: readonly Bytes[]): Bytes[] | Promise<Bytes[]> {
    const length = blobs.reduce((sum, blob) => sum + blob.length, 0);
    const fits = length > FEW && length <= SLOT_LENGTH && blobs.length <= SLOT_INPUTS;
    const lane = fits ? this.#laneWithTime() : undefined;
    return lane ? lane.promise({ operation: "digests" }, blobs, eachDigest) : ownHashes.digests(blobs);
  }

  cut(ahead: Bytes, start: number): { length: number; hashes: ChunkHashes | Promise<ChunkHashes> } {
    const lane = this.#laneWithTime();
    if (!lane) return ownHashes.cut(ahead, start);
    const length = cutPoint(ahead);
    const work = { operation: "chunk", place: start } as const;
    const hashes = lane.promise(work, [ahead.subarray(0, length)], (result) => ({
      digest: result.subarray(0, DIGEST_LENGTH),
      groups: result.subarray(DIGEST_LENGTH),
    }));
    return { length, hashes };
  }

  /** A lane that would begin soon with what it is given, if what it gives is what this thread would. */
  #laneWithTime(): HashLane | undefined {
    return this.groups ? this.#lanes.find((lane) => lane.ready && lane.hasTime) : undefined;
  }

  get waiting(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.waiting, 0);
  }

  async started(milliseconds: number): Promise<boolean> {
    const end = performance.now() + milliseconds;
    const ready = () => this.#lanes.every((lane) => lane.ready);
    while (!ready() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
    return this.#lanes.length > 0 && ready();
  }

  /** Begins a hash in the worker with the fewest, if there is one for that. */
  begin(owner: object): { lane: HashLane; hasher: number } | undefined {
    const lane = this.#ofHashers.filter(({ ready }) => ready).sort((a, b) => a.hashers - b.hashers)[0];
    if (!lane) return undefined;
    lane.hashers++;
    const begun = { lane, hasher: this.#hashers++ };
    this.#dropped.register(owner, begun, owner);
    return begun;
  }

  /** Forgets who would have been told of otherwise. */
  end(owner: object, lane: HashLane): void {
    lane.hashers--;
    this.#dropped.unregister(owner);
  }

  // deno-lint-ignore require-await
  async [Symbol.asyncDispose](): Promise<void> {
    for (const [i, lane] of this.#lanes.entries()) {
      // Asked, not terminated, for a thread that waits would not notice; also one that is still starting.
      if (!lane.stop()) this.#workers[i].terminate();
    }
  }
}

/** Whether this thread can share memory and wait for another, in both ways. */
function mayWait(): boolean {
  try {
    if (!("waitAsync" in Atomics)) return false;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0);
    return true;
  } catch {
    return false;
  }
}

function eachDigest(result: Bytes): Bytes[] {
  return Array.from(
    { length: result.length / DIGEST_LENGTH },
    (_, i) => result.subarray(DIGEST_LENGTH * i, DIGEST_LENGTH * (i + 1)),
  );
}

/** Keeps input until it is clear that it is long. */
class PoolHasher implements Hasher {
  #name: HashName;
  #local: Hasher;
  #pool: Pool;
  #remote: { lane: HashLane; hasher: number } | undefined;
  #kept: Bytes | undefined;
  #filled = 0;
  /** Whether it is settled where this is hashed. */
  #settled = false;

  constructor(name: HashName, local: Hasher, pool: Pool) {
    this.#name = name;
    this.#local = local;
    this.#pool = pool;
  }

  update(bytes: Bytes): void {
    if (!this.#settled) {
      if (this.#filled + bytes.length <= SHORT) {
        this.#kept ??= new Uint8Array(SHORT); // of which the system gives only what is written to
        this.#kept.set(bytes, this.#filled);
        this.#filled += bytes.length;
        return;
      }
      this.#remote = this.#pool.begin(this);
      this.#settle();
    }
    this.#feed(bytes);
  }

  digest(): Bytes {
    if (!this.#settled) this.#settle();
    if (!this.#remote) return this.#local.digest();
    const { lane, hasher } = this.#remote;
    let digest: Bytes;
    lane.put({ operation: "digest", hasher }, [], (result) => digest = result);
    lane.drain();
    this.#pool.end(this, lane);
    return digest!.subarray(0, HASH_LENGTHS[this.#name]);
  }

  #settle(): void {
    this.#settled = true;
    if (this.#kept) this.#feed(this.#kept.subarray(0, this.#filled));
    this.#kept = undefined;
  }

  #feed(bytes: Bytes): void {
    if (!this.#remote) return this.#local.update(bytes);
    const { lane, hasher } = this.#remote;
    for (let at = 0; at < bytes.length; at += SLOT_LENGTH) {
      lane.put({ operation: "update", hasher, hash: this.#name }, [bytes.subarray(at, at + SLOT_LENGTH)]);
    }
  }
}

/** Cuts input into subtrees of a fixed length; their values, 32 bytes each, are kept until the end. */
class PoolBlake3 implements Hasher {
  #lanes: HashLane[];
  #values: Bytes[] = [];
  #buffer: Bytes | undefined;
  #filled = 0;
  #count = 0;

  constructor(lanes: HashLane[]) {
    this.#lanes = lanes;
  }

  update(bytes: Bytes): void {
    for (let at = 0; at < bytes.length;) {
      // What may be the last subtree is kept: if it is the only one it is hashed differently.
      if (this.#filled === SUBTREE) this.#hash(this.#buffer!);
      if (this.#filled === 0 && bytes.length - at > SUBTREE) {
        this.#hash(bytes.subarray(at, at + SUBTREE));
        at += SUBTREE;
        continue;
      }
      this.#buffer ??= new Uint8Array(SUBTREE);
      const part = bytes.subarray(at, at + SUBTREE - this.#filled);
      this.#buffer.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
    }
  }

  digest(): Bytes {
    const last = (this.#buffer ?? new Uint8Array(0)).subarray(0, this.#filled);
    if (this.#count === 0) return blake3(last);
    this.#values[this.#count] = subtreeValue(last, this.#firstChunk());
    for (const lane of this.#lanes) lane.drain();
    const half = leftHalf(this.#values.length);
    return rootDigest(fold(this.#values.slice(0, half)), fold(this.#values.slice(half)));
  }

  #hash(bytes: Bytes): void {
    const index = this.#count;
    const firstChunk = this.#firstChunk();
    const lane = this.#lanes.find((lane) => lane.ready && lane.hasTime);
    if (lane) {
      lane.put({ operation: "subtree", place: firstChunk }, [bytes], (value) => this.#values[index] = value);
    } else this.#values[index] = subtreeValue(bytes, firstChunk);
    this.#count++;
    this.#filled = 0;
  }

  #firstChunk(): number {
    return this.#count * SUBTREE / CHUNK_LENGTH;
  }
}

/** The value of the node over these. */
function fold(values: Bytes[]): Bytes {
  if (values.length === 1) return values[0];
  const half = leftHalf(values.length);
  return parentValue(fold(values.slice(0, half)), fold(values.slice(half)));
}

/** The largest power of two that leaves something of this number, which is two or more. */
function leftHalf(count: number): number {
  let half = 1;
  while (2 * half < count) half *= 2;
  return half;
}
