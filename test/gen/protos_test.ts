/** The frozen protocol: every field, enum value and method of the generated descriptors, in both eras. */
import assert from "node:assert/strict";
import { type DescField, type DescFile, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { file_firn_store_v1_stored_path } from "../../src/gen/firn/store/v1/stored_path_pb.ts";
import { file_snix_castore_v1_castore } from "../../src/gen/snix/castore/v1/castore_pb.ts";
import { file_snix_castore_v1_rpc_blobstore } from "../../src/gen/snix/castore/v1/rpc_blobstore_pb.ts";
import { file_snix_castore_v1_rpc_directory } from "../../src/gen/snix/castore/v1/rpc_directory_pb.ts";
import { file_snix_store_v1_pathinfo } from "../../src/gen/snix/store/v1/pathinfo_pb.ts";
import { file_snix_store_v1_rpc_pathinfo } from "../../src/gen/snix/store/v1/rpc_pathinfo_pb.ts";
import { file_tvix_castore_v1_castore } from "../../src/gen/tvix/castore/v1/castore_pb.ts";
import { file_tvix_castore_v1_rpc_blobstore } from "../../src/gen/tvix/castore/v1/rpc_blobstore_pb.ts";
import { file_tvix_castore_v1_rpc_directory } from "../../src/gen/tvix/castore/v1/rpc_directory_pb.ts";
import { file_tvix_store_v1_pathinfo } from "../../src/gen/tvix/store/v1/pathinfo_pb.ts";
import { file_tvix_store_v1_rpc_pathinfo } from "../../src/gen/tvix/store/v1/rpc_pathinfo_pb.ts";

const CASTORE = `
Directory: repeated ERA.castore.v1.DirectoryEntry directories=1
Directory: repeated ERA.castore.v1.FileEntry files=2
Directory: repeated ERA.castore.v1.SymlinkEntry symlinks=3
DirectoryEntry: bytes name=1
DirectoryEntry: bytes digest=2
DirectoryEntry: uint64 size=3
FileEntry: bytes name=1
FileEntry: bytes digest=2
FileEntry: uint64 size=3
FileEntry: bool executable=4
SymlinkEntry: bytes name=1
SymlinkEntry: bytes target=2
Entry: oneof entry ERA.castore.v1.DirectoryEntry directory=1
Entry: oneof entry ERA.castore.v1.FileEntry file=2
Entry: oneof entry ERA.castore.v1.SymlinkEntry symlink=3`;

const BLOBSTORE = `
StatBlobRequest: bytes digest=1
StatBlobRequest: bool send_chunks=2
StatBlobRequest: bool send_bao=3
StatBlobResponse: repeated ERA.castore.v1.StatBlobResponse.ChunkMeta chunks=2
StatBlobResponse: bytes bao=3
StatBlobResponse.ChunkMeta: bytes digest=1
StatBlobResponse.ChunkMeta: uint64 size=2
ReadBlobRequest: bytes digest=1
BlobChunk: bytes data=1
PutBlobResponse: bytes digest=1
BlobService.Stat: unary ERA.castore.v1.StatBlobRequest -> ERA.castore.v1.StatBlobResponse
BlobService.Read: server_streaming ERA.castore.v1.ReadBlobRequest -> ERA.castore.v1.BlobChunk
BlobService.Put: client_streaming ERA.castore.v1.BlobChunk -> ERA.castore.v1.PutBlobResponse`;

const DIRECTORIES = `
GetDirectoryRequest: oneof by_what bytes digest=1
GetDirectoryRequest: bool recursive=2
PutDirectoryResponse: bytes root_digest=1
DirectoryService.Get: server_streaming ERA.castore.v1.GetDirectoryRequest -> ERA.castore.v1.Directory
DirectoryService.Put: client_streaming ERA.castore.v1.Directory -> ERA.castore.v1.PutDirectoryResponse`;

const PATH_INFO = `
PathInfo: ERA.castore.v1.Entry entry=1
PathInfo: repeated bytes references=2
PathInfo: ERA.store.v1.NARInfo narinfo=3
StorePath: string name=1
StorePath: bytes digest=2
NARInfo: uint64 nar_size=1
NARInfo: bytes nar_sha256=2
NARInfo: repeated ERA.store.v1.NARInfo.Signature signatures=3
NARInfo: repeated string reference_names=4
NARInfo: ERA.store.v1.StorePath deriver=5
NARInfo: ERA.store.v1.NARInfo.CA ca=6
NARInfo.Signature: string name=1
NARInfo.Signature: bytes data=2
NARInfo.CA: ERA.store.v1.NARInfo.CA.Hash type=1
NARInfo.CA: bytes digest=2
NARInfo.CA.Hash: NAR_SHA256=0
NARInfo.CA.Hash: NAR_SHA1=1
NARInfo.CA.Hash: NAR_SHA512=2
NARInfo.CA.Hash: NAR_MD5=3
NARInfo.CA.Hash: TEXT_SHA256=4
NARInfo.CA.Hash: FLAT_SHA1=5
NARInfo.CA.Hash: FLAT_MD5=6
NARInfo.CA.Hash: FLAT_SHA256=7
NARInfo.CA.Hash: FLAT_SHA512=8`;

const PATH_INFOS = `
GetPathInfoRequest: oneof by_what bytes by_output_hash=1
CalculateNARResponse: uint64 nar_size=1
CalculateNARResponse: bytes nar_sha256=2
PathInfoService.Get: unary ERA.store.v1.GetPathInfoRequest -> ERA.store.v1.PathInfo
PathInfoService.Put: unary ERA.store.v1.PathInfo -> ERA.store.v1.PathInfo
PathInfoService.CalculateNAR: unary ERA.castore.v1.Entry -> ERA.store.v1.CalculateNARResponse
PathInfoService.List: server_streaming ERA.store.v1.ListPathInfoRequest -> ERA.store.v1.PathInfo`;

const FIRN = `
StoredPath: snix.store.v1.PathInfo info=1
StoredPath: repeated string unclaimed_references=2
StoredPath: int64 registered_at_ms=3
UploadedNar: snix.castore.v1.Entry root=1
UploadedNar: uint64 nar_size=2
UploadedNar: repeated string found_hash_parts=3
UploadedNar: bool found_overflowed=4
UploadedNar: int64 received_at_ms=5
UploadedFile: bytes nar_sha256=1
UploadedFile: string compression=2
UploadedFile: uint64 file_size=3
UploadedFile: int64 received_at_ms=4
SideFile: bytes digest=1
SideFile: uint64 size=2
SideFile: string content_type=3
SideFile: string content_encoding=4
Pin: string hash_part=1
Pin: int64 pinned_at_ms=2
Collection: uint64 sequence=1
Collection: string owner=2
Collection: int64 seen_at_ms=3
Revocation: int64 revoked_at_ms=1
Revocation: int64 expires_at_ms=2`;

/** One line a field, enum value and method of a file. Type names are whole, the names of owners without the package. */
function describe(file: DescFile): string[] {
  const short = (typeName: string) => typeName.slice(file.proto.package.length + 1);
  const lines: string[] = [];
  const visit = (message: DescMessage) => {
    for (const field of message.fields) lines.push(`${short(message.typeName)}: ${describeField(field)}`);
    for (const nested of message.nestedMessages) visit(nested);
    for (const nested of message.nestedEnums) {
      for (const value of nested.values) {
        lines.push(`${short(nested.typeName)}: ${value.name}=${value.number}`);
      }
    }
  };
  for (const message of file.messages) visit(message);
  for (const service of file.services) {
    for (const { name, methodKind, input, output } of service.methods) {
      lines.push(`${service.name}.${name}: ${methodKind} ${input.typeName} -> ${output.typeName}`);
    }
  }
  return lines;
}

function describeField(field: DescField): string {
  const type = field.message?.typeName ?? field.enum?.typeName ??
    (field.scalar === undefined ? "?" : ScalarType[field.scalar].toLowerCase());
  const prefix = field.fieldKind === "list" ? "repeated " : field.oneof ? `oneof ${field.oneof.name} ` : "";
  return `${prefix}${type} ${field.name}=${field.number}`;
}

function newer(text: string): string[] {
  return text.trim().replaceAll("ERA", "snix").split("\n");
}

/** The same under the names before the rename. */
function older(text: string): string[] {
  return text.trim().replaceAll("ERA", "tvix")
    .replace(/\b(Directory|File|Symlink|)Entry\b/g, "$1Node").replace(/\bentry\b/g, "node").split("\n");
}

const FILES: [string, string, DescFile, DescFile][] = [
  ["castore", CASTORE, file_snix_castore_v1_castore, file_tvix_castore_v1_castore],
  ["rpc_blobstore", BLOBSTORE, file_snix_castore_v1_rpc_blobstore, file_tvix_castore_v1_rpc_blobstore],
  ["rpc_directory", DIRECTORIES, file_snix_castore_v1_rpc_directory, file_tvix_castore_v1_rpc_directory],
  ["pathinfo", PATH_INFO, file_snix_store_v1_pathinfo, file_tvix_store_v1_pathinfo],
  ["rpc_pathinfo", PATH_INFOS, file_snix_store_v1_rpc_pathinfo, file_tvix_store_v1_rpc_pathinfo],
];

for (const [name, text, snix, tvix] of FILES) {
  Deno.test(`protos: ${name} is frozen, in both packages`, () => {
    assert.deepEqual(describe(snix), newer(text));
    assert.deepEqual(describe(tvix), older(text));
    assert.equal(snix.proto.syntax, "proto3");
    assert.equal(tvix.proto.syntax, "proto3");
  });
}

Deno.test("protos: the records of the store are frozen", () => {
  assert.deepEqual(describe(file_firn_store_v1_stored_path), newer(FIRN));
});
