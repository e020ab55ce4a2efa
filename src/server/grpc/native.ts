/**
 * Native gRPC in its plain form, answered by the implementation of a method at once. Connect's handlers can do the same, but
 * through a chain of iterators that costs a small call several times what everything else does; they keep what is not plain:
 * JSON, compression, other protocols.
 *
 *   body := { 0x00 length(4, big-endian) message }
 */
import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import type { MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { Code, ConnectError, createContextValues, type HandlerContext } from "@connectrpc/connect";
import type {
  UniversalHandler,
  UniversalServerRequest,
  UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import {
  contentTypeProto,
  grpcStatusOk,
  headerGrpcStatus,
  parseTimeout,
  setTrailerStatus,
} from "@connectrpc/connect/protocol-grpc";
import { type Bytes, concat } from "../../bytes/bytes.ts";
import { tooLong } from "./message_limit.ts";
import type { Answer } from "./status.ts";

const PLAIN = /^application\/grpc(?:\+proto)?$/i;
const PREFIX = 5;
/** Messages over so many bytes are not worth a copy. */
const LONG = 16 * 1024;
/** Longest delay of a timer, in milliseconds. */
const MAX_DELAY = 2 ** 31 - 1;

/** A method of a service: of what services here are given beside the request, all there is. */
export type Implementation = (
  // deno-lint-ignore no-explicit-any -- the types are those of the method, which is not known here
  request: any,
  context: Pick<HandlerContext, "signal" | "values" | "requestHeader" | "responseHeader">,
  // deno-lint-ignore no-explicit-any
) => any;

export interface NativeOptions {
  /** Longest message taken, in bytes. */
  readonly limit: number;
  readonly answer: Answer;
}

/** The handler, but plain native gRPC is answered by the implementation itself. */
export function withNative(
  handler: UniversalHandler,
  implementation: Implementation,
  options: NativeOptions,
): UniversalHandler {
  const { protocolNames, service, method, requestPath, allowedMethods, supportedContentType } = handler;
  const native = async (request: UniversalServerRequest) => {
    if (!isPlain(request)) return await handler(request);
    const call = new Call(method, request, options);
    return await call.run(implementation);
  };
  return Object.assign(native, {
    protocolNames,
    service,
    method,
    requestPath,
    allowedMethods,
    supportedContentType,
  });
}

function isPlain({ method, header }: UniversalServerRequest): boolean {
  return method === "POST" && PLAIN.test(header.get("content-type") ?? "") &&
    (header.get("grpc-encoding") ?? "identity") === "identity";
}

class Call {
  #deadline: Deadline;
  #messages: AsyncGenerator<unknown, void, void>;
  #header = new Headers();
  /** It tells of success until something fails, for there are transports that read it early. */
  #trailer = new Headers();

  constructor(
    readonly method: DescMethod,
    readonly request: UniversalServerRequest,
    readonly options: NativeOptions,
  ) {
    this.#deadline = deadlineOf(request);
    const body = request.body as AsyncIterable<Bytes>;
    this.#messages = messagesOf(body, options.limit, method.input);
    this.#header.set("content-type", contentTypeProto);
    this.#trailer.set(headerGrpcStatus, grpcStatusOk);
  }

  async run(implementation: Implementation): Promise<UniversalServerResponse> {
    const { methodKind, output } = this.method;
    const { signal } = this.#deadline;
    const values = this.request.contextValues ?? createContextValues();
    try {
      signal.throwIfAborted();
      const one = methodKind === "unary" || methodKind === "server_streaming";
      const answered = implementation(one ? await onlyOne(this.#messages) : this.#messages, {
        signal,
        values,
        requestHeader: this.request.header,
        responseHeader: this.#header,
      });
      if (methodKind === "server_streaming" || methodKind === "bidi_streaming") {
        const stream = this.#stream(answered);
        return this.#response(begunWith(await stream.next(), stream));
      }
      const pieces = envelope(output, await answered);
      this.#release();
      return this.#response(bodyOf(pieces));
    } catch (error) {
      this.#fail(error);
      this.#release();
      return this.#response(bodyOf([]));
    }
  }

  #response(body: AsyncIterable<Uint8Array>): UniversalServerResponse {
    return { status: 200, header: this.#header, trailer: this.#trailer, body };
  }

  async *#stream(messages: AsyncIterable<unknown>): AsyncGenerator<Bytes, void, void> {
    try {
      for await (const message of messages) yield* envelope(this.method.output, message);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#release();
    }
  }

  #fail(error: unknown): void {
    const { method, options, request: { contextValues } } = this;
    const { signal } = this.#deadline;
    setTrailerStatus(this.#trailer, options.answer({ method, signal, contextValues }, error));
  }

  #release(): void {
    this.#deadline.clear();
    this.#messages.return().catch(() => {}); // it may wait for a client that does not send
  }
}

