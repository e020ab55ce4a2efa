/** PathInfoService over gRPC, of either era. */
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type { Bytes } from "../../bytes/bytes.ts";
import { toNixBase32 } from "../../bytes/nixbase32.ts";
import { nodeFromMessage } from "../../castore/messages.ts";
import { FormatError, MissingError } from "../../errors.ts";
import { encodePathInfo, pathInfoFromMessage } from "../../store/messages.ts";
import type { PathInfo } from "../../store/path_info.ts";
import { calculateNar } from "../../store/prove.ts";
import { checkWrites, pathInfosFor } from "../access/reach.ts";
import type { ServerContext } from "../context.ts";
import { refusalOf } from "./call_refusal.ts";
import { callerIn } from "./caller.ts";
import type { Era } from "./era.ts";
import { invalid, type MethodCodes } from "./status.ts";

/** Bytes in the hash part of a store path. */
const HASH_PART_BYTES = 20;

/** Codes of this service: where nothing of the request can be wrong any more, it is the server's fault. */
export const PATH_INFO_CODES: MethodCodes = {
  Get: { FormatError: Code.DataLoss, other: Code.DataLoss },
  Put: { MissingError: Code.FailedPrecondition, other: Code.DataLoss },
  CalculateNAR: { DamageError: Code.Internal, FormatError: Code.Internal },
  List: {
    ClaimError: Code.Internal,
    DamageError: Code.Internal,
    FormatError: Code.Internal,
    LimitError: Code.Internal,
    MissingError: Code.Internal,
    StoreBusyError: Code.Internal,
  },
};

/**
 * Path infos of the store. What Put is given is for `pathInfos.put` to prove. CalculateNAR takes a root node with or without
 * a name, for the eras disagree on which it is to be.
 */
export function pathInfoService(
  context: Pick<ServerContext, "blobs" | "directories" | "pathInfos" | "names" | "hashes">,
  era: Era,
): ServiceImpl<Era["pathInfoService"]> {
  const { pathInfos } = context;
  const toMessage = (info: PathInfo) => era.readPathInfo(encodePathInfo(info));
  return {
    async get({ byWhat }, { values }) {
      if (byWhat.case !== "byOutputHash") {
        const message = "Cannot get a PathInfo: by_what needs to be specified";
        throw new ConnectError(message, Code.Unimplemented);
      }
      const hashPart = readHashPart(byWhat.value);
      const info = await pathInfosFor(callerIn(values), pathInfos).get(hashPart);
      if (!info) throw new MissingError("path", hashPart);
      return toMessage(info);
    },

    async put(message, { values }) {
      const info = check("Invalid path info: ", () => pathInfoFromMessage(message));
      reaching(() => checkWrites(callerIn(values), info.storePath.name));
      return toMessage(await pathInfos.put(info));
    },

    async calculateNAR(message, { signal }) {
      const node = check("Invalid root node: ", () => nodeFromMessage(message));
      const { narSha256, narSize } = await calculateNar(node, { ...context, signal });
      return { narSize: BigInt(narSize), narSha256 };
    },

    async *list(_request, { signal, values }) {
      for await (const info of pathInfosFor(callerIn(values), pathInfos).list()) {
        signal.throwIfAborted();
        yield toMessage(info);
      }
    },
  };
}

function readHashPart(bytes: Uint8Array): string {
  if (bytes.length === HASH_PART_BYTES) return toNixBase32(bytes as Bytes);
  throw invalid(`Cannot use the output hash: it has ${bytes.length} bytes, want ${HASH_PART_BYTES}`);
}

/** A right that does not reach, in the terms of calls. */
function reaching(check: () => void): void {
  try {
    check();
  } catch (error) {
    throw refusalOf(error);
  }
}

/** What is read of a request; a `FormatError` is the client's fault. */
function check<T>(prefix: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof FormatError) throw invalid(prefix + error.message, error);
    throw error;
  }
}
