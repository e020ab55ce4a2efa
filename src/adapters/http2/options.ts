/** What a connection allows its peer, and how long it waits for it. */

export interface Http2Options {
  /** Streams a peer may have open at once; one more is refused. [256] */
  readonly maxConcurrentStreams: number;
  /** Bytes of a header list as RFC 9113 counts them: names, values, and 32 for each field. [16 KiB] */
  readonly maxHeaderListSize: number;
  /** Bytes of a header block as it is sent; and CONTINUATION frames of one. Over either ends the connection. [64 KiB, 32] */
  readonly maxHeaderBlockSize: number;
  readonly maxContinuations: number;
  /** Payload of a frame, from 16 KiB to 16 MiB. [256 KiB] */
  readonly maxFrameSize: number;
  /** Bytes received on a stream and not yet consumed, at least 65,535. [1 MiB] */
  readonly streamWindow: number;
  /** The same for all streams of a connection together. [4 MiB] */
  readonly connectionWindow: number;
  /** Bytes of answers such as PING and SETTINGS acks that wait because the peer does not read. [256 KiB] */
  readonly maxQueuedControl: number;
  /** Streams the peer may make useless at once by resetting them, and how many more each second. [1000, 200] */
  readonly resetBurst: number;
  readonly resetsPerSecond: number;
  /** Frames that move nothing on (PING, SETTINGS, PRIORITY, empty DATA, …) at once, and each second. [10000, 1000] */
  readonly idleFrameBurst: number;
  readonly idleFramesPerSecond: number;
  /** Milliseconds until the peer's preface is there. [10 s] */
  readonly prefaceMs: number;
  /** Milliseconds until a header block, or a frame that is not DATA, is there once it was begun. [10 s] */
  readonly headersMs: number;
  /** Milliseconds a connection may be without streams. [5 min] */
  readonly idleMs: number;
  /** Milliseconds a stream may wait for a peer that neither sends nor reads. [5 min] */
  readonly stallMs: number;
  /** Milliseconds for what is queued to be written when a connection ends, and for the peer to learn of that. [1 s] */
  readonly closeMs: number;
  /** A client without news for so long while streams are open asks with a PING. 0: it does not. [0] */
  readonly keepaliveMs: number;
  /** Milliseconds until such a PING must be answered. [20 s] */
  readonly keepaliveTimeoutMs: number;
  /** Told of handlers that throw. */
  readonly log: (line: string) => void;
}

export const DEFAULT_OPTIONS: Http2Options = {
  maxConcurrentStreams: 256,
  maxHeaderListSize: 16 * 1024,
  maxHeaderBlockSize: 64 * 1024,
  maxContinuations: 32,
  maxFrameSize: 256 * 1024,
  streamWindow: 1024 * 1024,
  connectionWindow: 4 * 1024 * 1024,
  maxQueuedControl: 256 * 1024,
  resetBurst: 1000,
  resetsPerSecond: 200,
  idleFrameBurst: 10_000,
  idleFramesPerSecond: 1000,
  prefaceMs: 10_000,
  headersMs: 10_000,
  idleMs: 300_000,
  stallMs: 300_000,
  closeMs: 1000,
  keepaliveMs: 0,
  keepaliveTimeoutMs: 20_000,
  log: () => {},
};

/** Milliseconds between two looks at what takes too long: often enough for the shortest time-out. */
export function roundMs(options: Http2Options): number {
  const { prefaceMs, headersMs, idleMs, stallMs, keepaliveTimeoutMs } = options;
  const keepaliveMs = options.keepaliveMs || Infinity;
  const shortest = Math.min(prefaceMs, headersMs, idleMs, stallMs, keepaliveTimeoutMs, keepaliveMs);
  return Math.min(1000, Math.max(10, shortest / 4));
}
