/** DATA and headers that go out on a connection: what the peer's settings and windows allow, and whose turn it is. */
import type { Bytes } from "../../bytes/bytes.ts";
import { HpackEncoder } from "./hpack_encoder.ts";
import { ConnectionFault, ErrorCode, StreamFault } from "./http2_error.ts";
import type { Outbox } from "./outbox.ts";
import { decodeSettings, SettingId } from "./settings.ts";
import type { Stream } from "./stream.ts";
import { Turns } from "./turns.ts";
import { DEFAULT_WINDOW, SendWindow } from "./window.ts";

/** Streams of a peer that does not say how many it takes. */
const USUAL_STREAMS = 100;

export class Outflow {
  #maxStreams: number | undefined;
  readonly #encoder = new HpackEncoder();
  readonly #window = new SendWindow(DEFAULT_WINDOW);
  readonly #turns: Turns;
  #streamWindow = DEFAULT_WINDOW;

  /**
   * @param ended told of streams whose end is in the outbox
   * @param moved told of streams of which something is
   */
  constructor(outbox: Outbox, ended: (stream: Stream) => void, moved: (stream: Stream) => void) {
    this.#turns = new Turns(outbox, this.#encoder, this.#window, ended, moved);
  }

  /** Streams the peer lets be open at once. One until its settings are there: more might be refused. */
  get maxStreams(): number {
    return this.#maxStreams ?? 1;
  }

  /** The window of a new stream. */
  newWindow(): SendWindow {
    return new SendWindow(this.#streamWindow);
  }

  /** A stream has something to send. */
  ready(stream: Stream): void {
    this.#turns.add(stream);
  }

  /** The outbox has room. */
  run(): void {
    this.#turns.run();
  }

  /** Settings of the peer. Throws {@link ConnectionFault} for those it must not make. */
  settings(payload: Bytes, fromServer: boolean, streams: Iterable<Stream>): void {
    this.#maxStreams ??= USUAL_STREAMS;
    for (const [id, value] of decodeSettings(payload, fromServer)) {
      if (id === SettingId.HEADER_TABLE_SIZE) this.#encoder.setMaxTableSize(value);
      else if (id === SettingId.MAX_CONCURRENT_STREAMS) this.#maxStreams = value;
      else if (id === SettingId.MAX_FRAME_SIZE) this.#turns.maxFrameSize = value;
      else if (id === SettingId.INITIAL_WINDOW_SIZE) {
        const change = value - this.#streamWindow;
        this.#streamWindow = value;
        for (const stream of streams) {
          if (!this.#widen(stream, change)) {
            throw new ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a window that is too large");
          }
        }
      }
    }
  }

  /** WINDOW_UPDATE of the connection. Throws {@link ConnectionFault}. */
  widenAll(increment: number): void {
    if (increment === 0) throw new ConnectionFault(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0");
    if (!this.#window.add(increment)) {
      throw new ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a window that is too large");
    }
    this.#turns.resume();
  }

  /** WINDOW_UPDATE of a stream, open or closed. Throws {@link StreamFault}. */
  widen(streamId: number, increment: number, stream: Stream | undefined): void {
    if (increment === 0) throw new StreamFault(streamId, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0");
    if (stream && !this.#widen(stream, increment)) {
      throw new StreamFault(streamId, ErrorCode.FLOW_CONTROL_ERROR, "a window that is too large");
    }
  }

  #widen(stream: Stream, bytes: number): boolean {
    const fits = stream.sendWindow.add(bytes);
    if (fits && stream.sending === "window") this.#turns.add(stream);
    return fits;
  }
}
