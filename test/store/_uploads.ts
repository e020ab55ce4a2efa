/** Uploads for the tests of receiving and publishing: a codec that needs nothing, names of files, narinfos. */
import { type Bytes, concat } from "../../src/bytes/bytes.ts";
import { toNixBase32 } from "../../src/bytes/nixbase32.ts";
import { iterate, toReadable } from "../../src/bytes/streams.ts";
import { sha256 } from "../../src/hash/sha256.ts";
import type { NarInfo } from "../../src/nix/nar_info.ts";
import { parseStorePathBase } from "../../src/nix/store_path.ts";
import type { Codec } from "../../src/store/codec.ts";
import {
  type NarFileName,
  parseNarFileName,
  receiveNar,
  type ReceiveOptions,
} from "../../src/store/receive_nar.ts";
import { openStore, type TestStore } from "./_trees.ts";

/** `none`, and gzip by the platform. */
export const CODEC: Codec = {
  decompresses: new Set(["none", "gzip"]),
  compresses: new Set(["none"]),
  decompress(name, source) {
    if (name === "none") return iterate(source);
    const stream = toReadable(iterate(source)).pipeThrough(new DecompressionStream("gzip"));
    return iterate(stream);
  },
  compress: (_, source) => iterate(source),
};

export async function gzip(bytes: Bytes): Promise<Bytes> {
  const stream = new Response(bytes).body!.pipeThrough(new CompressionStream("gzip"));
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return concat(pieces);
}

/** A store that takes uploads. */
export function openReceiver(): TestStore & { options: ReceiveOptions } {
  const store = openStore();
  const { blobs, directories, names, options } = store;
  return { ...store, options: { ...options, blobs, directories, names, codec: CODEC } };
}

/** The name of a file of these bytes. */
export function nameOf(bytes: Bytes, suffix = ""): NarFileName {
  return parseNarFileName(`${toNixBase32(sha256(bytes))}.nar${suffix}`)!;
}

/** Receives a NAR as it is and returns the narinfo of it that Nix would send. */
export async function upload(
  store: ReturnType<typeof openReceiver>,
  nar: Bytes,
  base = "00bgd045z0d4icpbc2yyz4gx48ak44la-foo",
): Promise<NarInfo> {
  const name = nameOf(nar);
  await receiveNar(name, [nar], store.options);
  const digest = sha256(nar);
  return {
    storePath: parseStorePathBase(base),
    url: `nar/${name.text}`,
    compression: "none",
    fileHash: { algorithm: "sha256", digest },
    fileSize: nar.length,
    narHash: digest,
    narSize: nar.length,
    references: [],
    signatures: [],
  };
}
