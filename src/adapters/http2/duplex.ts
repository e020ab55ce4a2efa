/** Where an HTTP/2 connection runs: a byte stream each way. A `Deno.Conn` is one. */
import type { Bytes } from "../../bytes/bytes.ts";

export interface Duplex {
  /** The other end's address: `192.0.2.1`, `2001:db8::1`; `unix` for a Unix socket; `undefined` where there is none. */
  readonly address?: string;
  /**
   * Reads what is there, at least one byte, to the front of the given array: how many bytes, or `null` when the peer will
   * send no more. One read at a time. Rejects when the stream broke or was closed.
   */
  read(into: Bytes): Promise<number | null>;
  /**
   * Writes at least one byte from the front of the given array and says how many. The bytes must not change until then.
   * One write at a time. Rejects when the stream broke or was closed.
   */
  write(bytes: Bytes): Promise<number>;
  /** Ends both directions. What was written before is still delivered if the platform can. Called once. */
  close(): void;
}
