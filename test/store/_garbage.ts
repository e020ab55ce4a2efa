/** A home with paths in it, for the tests of garbage collection: publishing as Nix does, and looking whether all is whole. */
import assert from "node:assert/strict";
import { type Bytes, fromText } from "../../src/bytes/bytes.ts";
import { fromHex } from "../../src/bytes/hex.ts";
import { toNixBase32 } from "../../src/bytes/nixbase32.ts";
import type { ByteStore } from "../../src/castore/byte_store.ts";
import { guarded, type GuardedStore } from "../../src/castore/guarded_store.ts";
import { blobKey, chunkKey, decodeChunkList, getLong, SIDE_FILES } from "../../src/castore/layout.ts";
import { pressNar } from "../../src/store/press_nar.ts";
import { PressedNar } from "../../src/store/pressed_nar.ts";
import type { StoringBlobs } from "../../src/store/stored_chunks.ts";
import type { Node } from "../../src/castore/node.ts";
import { portableHashes } from "../../src/hash/hashes.ts";
import { sha256 } from "../../src/hash/sha256.ts";
import { parseStorePathBase, type StorePath } from "../../src/nix/store_path.ts";
import { type CollectedGarbage, collectGarbage, type CollectOptions } from "../../src/store/garbage.ts";
import { decodeSideFile, decodeUploadedNar, encodeSideFile } from "../../src/store/messages.ts";
import { narLayout } from "../../src/store/nar_layout.ts";
import type { PathInfo } from "../../src/store/path_info.ts";
import { publish } from "../../src/store/publish.ts";
import { receiveNar } from "../../src/store/receive_nar.ts";
import { renderNar } from "../../src/store/render_nar.ts";
import { servicesOver } from "../../src/store/services.ts";
import { narOf, type Tree } from "./_trees.ts";
import { CODEC, nameOf } from "./_uploads.ts";

export const HOUR = 3_600_000;

/** A store path of a name. */
export function pathOf(name: string): StorePath {
  return parseStorePathBase(`${toNixBase32(sha256(fromText(name)).slice(0, 20))}-${name}`);
}

export class Site {
  /** Milliseconds since 1970. */
  now = Date.now();
  readonly names: ByteStore;
  readonly guard: GuardedStore;
  readonly services;

  constructor(home: { names: ByteStore; bytes: ByteStore }) {
    this.names = home.names;
    this.guard = guarded(home.bytes, { now: () => this.now });
    this.services = servicesOver({ names: home.names, bytes: this.guard });
  }

  /** Receives a NAR of a tree, as Nix sends it first. */
  async receive(tree: Tree): Promise<{ nar: Bytes; url: string }> {
    const nar = await narOf(tree);
    const name = nameOf(nar);
    await receiveNar(name, [nar], {
      ...this.services,
      hashes: portableHashes,
      codec: CODEC,
      now: () => this.now,
    });
    return { nar, url: `nar/${name.text}` };
  }

  /** Uploads and publishes a path. */
  async add(name: string, tree: Tree, references: string[] = [], deriver?: string): Promise<PathInfo> {
    const { nar, url } = await this.receive(tree);
    const digest = sha256(nar);
    return await publish(pathOf(name).hashPart, {
      storePath: pathOf(name),
      url,
      compression: "none",
      fileHash: { algorithm: "sha256", digest },
      fileSize: nar.length,
      narHash: digest,
      narSize: nar.length,
      references: references.map(pathOf),
      ...(deriver && { deriver: pathOf(deriver) }),
      signatures: [],
    }, { ...this.services, hashes: portableHashes, now: () => this.now });
  }

  /** Presses the NAR of a path. */
  async press(info: PathInfo): Promise<PressedNar> {
    return await pressNar(info.node, {
      ...this.services,
      blobs: this.services.blobs as StoringBlobs,
      bytes: this.guard,
      hashes: portableHashes,
    });
  }

  async addSideFile(key: string, content: Bytes): Promise<void> {
    const { digest, size } = await this.services.blobs.put(content);
    await this.names.put(key, encodeSideFile({ digest, size, contentType: "text/plain" }));
  }

  /** Lets so much time go by that no use and no NAR counts as late. */
  pass(milliseconds = 48 * HOUR): void {
    this.now += milliseconds;
  }

  collect(options: Partial<CollectOptions> = {}): Promise<CollectedGarbage> {
    return collectGarbage({ names: this.names, bytes: this.guard, now: () => this.now, ...options });
  }

  /** Names of the paths that are there. */
  async paths(): Promise<string[]> {
    return (await Array.fromAsync(this.services.pathInfos.list())).map(({ storePath }) => storePath.name)
      .sort();
  }

  /** Keys of contents. */
  async keys(prefix = ""): Promise<string[]> {
    return (await Array.fromAsync(this.guard.unguarded.list(prefix))).sort();
  }

  /** Fails unless all that is visible is whole: paths, records of NARs, side files, lists, pressed NARs. */
  async assertWhole(): Promise<void> {
    const { unguarded } = this.guard;
    for await (const info of this.services.pathInfos.list()) {
      const nar = await this.#assertReadable(info.node, info.storePath.name);
      assert.deepEqual(nar, info.narSha256, info.storePath.name);
      for (const { hashPart } of info.references) {
        assert.ok(
          await this.services.pathInfos.get(hashPart),
          `${info.storePath.name} refers to ${hashPart}`,
        );
      }
    }
    for await (const key of this.names.list("nar/")) {
      await this.#assertReadable(decodeUploadedNar((await this.names.get(key))!).root, key);
    }
    for (const prefix of SIDE_FILES) {
      for await (const key of this.names.list(prefix)) {
        const { digest } = decodeSideFile((await this.names.get(key))!);
        assert.ok(await servicesOver({ names: this.names, bytes: unguarded }).blobs.open(digest), key);
      }
    }
    for (const key of await this.keys("blob/")) {
      const list = decodeChunkList((await getLong(unguarded, key))!, key);
      assert.equal(key, blobKey(fromHex(key.slice(5))));
      for (const { digest } of list) assert.ok(await unguarded.has(chunkKey(digest)), `${key} lacks a chunk`);
    }
    for (const key of await this.keys("pressed/")) {
      const pressed = new PressedNar((await getLong(unguarded, key))!, key);
      for (let row = 0; row < pressed.count; row++) {
        assert.ok(await unguarded.has(chunkKey(pressed.digest(row))), `${key} lacks a chunk`);
      }
    }
  }

  async #assertReadable(node: Node, what: string): Promise<Bytes> {
    const { blobs, directories } = servicesOver({ names: this.names, bytes: this.guard.unguarded });
    const hasher = await portableHashes.create("sha256");
    try {
      for await (const piece of renderNar(await narLayout(node, directories), blobs)) hasher.update(piece);
    } catch (error) {
      throw new Error(`${what} is not whole: ${(error as Error).message}`, { cause: error });
    }
    return hasher.digest();
  }
}
