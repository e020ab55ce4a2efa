/**
 * From errors to gRPC: the one map. A method may have other codes for some errors, where the services firn speaks as have them
 * so. The trailing metadata `firn-error` names the class, so that a client that knows firn can throw the same one.
 *
 * What went wrong inside is for the log, not for the client.
 */
import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError, type ContextValues, type Interceptor } from "@connectrpc/connect";
import { type Digest, DIGEST_LENGTH } from "../../castore/digest.ts";
import { FormatError, RemoteError } from "../../errors.ts";
import { TOLD } from "./caller.ts";

/** Metadata that names the class of an error, one of `errors.ts`. */
export const ERROR_HEADER = "firn-error";

const CODES = {
  ClaimError: Code.InvalidArgument,
  ConflictError: Code.AlreadyExists,
  DamageError: Code.DataLoss,
  FormatError: Code.InvalidArgument,
  LimitError: Code.ResourceExhausted,
  MissingError: Code.NotFound,
  StoreBusyError: Code.Unavailable,
  StoreFullError: Code.ResourceExhausted,
} as const;

/** Codes by class of error; `other` is every error that is not one of firn. */
export type Codes = Readonly<Partial<Record<keyof typeof CODES | "other", Code>>>;

/** By name of the method, the codes that are not those of everywhere. */
export type MethodCodes = Readonly<Record<string, Codes>>;

/** An error as a client is told it, by these codes where they have one, else by those of everywhere. */
export function toConnectError(error: unknown, codes: Codes = {}): ConnectError {
  if (error instanceof ConnectError) return error;
  if (error instanceof Error && Object.hasOwn(CODES, error.name)) {
    const name = error.name as keyof typeof CODES;
    return new ConnectError(error.message, codes[name] ?? CODES[name], { [ERROR_HEADER]: name }, [], error);
  }
  if (error instanceof RemoteError) {
    // Its message names an address that may be nobody else's to know.
    const message = "Cannot reach a store that this server asks; its log says why";
    return new ConnectError(message, Code.Unavailable, {}, [], error);
  }
  const message = "The server failed; its log says why";
  return new ConnectError(message, codes.other ?? Code.Internal, {}, [], error);
}

/** A refusal of what was asked, before the store was. */
export function invalid(message: string, cause?: unknown): ConnectError {
  return toConnectError(new FormatError("request", message, { cause }));
}

/** The digest of a request. Throws a {@link ConnectError} if it is not one. */
export function readDigest(digest: Uint8Array): Digest {
  if (digest.length === DIGEST_LENGTH) return digest as Digest;
  throw invalid(`Cannot use the digest: it has ${digest.length} bytes, want ${DIGEST_LENGTH}`);
}

/** A call that failed. */
export interface FailedCall {
  readonly method: DescMethod;
  readonly signal: AbortSignal;
  readonly contextValues?: ContextValues;
}

/** What a client is told of an error of a call. */
export type Answer = (call: FailedCall, error: unknown) => ConnectError;

/** Tells clients by these codes, and the log. */
export function answersBy(log: (line: string) => void, codes: MethodCodes = {}): Answer {
  return ({ method, signal, contextValues }, error) => {
    const told = toConnectError(signal.aborted ? reasonOf(signal) : error, codes[method.name]);
    contextValues?.get(TOLD)(told.code, told.cause instanceof Error ? told.cause : told);
    if (told.code !== Code.NotFound && told.code !== Code.Canceled) {
      const why = told.cause instanceof Error && isInside(told) ? told.cause.stack : told.rawMessage;
      log(`refused ${method.parent.typeName}/${method.name}: ${Code[told.code]} ${why}`);
    }
    return told;
  };
}

/** Turns what services throw into what clients are told. */
export function answerErrors(answer: Answer): Interceptor {
  return (next) => async (request) => {
    const told = (error: unknown) => answer(request, error);
    try {
      const response = await next(request);
      return response.stream ? { ...response, message: answering(response.message, told) } : response;
    } catch (error) {
      throw told(error);
    }
  };
}

/** Whether the error is one of which the client is told nothing. */
function isInside(told: ConnectError): boolean {
  return !told.metadata.has(ERROR_HEADER);
}

/** After a deadline, or when the client went away, whatever fails fails because of that. */
function reasonOf(signal: AbortSignal): ConnectError {
  if (signal.reason instanceof ConnectError) return signal.reason;
  return new ConnectError("Cannot go on: the call was cancelled", Code.Canceled);
}

async function* answering<T>(
  messages: AsyncIterable<T>,
  answer: (error: unknown) => ConnectError,
): AsyncGenerator<T, void, void> {
  try {
    yield* messages;
  } catch (error) {
    throw answer(error);
  }
}
