/**
 * Path infos of a remote. Their messages carry neither `unclaimedReferences` nor `registeredAt`, and there is no call that
 * deletes one.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { type Bytes, fromText } from "../../bytes/bytes.ts";
import { fromNixBase32 } from "../../bytes/nixbase32.ts";
import { encodeEntry } from "../../castore/messages.ts";
import type { Node } from "../../castore/node.ts";
import { DamageError, FormatError, UnsupportedError } from "../../errors.ts";
import { isHashPart } from "../../nix/store_path.ts";
import { encodePathInfo, pathInfoFromMessage } from "../../store/messages.ts";
import type { PathInfo } from "../../store/path_info.ts";
import type { PathInfoService } from "../../store/path_info_service.ts";
import type { Clients } from "./clients.ts";
import type { Remote } from "./remote.ts";
import { orAbsent, type Subject } from "./remote_errors.ts";

/** The messages of either era. */
type PathInfoMessage = Parameters<typeof pathInfoFromMessage>[0];

export class RemotePathInfos implements PathInfoService {
  #remote: Remote;

  constructor(remote: Remote) {
    this.#remote = remote;
  }

  async get(hashPart: string): Promise<PathInfo | undefined> {
    if (!isHashPart(hashPart)) return undefined;
    const value = fromNixBase32(hashPart);
    const asking = this.#remote.call(about(hashPart), ({ pathInfos }, call) => {
      return pathInfos.get({ byWhat: { case: "byOutputHash", value } }, call);
    });
    const message = await orAbsent(asking);
    return message && read(message, hashPart);
  }

  async put(info: PathInfo): Promise<PathInfo> {
    const { hashPart } = info.storePath;
    const encoded = encodePathInfo(info);
    const message = await this.#remote.call(about(hashPart), ({ pathInfos, pathInfoSchema }, call) => {
      return pathInfos.put(fromBinary(pathInfoSchema, encoded), call);
    });
    return read(message, hashPart);
  }

  async *list(): AsyncGenerator<PathInfo, void, void> {
    const messages = this.#remote.receive(
      about("of a list"),
      ({ pathInfos }, call) => pathInfos.list({}, call),
    );
    for await (const message of messages) yield read(message);
  }

  delete(): Promise<void> {
    const message = `Cannot delete a path from ${this.#remote.address}: the protocol has no call for it`;
    return Promise.reject(new UnsupportedError(message));
  }

  /**
   * The hash and size of the NAR of some contents, as the remote says they are: it renders it, we do not. Throws
   * `MissingError` where the contents are not there.
   */
  async hashNar(node: Node): Promise<{ narSha256: Bytes; narSize: number }> {
    const subject = { kind: "nar", key: "of a node" };
    const ask = (name: Bytes | undefined) => {
      return this.#remote.call(subject, ({ pathInfos, entrySchema }: Clients, call) => {
        return pathInfos.calculateNAR(fromBinary(entrySchema, encodeEntry(node, name)), call);
      });
    };
    // The oldest servers want a name, which means nothing; all others refuse one.
    const { narSha256, narSize } = await ask(undefined).catch((error) => {
      if (error instanceof FormatError) return ask(fromText("root"));
      throw error;
    });
    if (narSha256.length !== 32 || narSize > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new DamageError("nar", "of a node", "Cannot use the hash of the NAR: the remote gave none");
    }
    return { narSha256: narSha256.slice(), narSize: Number(narSize) };
  }
}

/** The path info of a message, which is to be of this path. */
function read(message: PathInfoMessage, hashPart?: string): PathInfo {
  let info: PathInfo;
  try {
    info = pathInfoFromMessage(message);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new DamageError("path", hashPart ?? "of a list", cause.message, { cause });
  }
  if (hashPart === undefined || info.storePath.hashPart === hashPart) return info;
  const why = `Cannot read path ${hashPart}: the remote gave ${info.storePath.hashPart}`;
  throw new DamageError("path", hashPart, why);
}

function about(hashPart: string): Subject {
  return { kind: "path", key: hashPart };
}
