/**
 * What goes wrong in HTTP/2: with a whole connection, or with one of its streams (RFC 9113, sections 5.4 and 7).
 */

/** The error codes of RFC 9113, section 7. */
export const ErrorCode = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  CONNECT_ERROR: 0xa,
  ENHANCE_YOUR_CALM: 0xb,
  INADEQUATE_SECURITY: 0xc,
  HTTP_1_1_REQUIRED: 0xd,
} as const;

const NAMES = Object.keys(ErrorCode);

/** The name of an error code, for messages. */
export function codeName(code: number): string {
  return NAMES[code] ?? `error ${code}`;
}

/** A stream, or the connection it runs on, that ended before its time. What request bodies and clients' calls throw. */
export class Http2Error extends Error {
  override readonly name: string = "Http2Error";
  /** Whether the peer has certainly not begun to process the request, so that it may be sent again. */
  readonly retryable: boolean;

  /** @param code one of {@link ErrorCode}, or what the peer sent instead */
  constructor(readonly code: number, message: string, options: ErrorOptions & { retryable?: boolean } = {}) {
    super(message, options);
    this.retryable = options.retryable ?? false;
  }
}

/** What the peer did that ends the connection. */
export class ConnectionFault extends Http2Error {
  /** @param fault what the peer did; goes into GOAWAY as its debug data */
  constructor(code: number, readonly fault: string) {
    super(code, `Cannot go on with this HTTP/2 connection: ${fault} (${codeName(code)})`);
  }
}

/** What the peer did that ends one stream. */
export class StreamFault extends Http2Error {
  constructor(readonly streamId: number, code: number, readonly fault: string) {
    super(code, `Cannot go on with HTTP/2 stream ${streamId}: ${fault} (${codeName(code)})`);
  }
}
