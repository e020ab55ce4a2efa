/**
 * grpc.reflection, v1 and v1alpha (the same messages under another name): what services there are, and the descriptors of
 * their files, for tools that were not built for them.
 */
import {
  type DescEnum,
  type DescFile,
  type DescMessage,
  type DescService,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ServiceImpl } from "@connectrpc/connect";
import {
  type ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponseSchema,
} from "../../gen/grpc/reflection/v1/reflection_pb.ts";

type Answer = MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"];

/** Reflection of these services. */
export function reflectionService(services: readonly DescService[]): ServiceImpl<typeof ServerReflection> {
  const index = new FileIndex(services);
  return {
    async *serverReflectionInfo(requests) {
      for await (const request of requests) {
        const messageResponse = answer(request, services, index);
        yield { validHost: request.host, originalRequest: request, messageResponse };
      }
    },
  };
}

function answer(
  { messageRequest }: ServerReflectionRequest,
  services: readonly DescService[],
  index: FileIndex,
): Answer {
  switch (messageRequest.case) {
    case "listServices": {
      const service = services.map(({ typeName }) => ({ name: typeName }));
      return { case: "listServicesResponse", value: { service } };
    }
    case "fileByFilename":
      return files(index.byName.get(messageRequest.value), `file ${messageRequest.value}`);
    case "fileContainingSymbol":
      return files(index.bySymbol.get(messageRequest.value), `symbol ${messageRequest.value}`);
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = messageRequest.value;
      return failure(
        Code.NotFound,
        `Cannot find extension ${extensionNumber} of ${containingType}: no file here has extensions`,
      );
    }
    case "allExtensionNumbersOfType":
      return failure(
        Code.NotFound,
        `Cannot find extensions of ${messageRequest.value}: no file here has any`,
      );
    case undefined:
      return failure(Code.InvalidArgument, "Cannot answer the request: it asks nothing known here");
  }
}

function files(file: DescFile | undefined, what: string): Answer {
  if (!file) return failure(Code.NotFound, `Cannot find ${what}: no service here uses it`);
  const fileDescriptorProto = [...closureOf(file)].map(({ proto }) =>
    toBinary(FileDescriptorProtoSchema, proto)
  );
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

function failure(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}

/** A file and all it imports, the file first. */
function closureOf(file: DescFile): Set<DescFile> {
  const closure = new Set([file]);
  for (const member of closure) for (const dependency of member.dependencies) closure.add(dependency);
  return closure;
}

/** Files by their path and by each full name they declare. */
class FileIndex {
  readonly byName = new Map<string, DescFile>();
  readonly bySymbol = new Map<string, DescFile>();

  constructor(services: readonly DescService[]) {
    for (const service of services) {
      for (const file of closureOf(service.file)) {
        if (this.byName.has(file.proto.name)) continue;
        this.byName.set(file.proto.name, file);
        for (const name of symbolsOf(file)) this.bySymbol.set(name, file);
      }
    }
  }
}

function* symbolsOf(file: DescFile): Generator<string> {
  for (const { typeName, methods } of file.services) {
    yield typeName;
    for (const { name } of methods) yield `${typeName}.${name}`;
  }
  for (const message of file.messages) yield* symbolsOfMessage(message);
  for (const enumeration of file.enums) yield* symbolsOfEnum(enumeration);
}

function* symbolsOfMessage(message: DescMessage): Generator<string> {
  yield message.typeName;
  for (const { name } of message.fields) yield `${message.typeName}.${name}`;
  for (const { name } of message.oneofs) yield `${message.typeName}.${name}`;
  for (const nested of message.nestedMessages) yield* symbolsOfMessage(nested);
  for (const nested of message.nestedEnums) yield* symbolsOfEnum(nested);
}

/** The values of an enum are names of the scope it stands in. */
function* symbolsOfEnum({ typeName, values }: DescEnum): Generator<string> {
  yield typeName;
  const scope = typeName.slice(0, typeName.lastIndexOf(".") + 1);
  for (const { name } of values) yield scope + name;
}
