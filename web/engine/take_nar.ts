/**
 * Taking a NAR in, compressed or not, and publishing it: what its narinfo claims is recomputed on the way, and only when
 * all of it is true does the path become visible.
 */
import { type Bytes, concat, equals } from "../../src/bytes/bytes.ts";
import { ClaimError, FormatError, LimitError } from "../../src/errors.ts";
import type { Hasher } from "../../src/hash/hasher.ts";
import { contentAddressedPath } from "../../src/nix/content_address.ts";
import { formatNixHash } from "../../src/nix/hash_text.ts";
import type { NarInfo } from "../../src/nix/nar_info.ts";
import { type CompressionName, SNIFF_LENGTH, sniffCompression } from "../../src/store/codec.ts";
import { type IngestedNar, ingestNar } from "../../src/store/ingest_nar.ts";
import type { PathInfo } from "../../src/store/path_info.ts";
import { checkContentAddress, unclaimedReferences } from "../../src/store/prove.ts";
import type { Job } from "./job.ts";
import { pathInfoOf, type TabStore } from "./tab_store.ts";

/** An archive that expands to so many bytes, and to so many times its own length, is one made to do harm. */
const BOMB = { bytes: 1024 * 1024 * 1024, times: 2000 };

/** What comes with a NAR: what is claimed of it, or a name for the path that it becomes. */
export type NarClaims = { readonly narInfo: NarInfo } | { readonly name: string };

/**
 * Takes in a NAR. Throws `FormatError` for bytes that are none, `ClaimError` for a claim that is not true, and what the
 * source throws; nothing is visible then. `hint` tells brotli, which nothing in its bytes does.
 */
export async function takeNar(
  pieces: AsyncIterable<Bytes>,
  claims: NarClaims,
  hint: string,
  tab: TabStore,
  job: Job,
): Promise<PathInfo> {
  const narInfo = "narInfo" in claims ? claims.narInfo : undefined;
  const source = pieces[Symbol.asyncIterator]();
  try {
    const head = await takeHead(source);
    const compression = sniffCompression(head) ?? (hint === "br" ? "br" : undefined);
    if (!compression) throw new FormatError("nar", notNar());
    checkCompression(narInfo, compression);
    const hasher = narInfo?.fileHash ? await tab.hashes.create(narInfo.fileHash.algorithm) : undefined;
    const file = new Counted(head, source, compression === "none" ? undefined : hasher, job);
    const nar = await ingest(bounded(tab.codec.decompress(compression, file), file), narInfo, tab, job);
    if (narInfo) checkClaims(narInfo, nar, compression === "none" ? undefined : file, compression);
    return await publish("narInfo" in claims ? claims.narInfo : named(claims.name, nar), nar, tab, job);
  } finally {
    await source.return?.();
  }
}

/** The bytes, ending in an error where they are far too many for what they come from. */
async function* bounded(nar: AsyncIterable<Bytes>, file: Counted): AsyncGenerator<Bytes, void, void> {
  let length = 0;
  for await (const piece of nar) {
    length += piece.length;
    if (length > BOMB.bytes && length > BOMB.times * file.length) {
      const times = Math.round(length / file.length);
      throw new LimitError(
        BOMB.times,
        `Cannot open this: it expands to over ${times} times its length, ${length} bytes so far; no package does that`,
      );
    }
    yield piece;
  }
}

async function ingest(
  nar: AsyncIterable<Bytes>,
  narInfo: NarInfo | undefined,
  tab: TabStore,
  job: Job,
): Promise<IngestedNar> {
  job.enter("fetching");
  if (narInfo) job.total = (job.total ?? job.done) + narInfo.narSize;
  let last = 0;
  return await ingestNar(nar, {
    ...tab.services,
    hashes: tab.hashes,
    budget: undefined,
    // One byte more, so that a NAR that is too long is refused by what it claims and not read to its end.
    ...(narInfo && { maxNarSize: narInfo.narSize + 1 }),
    onProgress: (narBytes) => {
      job.signal.throwIfAborted();
      job.count(narBytes - last);
      last = narBytes;
    },
  });
}

