/** DirectoryService over gRPC, of either era. */
import { Code, type ServiceImpl } from "@connectrpc/connect";
import { formatDigest } from "../../castore/digest.ts";
import type { Directory } from "../../castore/directory.ts";
import { directoryFromMessage, directoryToMessage } from "../../castore/messages.ts";
import { MissingError } from "../../errors.ts";
import type * as snix from "../../gen/snix/castore/v1/castore_pb.ts";
import type { ServerContext } from "../context.ts";
import type { Era } from "./era.ts";
import { incoming } from "./incoming.ts";
import { invalid, type MethodCodes, readDigest, toConnectError } from "./status.ts";

/**
 * Codes of this service. What is stored and cannot be read, or is not there where it must be, is the server's fault, and the
 * eras say that differently; so they do of a closure that is not one.
 */
export const DIRECTORY_CODES: Readonly<Record<Era["name"], MethodCodes>> = {
  snix: {
    Get: { DamageError: Code.Internal, FormatError: Code.Internal, MissingError: Code.Internal },
    Put: { DamageError: Code.Internal, FormatError: Code.Internal, MissingError: Code.FailedPrecondition },
  },
  tvix: {
    Get: { FormatError: Code.DataLoss, MissingError: Code.DataLoss, other: Code.DataLoss },
    Put: { MissingError: Code.FailedPrecondition, other: Code.DataLoss },
  },
};

/**
 * Directories of the store. Get sends one, NOT_FOUND if it is not there; or with `recursive` all below it too, root first,
 * nothing if the root is not there. Put takes a closure leaves first; sizes by either rule are kept.
 */
export function directoryService(
  { directories, stallMs, watch }: Pick<ServerContext, "directories" | "stallMs" | "watch">,
  era: Era,
): ServiceImpl<Era["directoryService"]> {
  return {
    async *get({ byWhat, recursive }, { signal }) {
      if (byWhat.case !== "digest") {
        throw invalid("Cannot get a Directory: by_what is not set, want a digest");
      }
      const digest = readDigest(byWhat.value);
      if (recursive) {
        for await (const { encoded } of directories.getClosure(digest)) {
          signal.throwIfAborted();
          yield era.readDirectory(encoded);
        }
        return;
      }
      const directory = await directories.get(digest);
      if (!directory) throw toConnectError(new MissingError("directory", formatDigest(digest)));
      yield directoryToMessage(directory);
    },

    async put(requests, { signal }) {
      const rootDigest = await directories.putClosure(directoriesOf(incoming(requests, signal, stallMs)));
      watch?.stored?.("directory", 0);
      return { rootDigest };
    },
  };
}

async function* directoriesOf(
  messages: AsyncIterable<snix.Directory>,
): AsyncGenerator<Directory, void, void> {
  for await (const message of messages) yield directoryFromMessage(message);
}
