/**
 * The pressed NARs of a server: pressed in the background when a path is published, and when they are asked for and are not there.
 * What was read of them is kept in memory.
 */
import { toHex } from "../bytes/hex.ts";
import { Lru } from "../bytes/lru.ts";
import type { ByteStore } from "../castore/byte_store.ts";
import { pressedKey } from "../castore/layout.ts";
import type { Node } from "../castore/node.ts";
import type { DirectoryService } from "../castore/directory_service.ts";
import type { HashProvider } from "../hash/hasher.ts";
import { hashNar } from "../store/nar_hash.ts";
import type { PathInfo } from "../store/path_info.ts";
import type { PathInfoService } from "../store/path_info_service.ts";
import { pressedName, type PressedNar } from "../store/pressed_nar.ts";
import { pressNar, readPressed } from "../store/press_nar.ts";
import { receivedNar } from "../store/receive_nar.ts";
import { checkFileSize } from "./file_size.ts";
import type { Services } from "../store/services.ts";
import { givesStored, type StoringBlobs } from "../store/stored_chunks.ts";
import { Patience } from "./patience.ts";
import { PressQueue } from "./press_queue.ts";
import type { RootOwners } from "./root_owners.ts";

/** Memory for records, in bytes. */
const KEPT = 64 * 1024 * 1024;
/** Failures that are remembered. */
const FAILURES = 10_000;
/** Milliseconds after which what failed is tried again for a narinfo. */
const REST_AFTER_FAILURE_MS = 10 * 60_000;

export interface PressedNarsOptions extends Services {
  readonly hashes: HashProvider;
  readonly owners: RootOwners;
  readonly log: (line: string) => void;
  /** Press what is published. */
  readonly eager: boolean;
  /** Told when a record is found to be wrong. */
  readonly onDropped: () => void;
  /** Aborted when the server begins to stop. */
  readonly stopping?: AbortSignal;
}

export class PressedNars implements AsyncDisposable {
  readonly blobs: StoringBlobs;
  #directories: DirectoryService;
  #names: ByteStore;
  #bytes: ByteStore;
  #hashes: HashProvider;
  #owners: RootOwners;
  #log: (line: string) => void;
  #eager: boolean;
  #queue = new PressQueue<PressedNar>();
  /** Whether nodes that are not known are of NARs that were received: that is read from all of them, and anybody may ask. */
  #looks = new PressQueue<boolean>({ lanes: 1, most: 100 });
  #patience = new Patience();
  #kept = new Lru<string, PressedNar>(KEPT);
  #failures = new Lru<string, number>(FAILURES);
  /** By their names: what was published and is not pressed yet. */
  #published = new Set<string>();
  #onDropped: () => void;

  /** For a store that can press; `undefined` for another. */
  static over(options: PressedNarsOptions): PressedNars | undefined {
    const { blobs, bytes } = options;
    return bytes && givesStored(blobs) ? new PressedNars(options, blobs, bytes) : undefined;
  }

