/**
 * The methods of a ByteStore as requests to S3. How `update` is told in s3_update.ts.
 */
import { BufferPool } from "../../bytes/buffer_pool.ts";
import { type Bytes, EMPTY } from "../../bytes/bytes.ts";
import { Turns } from "../../bytes/turns.ts";
import {
  type ByteRange,
  checkKey,
  checkValue,
  MAX_KEY_LENGTH,
  MAX_VALUE_LENGTH,
} from "../../castore/byte_store.ts";
import { DamageError, RemoteError } from "../../errors.ts";
import { listObjects } from "./list_objects.ts";
import type { S3Store } from "./open_s3.ts";
import { keyOfObject, objectOfKey } from "./s3_key.ts";
import type { S3Answer, S3Requests } from "./s3_requests.ts";
import { isRemoved, type Standing, type TagStyle, Update } from "./s3_update.ts";

/** Values of this length and more are copied into buffers that are used again. */
const POOLED = 1024 * 1024;
/** Such buffers kept: for as many writes as a store of packs has under way. */
const BUFFERS_KEPT = 4;

const ABSENT = "NoSuchKey";
/** The code S3 has for a range that begins after the end. */
const BEYOND = "InvalidRange";

export class S3Values implements S3Store {
  #requests: S3Requests;
  #prefix: string;
  #writeOnce: (key: string) => boolean;
  /**
   * Writes of one key wait for each other here. Updates would only make each other start again; and of a plain PUT next to a
   * conditional one Ceph may drop the plain one, though the condition speaks of what was there before both.
   */
  #turns = new Turns();
  #buffers = new BufferPool(MAX_VALUE_LENGTH, BUFFERS_KEPT);
  /** Whether the bucket is known to be there, so that an answer without words says that an object is not. */
  #bucketSeen = false;
  #tags: TagStyle = { quoted: true };

  constructor(requests: S3Requests, prefix: string, writeOnce: (key: string) => boolean) {
    this.#requests = requests;
    this.#prefix = prefix;
    this.#writeOnce = writeOnce;
  }

  async get(key: string, range?: ByteRange): Promise<Bytes | undefined> {
    checkKey(key);
    if (!range) return (await this.#read(key)).value;
    const start = Math.min(range.start, MAX_VALUE_LENGTH);
    const end = Math.min(range.end, MAX_VALUE_LENGTH);
    // S3 knows no range of no bytes.
    if (end <= start) return await this.has(key) ? EMPTY : undefined;
    const answer = await this.#requests.send({
      operation: "GetObject",
      object: this.#objectOf(key),
      headers: { range: `bytes=${start}-${end - 1}` },
      longest: end - start,
      accept: [ABSENT, BEYOND, 416],
      failed: `Cannot read ${key}`,
    });
    if (answer.refusal?.code === ABSENT || isRemoved(answer)) return undefined;
    if (answer.refusal) return await this.has(key) ? EMPTY : undefined;
    this.#bucketSeen = true;
    return partOf(answer, key, start, end);
  }

  async has(key: string): Promise<boolean> {
    checkKey(key);
    const object = this.#objectOf(key);
    const failed = `Cannot look for ${key}`;
    const accept = [301, 307, 400, 401, 403, 404];
    const head = await this.#requests.send({ operation: "HeadObject", object, accept, failed });
    if (!head.refusal) {
      this.#bucketSeen = true;
      return !isRemoved(head);
    }
    if (head.status === 404 && this.#bucketSeen) return false;
    // The answer to a HEAD cannot say why; that to a GET can.
    const headers = { range: "bytes=0-0" };
    const get = await this.#requests.send({
      ...{ operation: "GetObject", object, headers, failed },
      accept: [ABSENT, BEYOND, 416],
    });
    this.#bucketSeen = true;
    return get.refusal?.code !== ABSENT && !isRemoved(get);
  }

  async put(key: string, value: Bytes): Promise<void> {
    checkKey(key);
    checkValue(value);
    const pooled = value.length >= POOLED ? this.#buffers.take() : undefined;
    const body = pooled?.subarray(0, value.length) ?? new Uint8Array(value.length);
    body.set(value);
    const once = this.#writeOnce(key);
    const send = () =>
      this.#requests.send({
        operation: "PutObject",
        object: this.#objectOf(key),
        headers: once ? { "if-none-match": "*" } : {},
        body,
        accept: once ? ["PreconditionFailed", 412] : [],
        failed: `Cannot store ${key}`,
      });
    const answer = await this.#turns.take(key, send);
    // An attempt that was given up may still be reading it.
    if (pooled && answer.attempt === 1) this.#buffers.give(pooled);
    this.#bucketSeen = true;
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    const send = () =>
      this.#requests.send({
        operation: "DeleteObject",
        object: this.#objectOf(key),
        accept: [ABSENT],
        failed: `Cannot delete ${key}`,
      });
    await this.#turns.take(key, send);
  }

  async *list(prefix: string): AsyncGenerator<string, void, void> {
    // No lawful key begins with such a prefix.
    if (prefix.length > MAX_KEY_LENGTH || /[^!-~]/.test(prefix)) return;
    const failed = `Cannot list ${prefix ? `what begins with ${prefix}` : "the keys"}`;
    let last = "";
    for await (const { object, mayBeRemoved } of this.#objects(this.#objectOf(prefix), failed)) {
      const key = keyOfObject(this.#prefix, object);
      if (key === undefined || key === "" || key.length > MAX_KEY_LENGTH) continue; // somebody else's
      if (key <= last) {
        throw new RemoteError(
          this.#requests.address,
          `${failed} of ${this.#requests.address}: it lists ${key} after ${last}; ` +
            "a bucket that does not list in byte order cannot be used",
        );
      }
      last = key;
      if (!mayBeRemoved || await this.has(key)) yield key;
    }
  }

  async update(
    key: string,
    change: (current: Bytes | undefined) => Bytes | undefined,
  ): Promise<Bytes | undefined> {
    checkKey(key);
    const update = new Update(this.#requests, this.#tags, this.#objectOf(key), key, () => this.#read(key));
    return await this.#turns.take(key, () => update.run(change));
  }

  async check(): Promise<void> {
    const first = this.#objects(this.#objectOf(""), "Cannot open the store", 1);
    for await (const _ of first) break;
    this.#bucketSeen = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turns.idle();
    await this.#requests.idle();
  }

  #objectOf(key: string): string {
    return objectOfKey(this.#prefix, key);
  }

  #objects(prefix: string, failed: string, page?: number) {
    return listObjects(this.#requests, prefix, failed, page);
  }

  async #read(key: string): Promise<Standing> {
    const answer = await this.#requests.send({
      operation: "GetObject",
      object: this.#objectOf(key),
      accept: [ABSENT],
      failed: `Cannot read ${key}`,
    });
    this.#bucketSeen = true;
    if (answer.refusal) return { value: undefined, headers: undefined };
    return { value: isRemoved(answer) ? undefined : answer.body, headers: answer.headers };
  }
}

/** The bytes of a range out of an answer, which may have given more than was asked for. */
function partOf({ status, headers, body }: S3Answer, key: string, start: number, end: number): Bytes {
  if (status === 200) return body.subarray(Math.min(start, body.length), Math.min(end, body.length));
  const [, first] = /^bytes (\d+)-\d+\//.exec(headers.get("content-range") ?? "") ?? [];
  // A page of another site may not be shown this header.
  if ((first !== undefined && Number(first) !== start) || body.length > end - start) {
    throw new DamageError("value", key, `Cannot read ${key}: S3 gave bytes that were not asked for`);
  }
  return body;
}
