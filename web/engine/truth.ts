/**
 * How far a path is known to be true: its signatures, and what its bytes give where they were all read.
 */
import { equals } from "../../src/bytes/bytes.ts";
import { toHex } from "../../src/bytes/hex.ts";
import type { Digest } from "../../src/castore/digest.ts";
import type { DirectoryNode, FileNode, Node } from "../../src/castore/node.ts";
import { directoryItems } from "../../src/castore/read_directory.ts";
import { ClaimError, DamageError, MissingError, StoreFullError } from "../../src/errors.ts";
import { type ContentAddress, formatContentAddress } from "../../src/nix/content_address.ts";
import { fingerprints } from "../../src/nix/fingerprint.ts";
import { formatNixHash } from "../../src/nix/hash_text.ts";
import { ReferenceScanner } from "../../src/nix/references.ts";
import {
  formatSignature,
  parsePublicKey,
  type PublicKey,
  type Signature,
  verify,
} from "../../src/nix/signature.ts";
import { formatStorePath } from "../../src/nix/store_path.ts";
import { narLayout } from "../../src/store/nar_layout.ts";
import type { PathInfo } from "../../src/store/path_info.ts";
import { checkContentAddress } from "../../src/store/prove.ts";
import { renderNar } from "../../src/store/render_nar.ts";
import type { ClaimTruth, Fault, SignatureTruth, Truth, Verdict } from "./engine.ts";
import { faultOf } from "./fault.ts";
import type { Job } from "./job.ts";
import { below, nameText } from "./path_text.ts";
import type { KeptPath, TabStore } from "./tab_store.ts";

/** Most damaged files that are told. */
const MOST_DAMAGE = 100;

/** What the bytes gave when they were read. */
interface Reading {
  readonly narHash?: ClaimTruth;
  readonly narSize?: ClaimTruth;
  readonly contentAddress?: ClaimTruth;
  readonly unlisted?: readonly string[];
  readonly damage: readonly { file: string; fault: Fault }[];
  readonly readAt?: number;
}

/** What is known without reading contents. */
export async function knownTruth(
  kept: KeptPath,
  trustedKeys: readonly string[],
  tab: TabStore,
): Promise<Truth> {
  return await truthOf(kept, trustedKeys, tab, {
    damage: [],
    readAt: kept.whole ? kept.verifiedAt : undefined,
  });
}

/** What reading all stored bytes of a path gives. */
export async function readTruth(
  kept: KeptPath,
  trustedKeys: readonly string[],
  tab: TabStore,
  job: Job,
): Promise<Truth> {
  job.enter("verifying", formatStorePath(kept.info.storePath));
  job.total = kept.info.narSize;
  const damage = await findDamage(kept, tab, job);
  const intact = damage.length === 0 && kept.whole;
  const reading = intact ? await readNar(kept.info, tab, job) : { damage };
  const record = intact ? await tab.records.opened(kept.info.storePath.hashPart) : undefined;
  if (record) {
    try {
      await tab.records.putOpened({ ...record, verifiedAt: Date.now() });
    } catch (error) {
      // What was found is as true where there is no room to note when: only that is not remembered.
      if (!(error instanceof StoreFullError)) throw error;
    }
  }
  return await truthOf(kept, trustedKeys, tab, reading);
}

async function truthOf(
  kept: KeptPath,
  trustedKeys: readonly string[],
  tab: TabStore,
  reading: Reading,
): Promise<Truth> {
  const { info, whole } = kept;
  const damaged = reading.damage.length > 0;
  // A whole path was proven before it became visible.
  const proven: Verdict = whole && !damaged ? "true" : "unverified";
  const signatures = await signatureTruths(info, trustedKeys);
  const contentAddress = info.ca &&
    (reading.contentAddress ?? { verdict: proven, claimed: formatContentAddress(info.ca) });
  const unlisted = reading.unlisted ?? info.unclaimedReferences;
  const valid = signatures.some(({ verdict }) => verdict === "valid");
  return {
    path: formatStorePath(info.storePath),
    state: whole ? "whole" : "partial",
    signatures,
    trusted: valid || contentAddress?.verdict === "true",
    narHash: reading.narHash ?? { verdict: proven, claimed: formatNixHash("sha256", info.narSha256) },
    // The Directories are here, and gave this size when the path was opened.
    narSize: reading.narSize ?? { verdict: damaged ? "unverified" : "true", claimed: String(info.narSize) },
    references: {
      verdict: proven === "true" && unlisted.length > 0 ? "false" : proven,
      listed: info.references.map((reference) => formatStorePath(reference)),
      unlisted,
      absent: await absentOf(info, tab),
    },
    damage: reading.damage,
    ...(contentAddress && { contentAddress }),
    ...(reading.readAt !== undefined && { verifiedAt: reading.readAt }),
  };
}

async function absentOf(info: PathInfo, tab: TabStore): Promise<string[]> {
  const absent: string[] = [];
  for (const reference of info.references) {
    const own = reference.hashPart === info.storePath.hashPart;
    if (!own && !await tab.find(reference.hashPart)) absent.push(formatStorePath(reference));
  }
  return absent;
}

