/**
 * A ByteStore in a bucket of Amazon S3 or what speaks like it: an object a value, at the names that s3_key.ts gives.
 *
 * What it asks of the bucket: that what was written is read at once, lists in byte order, and conditional PUTs (`If-Match`,
 * `If-None-Match`) for `update`. Several processes may use one bucket and prefix at the same time; but on Ceph a `put` in one may be
 * lost to an `update` of the same key in another at that moment, so keys that are updated should not be put. A page of another site
 * needs a CORS rule that exposes `ETag` and `x-amz-meta-*`.
 */
import type { ByteStore } from "../../castore/byte_store.ts";
import { bucketUrl, type S3Place } from "./bucket_url.ts";
import { checkPrefix } from "./s3_key.ts";
import { S3Requests } from "./s3_requests.ts";
import { S3Values } from "./s3_store.ts";

/** Who asks. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of credentials that are lent for a while. */
  readonly sessionToken?: string;
}

/** One attempt at a request, for who counts and measures them. */
export interface S3RequestReport {
  /** As S3 names it. */
  readonly operation: S3Operation;
  /** HTTP status; `undefined`: there was no answer, or not all of it. */
  readonly status: number | undefined;
  /** Milliseconds from sending it to the end of its answer. */
  readonly ms: number;
  /** Bytes of the bodies, both ways. */
  readonly bytes: number;
  /** 1 for the first. */
  readonly attempt: number;
}

export type S3Operation = "GetObject" | "HeadObject" | "PutObject" | "DeleteObject" | "ListObjectsV2";

/** What {@link openS3} is told. */
export interface S3Options extends S3Place {
  /** The platform's `fetch`. */
  readonly fetch: typeof fetch;
  /** The objects lie below it, after a slash; none: the bucket is the store's alone. */
  readonly prefix?: string;
  /** A function is asked at first, and again when what it gave has expired. */
  readonly credentials: S3Credentials | (() => Promise<S3Credentials>);
  /**
   * Whether the value of a key never changes. One that is there is not written again then, not even when its answer was lost.
   * Default: none is such.
   */
  readonly writeOnce?: (key: string) => boolean;
  /** Attempts at a request that fails for a reason that may pass; default 8. */
  readonly attempts?: number;
  /** Milliseconds that an answer may be waited for, and each further piece of it; default 15,000. */
  readonly timeout?: number;
  /** Requests under way at once; default 16. */
  readonly requests?: number;
  /** Bytes of values under way at once; default 64 MiB. */
  readonly bytesInFlight?: number;
  /** Told each attempt, when it has ended. */
  readonly onRequest?: (report: S3RequestReport) => void;
  /** The time; default this machine's. */
  readonly now?: () => Date;
}

/**
 * How packs are best made and read that lie in S3, where each request costs money and tens of milliseconds however short it is:
 * options of a packed store.
 *
 * Values wait for others for a fifth of a second, which bridges the pauses of a client on a slow line, and is added to an upload
 * twice (for its files, then its folders). Five seconds is the longest that one client waits because another keeps a pack open. A pack
 * of at most 512 KiB even so, a hundred files of 4 KiB, is not worth a request and goes to the names. Readers ask for
 * four packs ahead, and as many of a few readers are kept: 64 MiB.
 */
export const S3_PACKING = {
  ...{ linger: 200, maxAge: 5000, smallPack: 512 * 1024 },
  ...{ readAhead: 16 * 1024 * 1024, packsKept: 16 },
} as const;

/** A ByteStore in a bucket. */
export interface S3Store extends ByteStore {
  /** Throws an error that says what to do unless the bucket is there and the credentials may read it. */
  check(): Promise<void>;
}

/** The store in a bucket, which is there already. Nothing is asked before the first call; disposing waits for what is under way. */
export function openS3(options: S3Options): S3Store {
  const prefix = options.prefix ?? "";
  checkPrefix(prefix);
  const address = `s3://${options.bucket}${prefix && "/" + prefix}`;
  const requests = new S3Requests(options, bucketUrl(options), address);
  return new S3Values(requests, prefix, options.writeOnce ?? (() => false));
}
