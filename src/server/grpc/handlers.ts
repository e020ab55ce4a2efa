/**
 * The gRPC services over a store, as Connect's universal handlers: each speaks gRPC, gRPC-Web and Connect, over whatever
 * transport brings requests (`dispatch.ts`).
 */
import type { DescService } from "@bufbuild/protobuf";
import { createConnectRouter, type ServiceImpl } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import type { ServerContext } from "../context.ts";
import type { Readiness } from "../readiness.ts";
import { blobService } from "./blob_service.ts";
import { DIRECTORY_CODES, directoryService } from "./directory_service.ts";
import { type Era, SNIX, TVIX } from "./era.ts";
import { healthService } from "./health.ts";
import { limitMessages } from "./message_limit.ts";
import { type Implementation, withNative } from "./native.ts";
import { PATH_INFO_CODES, pathInfoService } from "./path_info_service.ts";
import { reflectionService } from "./reflection.ts";
import { answerErrors, answersBy, type MethodCodes } from "./status.ts";

/** What the services need of the server. */
export type GrpcContext =
  & Pick<
    ServerContext,
    "blobs" | "directories" | "pathInfos" | "names" | "hashes" | "log" | "stallMs"
  >
  & Partial<Pick<ServerContext, "logFailure" | "watch">>;

/** How they are served. */
export interface GrpcOptions {
  /** Longest message taken, in bytes; default 4 MiB, as other servers have it. */
  readonly maxMessageBytes?: number;
  /** Aborted when the server begins to stop: health is NOT_SERVING from then on. */
  readonly stopping?: AbortSignal;
  /** Asked by Check and List; default ready. */
  readonly readiness?: Pick<Readiness, "why">;
}

const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/** Handlers of all methods: the store's services in both eras, health and reflection. */
export function grpcHandlers(context: GrpcContext, options: GrpcOptions = {}): readonly UniversalHandler[] {
  const limit = options.maxMessageBytes ?? MAX_MESSAGE_BYTES;
  const connect = { readMaxBytes: limit, jsonOptions: { ignoreUnknownFields: false } }; // dropping one could change a digest
  const handlers: UniversalHandler[] = [];
  const add = <T extends DescService>(service: T, implementation: ServiceImpl<T>, codes?: MethodCodes) => {
    const answer = answersBy(context.logFailure ?? context.log, codes);
    const router = createConnectRouter(connect);
    router.service(service, implementation, { interceptors: [answerErrors(answer)] });
    for (const handler of router.handlers) {
      const method = implementation[handler.method.localName as keyof ServiceImpl<T>] as Implementation;
      handlers.push(withNative(limitMessages(handler, limit), method, { limit, answer }));
    }
  };
  const eras: readonly Era[] = [SNIX, TVIX];
  for (const era of eras) {
    add(era.blobService, blobService(context));
    add(era.directoryService, directoryService(context, era), DIRECTORY_CODES[era.name]);
    add(era.pathInfoService, pathInfoService(context, era), PATH_INFO_CODES);
  }
  const services: DescService[] = [
    ...eras.flatMap((era) => [era.blobService, era.directoryService, era.pathInfoService]),
    Health,
    ServerReflection,
    ServerReflectionAlpha,
  ];
  const reflection = reflectionService(services);
  add(Health, healthService(services.map(({ typeName }) => typeName), options));
  add(ServerReflection, reflection);
  // The types say v1, of which v1alpha differs in its name only.
  add(ServerReflectionAlpha as unknown as typeof ServerReflection, reflection);
  return handlers;
}
