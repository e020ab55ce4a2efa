/**
 * Publishing a path: everything its narinfo claims is recomputed from the bytes that were received, and only then does the
 * path become visible.
 */
import { equals } from "../bytes/bytes.ts";
import { toHex } from "../bytes/hex.ts";
import { encodeEntry } from "../castore/messages.ts";
import { ClaimError, MissingError } from "../errors.ts";
import { formatNixHash } from "../nix/hash_text.ts";
import type { NarInfo } from "../nix/nar_info.ts";
import { formatStorePath } from "../nix/store_path.ts";
import { writeRecord } from "./collections.ts";
import { checkContents, confirmRecord } from "./confirm.ts";
import type { UploadedNar } from "./messages.ts";
import { parseNarUrl } from "./nar_url.ts";
import type { PathInfo } from "./path_info.ts";
import { checkContentAddress, type ProofOptions, unclaimedReferences } from "./prove.ts";
import { parseNarFileName, receivedFile, receivedNar } from "./receive_nar.ts";

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
      await checkReferences(narInfo, options);
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
  const nar = await receivedNar(options.names, narHash);
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
  await checkFile(narInfo, nar, options);
  await checkReferences(narInfo, options);
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

/** URL, Compression, FileHash and FileSize: those of a file that was received and held this NAR, or of how this store serves it. */
async function checkFile(narInfo: NarInfo, nar: UploadedNar, { names }: ProofOptions): Promise<void> {
  const { url, compression, fileHash, fileSize, narHash } = narInfo;
  const file = await describeFile(url, narInfo, nar, names);
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

async function describeFile(url: string, narInfo: NarInfo, nar: UploadedNar, names: ProofOptions["names"]) {
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
    const { narHash } = narInfo;
    return { narSha256: narHash, compression: "none", fileSize: nar.narSize, sha256: narHash };
  }
  const name = url.startsWith("nar/") ? parseNarFileName(url.slice("nar/".length)) : undefined;
  const file = name && await receivedFile(names, name.text);
  if (!file) {
    throw new MissingError(
      "file",
      url,
      `Cannot accept URL ${url}: no such file was received; upload it first`,
    );
  }
  return { ...file, sha256: name.sha256 };
}

async function checkReferences(
  { storePath, references }: NarInfo,
  { pathInfos }: ProofOptions,
): Promise<void> {
  const known = await Promise.all(
    references.map(async (reference) =>
      reference.hashPart === storePath.hashPart || await pathInfos.get(reference.hashPart) !== undefined
    ),
  );
  const missing = references.filter((_, i) => !known[i]);
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
