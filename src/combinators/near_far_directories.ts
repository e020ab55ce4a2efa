/** Directories of a near store in front of a far one, see `near_far.ts`. Near may have a part of a closure. */
import { Background } from "../bytes/background.ts";
import { toHex } from "../bytes/hex.ts";
import type { ByteStore } from "../castore/byte_store.ts";
import { type Digest, formatDigest } from "../castore/digest.ts";
import { directoriesOver } from "../castore/directories_over.ts";
import { type Directory, encodeDirectory } from "../castore/directory.ts";
import type { DirectoryService, NamedDirectory } from "../castore/directory_service.ts";
import { directoryKey, putLong } from "../castore/layout.ts";
import { directoryItems } from "../castore/read_directory.ts";
import { MissingError } from "../errors.ts";
import { KEPT_STREAM } from "./near_far_blobs.ts";
import type { Forgiving } from "./near_far.ts";
import { SingleFlight } from "./single_flight.ts";

/** Bytes of encoded Directories that may wait to be kept. */
const WRITE_WINDOW = 4 * 1024 * 1024;

export class NearFarDirectories implements DirectoryService {
  #store: ByteStore;
  #near: DirectoryService;
  #far: DirectoryService;
  #forgiving: Forgiving;
  #flight = new SingleFlight();

  constructor(near: ByteStore, far: DirectoryService, forgiving: Forgiving) {
    this.#store = near;
    this.#near = directoriesOver(near);
    this.#far = far;
    this.#forgiving = forgiving;
  }

  async get(digest: Digest): Promise<Directory | undefined> {
    const kept = await this.#forgiving.try(() => this.#near.get(digest));
    return kept ?? await this.#flight.run(toHex(digest), async () => {
      const directory = await this.#far.get(digest);
      if (directory) await this.#keep(digest, encodeDirectory(directory));
      return directory;
    });
  }

  async *getClosure(root: Digest): AsyncGenerator<NamedDirectory, void, void> {
    const given = new Set<string>();
    const waiting = new Map([[toHex(root), root]]);
    const take = (named: NamedDirectory): boolean => {
      const key = toHex(named.digest);
      if (given.has(key)) return false;
      given.add(key);
      waiting.delete(key);
      for (const { node } of directoryItems(named.encoded)) {
        if (node.type !== "directory") continue;
        const child = toHex(node.digest);
        if (!given.has(child)) waiting.set(child, node.digest);
      }
      return true;
    };
    for (const [key, digest] of waiting) { // the map grows meanwhile
      for await (const named of this.#nearClosure(digest)) if (take(named)) yield named;
      if (given.has(key)) continue;
      const far = this.#flight.stream(key, () => this.#farClosure(digest));
      for await (const named of far) if (take(named)) yield named;
      if (given.has(key)) continue;
      if (given.size === 0) return;
      throw new MissingError("directory", formatDigest(digest));
    }
  }

  async putClosure(leavesFirst: Iterable<Directory> | AsyncIterable<Directory>): Promise<Digest> {
    let held: Directory[] | undefined = [];
    let size = 0;
    const holding = async function* () {
      for await (const directory of leavesFirst) {
        size += encodeDirectory(directory).length;
        if (size > KEPT_STREAM) held = undefined;
        held?.push(directory);
        yield directory;
      }
    };
    const root = await this.#far.putClosure(holding());
    const closure = held;
    if (closure) await this.#forgiving.try(() => this.#near.putClosure(closure));
    return root;
  }

  /** What near has of a closure before the first Directory that it lacks. */
  async *#nearClosure(root: Digest): AsyncGenerator<NamedDirectory, void, void> {
    try {
      yield* this.#near.getClosure(root);
    } catch (error) {
      if (!(error instanceof MissingError)) await this.#forgiving.try(() => Promise.reject(error));
    }
  }

  /** A closure of far, kept near while it goes by. */
  async *#farClosure(root: Digest): AsyncGenerator<NamedDirectory, void, void> {
    const writes = new Background(WRITE_WINDOW);
    try {
      for await (const named of this.#far.getClosure(root)) {
        const { digest, encoded } = named;
        await writes.room(encoded.length);
        writes.follow(encoded.length, this.#keep(digest, encoded));
        yield named;
      }
    } finally {
      await writes.idle();
    }
  }

  async #keep(digest: Digest, encoded: NamedDirectory["encoded"]): Promise<void> {
    await this.#forgiving.try(() => putLong(this.#store, directoryKey(digest), encoded));
  }
}
