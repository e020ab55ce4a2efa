/** A ByteStore that notes what is asked of another and can be told to wait or fail: to see a service from below. */
import type { Bytes } from "../../src/bytes/bytes.ts";
import type { ByteRange, ByteStore } from "../../src/castore/byte_store.ts";

type Method = "get" | "has" | "put" | "delete" | "update";

/** One call: `put chunk/…`. */
export interface Call {
  readonly method: Method;
  readonly key: string;
  /** Bytes that were put, or asked for. */
  readonly length: number;
}

export class WatchedStore implements ByteStore {
  /** All calls, in order. */
  readonly calls: Call[] = [];
  /** Awaited before a call is passed on; what it throws fails the call, which then does nothing. */
  before: (call: Call) => void | Promise<void> = () => {};
  /** Calls under way, and the most there were at once. */
  underWay = 0;
  most = 0;
  /** Bytes of puts under way, and the most there were at once. */
  bytesUnderWay = 0;
  mostBytes = 0;
  #inner: ByteStore;

  constructor(inner: ByteStore) {
    this.#inner = inner;
  }

  /** Calls of a method so far, on keys that begin with a prefix. */
  count(method: Method, prefix = ""): number {
    return this.calls.filter((call) => call.method === method && call.key.startsWith(prefix)).length;
  }

  get(key: string, range?: ByteRange): Promise<Bytes | undefined> {
    const length = range ? range.end - range.start : Infinity;
    return this.#call({ method: "get", key, length }, () => this.#inner.get(key, range));
  }

  has(key: string): Promise<boolean> {
    return this.#call({ method: "has", key, length: 0 }, () => this.#inner.has(key));
  }

  put(key: string, value: Bytes): Promise<void> {
    const copy = value.slice(); // the contract: read before the promise is returned
    return this.#call({ method: "put", key, length: value.length }, () => this.#inner.put(key, copy));
  }

  delete(key: string): Promise<void> {
    return this.#call({ method: "delete", key, length: 0 }, () => this.#inner.delete(key));
  }

  list(prefix: string): AsyncIterable<string> {
    return this.#inner.list(prefix);
  }

  update(
    key: string,
    change: (current: Bytes | undefined) => Bytes | undefined,
  ): Promise<Bytes | undefined> {
    return this.#call({ method: "update", key, length: 0 }, () => this.#inner.update(key, change));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]();
  }

  async #call<T>(call: Call, pass: () => Promise<T>): Promise<T> {
    this.calls.push(call);
    const bytes = call.method === "put" ? call.length : 0;
    this.most = Math.max(this.most, ++this.underWay);
    this.mostBytes = Math.max(this.mostBytes, this.bytesUnderWay += bytes);
    try {
      const wait = this.before(call);
      if (wait) await wait;
      return await pass();
    } finally {
      this.underWay--;
      this.bytesUnderWay -= bytes;
    }
  }
}

/** Waits some turns of the event loop. */
export function pause(milliseconds = 0): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Rejects when the promise has not settled in time: so that what hangs fails, and says so. */
export async function inTime<T>(promise: Promise<T>, milliseconds = 5000): Promise<T> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it has not settled after ${milliseconds} ms`)), milliseconds);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