/** What each signature is worth. */
export async function signatureTruths(
  info: PathInfo,
  trustedKeys: readonly string[],
): Promise<SignatureTruth[]> {
  const keys = trustedKeys.map(parsePublicKey);
  return await Promise.all(info.signatures.map(async (signature) => ({
    key: signature.name,
    text: formatSignature(signature),
    verdict: await verdictOf(signature, info, keys),
  })));
}

async function verdictOf(
  signature: Signature,
  info: PathInfo,
  keys: readonly PublicKey[],
): Promise<SignatureTruth["verdict"]> {
  const named = keys.filter(({ name }) => name === signature.name);
  if (named.length === 0) return "unknown key";
  for (const text of fingerprints({ ...info, narHash: info.narSha256 })) {
    if (await verify(named, text, signature)) return "valid";
  }
  return "invalid";
}

/** Files whose stored bytes are not what their digest says, or not there where they should be. */
async function findDamage(
  { info, whole }: KeptPath,
  { services }: TabStore,
  job: Job,
): Promise<{ file: string; fault: Fault }[]> {
  const bad = new Map<string, Fault>();
  const seen = new Set<string>();
  const read = async (node: FileNode) => {
    const key = toHex(node.digest);
    if (seen.has(key)) return;
    seen.add(key);
    job.signal.throwIfAborted();
    try {
      const blob = await services.blobs.open(node.digest);
      if (!blob) {
        if (whole) throw new MissingError("blob", key);
        return;
      }
      for await (const piece of blob) {
        job.signal.throwIfAborted();
        job.count(piece.length);
      }
    } catch (error) {
      if (!(error instanceof DamageError) && !(error instanceof MissingError)) throw error;
      bad.set(key, faultOf(error));
    }
  };
  if (info.node.type === "file") await read(info.node);
  if (info.node.type === "directory") {
    try {
      for await (const { encoded } of services.directories.getClosure(info.node.digest)) {
        for (const { node } of directoryItems(encoded)) if (node.type === "file") await read(node);
      }
    } catch (error) {
      if (!(error instanceof DamageError) && !(error instanceof MissingError)) throw error;
      return [{ file: "", fault: faultOf(error) }];
    }
  }
  return bad.size === 0 ? [] : await filesWith(info.node, bad, services.directories);
}

/** Where in the path the damaged contents are seen. */
async function filesWith(
  root: Node,
  bad: ReadonlyMap<string, Fault>,
  directories: TabStore["services"]["directories"],
): Promise<{ file: string; fault: Fault }[]> {
  if (root.type === "file") return [{ file: "", fault: bad.get(toHex(root.digest))! }];
  const found: { file: string; fault: Fault }[] = [];
  const todo: { digest: Digest; path: string }[] = [{ digest: (root as DirectoryNode).digest, path: "" }];
  for (let folder = todo.pop(); folder && found.length < MOST_DAMAGE; folder = todo.pop()) {
    const directory = await directories.get(folder.digest);
    for (const { name, node } of directory?.items ?? []) {
      const file = below(folder.path, nameText(name));
      if (node.type === "directory") todo.push({ digest: node.digest, path: file });
      const fault = node.type === "file" ? bad.get(toHex(node.digest)) : undefined;
      if (fault) found.push({ file, fault });
    }
  }
  return found.slice(0, MOST_DAMAGE);
}

/** Renders the NAR again and compares. */
async function readNar(info: PathInfo, tab: TabStore, job: Job): Promise<Reading> {
  const layout = await narLayout(info.node, tab.services.directories);
  const hasher = await tab.hashes.create("sha256");
  const scanner = new ReferenceScanner();
  for await (const piece of renderNar(layout, tab.services.blobs)) {
    job.signal.throwIfAborted();
    hasher.update(piece);
    scanner.update(piece);
  }
  const digest = hasher.digest();
  const listed = new Set(info.references.map(({ hashPart }) => hashPart));
  return {
    narHash: compared(
      formatNixHash("sha256", info.narSha256),
      formatNixHash("sha256", digest),
      equals(digest, info.narSha256),
    ),
    narSize: compared(String(info.narSize), String(layout.size), layout.size === info.narSize),
    unlisted: [...scanner.found].filter((hashPart) => !listed.has(hashPart)).sort(),
    damage: [],
    readAt: Date.now(),
    ...(info.ca && { contentAddress: await contentAddressTruth(info, info.ca, tab, job) }),
  };
}

function compared(claimed: string, actual: string, same: boolean): ClaimTruth {
  return same ? { verdict: "true", claimed } : { verdict: "false", claimed, actual };
}

async function contentAddressTruth(
  info: PathInfo,
  ca: ContentAddress,
  { services, hashes }: TabStore,
  { signal }: Job,
): Promise<ClaimTruth> {
  const claimed = formatContentAddress(ca);
  try {
    await checkContentAddress(info, ca, { ...services, hashes, signal });
    return { verdict: "true", claimed };
  } catch (error) {
    if (!(error instanceof ClaimError)) throw error;
    return { verdict: "false", claimed, actual: error.actual };
  }
}
