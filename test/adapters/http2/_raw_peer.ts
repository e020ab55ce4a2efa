/** A peer that says what it likes, frame by frame, and remembers what it was told. */
import type { Bytes } from "../../../src/bytes/bytes.ts";
import { concat } from "../../../src/bytes/bytes.ts";
import type { Duplex } from "../../../src/adapters/http2/duplex.ts";
import { encodeFrame, Flag, FrameType, PREFACE, read31, read32 } from "../../../src/adapters/http2/frames.ts";
import { HpackDecoder } from "../../../src/adapters/http2/hpack_decoder.ts";
import { HpackEncoder } from "../../../src/adapters/http2/hpack_encoder.ts";
import type { HeaderField } from "../../../src/adapters/http2/hpack_tables.ts";
import { duplexPipe } from "../../../src/adapters/http2/pipe.ts";
import {
  type Http2Handler,
  Http2Server,
  type Http2ServerOptions,
} from "../../../src/adapters/http2/server.ts";

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Bytes;
}

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

export class RawPeer {
  readonly frames: Frame[] = [];
  /** What was reading is done: the connection has ended. */
  readonly ended: Promise<void>;
  isEnded = false;
  /** While set nothing is read. */
  deaf: Promise<void> | undefined;
  #encoder = new HpackEncoder();
  #decoder = new HpackDecoder({ maxTableSize: 4096, maxListSize: 1 << 20 });
  #rest: Bytes = new Uint8Array(0);

  #skip: number;

  /** @param skip bytes before the first frame: the preface of a client */
  constructor(readonly duplex: Duplex, skip = 0) {
    this.#skip = skip;
    this.ended = this.#listen();
  }

  /** Sends bytes as they are. */
  async send(...parts: Uint8Array[]): Promise<void> {
    const bytes = concat(parts);
    for (let at = 0; at < bytes.length;) at += await this.duplex.write(bytes.subarray(at));
  }

  frame(
    type: number,
    flags: number,
    streamId: number,
    payload: Uint8Array = new Uint8Array(0),
  ): Promise<void> {
    return this.send(encodeFrame(type, flags, streamId, payload));
  }

  /** The preface and empty SETTINGS. */
  greet(settings: Uint8Array = new Uint8Array(0)): Promise<void> {
    return this.send(PREFACE, encodeFrame(FrameType.SETTINGS, 0, 0, settings));
  }

  block(fields: Iterable<HeaderField>): Bytes {
    return this.#encoder.encode(fields);
  }

  headers(streamId: number, fields: Iterable<HeaderField>, flags: number): Promise<void> {
    return this.frame(FrameType.HEADERS, flags, streamId, this.block(fields));
  }

  /** Opens a stream. */
  request(streamId: number, end: boolean, more: HeaderField[] = []): Promise<void> {
    return this.headers(
      streamId,
      [...REQUEST, ...more],
      Flag.END_HEADERS | (end ? Flag.END_STREAM : 0),
    );
  }

  decode(block: Bytes): readonly HeaderField[] {
    return this.#decoder.decode(block);
  }

  /** Waits for a frame of this type on this stream. Throws if the connection ends first. */
  async expect(type: number, streamId?: number): Promise<Frame> {
    for (let tries = 0; tries < 2000; tries++) {
      const found = this.of(type, streamId)[0];
      if (found) return found;
      if (this.isEnded) break;
      await sleep(1);
    }
    throw new Error(`Cannot see a frame of type ${type} on stream ${streamId}: ${this.summary()}`);
  }

  of(type: number, streamId?: number): Frame[] {
    return this.frames.filter((frame) => {
      return frame.type === type && (streamId === undefined || frame.streamId === streamId);
    });
  }

  /** Bytes of DATA that came on a stream. */
  received(streamId?: number): number {
    return this.of(FrameType.DATA, streamId).reduce((sum, { payload }) => sum + payload.length, 0);
  }

  /** The code of GOAWAY: of the last one. */
  async goAway(): Promise<number> {
    await this.expect(FrameType.GOAWAY);
    return read32(this.of(FrameType.GOAWAY).at(-1)!.payload, 4);
  }

  async resetCode(streamId: number): Promise<number> {
    return read32((await this.expect(FrameType.RST_STREAM, streamId)).payload, 0);
  }

  summary(): string {
    return this.frames.slice(-20).map(({ type, streamId, payload }) =>
      `${type}@${streamId}+${payload.length}`
    ).join(
      " ",
    );
  }

  async #listen(): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    try {
      while (true) {
        await this.deaf;
        const read = await this.duplex.read(buffer);
        if (read === null) break;
        this.#rest = concat([this.#rest, buffer.subarray(0, read)]);
        this.#cut();
      }
    } catch {
      // Ended like any other way.
    }
    this.isEnded = true;
  }

  #cut(): void {
    if (this.#rest.length < this.#skip) return;
    let at = this.#skip;
    this.#skip = 0;
    while (this.#rest.length - at >= 9) {
      const length = this.#rest[at] << 16 | this.#rest[at + 1] << 8 | this.#rest[at + 2];
      const end = at + 9 + length;
      if (this.#rest.length < end) break;
      const [type, flags] = [this.#rest[at + 3], this.#rest[at + 4]];
      const payload = this.#rest.slice(at + 9, end);
      this.frames.push({ type, flags, streamId: read31(this.#rest, at + 5), payload });
      at = end;
    }
    this.#rest = this.#rest.subarray(at);
  }
}

export const REQUEST: readonly HeaderField[] = [
  [":method", "POST"],
  [":scheme", "http"],
  [":authority", "firn.test"],
  [":path", "/"],
];

/** A server and a raw client of it. Both end with the test. */
export function rawClient(
  handler: Http2Handler,
  options: Partial<Http2ServerOptions> = {},
  capacity?: number,
) {
  const logged: string[] = [];
  const server = new Http2Server(handler, {
    closeMs: 300,
    log: (line) => logged.push(line),
    ...options,
  });
  const [near, far] = duplexPipe(capacity);
  const served = server.handleConnection(far);
  const peer = new RawPeer(near);
  return {
    server,
    peer,
    logged,
    served,
    async [Symbol.asyncDispose]() {
      near.close();
      await served;
      await peer.ended;
    },
  };
}

/** Numbers of four bytes. */
export function numbers(...values: number[]): Bytes {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setUint32(4 * i, value));
  return bytes;
}

/** A payload of SETTINGS. */
export function settings(...pairs: [id: number, value: number][]): Bytes {
  return concat(pairs.map(([id, value]) => concat([new Uint8Array([id >> 8, id]), numbers(value)])));
}