function notNar(): string {
  return "Cannot open this: it is neither a NAR nor one compressed with xz, zstd, gzip or bzip2";
}

function checkCompression(narInfo: NarInfo | undefined, actual: CompressionName): void {
  if (narInfo && narInfo.compression !== actual) {
    throw new ClaimError("Compression", narInfo.compression, actual);
  }
}

function checkClaims(
  narInfo: NarInfo,
  nar: IngestedNar,
  file: Counted | undefined,
  compression: CompressionName,
): void {
  const { fileHash, fileSize, narHash, narSize } = narInfo;
  const actualSize = file ? file.length : nar.narSize;
  if (fileSize !== undefined && fileSize !== actualSize) {
    throw new ClaimError("FileSize", String(fileSize), String(actualSize));
  }
  const plain = compression === "none" && fileHash?.algorithm === "sha256" ? nar.narSha256 : undefined;
  const actualHash = file?.digest() ?? plain;
  if (fileHash && actualHash && !equals(fileHash.digest, actualHash)) {
    throw new ClaimError(
      "FileHash",
      formatNixHash(fileHash.algorithm, fileHash.digest),
      formatNixHash(fileHash.algorithm, actualHash),
    );
  }
  if (narSize !== nar.narSize) throw new ClaimError("NarSize", String(narSize), String(nar.narSize));
  if (!equals(narHash, nar.narSha256)) {
    throw new ClaimError("NarHash", formatNixHash("sha256", narHash), formatNixHash("sha256", nar.narSha256));
  }
}

/** What can be said of a NAR that came without a narinfo: a content-addressed path, as `nix store add-path` makes it. */
function named(name: string, nar: IngestedNar): NarInfo {
  const ca = { method: "nar", algorithm: "sha256", digest: nar.narSha256 } as const;
  return {
    storePath: contentAddressedPath({ name, ca }),
    url: "nar",
    compression: "none",
    narHash: nar.narSha256,
    narSize: nar.narSize,
    references: [],
    signatures: [],
    ca,
  };
}

async function publish(narInfo: NarInfo, nar: IngestedNar, tab: TabStore, job: Job): Promise<PathInfo> {
  job.enter("verifying");
  const uploaded = {
    root: nar.node,
    narSize: nar.narSize,
    foundHashParts: [...nar.found].sort(),
    foundOverflowed: nar.overflowed,
    receivedAt: Date.now(),
  };
  const info = pathInfoOf(narInfo, nar.node, unclaimedReferences(narInfo, uploaded, false), Date.now());
  if (info.ca) {
    await checkContentAddress(info, info.ca, { ...tab.services, hashes: tab.hashes, signal: job.signal });
  }
  return await tab.services.pathInfos.put(info);
}

async function takeHead(source: AsyncIterator<Bytes>): Promise<Bytes> {
  const parts: Bytes[] = [];
  for (let length = 0; length < SNIFF_LENGTH;) {
    const { done, value } = await source.next();
    if (done) break;
    parts.push(value.slice()); // the next piece may be in the same memory
    length += value.length;
  }
  return concat(parts);
}

/** A file on its way to its decoder, hashed and counted. */
class Counted implements AsyncIterable<Bytes> {
  length = 0;

  constructor(
    readonly head: Bytes,
    readonly rest: AsyncIterator<Bytes>,
    readonly hasher: Hasher | undefined,
    readonly job: Job,
  ) {}

  async *[Symbol.asyncIterator](): AsyncGenerator<Bytes, void, void> {
    if (this.head.length > 0) yield this.#count(this.head);
    while (true) {
      this.job.signal.throwIfAborted();
      const { done, value } = await this.rest.next();
      if (done) return;
      yield this.#count(value);
    }
  }

  digest(): Bytes | undefined {
    return this.hasher?.digest();
  }

  #count(piece: Bytes): Bytes {
    this.hasher?.update(piece);
    this.length += piece.length;
    return piece;
  }
}
