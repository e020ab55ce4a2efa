/** Everything that is run in browsers, in a page and in a worker. */
import { blobDamageContract, blobServiceContract } from "../contract/blob_service.ts";
import { openBrowserCodecs } from "../../src/adapters/codecs/browser_codecs.ts";
import { openFrameDecoder } from "../../src/adapters/codecs/frame_decoder.ts";
import { byteStoreContract } from "../contract/byte_store.ts";
import { codecContract } from "../contract/codec.ts";
import { directoryDamageContract, directoryServiceContract } from "../contract/directory_service.ts";
import { frameDecoderContract } from "../contract/frame_decoder.ts";
import { packIndexContract } from "../contract/pack_index.ts";
import { packedContract } from "../contract/packed.ts";
import { pathInfoServiceContract } from "../contract/path_info_service.ts";
import { type Suite, suiteOf } from "./_case.ts";
import { hashPoolCases } from "./_hash_pool_cases.ts";
import { openIdbHome, openIndex, openMemoryHome, openStore } from "./_homes.ts";
import { journalCases } from "./_journal_cases.ts";
import { transactionCases } from "./_transaction_cases.ts";
import { vectorCases } from "./_vector_cases.ts";

const compile = (name: string) => async () => {
  return await WebAssembly.compile(
    await (await fetch(new URL(`/wasm/${name}`, location.origin))).arrayBuffer(),
  );
};
const codec = openBrowserCodecs({ liblzma: compile("liblzma"), brotli: compile("brotli") });

export const SUITES: readonly Suite[] = [
  ...vectorCases,
  hashPoolCases,
  suiteOf("codecs of browsers", codecContract, () => Promise.resolve(codec)),
  suiteOf("frames of browsers", frameDecoderContract, openFrameDecoder),
  journalCases,
  transactionCases,
  suiteOf("names in idb", byteStoreContract, () => openStore("names")),
  suiteOf("bytes in idb", packedContract, () => openStore("bytes")),
  suiteOf("pack index in idb", packIndexContract, openIndex),
  ...[["memory", openMemoryHome], ["idb", openIdbHome]].map(([where, open]) => {
    const make = open as typeof openIdbHome;
    return [
      suiteOf(`blobs over ${where}`, [...blobServiceContract], make),
      suiteOf(`damaged blobs over ${where}`, [...blobDamageContract], make),
      suiteOf(`directories over ${where}`, [...directoryServiceContract], make),
      suiteOf(`damaged directories over ${where}`, [...directoryDamageContract], make),
      suiteOf(`path infos over ${where}`, [...pathInfoServiceContract], make),
    ];
  }).flat(),
];
