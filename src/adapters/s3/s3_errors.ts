/**
 * What S3 refuses, in words that say what to do; and which failures may pass.
 */
import { FormatError, RemoteError, StoreFullError } from "../../errors.ts";
import { parseXml, textOf } from "./xml.ts";

/** What an answer with an error says. */
export interface S3Refusal {
  readonly status: number;
  /** S3's name for it; empty where the answer has none. */
  readonly code: string;
  /** S3's words for it. */
  readonly message: string;
  /** The server's time, as it says it. */
  readonly serverTime: string | undefined;
  /** The region the bucket is in, where the request was for another. */
  readonly region: string | undefined;
}

/** Most characters of an answer that are repeated. */
const MOST_SAID = 300;

/** Reads an answer whose status is no success. */
export function readRefusal(status: number, headers: Headers, body: Uint8Array): S3Refusal {
  const text = new TextDecoder().decode(body);
  let code = "", message = text.slice(0, MOST_SAID).trim(), serverTime, region;
  try {
    const error = parseXml(text);
    if (error.name === "Error") {
      code = textOf(error, "Code") ?? "";
      message = textOf(error, "Message") ?? "";
      serverTime = textOf(error, "ServerTime");
      region = textOf(error, "Region");
    }
  } catch (error) {
    if (!(error instanceof FormatError)) throw error; // it was something else than S3 that answered
  }
  return {
    ...{ status, code, message: message.slice(0, MOST_SAID) },
    serverTime: serverTime ?? headers.get("date") ?? undefined,
    region: region ?? headers.get("x-amz-bucket-region") ?? undefined,
  };
}

const PASSING_STATUSES = [408, 425, 429, 500, 502, 503, 504];
const PASSING_CODES = [
  ...[
    "SlowDown",
    "InternalError",
    "ServiceUnavailable",
    "RequestTimeout",
    "Throttling",
    "ThrottlingException",
  ],
  ...["RequestThrottled", "TooManyRequests", "OperationAborted", "BadDigest", "XAmzContentSHA256Mismatch"],
  ...["IncompleteBody", "RequestLimitExceeded"],
];

/** Whether the same request may succeed a moment later. */
export function mayPass({ status, code }: S3Refusal): boolean {
  return PASSING_STATUSES.includes(status) || PASSING_CODES.includes(code);
}

/** Whether other credentials of the same owner may do. */
export function isExpired({ code }: S3Refusal): boolean {
  return ["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken"].includes(code);
}

/** What an error says of where and when. */
export interface Asked {
  /** The store, as its user names it. */
  readonly address: string;
  readonly bucket: string;
  /** As the beginning of a sentence: `Cannot read pack/3f of s3://bucket`. */
  readonly failed: string;
  /** The time the request was signed with. */
  readonly time: Date;
}

/** The error for a refusal. */
export function errorOf(refusal: S3Refusal, asked: Asked): Error {
  const { status, code, message } = refusal;
  const said = `${status} ${code}${code && message && ": "}${message}`.trim();
  const text = `${asked.failed}: ${adviceOn(refusal, asked)}(${said})`;
  const full = status === 507 || /Quota|StorageFull|InsufficientCapacity|InsufficientStorage/i.test(code);
  return full ? new StoreFullError(text) : new RemoteError(asked.address, text);
}

/** What to do, with a space at its end. */
function adviceOn({ status, code, serverTime, region }: S3Refusal, { bucket, time }: Asked): string {
  if (/Quota|StorageFull|InsufficientCapacity|InsufficientStorage/i.test(code) || status === 507) {
    return "there is no room or the quota is used up; raise it or remove something ";
  }
  switch (code) {
    case "RequestTimeTooSkewed":
      return `the clocks differ: it is ${time.toUTCString()} here and ${
        serverTime ?? "another time"
      } there; ` +
        "set the clock that is wrong ";
    case "SignatureDoesNotMatch":
      return "the secret key is not that of the access key, or something between here and there alters requests; " +
        "see AWS_SECRET_ACCESS_KEY ";
    case "InvalidAccessKeyId":
      return "the access key is not known there; see AWS_ACCESS_KEY_ID ";
    case "ExpiredToken":
    case "TokenRefreshRequired":
    case "InvalidToken":
      return "the session token has expired or is wrong; get new credentials ";
    case "AccessDenied":
    case "AllAccessDisabled":
    case "AccountProblem":
      return `these credentials may not do that in the bucket ${bucket}; change its policy or the credentials `;
    case "NoSuchBucket":
      return `there is no bucket ${bucket}; make it, or correct the address `;
    case "PermanentRedirect":
    case "TemporaryRedirect":
    case "AuthorizationHeaderMalformed":
    case "IllegalLocationConstraintException":
    case "Redirect":
      return `the bucket is in ${region ? `the region ${region}` : "another region"}; say so with region= `;
  }
  if (status === 301 || status === 307) {
    return `the bucket is in ${region ? `the region ${region}` : "another region"}; say so with region= `;
  }
  if (status === 501) return "the service has no such operation; firn needs conditional PUTs of it ";
  if (code === "" && status < 500) return "what answers there speaks no S3; see the endpoint ";
  return "";
}
