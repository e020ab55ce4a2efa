/**
 * The names of objects, page by page.
 */
import { FormatError, RemoteError } from "../../errors.ts";
import type { S3Requests } from "./s3_requests.ts";
import { TOMBSTONE_LENGTH } from "./s3_update.ts";
import { parseXml, textOf, type XmlElement } from "./xml.ts";

/** The longest page: 1,000 names of 1,024 characters, three times as long in a URL, and as much around them. */
const LONGEST_PAGE = 8 * 1024 * 1024;

interface ListedObject {
  readonly object: string;
  /** Whether it may be what `update` left of a value it removed: its length says so. */
  readonly mayBeRemoved: boolean;
}

/** Objects whose names begin with `prefix`, in the order of the service, which is byte order. @param page names asked for at once */
export async function* listObjects(
  requests: S3Requests,
  prefix: string,
  failed: string,
  page = 1000,
): AsyncGenerator<ListedObject, void, void> {
  for (let token: string | undefined, more = true; more;) {
    const query: Record<string, string> = { "encoding-type": "url", "list-type": "2", "max-keys": `${page}` };
    if (prefix !== "") query.prefix = prefix;
    if (token !== undefined) query["continuation-token"] = token;
    const { body } = await requests.send({
      operation: "ListObjectsV2",
      query,
      longest: LONGEST_PAGE,
      failed,
    });
    const result = readPage(body, requests.address, failed);
    for (const contents of result.children) if (contents.name === "Contents") yield listed(contents);
    more = textOf(result, "IsTruncated") === "true";
    token = textOf(result, "NextContinuationToken");
    if (more && !token) throw unreadable(requests.address, failed, "it says there is more, and not where");
  }
}

function readPage(body: Uint8Array, address: string, failed: string): XmlElement {
  try {
    const root = parseXml(new TextDecoder("utf-8", { fatal: true }).decode(body));
    if (root.name === "ListBucketResult") return root;
    throw new FormatError("XML", `it begins with <${root.name}>`);
  } catch (error) {
    throw unreadable(address, failed, (error as Error).message, error);
  }
}

function listed(contents: XmlElement): ListedObject {
  const encoded = textOf(contents, "Key") ?? "";
  return {
    object: decodeURIComponent(encoded.replaceAll("+", " ")),
    mayBeRemoved: textOf(contents, "Size") === `${TOMBSTONE_LENGTH}`,
  };
}

function unreadable(address: string, failed: string, why: string, cause?: unknown): RemoteError {
  return new RemoteError(address, `${failed} of ${address}: its list makes no sense: ${why}`, { cause });
}
