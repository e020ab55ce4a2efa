/**
 * Proof: what is claimed of a store path, recomputed from the bytes that are stored.
 *
 * A NAR that was proven is recorded (`nar/<sha256>`), so that the claim about it is not recomputed when it comes again: an
 * import asks for the NAR's hash first and claims it then.
 */
import { type Bytes, equals } from "../bytes/bytes.ts";
import { toNixBase32 } from "../bytes/nixbase32.ts";
import { directorySize, SIZE_RULES } from "../castore/directory.ts";
import { formatDigest } from "../castore/digest.ts";
import { narKey } from "../castore/layout.ts";
import { encodeEntry } from "../castore/messages.ts";
import type { Node } from "../castore/node.ts";
import { ClaimError, LimitError, MissingError } from "../errors.ts";
import { type ContentAddress, contentAddressedPath, formatContentAddress } from "../nix/content_address.ts";
import { formatNixHash } from "../nix/hash_text.ts";
import { ReferenceScanner } from "../nix/references.ts";
import { formatStorePath } from "../nix/store_path.ts";
import { writeRecord } from "./collections.ts";
import { checkContents, confirmRecord } from "./confirm.ts";
import { encodeUploadedNar, type UploadedNar } from "./messages.ts";
import { type HashContext, hashFile, hashNar, hashNarModulo } from "./nar_hash.ts";
import { narLayout } from "./nar_layout.ts";
import type { PathInfo } from "./path_info.ts";
import type { PathInfoService } from "./path_info_service.ts";
import { receivedNar } from "./receive_nar.ts";
import { renderNar } from "./render_nar.ts";
import type { Services } from "./services.ts";

