/**
 * Publishing a path: everything its narinfo claims is recomputed from the bytes that were received, and only then does the
 * path become visible.
 */
import { type Bytes, equals } from "../bytes/bytes.ts";
import { toHex } from "../bytes/hex.ts";
import { encodeEntry } from "../castore/messages.ts";
import { ClaimError, MissingError } from "../errors.ts";
import { formatNixHash } from "../nix/hash_text.ts";
import type { NarInfo } from "../nix/nar_info.ts";
import { formatStorePath, type StorePath } from "../nix/store_path.ts";
import { writeRecord } from "./collections.ts";
import { checkContents, confirmRecord } from "./confirm.ts";
import type { UploadedFile, UploadedNar } from "./messages.ts";
import { parseNarUrl } from "./nar_url.ts";
import type { PathInfo } from "./path_info.ts";
import { checkContentAddress, type ProofOptions, unclaimedReferences } from "./prove.ts";
import { type NarFileName, parseNarFileName, receivedFile, receivedNar } from "./receive_nar.ts";

/**
 * Publishes what a narinfo describes under a hash part. Resolves to what is stored then. Throws `ClaimError` for a claim that is
 * not true, `MissingError` for a NAR or a reference that is not here, `ConflictError` if the path is published already
 * and differs; then nothing has changed. `StoreBusyError`: garbage collection took a part of it meanwhile.
 */
export async function publish(
  hashPart: string,
  narInfo: NarInfo,
  options: ProofOptions,
): Promise<PathInfo> {
  return await writeRecord(options.names, () => proveAndPut(hashPart, narInfo, options), async (info) => {
    const check = async () => {
      refuseMissing(await missingReferences(narInfo, options));
      await checkContents(info.node, options);
    };
    await confirmRecord(`${hashPart}.narinfo`, check, () => options.pathInfos.delete(hashPart));
  }, options.now);
}

async function proveAndPut(hashPart: string, narInfo: NarInfo, options: ProofOptions): Promise<PathInfo> {
  const { storePath, narHash, narSize, references } = narInfo;
  if (storePath.hashPart !== hashPart) {
    throw new ClaimError(
      "StorePath",
      formatStorePath(storePath),
      hashPart,
      `Cannot accept the narinfo: StorePath ${
        formatStorePath(storePath)
      } does not belong to ${hashPart}.narinfo`,
    );
  }
  // Asked for at once: a store that is far away answers for all together.
  const [nar, file, missing] = await Promise.all([
    receivedNar(options.names, narHash),
    fileOf(narInfo, options),
    missingReferences(narInfo, options),
  ]);
  if (!nar) {
    throw new MissingError(
      "nar",
      formatNixHash("sha256", narHash),
      `Cannot accept the narinfo: no NAR with NarHash ${
        formatNixHash("sha256", narHash)
      } was received; upload it first`,
    );
  }
  if (nar.narSize !== narSize) throw new ClaimError("NarSize", String(narSize), String(nar.narSize));
  checkFile(narInfo, await describeFile(narInfo, nar, file, options));
  refuseMissing(missing);
  const info: PathInfo = {
    storePath,
    node: nar.root,
    references,
    narSha256: narHash,
    narSize,
    deriver: narInfo.deriver,
    signatures: narInfo.signatures,
    ca: narInfo.ca,
    unclaimedReferences: unclaimedReferences(narInfo, nar, options.strictReferences ?? false),
    registeredAt: (options.now ?? Date.now)(),
  };
  if (info.ca) await checkContentAddress(info, info.ca, options);
  return await options.pathInfos.put(info);
}

/** The name of the file that a narinfo speaks of, and what is known of it if it was received. */
interface NamedFile {
  readonly name: NarFileName;
  readonly received: UploadedFile | undefined;
}

async function fileOf({ url }: NarInfo, { names }: ProofOptions): Promise<NamedFile | undefined> {
  const name = url.startsWith("nar/") ? parseNarFileName(url.slice("nar/".length)) : undefined;
  return name && { name, received: await receivedFile(names, name.text) };
}

/** URL, Compression, FileHash and FileSize: those of a file that was received and held this NAR, or of how this store serves it. */
function checkFile(narInfo: NarInfo, file: DescribedFile): void {
  const { compression, fileHash, fileSize, narHash } = narInfo;
  if (!equals(file.narSha256, narHash)) {
    throw new ClaimError(
      "NarHash",
      formatNixHash("sha256", narHash),
      formatNixHash("sha256", file.narSha256),
    );
  }
  if (file.compression !== compression) throw new ClaimError("Compression", compression, file.compression);
  if (fileSize !== undefined && fileSize !== file.fileSize) {
    throw new ClaimError("FileSize", String(fileSize), String(file.fileSize));
  }
  if (fileHash && (fileHash.algorithm !== "sha256" || !equals(fileHash.digest, file.sha256))) {
    throw new ClaimError(
      "FileHash",
      formatNixHash(fileHash.algorithm, fileHash.digest),
      formatNixHash("sha256", file.sha256),
    );
  }
}

interface DescribedFile {
  readonly narSha256: Bytes;
  readonly compression: string;
  readonly fileSize: number;
  readonly sha256: Bytes;
}

async function describeFile(
  { url, narHash }: NarInfo,
  nar: UploadedNar,
  named: NamedFile | undefined,
  { pressedFile }: ProofOptions,
): Promise<DescribedFile> {
  const castore = parseNarUrl(url);
  if (castore) {
    if (!equals(encodeEntry(castore.node), encodeEntry(nar.root))) {
      throw new ClaimError(
        "URL",
        url,
        toHex(encodeEntry(nar.root)),
        `Cannot accept URL ${url}: it is of another NAR`,
      );
    }
    if (castore.form === "none") {
      return { narSha256: narHash, compression: "none", fileSize: nar.narSize, sha256: narHash };
    }
    if (!pressedFile) {
      throw new MissingError("file", url, `Cannot accept URL ${url}: this store serves no NARs in zstd`);
    }
    const { fileSize, sha256 } = await pressedFile(nar.root);
    return { narSha256: narHash, compression: "zstd", fileSize, sha256 };
  }
  if (!named?.received) {
    throw new MissingError(
      "file",
      url,
      `Cannot accept URL ${url}: no such file was received; upload it first`,
    );
  }
  return { ...named.received, sha256: named.name.sha256 };
}

async function missingReferences(
  { storePath, references }: NarInfo,
  { pathInfos }: ProofOptions,
): Promise<StorePath[]> {
  const known = await Promise.all(
    references.map(async (reference) =>
      reference.hashPart === storePath.hashPart || await pathInfos.get(reference.hashPart) !== undefined
    ),
  );
  return references.filter((_, i) => !known[i]);
}

function refuseMissing(missing: readonly StorePath[]): void {
  if (missing.length === 0) return;
  const others = missing.length > 1 ? ` and ${missing.length - 1} more` : "";
  throw new MissingError(
    "path",
    formatStorePath(missing[0]),
    `Cannot accept the narinfo: its reference ${
      formatStorePath(missing[0])
    }${others} is not in this store; upload it first`,
  );
}
