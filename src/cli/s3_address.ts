/**
 * Packs in a bucket, by their address:
 *
 *   s3://BUCKET[/PREFIX][?endpoint=URL][&region=NAME][&profile=NAME][&path-style=true|false]
 *
 * What it leaves out is taken from the environment, then from the files that the AWS tools read. Credentials never stand in an
 * address.
 */
import { openS3, type S3Options, type S3Store } from "../adapters/s3/open_s3.ts";
import { credentialsFor, type S3Settings, settingsFor } from "./s3_credentials.ts";
import { UsageError } from "./usage.ts";

/** An address, taken apart. */
export interface S3Address {
  readonly bucket: string;
  readonly prefix: string;
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  readonly profile: string | undefined;
  readonly pathStyle: boolean | undefined;
}

/** Whether an address names a bucket. */
export function isS3Address(address: string): boolean {
  return address.startsWith("s3:");
}

/** Takes an address apart. Throws {@link UsageError}. */
export function parseS3Address(address: string): S3Address {
  const [, bucket, path = "", search = ""] =
    /^s3:\/\/([^/?#]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(address) ?? [];
  if (bucket === undefined) {
    throw new UsageError(
      `Cannot use the address ${address}: want s3://BUCKET/PREFIX?endpoint=URL&region=NAME`,
    );
  }
  if (bucket.includes("@")) {
    throw new UsageError(
      "Cannot use an s3:// address with credentials in it: give them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    );
  }
  const asked = new URLSearchParams(search);
  const known = ["endpoint", "region", "profile", "path-style"];
  for (const name of asked.keys()) {
    if (!known.includes(name)) {
      throw new UsageError(`Cannot use the address ${address}: ${name} is none of ${known.join(", ")}`);
    }
    if (asked.getAll(name).length > 1 || asked.get(name) === "") {
      throw new UsageError(`Cannot use the address ${address}: want one value for ${name}`);
    }
  }
  const style = asked.get("path-style") ?? undefined;
  if (style !== undefined && style !== "true" && style !== "false") {
    throw new UsageError(`Cannot use the address ${address}: path-style is true or false, not ${style}`);
  }
  return {
    bucket,
    prefix: decodePath(path, address),
    endpoint: asked.get("endpoint") ?? undefined,
    region: asked.get("region") ?? undefined,
    profile: asked.get("profile") ?? undefined,
    pathStyle: style === undefined ? undefined : style === "true",
  };
}

/** What the place leaves to who opens it. */
export type S3Extras = Pick<S3Options, "writeOnce" | "onRequest" | "attempts" | "timeout">;

/**
 * Opens the store at an address. Nothing is asked of it yet; its `check` says whether it can be used. Throws {@link UsageError},
 * which names what is missing.
 */
export async function openS3At(
  address: string,
  settings: S3Settings,
  extras: S3Extras = {},
): Promise<S3Store> {
  const { bucket, prefix, pathStyle, ...given } = parseS3Address(address);
  const found = await settingsFor(settings, given);
  const credentials = await credentialsFor(settings, given.profile);
  if (found.region === undefined && found.endpoint === undefined) {
    throw new UsageError(
      `Cannot open ${address}: the region of the bucket is not known; ` +
        "say it as ?region=NAME or in AWS_REGION, or the service as ?endpoint=URL or in AWS_ENDPOINT_URL",
    );
  }
  try {
    return openS3({
      ...extras,
      fetch,
      ...{ bucket, prefix, pathStyle, credentials },
      endpoint: found.endpoint,
      region: found.region ?? "us-east-1",
    });
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message);
    throw error;
  }
}

function decodePath(path: string, address: string): string {
  try {
    return decodeURIComponent(path).replace(/\/$/, "");
  } catch {
    throw new UsageError(`Cannot use the address ${address}: its path has a % that is no %XX`);
  }
}
