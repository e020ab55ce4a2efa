/**
 * From what a call failed with to the error tree. A firn server names the class in the trailing metadata `firn-error`;
 * of any other server the status code decides.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import {
  ClaimError,
  ConflictError,
  DamageError,
  FormatError,
  LimitError,
  MissingError,
  RemoteError,
  StoreBusyError,
  StoreFullError,
  UnsupportedError,
} from "../../errors.ts";

/** What a call is about, for the error it may end in. */
export interface Subject {
  /** As in {@link MissingError}: `blob`, `directory`, `path`. */
  readonly kind: string;
  readonly key: string;
}

/** The class of the error tree each code stands for, where a server names none. */
const CLASS_OF_CODE: Partial<Record<Code, string>> = {
  [Code.InvalidArgument]: "FormatError",
  [Code.NotFound]: "MissingError",
  [Code.FailedPrecondition]: "MissingError",
  [Code.ResourceExhausted]: "LimitError",
  [Code.AlreadyExists]: "ConflictError",
  [Code.DataLoss]: "DamageError",
  [Code.Unimplemented]: "UnsupportedError",
};

/** What is to be thrown for what a call failed with. What is no failure of the call is passed on as it is. */
export function errorOf(cause: unknown, subject: Subject, address: string): unknown {
  if (!(cause instanceof ConnectError)) return cause;
  const { kind, key } = subject;
  const message = cause.rawMessage;
  switch (cause.metadata.get("firn-error") ?? CLASS_OF_CODE[cause.code]) {
    case "FormatError":
      return new FormatError(kind, message, { cause });
    case "ClaimError":
      return new ClaimError(kind, "", "", message);
    case "MissingError":
      return new MissingError(kind, key, message);
    case "LimitError":
      return new LimitError(NaN, message); // which bound it was stands in the message only
    case "ConflictError":
      return new ConflictError(message, { cause });
    case "DamageError":
      return new DamageError(kind, key, message, { cause });
    case "StoreFullError":
      return new StoreFullError(message, { cause });
    case "StoreBusyError":
      return new StoreBusyError(message, { cause });
    case "UnsupportedError":
      return new UnsupportedError(`${address} cannot do this: ${message}`, { cause });
  }
  const what = isPassing(cause) ? `Cannot reach ${address}` : `${address} failed`;
  return new RemoteError(address, `${what} (${kind} ${key}): ${reasonOf(cause)}`, { cause });
}

/**
 * Whether the same call may do better in a moment: the server said so, or there was no answer because the connection was
 * refused or lost, which a transport reports by an error of its own.
 */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof ConnectError)) return false;
  return error.code === Code.Unavailable || (error.code === Code.Unknown && error.cause instanceof Error);
}

/** Whether the server has no such method. */
export function isUnimplemented(error: unknown): boolean {
  return error instanceof ConnectError && error.code === Code.Unimplemented;
}

/** Whether it is the answer of a server that has the method. */
export function isAnswer(error: unknown): boolean {
  if (!(error instanceof ConnectError)) return false;
  return error.metadata.has("firn-error") ||
    [Code.NotFound, Code.InvalidArgument, Code.AlreadyExists, Code.FailedPrecondition].includes(error.code);
}

/** What was asked for, or `undefined` where the remote does not have it. */
export async function orAbsent<T>(asking: Promise<T>): Promise<T | undefined> {
  try {
    return await asking;
  } catch (error) {
    if (error instanceof MissingError) return undefined;
    throw error;
  }
}

/** What went wrong, down to the cause: that is where the refused connection is named. */
function reasonOf(error: ConnectError): string {
  const cause = error.cause instanceof Error ? error.cause.message : "";
  return cause && cause !== error.rawMessage ? `${error.message}: ${cause}` : error.message;
}
