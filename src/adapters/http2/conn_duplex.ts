/** A `Deno.Conn` (TCP or a Unix socket) as a {@link Duplex}. */
import type { Bytes } from "../../bytes/bytes.ts";
import type { Duplex } from "./duplex.ts";

export class ConnDuplex implements Duplex {
  readonly address: string;
  #conn: Deno.Conn;
  #closed = false;

  /** Takes over the connection. */
  constructor(conn: Deno.Conn) {
    this.#conn = conn;
    this.address = addressOf(conn.remoteAddr);
  }

  read(into: Bytes): Promise<number | null> {
    return this.#conn.read(into);
  }

  write(bytes: Bytes): Promise<number> {
    return this.#conn.write(bytes);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#conn.close();
  }
}

/** The address of an end of a connection, without its port. */
export function addressOf(addr: Deno.Addr): string {
  return "hostname" in addr ? addr.hostname : "unix";
}
