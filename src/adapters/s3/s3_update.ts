/**
 * Atomic changes of one value by conditional PUTs.
 *
 * S3 can be told to write only over what was read (`If-Match` with its ETag, `If-None-Match: *` for nothing), but most services
 * cannot be told to delete only that. So a removed value is replaced by a tombstone, an object with the header
 * `x-amz-meta-firn-removed`, which reads as absent; the next value replaces it, and `delete` deletes it for good.
 *
 * The answer to a PUT may be lost, and the next attempt is then refused because the first was carried out. So each writer leaves a
 * number of its own in `x-amz-meta-firn-writes`, before those of the writers it followed: who finds its number among them has written.
 */
import type { Bytes } from "../../bytes/bytes.ts";
import { checkValue } from "../../castore/byte_store.ts";
import { RemoteError } from "../../errors.ts";
import type { S3Answer, S3Requests } from "./s3_requests.ts";

/** What stands under a key. */
export interface Standing {
  /** `undefined`: absent, or removed. */
  readonly value: Bytes | undefined;
  /** Of the object, if there is one. */
  readonly headers: Headers | undefined;
}

const REMOVED = "x-amz-meta-firn-removed";
const WRITES = "x-amz-meta-firn-writes";
/** Writers that are remembered: 17 bytes each, of the 2 KB that S3 has for such headers. One that waits to try again may be passed by many. */
const REMEMBERED = 100;
/** Bytes of a tombstone: a length that is rare among values, so that few others have to be looked at when keys are listed. */
export const TOMBSTONE_LENGTH = 47;
/** How often another writer may be faster. */
const MOST_ROUNDS = 200;
/** Milliseconds to wait after that, at most. */
const LONGEST_PAUSE_MS = 500;
/** S3's codes and statuses for a PUT whose condition does not hold. */
const REFUSED = ["PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", 412, 409];

/** Whether this object stands for no value. */
export function isRemoved({ headers }: Pick<S3Answer, "headers">): boolean {
  return headers.has(REMOVED);
}

/** How a service wants ETags in conditions: as HTTP says, in the quotes they came in, or (Ceph) without. Found out by trying. */
export interface TagStyle {
  quoted: boolean;
}

/** One update of one key. */
export class Update {
  #requests: S3Requests;
  #style: TagStyle;
  #object: string;
  #key: string;
  #read: () => Promise<Standing>;
  /** Its number among the writers. */
  #number = crypto.getRandomValues(new Uint8Array(8)).toHex();

  constructor(
    requests: S3Requests,
    style: TagStyle,
    object: string,
    key: string,
    read: () => Promise<Standing>,
  ) {
    this.#requests = requests;
    this.#style = style;
    this.#object = object;
    this.#key = key;
    this.#read = read;
  }

  async run(change: (current: Bytes | undefined) => Bytes | undefined): Promise<Bytes | undefined> {
    /** What the last round was refused, and who had written before it. */
    let last: { next: Bytes | undefined; tag: string | null; attempt: number; before?: string } | undefined;
    for (let round = 0; round < MOST_ROUNDS; round++) {
      if (round > 1) await pause(round);
      const { value, headers } = await this.#read();
      const tag = headers?.get("etag") ?? null;
      const writes = headers?.get(WRITES)?.split(" ") ?? [];
      if (last && last.attempt > 1) {
        if (writes.includes(this.#number)) return last.next;
        // All who wrote since are told, unless they were too many.
        const all = writes.length < REMEMBERED || (last.before !== undefined && writes.includes(last.before));
        if (!all) throw this.#failed("its answer was lost, and others wrote since");
      }
      const misunderstood = last !== undefined && tag !== null && last.tag === tag; // nobody was faster
      if (misunderstood) this.#style.quoted = !this.#style.quoted;
      const next: Bytes | undefined = misunderstood ? last!.next : change(value);
      if (next === value) return value;
      if (next) checkValue(next);
      const copy = next?.slice();
      const refused = await this.#write(copy, headers, [this.#number, ...writes].slice(0, REMEMBERED));
      if (!refused) return next;
      last = { next, tag, attempt: refused.attempt, before: writes[0] };
    }
    throw this.#failed(`others were faster ${MOST_ROUNDS} times`);
  }

  /** Writes over what was read. Resolves to the answer when that is not there any more. */
  async #write(
    next: Bytes | undefined,
    read: Headers | undefined,
    writes: readonly string[],
  ): Promise<S3Answer | undefined> {
    const etag = read?.get("etag");
    if (read && !etag) throw this.#failed("the service says no ETag of it");
    const headers: Record<string, string> = etag
      ? { "if-match": this.#tagOf(etag) }
      : { "if-none-match": "*" };
    headers[WRITES] = writes.join(" ");
    if (!next) headers[REMOVED] = "1";
    const answer = await this.#requests.send({
      operation: "PutObject",
      object: this.#object,
      headers,
      body: next ?? tombstone(this.#number),
      accept: REFUSED,
      failed: `Cannot update ${this.#key}`,
    });
    return answer.refusal && answer;
  }

  #tagOf(etag: string): string {
    return this.#style.quoted ? etag : etag.replace(/^"(.*)"$/, "$1");
  }

  #failed(why: string): RemoteError {
    const { address } = this.#requests;
    return new RemoteError(address, `Cannot update ${this.#key} of ${address}: ${why}; try again`);
  }
}

/** What a removed value is replaced by; two are never the same, or an ETag would say too little. */
function tombstone(number: string): Bytes {
  return new TextEncoder().encode(`firn: removed by ${number}`.padEnd(TOMBSTONE_LENGTH)) as Bytes;
}

async function pause(round: number): Promise<void> {
  const most = Math.min(LONGEST_PAUSE_MS, 4 * 2 ** round);
  await new Promise((resolve) => setTimeout(resolve, Math.random() * most));
}
