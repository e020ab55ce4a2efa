/**
 * The two tables of HPACK (RFC 7541, section 2.3): one that is always the same, and one that each direction of a connection
 * fills as it goes. Index 1 to 61 are the static table, 62 is the field that was added last, and so on to the oldest.
 */

/** A header field. Both strings have one byte a character. Fields are shared with the tables: not to be changed. */
export type HeaderField = readonly [name: string, value: string];

/** Appendix A, from index 1. */
export const STATIC_TABLE: readonly HeaderField[] = [
  [":authority", ""],
  [":method", "GET"],
  [":method", "POST"],
  [":path", "/"],
  [":path", "/index.html"],
  [":scheme", "http"],
  [":scheme", "https"],
  [":status", "200"],
  [":status", "204"],
  [":status", "206"],
  [":status", "304"],
  [":status", "400"],
  [":status", "404"],
  [":status", "500"],
  ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"],
  ["accept-language", ""],
  ["accept-ranges", ""],
  ["accept", ""],
  ["access-control-allow-origin", ""],
  ["age", ""],
  ["allow", ""],
  ["authorization", ""],
  ["cache-control", ""],
  ["content-disposition", ""],
  ["content-encoding", ""],
  ["content-language", ""],
  ["content-length", ""],
  ["content-location", ""],
  ["content-range", ""],
  ["content-type", ""],
  ["cookie", ""],
  ["date", ""],
  ["etag", ""],
  ["expect", ""],
  ["expires", ""],
  ["from", ""],
  ["host", ""],
  ["if-match", ""],
  ["if-modified-since", ""],
  ["if-none-match", ""],
  ["if-range", ""],
  ["if-unmodified-since", ""],
  ["last-modified", ""],
  ["link", ""],
  ["location", ""],
  ["max-forwards", ""],
  ["proxy-authenticate", ""],
  ["proxy-authorization", ""],
  ["range", ""],
  ["referer", ""],
  ["refresh", ""],
  ["retry-after", ""],
  ["server", ""],
  ["set-cookie", ""],
  ["strict-transport-security", ""],
  ["transfer-encoding", ""],
  ["user-agent", ""],
  ["vary", ""],
  ["via", ""],
  ["www-authenticate", ""],
];

/** What a field counts beside its strings (section 4.1). */
const OVERHEAD = 32;

/** What a field counts against the size of a table and of a list, in bytes. */
export function sizeOf(field: HeaderField): number {
  return field[0].length + field[1].length + OVERHEAD;
}

/** The fields that were added last and fit. Fields are numbered from 0 in the order they were added. */
export class DynamicTable {
  /** Fields from number `#base` on; those before `#first` have left. */
  #fields: (HeaderField | undefined)[] = [];
  #base = 0;
  #first = 0;
  #size = 0;
  #evicted: (field: HeaderField, number: number) => void;

  /**
   * @param capacity most that the sizes of the fields may be together
   * @param evicted hears of each field that leaves, oldest first
   */
  constructor(public capacity: number, evicted: (field: HeaderField, number: number) => void = () => {}) {
    this.#evicted = evicted;
  }

  /** How many fields there are. */
  get count(): number {
    return this.added - this.#first;
  }

  /** How many fields were ever added: the number of the next one. */
  get added(): number {
    return this.#base + this.#fields.length;
  }

  /** The field that is so many fields older than the newest one, when there is one. */
  get(age: number): HeaderField | undefined {
    return age < this.count ? this.#fields[this.#fields.length - 1 - age] : undefined;
  }

  /** Adds a field, for which older ones leave. Returns whether it fits; if not, the table is empty now (section 4.4). */
  add(field: HeaderField): boolean {
    const size = sizeOf(field);
    this.#evictTo(this.capacity - size);
    if (size > this.capacity) return false;
    this.#fields.push(field);
    this.#size += size;
    return true;
  }

  /** Changes the capacity (section 4.3). */
  resize(capacity: number): void {
    this.capacity = capacity;
    this.#evictTo(capacity);
  }

  #evictTo(size: number): void {
    while (this.#size > size && this.count > 0) {
      const at = this.#first - this.#base;
      const oldest = this.#fields[at]!;
      this.#fields[at] = undefined;
      this.#size -= sizeOf(oldest);
      this.#evicted(oldest, this.#first++);
    }
    // Now and then, so that it costs next to nothing: the places of those that left.
    const left = this.#first - this.#base;
    if (left < 64 || left * 2 < this.#fields.length) return;
    this.#fields.splice(0, left);
    this.#base = this.#first;
  }
}
