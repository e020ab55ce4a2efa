/**
 * Where many values lie, in little memory: about 50 bytes for each key that ends in a digest, as nearly all do. Such a key
 * is a row of numbers in a large array, found by hashing; the few others are kept in a `Map`.
 *
 *   row := digest (8 words)  pack << 8 | kind  offset  length      of 32 bits each
 *
 * `kind` numbers what stands before the digest (`chunk/`, `dir/`), from 1; in a free row it is 0.
 */

/** Where a value lies: a pack by number (below 2^24), bytes from its start, bytes. */
export interface Place {
  readonly pack: number;
  readonly offset: number;
  readonly length: number;
}

/** What packs may be numbered by. */
export const MAX_PACKS = 2 ** 24;

const DIGEST_DIGITS = 64;
const DIGEST_WORDS = 8;
const ROW_WORDS = DIGEST_WORDS + 3;
/** Rows are added by the page, so that growing copies nothing. */
const PAGE_ROWS = 4096;
const KINDS = 255;

export class PlaceTable {
  #others = new Map<string, Place>();
  /** What stands before the digest, by kind less 1. */
  #kinds: string[] = [];
  #pages: Uint32Array[] = [];
  /** Rows in use or free. */
  #rows = 0;
  #free: number[] = [];
  /** Numbers of rows plus 1, by hash, each in the first free place from there on; 0 where none is. */
  #slots = new Uint32Array(1024);
  /** Lists under way. Meanwhile no free row is used again, or they could meet a key out of order. */
  #lists = 0;
  /** Keys are digests, but whoever makes the values may choose them to collide; not knowing this, nobody can. */
  #seed = crypto.getRandomValues(new Uint32Array(2));
  /** The key that was asked for last: its kind and words. */
  #kind = 0;
  #words = new Uint32Array(DIGEST_WORDS);

  /** How many keys there are. */
  get size(): number {
    return this.#others.size + this.#rows - this.#free.length;
  }

