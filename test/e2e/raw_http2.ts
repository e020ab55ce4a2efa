/**
 * HTTP/2 without manners, for tests: frames as the test wants them, over a bare connection. It neither waits for windows nor
 * reads unless it is told to.
 */
import { type Bytes, concat } from "../../src/bytes/bytes.ts";
import {
  encodeFrame,
  encodePing,
  encodeReset,
  encodeWindowUpdate,
  Flag,
  FRAME_HEADER,
  FrameType,
  MAX_31_BITS,
  PREFACE,
  read31,
} from "../../src/adapters/http2/frames.ts";
import { HpackDecoder } from "../../src/adapters/http2/hpack_decoder.ts";
import { HpackEncoder } from "../../src/adapters/http2/hpack_encoder.ts";
import type { HeaderField } from "../../src/adapters/http2/hpack_tables.ts";
import { encodeSettings, SettingId, SETTINGS_ACK } from "../../src/adapters/http2/settings.ts";

/** What a client may send before it has heard of the server. */
const FIRST_WINDOW = 65_535;
const FRAME = 16_384;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Bytes;
}

/** A connection to a server's port of native gRPC. Leaving its scope cuts it. */
export class RawHttp2 implements Disposable {
  #conn: Deno.Conn;
  #host: string;
  #encoder = new HpackEncoder();
  #decoder = new HpackDecoder({ maxTableSize: 4096, maxListSize: 65_536 });
  #unread: Bytes = new Uint8Array(0);
  #nextId = 1;
  /** Calls that were told of as ended. */
  #over = new Set<number>();

  private constructor(conn: Deno.Conn, host: string) {
    this.#conn = conn;
    this.#host = host;
  }

  /** Connects and says nothing. @param address HOST:PORT */
  static async silent(address: string): Promise<RawHttp2> {
    const [hostname, port] = address.split(":");
    const conn = await Deno.connect({ hostname, port: Number(port) });
    conn.setNoDelay(true);
    return new RawHttp2(conn, address);
  }

  /**
   * Connects, and has greeted and been greeted.
   *
   * @param window bytes the server may send, on a stream and on all together
   */
  static async connect(address: string, window = FIRST_WINDOW): Promise<RawHttp2> {
    const client = await RawHttp2.silent(address);
    try {
      const settings = encodeSettings([[SettingId.INITIAL_WINDOW_SIZE, window]]);
      const more = window > FIRST_WINDOW ? [encodeWindowUpdate(0, window - FIRST_WINDOW)] : [];
      await client.write(PREFACE, settings, ...more);
      for (let frame; (frame = await client.read());) {
        if (frame.type === FrameType.SETTINGS && frame.flags & Flag.ACK) return client;
      }
      throw new Error("Cannot connect: the server hung up in place of its settings");
    } catch (error) {
      client[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    try {
      this.#conn.close();
    } catch {
      // It was closed.
    }
  }

  /** Writes all of this. Nobody else may be writing. */
  async write(...parts: Uint8Array[]): Promise<void> {
    const bytes = concat(parts);
    for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
  }

  /** A call as frames: its headers, and more of them, and what it sends. `end: false` leaves it open for more. */
  call(
    path: string,
    body: Uint8Array,
    { end = true, header = [] }: { end?: boolean; header?: HeaderField[] } = {},
  ): { id: number; frames: Bytes } {
    const id = this.#nextId;
    this.#nextId += 2;
    const block = this.#encoder.encode([
      [":method", "POST"],
      [":scheme", "http"],
      [":path", path],
      [":authority", this.#host],
      ["content-type", "application/grpc"],
      ["te", "trailers"],
      ...header,
    ]);
    const head = encodeFrame(FrameType.HEADERS, Flag.END_HEADERS, id, block);
    return { id, frames: concat([head, this.data(id, body, end)]) };
  }

  /** DATA frames of bytes, or one empty frame. */
  data(id: number, bytes: Uint8Array, end: boolean): Bytes {
    const frames: Bytes[] = [];
    for (let at = 0; at === 0 || at < bytes.length; at += FRAME) {
      const last = end && at + FRAME >= bytes.length;
      frames.push(
        encodeFrame(FrameType.DATA, last ? Flag.END_STREAM : 0, id, bytes.subarray(at, at + FRAME)),
      );
    }
    return concat(frames);
  }

  reset(id: number): Bytes {
    return encodeReset(id, 8); // CANCEL
  }

  /** The next frame, those of SETTINGS and PING answered; `undefined` when the server has hung up. */
  async read(): Promise<Frame | undefined> {
    while (this.#unread.length < FRAME_HEADER || this.#unread.length < FRAME_HEADER + this.#length) {
      const piece = new Uint8Array(65_536);
      let length: number | null;
      try {
        length = await this.#conn.read(piece);
      } catch (error) {
        if (error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe) return;
        throw error;
      }
      if (length === null) return undefined;
      this.#unread = concat([this.#unread, piece.subarray(0, length)]);
    }
    const end = FRAME_HEADER + this.#length;
    const [type, flags] = [this.#unread[3], this.#unread[4]];
    const frame = {
      type,
      flags,
      streamId: read31(this.#unread, 5),
      payload: this.#unread.slice(FRAME_HEADER, end),
    };
    this.#unread = this.#unread.subarray(end);
    const asks = (flags & Flag.ACK) === 0;
    if (type === FrameType.SETTINGS && asks) await this.write(SETTINGS_ACK);
    if (type === FrameType.PING && asks) await this.write(encodePing(frame.payload, true));
    return frame;
  }

  /** Bytes of the payload that begins what is unread. */
  get #length(): number {
    const [a, b, c] = this.#unread;
    return a << 16 | b << 8 | c;
  }

  /**
   * Reads until so many calls have ended. Returns what they were answered, joined, by their ids, and their `grpc-status`: none
   * for one that was reset, or cut off.
   */
  async answers(calls: number): Promise<Map<number, { status?: string; body: Bytes }>> {
    const ended = new Map<number, { status?: string; body: Bytes }>();
    const bodies = new Map<number, Bytes[]>();
    while (ended.size < calls) {
      const frame = await this.read();
      if (!frame) break;
      const { type, flags, streamId, payload } = frame;
      const pieces = bodies.get(streamId) ?? [];
      bodies.set(streamId, pieces);
      let status: string | undefined;
      if (type === FrameType.DATA) pieces.push(payload);
      if (type === FrameType.HEADERS) {
        // Every block must be read, for what follows leans on it.
        status = this.#decoder.decode(payload).find(([name]) => name === "grpc-status")?.[1];
      }
      const over = (type === FrameType.HEADERS || type === FrameType.DATA) && flags & Flag.END_STREAM;
      if (over || type === FrameType.RST_STREAM) {
        if (!this.#over.has(streamId)) ended.set(streamId, { status, body: concat(pieces) });
        this.#over.add(streamId); // a reset may still follow an answer
      }
    }
    return ended;
  }
}

/** As much as a client can let a server send. */
export const ENDLESS_WINDOW = MAX_31_BITS;

/** A message with one field of bytes, of number 1, in the frame of gRPC. */
export function framed(bytes: Uint8Array): Bytes {
  const length: number[] = [];
  for (let rest = bytes.length;; rest >>>= 7) {
    length.push(rest > 127 ? rest & 127 | 128 : rest);
    if (rest <= 127) break;
  }
  const message = concat([Uint8Array.of(0x0a, ...length), bytes]);
  const prefix = new Uint8Array(5);
  new DataView(prefix.buffer).setUint32(1, message.length);
  return concat([prefix, message]);
}
