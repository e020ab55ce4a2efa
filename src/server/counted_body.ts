/** The body of an answer, counted as its client takes it; when it ends, its visit does. */
import type { Bytes } from "../bytes/bytes.ts";
import type { Visit } from "./door.ts";
import { HttpError } from "./http_error.ts";
import type { SlowBody, SlowReaders } from "./slow_readers.ts";

/** Answers up to this many bytes are on their way as soon as they are made. */
const SHORT = 64 * 1024;

/** The response; its visit ends when its body does. */
export function counted(response: Response, visit: Visit, readers: SlowReaders, isHead: boolean): Response {
  const { status, statusText, headers } = response;
  const length = headers.get("content-length");
  const short = length !== null && Number(length) <= SHORT;
  // A short one stays as it is, and its body is not even looked at: that would make a stream of it, which is sent more slowly.
  const body = short ? null : response.body;
  if (!body) {
    if (short && !isHead && status !== 304) visit.sent(Number(length));
    visit.end(status, "whole");
    return response;
  }
  const counting = new CountedBody(
    body.getReader() as ReadableStreamDefaultReader<Bytes>,
    visit,
    status,
    readers,
  );
  return new Response(new ReadableStream<Bytes>(counting, { highWaterMark: 0 }), {
    status,
    statusText,
    headers,
  });
}

class CountedBody implements UnderlyingDefaultSource<Bytes>, SlowBody {
  waitsSince: number | undefined;
  #controller!: ReadableStreamDefaultController<Bytes>;

  constructor(
    readonly reader: ReadableStreamDefaultReader<Bytes>,
    readonly visit: Visit,
    readonly status: number,
    readonly readers: SlowReaders,
  ) {}

  start(controller: ReadableStreamDefaultController<Bytes>): void {
    this.#controller = controller;
    this.waitsSince = performance.now();
    this.readers.add(this);
  }

  async pull(controller: ReadableStreamDefaultController<Bytes>): Promise<void> {
    this.waitsSince = undefined;
    try {
      const { done, value } = await this.reader.read();
      if (done) {
        this.#end("whole");
        return controller.close();
      }
      this.visit.sent(value.length);
      controller.enqueue(value);
      this.waitsSince = performance.now();
    } catch (error) {
      this.visit.failed(error);
      this.#end("broken");
      throw error;
    }
  }

  async cancel(reason: unknown): Promise<void> {
    this.#end("left");
    await this.reader.cancel(reason);
  }

  cut(): void {
    const seconds = Math.round(this.readers.stallMs / 1000);
    const error = new HttpError(
      408,
      `Cannot finish the answer: nothing of it was read for ${seconds} seconds`,
    );
    this.visit.failed(error);
    this.#end("left");
    this.#controller.error(error);
    this.reader.cancel(error).catch(() => {}); // what it says there is of no use to anybody any more
  }

  #end(body: "whole" | "left" | "broken"): void {
    this.readers.delete(this);
    this.visit.end(this.status, body);
  }
}