  get(key: string): Place | undefined {
    if (!this.#parse(key, false)) return this.#others.get(key);
    const row = this.#slots[this.#find()];
    return row === 0 ? undefined : this.#placeOf(row - 1);
  }

  /** Adds a key, or moves it. */
  set(key: string, place: Place): void {
    if (this.add(key, place)) return;
    if (!this.#parse(key, true)) this.#others.set(key, place);
    else this.#write(this.#slots[this.#find()] - 1, place);
  }

  /** Adds a key unless it is there. Returns whether it was added. */
  add(key: string, place: Place): boolean {
    if (!this.#parse(key, true)) {
      if (this.#others.has(key)) return false;
      this.#others.set(key, place);
      return true;
    }
    let slot = this.#find();
    if (this.#slots[slot] !== 0) return false;
    if (this.#rows - this.#free.length >= this.#slots.length * 0.7) {
      this.#grow();
      slot = this.#find();
    }
    const row = this.#takeRow();
    this.#slots[slot] = row + 1;
    this.#write(row, place);
    return true;
  }

  /** Removes a key, and returns where it was. */
  delete(key: string): Place | undefined {
    if (!this.#parse(key, false)) {
      const place = this.#others.get(key);
      this.#others.delete(key);
      return place;
    }
    const slot = this.#find();
    const row = this.#slots[slot] - 1;
    if (row < 0) return undefined;
    const place = this.#placeOf(row);
    this.#close(slot);
    this.#pages[Math.floor(row / PAGE_ROWS)][(row % PAGE_ROWS) * ROW_WORDS + DIGEST_WORDS] = 0;
    this.#free.push(row);
    return place;
  }

  /** Keys that begin with `prefix`, in byte order. Those that come meanwhile may be missed. */
  *keys(prefix: string): Generator<string, void, void> {
    this.#lists++;
    try {
      const sources = [
        [...this.#others.keys()].filter((key) => key.startsWith(prefix)).sort()[Symbol.iterator](),
        ...this.#kinds.map((_, i) => this.#keysOfKind(i + 1, prefix)),
      ];
      const heads = sources.map((source) => source.next());
      while (true) {
        let first = -1;
        for (const [i, { done, value }] of heads.entries()) {
          if (!done && (first < 0 || value < heads[first].value!)) first = i;
        }
        if (first < 0) return;
        const key = heads[first].value!;
        heads[first] = sources[first].next();
        if (this.get(key)) yield key;
      }
    } finally {
      this.#lists--;
    }
  }

  *#keysOfKind(kind: number, prefix: string): Generator<string, void, void> {
    const before = this.#kinds[kind - 1];
    const common = Math.min(before.length, prefix.length);
    if (before.slice(0, common) !== prefix.slice(0, common)) return;
    const digits = prefix.slice(before.length);
    const rows: number[] = [];
    for (let row = 0; row < this.#rows; row++) {
      const page = this.#pages[Math.floor(row / PAGE_ROWS)];
      const at = (row % PAGE_ROWS) * ROW_WORDS;
      if ((page[at + DIGEST_WORDS] & 0xff) !== kind) continue;
      if (digits === "" || this.#digitsOf(row).startsWith(digits)) rows.push(row);
    }
    const sorted = Uint32Array.from(rows).sort((a, b) => this.#compare(a, b));
    for (const row of sorted) {
      const at = (row % PAGE_ROWS) * ROW_WORDS;
      const still = this.#pages[Math.floor(row / PAGE_ROWS)][at + DIGEST_WORDS] & 0xff;
      if (still === kind) yield before + this.#digitsOf(row);
    }
  }

  /** Takes a key apart into kind and words. False if it does not end in a digest, or its kind is not known. */
  #parse(key: string, add: boolean): boolean {
    const start = key.length - DIGEST_DIGITS;
    if (start < 0) return false;
    for (let i = 0, at = start; i < DIGEST_WORDS; i++) {
      let word = 0;
      for (const end = at + 8; at < end; at++) {
        const code = key.charCodeAt(at);
        if (code >= 48 && code <= 57) word = word << 4 | (code - 48);
        else if (code >= 97 && code <= 102) word = word << 4 | (code - 87);
        else return false;
      }
      this.#words[i] = word;
    }
    for (let kind = 1; kind <= this.#kinds.length; kind++) {
      const before = this.#kinds[kind - 1];
      if (before.length !== start || !key.startsWith(before)) continue;
      this.#kind = kind;
      return true;
    }
    if (!add || this.#kinds.length === KINDS) return false;
    this.#kinds.push(key.slice(0, start));
    this.#kind = this.#kinds.length;
    return true;
  }

  /** The slot of the key that was parsed last, or the free one where it would stand. */
  #find(): number {
    const mask = this.#slots.length - 1;
    for (let slot = this.#hash(this.#words, 0, this.#kind) & mask;; slot = slot + 1 & mask) {
      const row = this.#slots[slot] - 1;
      if (row < 0 || this.#isAt(row)) return slot;
    }
  }

  #isAt(row: number): boolean {
    const page = this.#pages[Math.floor(row / PAGE_ROWS)];
    const at = (row % PAGE_ROWS) * ROW_WORDS;
    for (let i = 0; i < DIGEST_WORDS; i++) if (page[at + i] !== this.#words[i]) return false;
    return (page[at + DIGEST_WORDS] & 0xff) === this.#kind;
  }

  #hash(words: Uint32Array, at: number, kind: number): number {
    const mixed = Math.imul(words[at] ^ this.#seed[0], 0x9e3779b1) ^
      Math.imul(words[at + 1] ^ this.#seed[1], 0x85ebca6b) ^ Math.imul(kind, 0xc2b2ae35);
    return (mixed ^ mixed >>> 15) >>> 0;
  }

  #hashOfRow(row: number): number {
    const page = this.#pages[Math.floor(row / PAGE_ROWS)];
    const at = (row % PAGE_ROWS) * ROW_WORDS;
    return this.#hash(page, at, page[at + DIGEST_WORDS] & 0xff);
  }

  /** Frees a slot, and moves those up that stand behind it and would no longer be found. */
  #close(slot: number): void {
    const mask = this.#slots.length - 1;
    let gap = slot;
    for (let next = slot + 1 & mask; this.#slots[next] !== 0; next = next + 1 & mask) {
      const home = this.#hashOfRow(this.#slots[next] - 1) & mask;
      if ((next - home & mask) < (next - gap & mask)) continue; // it is found without crossing the gap
      this.#slots[gap] = this.#slots[next];
      gap = next;
    }
    this.#slots[gap] = 0;
  }

  #grow(): void {
    const rows = this.#slots.filter((row) => row > 0);
    this.#slots = new Uint32Array(this.#slots.length * 2);
    const mask = this.#slots.length - 1;
    for (const row of rows) {
      let slot = this.#hashOfRow(row - 1) & mask;
      while (this.#slots[slot] !== 0) slot = slot + 1 & mask;
      this.#slots[slot] = row;
    }
  }

  /** Writes the key that was parsed last, and its place. */
  #write(row: number, place: Place): void {
    const page = this.#pages[Math.floor(row / PAGE_ROWS)];
    const at = (row % PAGE_ROWS) * ROW_WORDS;
    page.set(this.#words, at);
    page[at + DIGEST_WORDS] = place.pack << 8 | this.#kind;
    page[at + DIGEST_WORDS + 1] = place.offset;
    page[at + DIGEST_WORDS + 2] = place.length;
  }

  #takeRow(): number {
    if (this.#lists === 0 && this.#free.length > 0) return this.#free.pop()!;
    if (this.#rows === this.#pages.length * PAGE_ROWS) {
      this.#pages.push(new Uint32Array(PAGE_ROWS * ROW_WORDS));
    }
    return this.#rows++;
  }

  #placeOf(row: number): Place {
    const page = this.#pages[Math.floor(row / PAGE_ROWS)];
    const at = (row % PAGE_ROWS) * ROW_WORDS + DIGEST_WORDS;
    return { pack: page[at] >>> 8, offset: page[at + 1], length: page[at + 2] };
  }

  #digitsOf(row: number): string {
    const page = this.#pages[Math.floor(row / PAGE_ROWS)];
    const at = (row % PAGE_ROWS) * ROW_WORDS;
    let digits = "";
    for (let i = 0; i < DIGEST_WORDS; i++) digits += page[at + i].toString(16).padStart(8, "0");
    return digits;
  }

  #compare(a: number, b: number): number {
    const [pageA, pageB] = [this.#pages[Math.floor(a / PAGE_ROWS)], this.#pages[Math.floor(b / PAGE_ROWS)]];
    const [atA, atB] = [(a % PAGE_ROWS) * ROW_WORDS, (b % PAGE_ROWS) * ROW_WORDS];
    for (let i = 0; i < DIGEST_WORDS; i++) {
      if (pageA[atA + i] !== pageB[atB + i]) return pageA[atA + i] < pageB[atB + i] ? -1 : 1;
    }
    return 0;
  }
}
