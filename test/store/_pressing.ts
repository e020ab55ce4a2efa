/** Stores that keep frames, in memory, and what pressing into them needs. */
import { zstdDecompressSync } from "node:zlib";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { type Bytes, concat } from "../../src/bytes/bytes.ts";
import { collect } from "../../src/bytes/streams.ts";
import type { ByteStore } from "../../src/castore/byte_store.ts";
import type { Node } from "../../src/castore/node.ts";
import { openFrames } from "../../src/cli/frames.ts";
import { indexOver } from "../../src/combinators/pack_index.ts";
import { openPacked } from "../../src/combinators/packed.ts";
import { portableHashes } from "../../src/hash/hashes.ts";
import { ingestNar } from "../../src/store/ingest_nar.ts";
import { pressNar, type PressOptions } from "../../src/store/press_nar.ts";
import type { PressedNar } from "../../src/store/pressed_nar.ts";
import { renderPressed } from "../../src/store/render_pressed.ts";
import { type Home, type Services, servicesOver } from "../../src/store/services.ts";
import type { StoringBlobs } from "../../src/store/stored_chunks.ts";

/** A home of packs in memory. @param level of zstd; 0: chunks are stored plain */
export async function openFramed(level = 1): Promise<Home & AsyncDisposable> {
  const [names, packs] = [openMemory(), openMemory()];
  const frames = openFrames(level > 0 ? { level, workers: 0 } : undefined);
  const bytes = await openPacked({ bytes: packs, names, index: await indexOver(openMemory()), frames });
  return { names, bytes, [Symbol.asyncDispose]: async () => await bytes[Symbol.asyncDispose]() };
}

/** A store of NARs that can be pressed. */
export class Press implements AsyncDisposable {
  readonly services: Services;
  readonly options: PressOptions;

  constructor(readonly home: Home & AsyncDisposable, bytes: ByteStore = home.bytes) {
    this.services = servicesOver({ names: home.names, bytes });
    this.options = {
      ...this.services,
      blobs: this.services.blobs as StoringBlobs,
      bytes,
      hashes: portableHashes,
    };
  }

  static async open(level?: number): Promise<Press> {
    return new Press(await openFramed(level));
  }

  async take(nar: Bytes): Promise<Node> {
    return (await ingestNar([nar], this.options)).node;
  }

  press(node: Node, options: Partial<PressOptions> = {}): Promise<PressedNar> {
    return pressNar(node, { ...this.options, ...options });
  }

  /** The file, or a range of it. */
  file(pressed: PressedNar, start?: number, end?: number): Promise<Bytes> {
    const range = start === undefined ? undefined : { start, end: end! };
    return collect(renderPressed(pressed, this.options.blobs, range));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.home[Symbol.asyncDispose]();
  }
}

/** What is in a file, each of whose frames is decompressed by itself. */
export function unpressed(pressed: PressedNar, file: Uint8Array): Bytes {
  const parts: Uint8Array[] = [];
  for (let row = 0; row < pressed.count; row++) {
    parts.push(zstdDecompressSync(file.subarray(pressed.offset(row), pressed.offset(row + 1))));
  }
  return concat(parts);
}
