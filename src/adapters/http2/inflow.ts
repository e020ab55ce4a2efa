/**
 * DATA that comes in on a connection: counted against its windows, copied to the bodies when a read has been cut up, and
 * given back to the windows as bodies are read.
 */
import type { Bytes } from "../../bytes/bytes.ts";
import { encodeWindowUpdate } from "./frames.ts";
import type { HeldBytes } from "./held_bytes.ts";
import { ConnectionFault, ErrorCode, StreamFault } from "./http2_error.ts";
import type { Outbox } from "./outbox.ts";
import type { Stream } from "./stream.ts";
import { ReceiveWindow } from "./window.ts";

export class Inflow {
  readonly #window: ReceiveWindow;
  #held = 0;
  /** The stream of the DATA that is being read; none if its bytes are dropped. */
  #target: Stream | undefined;
  #touched = new Set<Stream>();

  /**
   * @param windowSize of the connection, in bytes
   * @param total what all connections hold
   */
  constructor(readonly outbox: Outbox, windowSize: number, readonly total: HeldBytes) {
    this.#window = new ReceiveWindow(windowSize);
  }

  /** Bytes of this connection that nobody has taken yet. */
  get held(): number {
    return this.#held;
  }

  /** Bytes of a body were taken, or dropped. */
  consumed(stream: Stream, bytes: number): void {
    this.#held -= bytes;
    this.total.give(bytes);
    this.#giveBack(bytes);
    if (!stream.remoteEnded && !stream.failure && !stream.body.left) this.#allow(stream, bytes);
  }

  /** DATA has come, of so many bytes with padding. Throws {@link ConnectionFault} if there are more than may be. */
  count(length: number, padding: number): void {
    this.#target = undefined;
    if (!this.#window.receive(length)) {
      throw new ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "DATA beyond the window of the connection");
    }
    this.#giveBack(padding);
  }

  /** That DATA belongs to an open stream. Throws {@link StreamFault} if it must not come. */
  accept(stream: Stream, length: number, padding: number): void {
    if (stream.remoteEnded) throw new StreamFault(stream.id, ErrorCode.STREAM_CLOSED, "DATA after its end");
    if (!stream.headed) throw new StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, "DATA before its head");
    if (!stream.receiveWindow.receive(length)) {
      throw new StreamFault(stream.id, ErrorCode.FLOW_CONTROL_ERROR, "DATA beyond its window");
    }
    if (stream.expected !== undefined) {
      stream.expected -= length - padding;
      if (stream.expected < 0) {
        throw new StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, "a body longer than content-length");
      }
    }
    if (padding > 0) this.#allow(stream, padding);
    this.#target = stream;
  }

  /** A part of that DATA, valid until {@link settle}. */
  arrive(part: Bytes): void {
    const stream = this.#target;
    if (!stream || stream.failure) return this.#giveBack(part.length);
    this.#held += part.length;
    this.total.add(part.length);
    this.#touched.add(stream);
    stream.body.arrive(part);
  }

  /** All of that DATA was read. Returns its stream, if it was accepted and is still open. */
  finish(): Stream | undefined {
    const stream = this.#target;
    this.#target = undefined;
    return stream?.failure ? undefined : stream;
  }

  /** Hands to the bodies what one read brought. */
  settle(): void {
    for (const stream of this.#touched) stream.body.settle();
    this.#touched.clear();
  }

  #giveBack(bytes: number): void {
    const increment = this.#window.consume(bytes);
    if (increment > 0) this.outbox.control(encodeWindowUpdate(0, increment));
  }

  #allow(stream: Stream, bytes: number): void {
    const increment = stream.receiveWindow.consume(bytes);
    if (increment > 0) this.outbox.control(encodeWindowUpdate(stream.id, increment));
  }
}