/** A stream of which the first result is known. Leaving it leaves the stream, even if nothing was asked for. */
function begunWith(
  first: IteratorResult<Bytes, void>,
  stream: AsyncGenerator<Bytes, void, void>,
): AsyncIterableIterator<Bytes, void> {
  let given = false;
  return {
    next() {
      if (given) return stream.next();
      given = true;
      return Promise.resolve(first);
    },
    return: () => stream.return(),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

async function* bodyOf(pieces: readonly Bytes[]): AsyncGenerator<Bytes, void, void> {
  for (const piece of pieces) yield await piece;
}

/** A message with its prefix. Long ones are not copied once more to stand behind it, and bytes that are all of one not at all. */
function envelope(schema: DescMessage, message: unknown): Bytes[] {
  const [field] = schema.fields;
  if (schema.fields.length === 1 && field.fieldKind === "scalar" && field.scalar === ScalarType.BYTES) {
    const bytes = (message as Record<string, Bytes>)[field.localName];
    if (bytes?.length > LONG) return [startOf(field.number, bytes.length), bytes];
  }
  const bytes = toBinary(schema, create(schema, message as MessageInitShape<DescMessage>));
  const prefix = new Uint8Array(PREFIX);
  new DataView(prefix.buffer).setUint32(1, bytes.length);
  return bytes.length > LONG ? [prefix, bytes] : [concat([prefix, bytes])];
}

/** All that comes before the bytes of a message that is one field of so many bytes. */
function startOf(number: number, length: number): Bytes {
  const field = new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(length).finish();
  const prefix = new Uint8Array(PREFIX);
  new DataView(prefix.buffer).setUint32(1, field.length + length);
  return concat([prefix, field as Bytes]);
}

async function onlyOne(messages: AsyncGenerator<unknown, void, void>): Promise<unknown> {
  const first = await messages.next();
  if (first.done) {
    throw new ConnectError("Cannot make the call: it has no message, want one", Code.Unimplemented);
  }
  const second = await messages.next();
  if (second.done) return first.value;
  throw new ConnectError("Cannot make the call: it has several messages, want one", Code.Unimplemented);
}

/** The messages of a body, however it is cut. One that lies in one piece is not copied: pieces belong to who reads them. */
async function* messagesOf(
  body: AsyncIterable<Bytes>,
  limit: number,
  schema: DescMessage,
): AsyncGenerator<unknown, void, void> {
  const prefix = new Uint8Array(PREFIX);
  let inPrefix = 0;
  let message: Bytes | undefined;
  let length = 0;
  let filled = 0;
  for await (const piece of body) {
    for (let at = 0; at < piece.length;) {
      if (inPrefix < PREFIX) {
        prefix[inPrefix++] = piece[at++];
        if (inPrefix < PREFIX) continue;
        length = lengthIn(prefix, limit);
        filled = 0;
      }
      const part = piece.subarray(at, at + length - filled);
      at += part.length;
      if (part.length === length) message = part;
      else {
        message ??= new Uint8Array(length);
        message.set(part, filled);
      }
      filled += part.length;
      if (filled < length) continue;
      yield parse(schema, message);
      message = undefined;
      inPrefix = 0;
    }
  }
  if (inPrefix > 0) {
    throw new ConnectError("Cannot read the body: it ends within a message", Code.InvalidArgument);
  }
}

function lengthIn(prefix: Bytes, limit: number): number {
  if (prefix[0] !== 0) {
    throw new ConnectError("Cannot read the message: it is compressed, and no way was named", Code.Internal);
  }
  const length = new DataView(prefix.buffer).getUint32(1);
  if (length > limit) throw tooLong(`has ${length}`, limit);
  return length;
}

function parse(schema: DescMessage, bytes: Bytes): MessageShape<DescMessage> {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    const message = `Cannot read the message: ${(error as Error).message}`;
    throw new ConnectError(message, Code.Internal); // without the cause: the log needs no stack of a client's fault
  }
}

/** A signal for a call, and how to let go of what it needs. */
interface Deadline {
  readonly signal: AbortSignal;
  clear(): void;
}

/** Aborted when the client leaves, and when the time it gave is over. */
function deadlineOf({ header, signal }: UniversalServerRequest): Deadline {
  const { timeoutMs, error } = parseTimeout(header.get("grpc-timeout"), Infinity);
  if (timeoutMs === undefined && !error) return { signal, clear() {} };
  const controller = new AbortController();
  const leave = () => controller.abort(signal.reason);
  const expire = () =>
    controller.abort(error ?? new ConnectError("the operation timed out", Code.DeadlineExceeded));
  let timer: ReturnType<typeof setTimeout> | undefined;
  if (signal.aborted) leave();
  else signal.addEventListener("abort", leave);
  if (error || timeoutMs! <= 0) expire();
  else if (timeoutMs! <= MAX_DELAY) timer = setTimeout(expire, timeoutMs);
  return {
    signal: controller.signal,
    clear() {
      clearTimeout(timer);
      signal.removeEventListener("abort", leave);
    },
  };
}