  private constructor(options: PressedNarsOptions, blobs: StoringBlobs, bytes: ByteStore) {
    const { directories, names, hashes, owners, log, eager, onDropped, stopping } = options;
    this.blobs = blobs;
    this.#directories = directories;
    this.#names = names;
    this.#bytes = bytes;
    this.#hashes = hashes;
    this.#owners = owners;
    this.#log = log;
    this.#eager = eager;
    this.#onDropped = onDropped;
    stopping?.addEventListener("abort", () => this.#end(), { once: true });
  }

  /** NARs that are being pressed, or wait for that. */
  get pressing(): number {
    return this.#queue.size;
  }

  /** The same path infos; what is published through them is pressed. */
  watch(pathInfos: PathInfoService): PathInfoService {
    return {
      get: (hashPart) => pathInfos.get(hashPart),
      list: () => pathInfos.list(),
      delete: (hashPart) => pathInfos.delete(hashPart),
      put: async (info) => {
        const stored = await pathInfos.put(info);
        this.#owners.remember(stored);
        if (this.#eager) this.#pressPublished(stored.node);
        return stored;
      },
    };
  }

  /** A NAR that is pressed. */
  async find(node: Node): Promise<PressedNar | undefined> {
    const name = nameOf(node);
    const kept = this.#kept.get(name);
    if (kept) return kept;
    const pressed = await readPressed(this.#bytes, node);
    if (pressed) this.#kept.set(name, pressed, pressed.weight);
    return pressed;
  }

  /** The pressed NAR of a path for its narinfo: if it is pressed, or is soon. */
  async soon(info: PathInfo): Promise<PressedNar | undefined> {
    const found = await this.find(info.node);
    if (found) return found;
    const name = nameOf(info.node);
    const failedAt = this.#failures.get(name);
    if (failedAt !== undefined && performance.now() - failedAt < REST_AFTER_FAILURE_MS) return undefined;
    const milliseconds = this.#patience.left(this.#published.has(name));
    const pressing = this.#press(info.node, milliseconds > 0);
    return milliseconds > 0 ? await this.#patience.wait(pressing, milliseconds) : undefined;
  }

  /**
   * The pressed NAR of a node to serve, which is pressed if it is not; `undefined` for a node that is no path's, and no received
   * NAR's: who only reads must not make the store grow by what they make up.
   */
  async get(node: Node): Promise<PressedNar | undefined> {
    const name = nameOf(node);
    const found = await this.find(node);
    // What is in memory may have been collected as garbage, with its chunks.
    if (found && await this.#bytes.has(pressedKey(pressedName(node)))) return found;
    this.#kept.delete(name);
    if (!this.#owners.has(node)) {
      const isReceived = await this.#looks.add(name, (signal) => this.#isReceived(node, signal));
      if (!isReceived) return undefined;
    }
    return await this.#press(node, true);
  }

  /** The pressed NAR of a node that is known to be a NAR's that was received; it is pressed if it is not. */
  async ofReceived(node: Node): Promise<PressedNar> {
    return await this.find(node) ?? await this.#press(node, true);
  }

  /** A record was found to be wrong: it is made anew when it is asked for. */
  async drop(node: Node): Promise<void> {
    this.#kept.delete(nameOf(node));
    this.#onDropped();
    await this.#bytes.delete(pressedKey(pressedName(node)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end();
    await Promise.all([this.#queue[Symbol.asyncDispose](), this.#looks[Symbol.asyncDispose]()]);
  }

  #end(): void {
    this.#queue.end();
    this.#looks.end();
  }

  #pressPublished(node: Node): void {
    const name = nameOf(node);
    this.#published.add(name);
    const done = () => void this.#published.delete(name);
    this.#press(node, false).then(done, done);
  }

  async #isReceived(node: Node, signal: AbortSignal): Promise<boolean> {
    if (node.type === "file") await checkFileSize(node, this.blobs);
    const { digest } = await hashNar(node, "sha256", {
      blobs: this.blobs,
      directories: this.#directories,
      hashes: this.#hashes,
      signal,
    });
    return await receivedNar(this.#names, digest) !== undefined;
  }

  #press(node: Node, isWanted: boolean): Promise<PressedNar> {
    const name = nameOf(node);
    const work = (signal: AbortSignal) => this.#pressNow(node, signal);
    return isWanted ? this.#queue.want(name, work) : this.#queue.add(name, work);
  }

  async #pressNow(node: Node, signal: AbortSignal): Promise<PressedNar> {
    const name = nameOf(node);
    try {
      const pressed = await this.find(node) ?? await pressNar(node, {
        blobs: this.blobs,
        directories: this.#directories,
        names: this.#names,
        bytes: this.#bytes,
        hashes: this.#hashes,
        signal,
      });
      this.#kept.set(name, pressed, pressed.weight);
      this.#failures.delete(name);
      return pressed;
    } catch (error) {
      if (!signal.aborted) {
        this.#failures.set(name, performance.now(), 1);
        const owner = this.#owners.nameOf(node);
        this.#log(`cannot press the NAR of ${owner}, which stays uncompressed: ${(error as Error).message}`);
      }
      throw error;
    }
  }
}

function nameOf(node: Node): string {
  return toHex(pressedName(node));
}
