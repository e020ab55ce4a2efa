/**
 * grpc-js, the gRPC of Node, as a client of generated methods: one channel, calls as promises, errors as they come from it.
 */
import type { DescMessage, DescMethod, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { Buffer } from "node:buffer";

type Bytes = Uint8Array<ArrayBuffer>;

/** A method with messages of these types. */
type Method<I extends DescMessage, O extends DescMessage> = DescMethod & { input: I; output: O };

/** A finished call. */
export interface Answer<T> {
  readonly message: T;
  readonly trailers: grpc.Metadata;
}

export interface CallOptions {
  readonly metadata?: grpc.Metadata;
  /** Milliseconds from now. */
  readonly deadlineMs?: number;
}

/** A call that sends messages. */
export interface Upload<I extends DescMessage, O extends DescMessage> {
  readonly call: grpc.ClientWritableStream<MessageShape<I>>;
  /** Sends a message. False: wait for the call's `drain` before the next. */
  write(request: MessageInitShape<I>): boolean;
  readonly answer: Promise<Answer<MessageShape<O>>>;
}

/** Longest message taken, in bytes. */
const MAX_MESSAGE = 64 * 1024 * 1024;

export class GrpcJs implements Disposable {
  #client: grpc.Client;

  /** @param address HOST:PORT */
  constructor(address: string, options: grpc.ClientOptions = {}) {
    this.#client = new grpc.Client(address, grpc.credentials.createInsecure(), {
      "grpc.max_receive_message_length": MAX_MESSAGE,
      "grpc.use_local_subchannel_pool": 1, // a connection of its own
      ...options,
    });
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  /** A call of one message each way. */
  unary<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): Promise<Answer<MessageShape<O>>> {
    return answerOf((callback) =>
      this.#client.makeUnaryRequest(
        pathOf(method),
        writer(method.input),
        reader(method.output),
        create(method.input, request),
        options.metadata ?? new grpc.Metadata(),
        deadlineOf(options),
        callback,
      )
    );
  }

  /** A call that sends many messages, waiting whenever grpc-js says that it has enough. */
  async send<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    requests: Iterable<MessageInitShape<I>>,
    options: CallOptions = {},
  ): Promise<Answer<MessageShape<O>>> {
    const { call, write, answer } = this.open(method, options);
    let failed = false;
    answer.catch(() => failed = true);
    for (const request of requests) {
      if (failed) break;
      if (write(request)) continue;
      await Promise.race([
        new Promise<void>((resolve) => call.once("drain", resolve)),
        answer.catch(() => {}),
      ]);
    }
    call.end();
    return await answer;
  }

  /** A call that sends messages, left to the caller, and what it will be answered. */
  open<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    options: CallOptions = {},
  ): Upload<I, O> {
    let call: grpc.ClientWritableStream<MessageShape<I>>;
    const answer = answerOf<MessageShape<O>>((callback) =>
      call = this.#client.makeClientStreamRequest(
        pathOf(method),
        writer(method.input),
        reader(method.output),
        options.metadata ?? new grpc.Metadata(),
        deadlineOf(options),
        callback,
      )
    );
    return { call: call!, write: (request) => call.write(create(method.input, request)), answer };
  }

  /** A call that receives many messages. Iterating it throws what the call failed with. */
  receive<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): grpc.ClientReadableStream<MessageShape<O>> {
    return this.#client.makeServerStreamRequest(
      pathOf(method),
      writer(method.input),
      reader(method.output),
      create(method.input, request),
      options.metadata ?? new grpc.Metadata(),
      deadlineOf(options),
    );
  }

  /** A call of one message each way, its message given as bytes. */
  raw(path: string, request: Bytes): Promise<Answer<Uint8Array>> {
    const same = (bytes: Buffer) => bytes;
    return answerOf((callback) =>
      this.#client.makeUnaryRequest(
        path,
        same,
        same,
        Buffer.from(request),
        new grpc.Metadata(),
        {},
        callback,
      )
    );
  }
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function deadlineOf({ deadlineMs }: CallOptions): grpc.CallOptions {
  return deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
}

function writer<T extends DescMessage>(schema: T): (message: MessageShape<T>) => Buffer {
  return (message) => Buffer.from(toBinary(schema, message));
}

function reader<T extends DescMessage>(schema: T): (bytes: Buffer) => MessageShape<T> {
  return (bytes) => fromBinary(schema, new Uint8Array(bytes));
}

/** Callback and trailers of a call, in either order, as a promise. */
function answerOf<T>(
  start: (callback: grpc.requestCallback<T>) => grpc.ClientUnaryCall | grpc.ClientWritableStream<never>,
): Promise<Answer<T>> {
  return new Promise((resolve, reject) => {
    let message: T;
    const call = start((error, value) => {
      if (error) reject(error);
      else message = value!;
    });
    // The status comes after the message.
    (call as grpc.ClientUnaryCall).on("status", ({ code, metadata }) => {
      if (code === grpc.status.OK) resolve({ message, trailers: metadata });
    });
  });
}
