import assert from "node:assert/strict";
import { createFileRegistry, type DescFile, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import {
  ServerReflection,
  type ServerReflectionRequestSchema,
  type ServerReflectionResponse,
} from "../../../src/gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as Alpha } from "../../../src/gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { file_snix_store_v1_rpc_pathinfo } from "../../../src/gen/snix/store/v1/rpc_pathinfo_pb.ts";
import { file_tvix_store_v1_rpc_pathinfo } from "../../../src/gen/tvix/store/v1/rpc_pathinfo_pb.ts";
import { all, openContext, stream, transportTo } from "./_calls.ts";

type Ask = MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"];

const VERSIONS = {
  v1: createClient(ServerReflection, transportTo(openContext(), "grpc")),
  v1alpha: createClient(Alpha as unknown as typeof ServerReflection, transportTo(openContext(), "grpc-web")),
};

for (const [version, client] of Object.entries(VERSIONS)) {
  const ask = async (...asked: Ask[]): Promise<ServerReflectionResponse[]> =>
    await all(
      client.serverReflectionInfo(stream(...asked.map((messageRequest) => ({ host: "h", messageRequest })))),
    );
  const filesFor = async (asked: Ask): Promise<FileDescriptorProto[]> => {
    const [{ messageResponse }] = await ask(asked);
    assert.equal(messageResponse.case, "fileDescriptorResponse");
    const { fileDescriptorProto } = messageResponse.value as { fileDescriptorProto: Uint8Array[] };
    return fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
  };

  Deno.test(`grpc reflection ${version}: lists all services, and echoes the request`, async () => {
    const [response] = await ask({ case: "listServices", value: "*" });
    assert.equal(response.validHost, "h");
    assert.equal(response.originalRequest?.host, "h");
    assert.deepEqual(response.originalRequest?.messageRequest, { case: "listServices", value: "*" });
    const { case: kind, value } = response.messageResponse;
    assert.equal(kind, "listServicesResponse");
    assert.deepEqual((value as { service: { name: string }[] }).service.map(({ name }) => name).sort(), [
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
      "snix.castore.v1.BlobService",
      "snix.castore.v1.DirectoryService",
      "snix.store.v1.PathInfoService",
      "tvix.castore.v1.BlobService",
      "tvix.castore.v1.DirectoryService",
      "tvix.store.v1.PathInfoService",
    ]);
  });

  Deno.test(`grpc reflection ${version}: a file comes with all it imports, once each`, async () => {
    const wanted: [string, DescFile][] = [
      ["snix", file_snix_store_v1_rpc_pathinfo],
      ["tvix", file_tvix_store_v1_rpc_pathinfo],
    ];
    for (const [era, file] of wanted) {
      const files = await filesFor({ case: "fileByFilename", value: `${era}/store/v1/rpc_pathinfo.proto` });
      assert.deepEqual(files.map(({ name }) => name).sort(), [
        `${era}/castore/v1/castore.proto`,
        `${era}/store/v1/pathinfo.proto`,
        `${era}/store/v1/rpc_pathinfo.proto`,
      ]);
      assert.deepEqual(files[0], file.proto, "the file asked for comes first");
      // A tool can build the service from nothing else.
      const importsFirst = create(FileDescriptorSetSchema, {
        file: [...files].sort((a, b) => a.dependency.length - b.dependency.length),
      });
      const service = createFileRegistry(importsFirst).getService(`${era}.store.v1.PathInfoService`);
      assert.deepEqual(service?.methods.map(({ name }) => name), ["Get", "Put", "CalculateNAR", "List"]);
    }
  });

  Deno.test(`grpc reflection ${version}: symbols of every kind`, async () => {
    const symbols: Record<string, string> = {
      "snix.castore.v1.BlobService": "snix/castore/v1/rpc_blobstore.proto",
      "snix.castore.v1.BlobService.Put": "snix/castore/v1/rpc_blobstore.proto",
      "snix.castore.v1.StatBlobResponse": "snix/castore/v1/rpc_blobstore.proto",
      "snix.castore.v1.StatBlobResponse.ChunkMeta": "snix/castore/v1/rpc_blobstore.proto",
      "snix.castore.v1.StatBlobResponse.ChunkMeta.size": "snix/castore/v1/rpc_blobstore.proto",
      "snix.castore.v1.Entry.entry": "snix/castore/v1/castore.proto",
      "tvix.castore.v1.Node.node": "tvix/castore/v1/castore.proto",
      "tvix.store.v1.NARInfo.CA.Hash": "tvix/store/v1/pathinfo.proto",
      "tvix.store.v1.NARInfo.CA.FLAT_MD5": "tvix/store/v1/pathinfo.proto",
      "grpc.health.v1.Health.Watch": "grpc/health/v1/health.proto",
      "grpc.reflection.v1alpha.ErrorResponse": "grpc/reflection/v1alpha/reflection.proto",
    };
    for (const [value, name] of Object.entries(symbols)) {
      assert.equal((await filesFor({ case: "fileContainingSymbol", value }))[0].name, name, value);
    }
  });

  Deno.test(`grpc reflection ${version}: what is not here is answered, and the call goes on`, async () => {
    const asked: Ask[] = [
      { case: "fileByFilename", value: "castore.proto" },
      { case: "fileContainingSymbol", value: "snix.castore.v1" },
      { case: "fileContainingSymbol", value: "snix.castore.v1.BlobService.Delete" },
      {
        case: "fileContainingExtension",
        value: { containingType: "snix.castore.v1.Entry", extensionNumber: 9 },
      },
      { case: "allExtensionNumbersOfType", value: "snix.castore.v1.Entry" },
      { case: undefined },
      { case: "fileContainingSymbol", value: "snix.castore.v1.Entry" },
    ];
    const answers = await ask(...asked);
    const codes = answers.map(({ messageResponse }) =>
      messageResponse.case === "errorResponse" ? messageResponse.value.errorCode : messageResponse.case
    );
    assert.deepEqual(codes, [5, 5, 5, 5, 5, 3, "fileDescriptorResponse"]);
  });
}
