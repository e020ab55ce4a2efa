/**
 * Where a bucket is asked: as a part of the host's name, or as the first segment of the path.
 */

/** Which bucket. */
export interface S3Place {
  readonly bucket: string;
  /** For Amazon the region of the bucket; elsewhere what signatures are made for, often `us-east-1` or `default`. */
  readonly region: string;
  /** URL of a service that is not Amazon's. */
  readonly endpoint?: string;
  /** Whether the bucket is a segment of the path; default: with an endpoint, or when its name has a dot, which no certificate covers. */
  readonly pathStyle?: boolean;
}

/** The URL of a bucket, without a slash at the end. Throws `TypeError` for what cannot be one. */
export function bucketUrl({ bucket, region, endpoint, pathStyle }: S3Place): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/.test(bucket) || bucket.includes("..")) {
    throw new TypeError(
      `Cannot use the bucket ${JSON.stringify(bucket)}: want letters, digits, dots and hyphens`,
    );
  }
  if (!/^[A-Za-z0-9-]{1,64}$/.test(region)) {
    throw new TypeError(`Cannot use the region ${JSON.stringify(region)}: want a name such as eu-central-1`);
  }
  const url = endpoint === undefined ? amazon(region) : parseEndpoint(endpoint);
  const base = `${url.origin}${url.pathname.replace(/\/$/, "")}`;
  if (pathStyle ?? (endpoint !== undefined || bucket.includes("."))) return `${base}/${bucket}`;
  return base.replace("://", `://${bucket}.`);
}

function amazon(region: string): URL {
  return new URL(`https://s3.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`);
}

function parseEndpoint(endpoint: string): URL {
  const url = URL.parse(endpoint);
  const lawful = url && /^https?:$/.test(url.protocol) && !url.search && !url.hash && !url.username &&
    !url.password;
  if (lawful) return url;
  throw new TypeError(
    `Cannot use the endpoint ${JSON.stringify(endpoint.replace(/\/\/[^/@]*@/, "//…@"))}: ` +
      "want a URL such as https://s3.example.org, without credentials",
  );
}