/** A store, and how strictly claims are taken. */
export interface ProofOptions extends Services, HashContext {
  /** Refuse a path whose contents mention paths that its references do not list. */
  readonly strictReferences?: boolean;
  /** What is known of the `.nar.zst` of a NAR that was received; without it none are taken. */
  readonly pressedFile?: (node: Node) => Promise<{ readonly fileSize: number; readonly sha256: Bytes }>;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/**
 * The path infos of a store, for those who come with a path info and no NAR: `put` recomputes from the stored bytes
 * everything the path info claims of them. Its references may come later: clients of these services send the paths of a
 * closure in any order.
 *
 * `put` throws, besides what it throws otherwise, `ClaimError` for a claim that is not true and `MissingError` for a
 * Directory or blob that is not here; then nothing has changed. `StoreBusyError`: garbage collection took a part of it meanwhile.
 */
export function provenPathInfos(options: ProofOptions): PathInfoService {
  const { pathInfos } = options;
  return {
    get: (hashPart) => pathInfos.get(hashPart),
    list: () => pathInfos.list(),
    delete: (hashPart) => pathInfos.delete(hashPart),
    async put(info) {
      // What is published was proven, and only signatures can be added to it.
      if (await pathInfos.get(info.storePath.hashPart)) return await pathInfos.put(info);
      return await writeRecord(options.names, () => proveAndPut(info, options), async () => {
        const takeBack = () => pathInfos.delete(info.storePath.hashPart);
        await confirmRecord(
          formatStorePath(info.storePath),
          () => checkContents(info.node, options),
          takeBack,
        );
      });
    },
  };
}

async function proveAndPut(info: PathInfo, options: ProofOptions): Promise<PathInfo> {
  const nar = await proveNar(info, options);
  if (info.ca) await checkContentAddress(info, info.ca, options);
  return await options.pathInfos.put({
    ...info,
    unclaimedReferences: unclaimedReferences(info, nar, options.strictReferences ?? false),
    registeredAt: (options.now ?? Date.now)(),
  });
}

/**
 * The SHA-256 and size of a node's NAR, which is recorded. Throws `MissingError` for a Directory or blob that is not
 * here, `DamageError` for one that is not what its node says.
 */
export async function calculateNar(
  node: Node,
  options: ProofOptions,
): Promise<{ narSha256: Bytes; narSize: number }> {
  const { names } = options;
  const { narSha256, nar } = await writeRecord(names, async () => {
    const read = await readNar(node, options);
    await names.put(narKey(toNixBase32(read.narSha256)), encodeUploadedNar(read.nar));
    return read;
  }, async ({ narSha256 }) => {
    const takeBack = () => names.delete(narKey(toNixBase32(narSha256)));
    await confirmRecord("the NAR", () => checkContents(node, options), takeBack);
  }, options.now);
  return { narSha256, narSize: nar.narSize };
}

/** NarHash, NarSize and the root's size. Resolves to what is known of the NAR. */
async function proveNar(info: PathInfo, options: ProofOptions): Promise<UploadedNar> {
  const { node, narSha256, narSize } = info;
  const known = await receivedNar(options.names, narSha256);
  if (known && equals(encodeEntry(known.root), encodeEntry(node))) {
    checkNarSize(narSize, known.narSize);
    return known;
  }
  await checkRootSize(node, options);
  const layout = await narLayout(node, options.directories);
  checkNarSize(narSize, layout.size); // before all of it is read
  const read = await readNar(node, options);
  if (!equals(read.narSha256, narSha256)) {
    throw new ClaimError(
      "NarHash",
      formatNixHash("sha256", narSha256),
      formatNixHash("sha256", read.narSha256),
    );
  }
  await options.names.put(narKey(toNixBase32(narSha256)), encodeUploadedNar(read.nar));
  return read.nar;
}

function checkNarSize(claimed: number, actual: number): void {
  if (claimed !== actual) throw new ClaimError("NarSize", String(claimed), String(actual));
}

async function checkRootSize(node: Node, { directories }: ProofOptions): Promise<void> {
  if (node.type !== "directory") return;
  const directory = await directories.get(node.digest);
  if (!directory) throw new MissingError("directory", formatDigest(node.digest));
  const sizes = SIZE_RULES.map((rule) => directorySize(directory, rule));
  if (!sizes.includes(node.size)) throw new ClaimError("size", String(node.size), sizes.join(" or "));
}

async function readNar(node: Node, options: ProofOptions): Promise<{ narSha256: Bytes; nar: UploadedNar }> {
  const layout = await narLayout(node, options.directories);
  const hasher = await options.hashes.create("sha256");
  const scanner = new ReferenceScanner();
  for await (const piece of renderNar(layout, options.blobs)) {
    options.signal?.throwIfAborted();
    hasher.update(piece);
    scanner.update(piece);
  }
  const nar = {
    root: node,
    narSize: layout.size,
    foundHashParts: [...scanner.found].sort(),
    foundOverflowed: scanner.overflowed,
    receivedAt: (options.now ?? Date.now)(),
  };
  return { narSha256: hasher.digest(), nar };
}

/** The content address of a path against its contents, and the store path against the content address. */
export async function checkContentAddress(
  info: PathInfo,
  ca: ContentAddress,
  context: HashContext,
): Promise<void> {
  const { storePath } = info;
  const references = info.references.filter(({ hashPart }) => hashPart !== storePath.hashPart);
  const selfReference = references.length < info.references.length;
  const digest = await contentHash(info, ca, selfReference, context);
  if (!equals(digest, ca.digest)) {
    throw new ClaimError("CA", formatContentAddress(ca), formatContentAddress({ ...ca, digest }));
  }
  const path = contentAddressedPath({ name: storePath.name, ca, references, selfReference });
  if (path.hashPart !== storePath.hashPart) {
    throw new ClaimError(
      "CA",
      formatContentAddress(ca),
      formatStorePath(path),
      `Cannot accept CA ${formatContentAddress(ca)}: it makes the path ${formatStorePath(path)}, not ${
        formatStorePath(storePath)
      }`,
    );
  }
}

async function contentHash(
  { storePath, node, narSha256 }: PathInfo,
  ca: ContentAddress,
  selfReference: boolean,
  context: HashContext,
): Promise<Bytes> {
  if (ca.method === "nar") {
    if (selfReference) return await hashNarModulo(node, storePath.hashPart, ca.algorithm, context);
    if (ca.algorithm === "sha256") return narSha256;
    return (await hashNar(node, ca.algorithm, context)).digest;
  }
  if (node.type !== "file") {
    throw new ClaimError(
      "CA",
      formatContentAddress(ca),
      node.type,
      `Cannot accept CA ${formatContentAddress(ca)}: it is for a single file, and the path is a ${node.type}`,
    );
  }
  return await hashFile(node, ca.algorithm, context);
}

/**
 * Hash parts that the contents mention and the references do not list. When strict, throws `ClaimError` if there are any, and
 * `LimitError` if the contents mention more than were collected.
 */
export function unclaimedReferences(
  { storePath, references }: Pick<PathInfo, "storePath" | "references">,
  nar: UploadedNar,
  strict: boolean,
): string[] {
  const claimed = new Set(references.map(({ hashPart }) => hashPart));
  const rest = nar.foundHashParts.filter((hashPart) => !claimed.has(hashPart));
  if (!strict) return rest;
  if (nar.foundOverflowed) {
    throw new LimitError(
      nar.foundHashParts.length,
      `Cannot check the references of ${
        formatStorePath(storePath)
      }: it mentions over ${nar.foundHashParts.length} store paths`,
    );
  }
  if (rest.length > 0) {
    throw new ClaimError(
      "References",
      [...claimed].join(" "),
      rest.join(" "),
      `Cannot accept ${formatStorePath(storePath)}: its contents mention ${rest.slice(0, 5).join(", ")}` +
        `${rest.length > 5 ? ` and ${rest.length - 5} more` : ""}, which References does not list`,
    );
  }
  return rest;
}
