/**
 * The frames of HTTP/2 (RFC 9113, sections 4 and 6), as bytes. What a frame means for a connection is not known here.
 *
 *   frame      = length type flags stream payload
 *   length     = 3 bytes: of the payload; at most SETTINGS_MAX_FRAME_SIZE of who receives it
 *   type flags = 1 byte each
 *   stream     = 4 bytes; the first bit is reserved and ignored; 0 is the connection
 *   payload    = by type:
 *     DATA           [pad length: 1] data padding
 *     HEADERS        [pad length: 1] [dependency: 4, weight: 1] block padding
 *     PRIORITY       dependency: 4, weight: 1
 *     RST_STREAM     error code: 4
 *     SETTINGS       (id: 2, value: 4)*
 *     PUSH_PROMISE   [pad length: 1] promised stream: 4, block padding
 *     PING           8 bytes
 *     GOAWAY         last stream: 4, error code: 4, debug data
 *     WINDOW_UPDATE  increment: 4
 *     CONTINUATION   block
 *
 * Numbers are big-endian.
 */
import { type Bytes, fromText } from "../../bytes/bytes.ts";
import { ConnectionFault, ErrorCode, StreamFault } from "./http2_error.ts";

export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const Flag = { ACK: 0x1, END_STREAM: 0x1, END_HEADERS: 0x4, PADDED: 0x8, PRIORITY: 0x20 } as const;

/** Bytes before a payload. */
export const FRAME_HEADER = 9;
/** The largest payload everybody takes, and what holds until a peer says more. */
export const DEFAULT_MAX_FRAME_SIZE = 16_384;
/** The largest a window may become, and the largest stream identifier. */
export const MAX_31_BITS = 0x7fff_ffff;

/** What a client sends first (RFC 9113, section 3.4). */
export const PREFACE: Bytes = fromText("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** A number of four bytes, without its first bit. */
export function read31(bytes: Bytes, at: number): number {
  return read32(bytes, at) & MAX_31_BITS;
}

/** A number of four bytes. */
export function read32(bytes: Bytes, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}

function put32(bytes: Bytes, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Writes the nine bytes before a payload. */
export function putFrameHeader(
  into: Bytes,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  into[at] = length >>> 16;
  into[at + 1] = length >>> 8;
  into[at + 2] = length;
  into[at + 3] = type;
  into[at + 4] = flags;
  put32(into, at + 5, streamId);
}

/** A whole frame around a payload. */
export function encodeFrame(type: number, flags: number, streamId: number, payload: Uint8Array): Bytes {
  const frame = new Uint8Array(FRAME_HEADER + payload.length);
  putFrameHeader(frame, 0, payload.length, type, flags, streamId);
  frame.set(payload, FRAME_HEADER);
  return frame;
}

/** A frame of some numbers of four bytes. */
function encodeNumbers(type: number, streamId: number, ...numbers: number[]): Bytes {
  const frame = new Uint8Array(FRAME_HEADER + 4 * numbers.length);
  putFrameHeader(frame, 0, 4 * numbers.length, type, 0, streamId);
  numbers.forEach((number, i) => put32(frame, FRAME_HEADER + 4 * i, number));
  return frame;
}

export function encodeReset(streamId: number, code: number): Bytes {
  return encodeNumbers(FrameType.RST_STREAM, streamId, code);
}

export function encodeWindowUpdate(streamId: number, increment: number): Bytes {
  return encodeNumbers(FrameType.WINDOW_UPDATE, streamId, increment);
}

/** @param opaque eight bytes */
export function encodePing(opaque: Uint8Array, ack: boolean): Bytes {
  return encodeFrame(FrameType.PING, ack ? Flag.ACK : 0, 0, opaque);
}

/** @param debug a short text for whoever reads a trace */
export function encodeGoAway(lastStreamId: number, code: number, debug: string): Bytes {
  const text = fromText(debug);
  const payload = new Uint8Array(8 + text.length);
  put32(payload, 0, lastStreamId);
  put32(payload, 4, code);
  payload.set(text, 8);
  return encodeFrame(FrameType.GOAWAY, 0, 0, payload);
}

/**
 * Checks what the header of a frame alone tells: its length against its type, and whether its type belongs to a stream.
 * Throws {@link ConnectionFault}, or {@link StreamFault} where only the stream is concerned.
 */
export function checkFrame(
  type: number,
  flags: number,
  length: number,
  streamId: number,
  maxSize: number,
): void {
  if (length > maxSize) {
    throw new ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, `a frame of ${length} bytes, over ${maxSize}`);
  }
  switch (type) {
    case FrameType.DATA:
    case FrameType.HEADERS:
    case FrameType.CONTINUATION:
    case FrameType.PUSH_PROMISE:
      ofStream(streamId);
      return;
    case FrameType.PRIORITY:
      ofStream(streamId);
      if (length !== 5) {
        throw new StreamFault(streamId, ErrorCode.FRAME_SIZE_ERROR, "PRIORITY that is not 5 bytes");
      }
      return;
    case FrameType.RST_STREAM:
      ofStream(streamId);
      return ofSize(length === 4, "RST_STREAM");
    case FrameType.SETTINGS:
      ofConnection(streamId);
      return ofSize((flags & Flag.ACK) !== 0 ? length === 0 : length % 6 === 0, "SETTINGS");
    case FrameType.PING:
      ofConnection(streamId);
      return ofSize(length === 8, "PING");
    case FrameType.GOAWAY:
      ofConnection(streamId);
      return ofSize(length >= 8, "GOAWAY");
    case FrameType.WINDOW_UPDATE:
      return ofSize(length === 4, "WINDOW_UPDATE");
  }
}

function ofSize(right: boolean, name: string): void {
  if (!right) throw new ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, `${name} of a wrong length`);
}

function ofStream(streamId: number): void {
  if (streamId === 0) throw new ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a frame of a stream on stream 0");
}

function ofConnection(streamId: number): void {
  if (streamId !== 0) {
    throw new ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a frame of the connection on a stream");
  }
}
