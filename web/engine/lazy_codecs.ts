/** The codecs of browsers, loaded when the first archive comes that is compressed, and the decoder of frames, at the first frame. */
import type { WasmModules } from "../../src/adapters/codecs/browser_codecs.ts";
import { type ByteSource, iterate } from "../../src/bytes/streams.ts";
import type { Bytes } from "../../src/bytes/bytes.ts";
import type { FrameDecoder } from "../../src/castore/stored_form.ts";
import type { Codec, CompressionName } from "../../src/store/codec.ts";

const NAMES: readonly CompressionName[] = ["none", "xz", "zstd", "gzip", "br", "bzip2"];

export function openLazyCodecs(modules: WasmModules): Codec {
  let codec: Promise<Codec> | undefined;
  const load = () =>
    codec ??= import("../../src/adapters/codecs/browser_codecs.ts").then(({ openBrowserCodecs }) =>
      openBrowserCodecs(modules)
    );
  async function* decompress(name: CompressionName, source: ByteSource): AsyncGenerator<Bytes, void, void> {
    if (name === "none") yield* iterate(source);
    else yield* (await load()).decompress(name, source);
  }
  async function* compress(name: CompressionName, source: ByteSource): AsyncGenerator<Bytes, void, void> {
    if (name === "none") yield* iterate(source);
    else yield* (await load()).compress(name, source);
  }
  return { decompresses: new Set(NAMES), compresses: new Set(["none", "gzip"]), decompress, compress };
}

/** Opens the decoder of frames: always the same, and loaded when it is first wanted. */
export function lazyFrames(): () => Promise<FrameDecoder> {
  let decoder: Promise<FrameDecoder> | undefined;
  const load = async () => {
    const { openFrameDecoder } = await import("../../src/adapters/codecs/frame_decoder.ts");
    return await openFrameDecoder();
  };
  return () =>
    decoder ??= load().catch((error) => {
      decoder = undefined; // the network may be there the next time
      throw error;
    });
}
