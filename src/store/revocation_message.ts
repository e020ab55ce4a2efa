/** The record of a revoked token (`firn.store.v1.Revocation`). */
import { create, toBinary } from "@bufbuild/protobuf";
import type { Bytes } from "../bytes/bytes.ts";
import * as firn from "../gen/firn/store/v1/stored_path_pb.ts";
import { parse, readSize } from "./messages.ts";

/** A revoked token; times in milliseconds since 1970, no `expiresAt` where it is not known. */
export interface RevocationRecord {
  readonly revokedAt: number;
  readonly expiresAt?: number;
}

/** The record of a revoked token. */
export function encodeRevocation({ revokedAt, expiresAt }: RevocationRecord): Bytes {
  const fields = { revokedAtMs: BigInt(revokedAt), expiresAtMs: BigInt(expiresAt ?? 0) };
  return toBinary(firn.RevocationSchema, create(firn.RevocationSchema, fields)) as Bytes;
}

/** Reads {@link encodeRevocation}. Throws {@link FormatError}. */
export function decodeRevocation(bytes: Bytes): RevocationRecord {
  const record = parse(firn.RevocationSchema, bytes, "revocation");
  const revokedAt = readSize("revocation", "time", record.revokedAtMs);
  const expiresAt = readSize("revocation", "expiry", record.expiresAtMs);
  return { revokedAt, ...(expiresAt > 0 && { expiresAt }) };
}
