/** A pack that values are put into. */
import type { Bytes } from "../bytes/bytes.ts";
import { PackWriter } from "./pack_format.ts";

/** A pack that takes values, or is being written. */
export class OpenPack {
  readonly writer: PackWriter;
  readonly written = Promise.withResolvers<void>();
  readonly begun = performance.now();
  constructor(readonly buffer: Bytes) {
    this.writer = new PackWriter(buffer);
    this.written.promise.catch(() => {}); // each put reports it
  }
}
