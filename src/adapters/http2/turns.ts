/**
 * Streams that have something to send take turns: one frame of DATA each, as far as the windows and the outbox have room, so
 * that a large answer does not keep small ones waiting.
 */
import { DEFAULT_MAX_FRAME_SIZE, FRAME_HEADER } from "./frames.ts";
import type { HpackEncoder } from "./hpack_encoder.ts";
import type { Outbox } from "./outbox.ts";
import type { Outgoing, Stream } from "./stream.ts";
import type { SendWindow } from "./window.ts";

/** DATA of one turn at most, even if the peer takes larger frames. */
const TURN = 64 * 1024;
/** Not worth a frame while the rest of the buffer is that short, and there is more to send. */
const SHORT = 1024;

export class Turns {
  /** The largest payload the peer takes. */
  maxFrameSize = DEFAULT_MAX_FRAME_SIZE;
  #ready: Stream[] = [];
  #starved: Stream[] = [];
  #running = false;

  constructor(
    readonly outbox: Outbox,
    readonly encoder: HpackEncoder,
    /** The window of the connection. */
    readonly window: SendWindow,
    /** Told of streams that have sent their end. */
    readonly ended: (stream: Stream) => void,
    /** Told of streams whose bytes went into the outbox. */
    readonly moved: (stream: Stream) => void,
  ) {}

  /** A stream has something to send, or more room in its window. */
  add(stream: Stream): void {
    if (stream.sending === "nothing" || stream.sending === "window") {
      stream.sending = "turn";
      this.#ready.push(stream);
    }
    this.run();
  }

  /** The window of the connection has room again. */
  resume(): void {
    for (const stream of this.#starved) {
      stream.sending = "turn";
      this.#ready.push(stream);
    }
    this.#starved = [];
    this.run();
  }

  /** Gives turns while there is room. */
  run(): void {
    if (this.#running) return;
    this.#running = true;
    while (this.#ready.length > 0 && this.outbox.room > SHORT) {
      const stream = this.#ready.shift()!;
      stream.sending = this.#turn(stream);
      if (stream.sending === "turn") this.#ready.push(stream);
      else if (stream.sending === "connection") this.#starved.push(stream);
    }
    this.#running = false;
  }

  #turn(stream: Stream): Stream["sending"] {
    const { queue } = stream;
    while (queue.length > 0) {
      if (this.outbox.room <= SHORT) return "turn";
      const item = queue[0];
      if (item.kind === "data") {
        const sent = this.#data(stream, item);
        if (sent !== "nothing") return sent;
        queue.shift();
        item.taken?.resolve();
      } else {
        queue.shift();
        const end = item.kind === "end" || item.end;
        if (item.kind === "end") this.outbox.data(stream.id, EMPTY, 0, 0, true);
        else this.outbox.headers(stream.id, this.encoder.encode(item.fields), item.end, this.maxFrameSize);
        this.moved(stream);
        if (end) {
          this.ended(stream);
          return "nothing";
        }
      }
    }
    return "nothing";
  }

  /** Sends a frame of a piece. Returns what the rest waits for, `nothing` when all of it was sent. */
  #data(stream: Stream, item: Outgoing & { kind: "data" }): Stream["sending"] {
    const left = item.bytes.length - item.at;
    if (left === 0) return "nothing";
    if (stream.sendWindow.available <= 0) return "window";
    if (this.window.available <= 0) return "connection";
    const length = Math.min(
      left,
      stream.sendWindow.available,
      this.window.available,
      this.maxFrameSize,
      TURN,
      this.outbox.room - FRAME_HEADER,
    );
    this.outbox.data(stream.id, item.bytes, item.at, length, false);
    item.at += length;
    stream.sendWindow.take(length);
    this.window.take(length);
    this.moved(stream);
    return length === left ? "nothing" : "turn";
  }
}

const EMPTY = new Uint8Array(0);
