/**
 * BlobService of `tvix.castore.v1` on @grpc/grpc-js, run by Node: the peer of the native rows. It does what firn's own service
 * does (`src/server/grpc/blob_service.ts`), over the same blobs and with the same messages; only the transport differs.
 *
 *   node peer.js memory|FOLDER     prints the port on 127.0.0.1
 *
 * It is written as grpc-js wants to be used: a write that says it is full is waited for, and so is each piece of a Put, by
 * iterating the call.
 */
import { Buffer } from "node:buffer";
import { once } from "node:events";
import process from "node:process";
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import {
  type MethodDefinition,
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  status,
} from "@grpc/grpc-js";
import type { Bytes } from "../../../src/bytes/bytes.ts";
import type { Digest } from "../../../src/castore/digest.ts";
import {
  BlobChunkSchema,
  BlobService,
  PutBlobResponseSchema,
  ReadBlobRequestSchema,
  StatBlobRequestSchema,
  StatBlobResponseSchema,
} from "../../../src/gen/tvix/castore/v1/rpc_blobstore_pb.ts";
import { openBlobs } from "./store.ts";

const blobs = await openBlobs(process.argv[2]);

type StatRequest = MessageShape<typeof StatBlobRequestSchema>;
type StatResponse = MessageShape<typeof StatBlobResponseSchema>;
type ReadRequest = MessageShape<typeof ReadBlobRequestSchema>;
type Chunk = MessageShape<typeof BlobChunkSchema>;
type PutResponse = MessageShape<typeof PutBlobResponseSchema>;

async function stat({ request }: ServerUnaryCall<StatRequest, StatResponse>): Promise<StatResponse> {
  const chunks = await blobs.chunks(request.digest as Digest);
  if (!chunks) throw notFound();
  const several = chunks.length < 2 ? [] : chunks;
  return create(StatBlobResponseSchema, {
    chunks: several.map(({ digest, size }) => ({ digest, size: BigInt(size) })),
  });
}

async function read(call: ServerWritableStream<ReadRequest, Chunk>): Promise<void> {
  const reader = await blobs.open(call.request.digest as Digest);
  if (!reader) throw notFound();
  for await (const data of reader) {
    if (!call.write(create(BlobChunkSchema, { data }))) await once(call, "drain");
  }
}

async function put(call: ServerReadableStream<Chunk, PutResponse>): Promise<PutResponse> {
  const { digest } = await blobs.put(dataOf(call));
  return create(PutBlobResponseSchema, { digest });
}

async function* dataOf(call: AsyncIterable<Chunk>): AsyncGenerator<Bytes> {
  for await (const { data } of call) yield data as Bytes;
}

function notFound(): Error {
  return Object.assign(new Error("Cannot find the blob"), { code: status.NOT_FOUND });
}

/** A message as grpc-js has it on the wire. */
interface Codec<T> {
  readonly write: (message: T) => Buffer;
  readonly read: (bytes: Buffer) => T;
}

function codec<D extends DescMessage>(schema: D): Codec<MessageShape<D>> {
  return {
    write: (message) => {
      const { buffer, byteOffset, length } = toBinary(schema, message);
      return Buffer.from(buffer, byteOffset, length);
    },
    read: (bytes) => fromBinary(schema, bytes),
  };
}

function method<I, O>(
  name: string,
  input: Codec<I>,
  output: Codec<O>,
  streams: { requestStream: boolean; responseStream: boolean },
): MethodDefinition<I, O> {
  return {
    path: `/${BlobService.typeName}/${name}`,
    ...streams,
    requestSerialize: input.write,
    requestDeserialize: input.read,
    responseSerialize: output.write,
    responseDeserialize: output.read,
  };
}

const chunk = codec(BlobChunkSchema);
const unary = { requestStream: false, responseStream: false };
const service = {
  stat: method("Stat", codec(StatBlobRequestSchema), codec(StatBlobResponseSchema), unary),
  read: method("Read", codec(ReadBlobRequestSchema), chunk, { ...unary, responseStream: true }),
  put: method("Put", chunk, codec(PutBlobResponseSchema), { ...unary, requestStream: true }),
};

const server = new Server();
server.addService(service, {
  stat(call: ServerUnaryCall<StatRequest, StatResponse>, answer: sendUnaryData<StatResponse>) {
    stat(call).then((response) => answer(null, response), answer);
  },
  read(call: ServerWritableStream<ReadRequest, Chunk>) {
    read(call).then(() => call.end(), (error) => call.destroy(error));
  },
  put(call: ServerReadableStream<Chunk, PutResponse>, answer: sendUnaryData<PutResponse>) {
    put(call).then((response) => answer(null, response), answer);
  },
});
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(port);
});
