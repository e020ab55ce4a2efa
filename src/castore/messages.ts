/**
 * Protobuf messages of castore and the model values they stand for. Two packages say the same in the same bytes:
 * `snix.castore.v1` (whose names are used here) and the older `tvix.castore.v1`.
 *
 *   Entry ("Node" in tvix) := oneof { 1: DirectoryEntry  2: FileEntry  3: SymlinkEntry }, fields as in directory.ts
 *
 * An entry is named (in a PathInfo, by the base name of the store path) or anonymous (in URLs and CalculateNAR); which
 * one is wanted is never guessed. An entry with fields not known here is refused: they may change what it is.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Bytes, EMPTY } from "../bytes/bytes.ts";
import { nameFault, quoteName, targetFault } from "../bytes/names.ts";
import { FormatError } from "../errors.ts";
import * as snix from "../gen/snix/castore/v1/castore_pb.ts";
import * as tvix from "../gen/tvix/castore/v1/castore_pb.ts";
import { type Digest, DIGEST_LENGTH } from "./digest.ts";
import type { Directory, DirectoryItem } from "./directory.ts";
import { decodeDirectory } from "./read_directory.ts";
import type { Node } from "./node.ts";

/** The encoding of an Entry: anonymous unless a name is given. */
export function encodeEntry(node: Node, name: Bytes = EMPTY): Bytes {
  return toBinary(snix.EntrySchema, entryToMessage(node, name)) as Bytes;
}

/** A named Entry. Throws {@link FormatError} if it has no lawful name, or is no lawful node. */
export function decodeEntry(bytes: Bytes): DirectoryItem {
  return entryFromMessage(parseEntry(bytes));
}

/** An Entry without a name. Throws {@link FormatError} if it has one, or is no lawful node. */
export function decodeAnonymousEntry(bytes: Bytes): Node {
  return anonymousEntryFromMessage(parseEntry(bytes));
}

/** The snix message of an entry: anonymous unless a name is given. */
export function entryToMessage(node: Node, name: Bytes = EMPTY): snix.Entry {
  switch (node.type) {
    case "directory":
      return create(snix.EntrySchema, {
        entry: { case: "directory", value: { name, digest: node.digest, size: node.size } },
      });
    case "file": {
      const { digest, executable } = node;
      const value = { name, digest, size: BigInt(node.size), executable };
      return create(snix.EntrySchema, { entry: { case: "file", value } });
    }
    case "symlink":
      return create(snix.EntrySchema, { entry: { case: "symlink", value: { name, target: node.target } } });
  }
}

/** As {@link decodeEntry}, of a message of either package. All bytes are copies. */
export function entryFromMessage(message: snix.Entry | tvix.Node): DirectoryItem {
  const item = readEntry(message);
  const fault = nameFault(item.name);
  if (fault) throw new FormatError("entry", `Cannot use the entry name ${quoteName(item.name)}: ${fault}`);
  return item;
}

/** As {@link decodeAnonymousEntry}, of a message of either package. All bytes are copies. */
export function anonymousEntryFromMessage(message: snix.Entry | tvix.Node): Node {
  const { name, node } = readEntry(message);
  if (name.length > 0) {
    throw new FormatError("entry", `Cannot use the entry ${quoteName(name)}: it must not have a name here`);
  }
  return node;
}

/**
 * The node of an Entry whose name means nothing, of a message of either package: clients disagree on whether CalculateNAR wants
 * one. Throws {@link FormatError} if the name is there and unlawful, or the node is. All bytes are copies.
 */
export function nodeFromMessage(message: snix.Entry | tvix.Node): Node {
  const { name, node } = readEntry(message);
  const fault = name.length > 0 && nameFault(name);
  if (fault) throw new FormatError("entry", `Cannot use the entry name ${quoteName(name)}: ${fault}`);
  return node;
}

/** Lists of a Directory message, fit for `create` with the schema of either package. */
export interface DirectoryMessageInit {
  directories: { name: Bytes; digest: Digest; size: bigint }[];
  files: { name: Bytes; digest: Digest; size: bigint; executable: boolean }[];
  symlinks: { name: Bytes; target: Bytes }[];
}

/** What to `create` the message of a Directory from. The bytes are shared with the Directory. */
export function directoryToMessage(directory: Directory): DirectoryMessageInit {
  const message: DirectoryMessageInit = { directories: [], files: [], symlinks: [] };
  for (const { name, node } of directory.items) {
    if (node.type === "directory") {
      message.directories.push({ name, digest: node.digest, size: node.size });
    } else if (node.type === "file") {
      const { digest, executable } = node;
      message.files.push({ name, digest, size: BigInt(node.size), executable });
    } else message.symlinks.push({ name, target: node.target });
  }
  return message;
}

/**
 * The Directory of a message of either package. Throws {@link FormatError} as `decodeDirectory` does, and so for
 * unknown fields too: the sender's digest covers them, ours would not.
 */
export function directoryFromMessage(message: snix.Directory | tvix.Directory): Directory {
  const bytes = message.$typeName === "snix.castore.v1.Directory"
    ? toBinary(snix.DirectorySchema, message)
    : toBinary(tvix.DirectorySchema, message);
  return decodeDirectory(bytes as Bytes);
}

function parseEntry(bytes: Bytes): snix.Entry {
  try {
    return fromBinary(snix.EntrySchema, bytes);
  } catch (cause) {
    throw new FormatError("entry", "Cannot read the entry: it is not a protobuf message of this kind", {
      cause,
    });
  }
}

/** The name, not yet checked, and the node. */
function readEntry(message: snix.Entry | tvix.Node): DirectoryItem {
  const entry = message.$typeName === "snix.castore.v1.Entry" ? message.entry : message.node;
  if (entry.case === undefined) {
    throw new FormatError("entry", "Cannot read the entry: it is neither directory, file nor symlink");
  }
  if (message.$unknown || entry.value.$unknown) {
    throw new FormatError("entry", "Cannot read the entry: it has fields that are not known here");
  }
  const name = entry.value.name.slice();
  switch (entry.case) {
    case "directory":
      return {
        name,
        node: { type: "directory", digest: copyDigest(entry.value.digest), size: entry.value.size },
      };
    case "file": {
      const { size, executable } = entry.value;
      if (size > BigInt(Number.MAX_SAFE_INTEGER)) {
        throw new FormatError("entry", `Cannot hold the entry: a file of ${size} bytes`);
      }
      const digest = copyDigest(entry.value.digest);
      return { name, node: { type: "file", digest, size: Number(size), executable } };
    }
    case "symlink": {
      const target = entry.value.target.slice();
      const fault = targetFault(target);
      if (fault) throw new FormatError("entry", `Cannot use the symlink target of the entry: ${fault}`);
      return { name, node: { type: "symlink", target } };
    }
  }
}

function copyDigest(digest: Uint8Array): Digest {
  if (digest.length !== DIGEST_LENGTH) {
    throw new FormatError(
      "entry",
      `Cannot use the digest of the entry: it has ${digest.length} bytes, want ${DIGEST_LENGTH}`,
    );
  }
  return digest.slice();
}
