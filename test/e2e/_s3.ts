/**
 * Buckets and stores of one test on a cluster that the tests of a file share.
 */
import { AwsClient } from "aws4fetch";
import { openS3, type S3Options, type S3Store } from "../../src/adapters/s3/open_s3.ts";
import type { Ceph } from "./_ceph.ts";

/** A client that knows nothing of firn. */
export function clientOf({ accessKey, secretKey, region }: Ceph): AwsClient {
  return new AwsClient({ accessKeyId: accessKey, secretAccessKey: secretKey, service: "s3", region });
}

/** Makes a bucket. */
export async function makeBucket(cluster: Ceph, bucket: string): Promise<void> {
  const answer = await clientOf(cluster).fetch(`${cluster.endpoint}/${bucket}`, { method: "PUT" });
  const said = await answer.text();
  if (!answer.ok) throw new Error(`Cannot make the bucket ${bucket}: ${answer.status} ${said}`);
}

/** A store in a bucket of the cluster. */
export function storeOn(cluster: Ceph, options: Partial<S3Options> & { bucket: string }): S3Store {
  const { endpoint, region, accessKey, secretKey } = cluster;
  const credentials = { accessKeyId: accessKey, secretAccessKey: secretKey };
  return openS3({ fetch, endpoint, region, credentials, ...options });
}
