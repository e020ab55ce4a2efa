/**
 * The records that speak of contents, each read once and marked: path infos, records of NARs, side files. And pressed NARs whose
 * records came after those of their paths were read: others may press beside a collection.
 */
import { fromText } from "../bytes/bytes.ts";
import { fromHex } from "../bytes/hex.ts";
import { fromNixBase32 } from "../bytes/nixbase32.ts";
import type { ByteStore } from "../castore/byte_store.ts";
import { DigestTable } from "../castore/digest_table.ts";
import { narKey, pathKey, SIDE_FILES } from "../castore/layout.ts";
import type { Node } from "../castore/node.ts";
import { blake3 } from "../hash/blake3.ts";
import type { NarRule } from "./garbage_records.ts";
import type { Home } from "./services.ts";
import { decodeSideFile, decodeStoredPath, decodeUploadedNar } from "./messages.ts";
import type { Reach } from "./reach.ts";

/** Records that do not count though they are there: of what would be deleted. */
export interface Uncounted {
  readonly isGone: (hashPart: string) => boolean;
  readonly rule: NarRule;
}

const PRESSED = "pressed/";
const PREFIXES = [pathKey(""), narKey(""), ...SIDE_FILES];

export class RecordedRoots {
  #names: ByteStore;
  #bytes: ByteStore;
  #reach: Reach;
  #uncounted: Uncounted | undefined;
  #seen = new DigestTable();
  /** Records of pressed NARs that were there when all was marked first, and were no path's. */
  #garbage: Set<string> | undefined;

  constructor({ names, bytes }: Home, reach: Reach, uncounted?: Uncounted) {
    this.#names = names;
    this.#bytes = bytes;
    this.#reach = reach;
    this.#uncounted = uncounted;
  }

  /** Marks what the records speak of that were not seen before. */
  async markNew(
    signal: AbortSignal | undefined,
    onMarked: (records: number) => Promise<void>,
  ): Promise<void> {
    for (const prefix of PREFIXES) {
      for await (const key of this.#names.list(prefix)) {
        signal?.throwIfAborted();
        if (!this.#seen.add(blake3(fromText(key)))) continue;
        const value = await this.#names.get(key);
        const node = value && this.#nodeOf(prefix, key, value);
        if (node) await this.#reach.add(node);
        await onMarked(this.#seen.size);
      }
    }
    await this.#markPressed(signal);
  }

  /** A record of a pressed NAR was deleted: another that comes under its name is new. */
  forgetPressed(key: string): void {
    this.#garbage?.delete(key);
  }

  async #markPressed(signal: AbortSignal | undefined): Promise<void> {
    const first = this.#garbage === undefined;
    const garbage = this.#garbage ??= new Set();
    for await (const key of this.#bytes.list(PRESSED)) {
      signal?.throwIfAborted();
      const name = key.slice(PRESSED.length);
      if (!/^[0-9a-f]{64}$/.test(name) || this.#reach.has("pressed", fromHex(name))) continue;
      if (first) garbage.add(key);
      else if (!garbage.has(key)) await this.#reach.addValue("pressed", fromHex(name));
    }
  }

  #nodeOf(prefix: string, key: string, value: Uint8Array<ArrayBuffer>): Node | undefined {
    if (prefix === pathKey("")) {
      if (this.#uncounted?.isGone(key.slice(prefix.length))) return undefined;
      return decodeStoredPath(value).node;
    }
    if (prefix === narKey("")) {
      const { root, receivedAt } = decodeUploadedNar(value);
      const stays = this.#uncounted?.rule.stays(fromNixBase32(key.slice(prefix.length)), receivedAt) ?? true;
      return stays ? root : undefined;
    }
    const { digest, size } = decodeSideFile(value);
    return { type: "file", digest, size, executable: false };
  }
}
