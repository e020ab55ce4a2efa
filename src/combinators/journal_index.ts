/**
 * An index of packs for a home with few enough values for memory, as a browser tab is: every key and its place in a compact
 * table, read from a journal at opening. Looking up is immediate. Others may write to the same journal, so the
 * rest of it is read when a key is not found, before a key that is found is relied on, and with each change.
 */
import type { Bytes } from "../bytes/bytes.ts";
import { LimitError } from "../errors.ts";
import type { PackEntry, PackIndex, PackLocation, StoredLength } from "./pack_index.ts";
import type { JournalFollower, NumberedChange, PackChange, PackJournal } from "./pack_journal.ts";
import { MAX_PACKS, type Place, PlaceTable } from "./place_table.ts";

/** Changes that make no difference any more are dropped at opening if there are so many. */
const MANY_IDLE = 256;

/** Opens the index that a journal holds. */
export async function openJournalIndex(journal: PackJournal): Promise<JournalIndex> {
  const index = new JournalIndex(journal);
  await journal.follow(index);
  await index.opened();
  return index;
}

/** A pack that the journal names. */
interface KnownPack {
  readonly pack: string;
  readonly small: boolean;
  /** Its last change in the journal. */
  change: number;
  /** Values in it, and their bytes. */
  held: number;
  heldBytes: number;
  /** Those of them that are found there. */
  values: number;
  live: number;
}

export class JournalIndex implements PackIndex, JournalFollower {
  complete = false;
  seen = 0;
  #journal: PackJournal;
  #places = new PlaceTable();
  /** By the numbers that places have. */
  #packs: (KnownPack | undefined)[] = [];
  #free: number[] = [];
  #numbers = new Map<string, number>();
  #rounds = new ReadingRounds(() => this.#journal.follow(this));
  /** While it is opened: changes that made no difference, so that whoever reads the journal from its beginning can do without. */
  #idle: number[] | undefined = [];

  constructor(journal: PackJournal) {
    this.#journal = journal;
  }

  /** It has read the journal from its beginning. */
  async opened(): Promise<void> {
    const idle = this.#idle!;
    this.#idle = undefined;
    if (idle.length >= MANY_IDLE) await this.#journal.drop(idle);
  }

  take(changes: readonly NumberedChange[]): void {
    for (const { number, change } of changes) {
      if (number <= this.seen) continue;
      switch (change.type) {
        case "pack":
        case "moved":
          this.#addPack(change, number);
          break;
        case "forgotten": {
          const forgotten = change.keys.filter((key) => this.#forget(key));
          if (forgotten.length === 0) this.#idle?.push(number);
          break;
        }
        case "removed":
          this.#removePack(change.pack);
          break;
        case "complete":
          this.complete = true;
      }
      this.seen = number;
    }
  }

  get(key: string): PackLocation | undefined | Promise<PackLocation | undefined> {
    return this.#locate(key) ?? this.#rounds.join().then(() => this.#locate(key));
  }

  confirm(key: string): undefined | Promise<PackLocation | undefined> {
    return this.#places.get(key) && this.#rounds.join().then(() => this.#locate(key));
  }

  hasPack(pack: string): boolean {
    return this.#numbers.has(pack);
  }

  add(pack: string, small: boolean, entries: readonly PackEntry[]): Promise<void> {
    const change = packChange(pack, small, entries);
    return this.#journal.append(this, () => change);
  }

  addWith(pack: string, small: boolean, entries: readonly PackEntry[], bytes: Bytes): Promise<void> {
    const change = packChange(pack, small, entries);
    return this.#journal.append(this, () => change, { pack: { key: pack, small, bytes } });
  }

  /** Adds a pack of values that lie in other packs; those that do not lie there any more stay where they are, or forgotten. */
  move(
    pack: string,
    small: boolean,
    entries: readonly (PackEntry & { readonly from: string })[],
  ): Promise<void> {
    const change: PackChange = { type: "moved", pack, small, entries: [...entries] };
    return this.#journal.append(this, () => change);
  }

  /** Every pack, and what it is used for: values found in it and their bytes, and bytes of others that it holds. */
  async *packs(): AsyncGenerator<PackUse, void, void> {
    await this.#rounds.join();
    for (const known of [...this.#packs]) {
      if (!known) continue;
      const { pack, small, values, live, heldBytes } = known;
      yield { pack, small, values, live, dead: heldBytes - live };
    }
  }

  /** Removes a pack in which no value is found, itself too, in one transaction. If a value is found there again, it stays. */
  async removePack(pack: string): Promise<void> {
    const known = () => this.#known(pack);
    await this.#rounds.join();
    const { small = false } = known() ?? {};
    await this.#journal.append(this, () => known()?.values === 0 ? { type: "removed", pack } : undefined, {
      pack: { key: pack, small },
      drop: () => [known()!.change],
    });
  }

  delete(key: string): Promise<void> {
    return this.#journal.append(
      this,
      () => this.#places.get(key) && { type: "forgotten", keys: [key] },
    );
  }

  deletedFrom(pack: string): readonly string[] | Promise<readonly string[]> {
    const known = this.#known(pack);
    return known && known.values < known.held ? this.#notIn(known) : [];
  }

  async *list(prefix: string): AsyncGenerator<string, void, void> {
    await this.#rounds.join();
    yield* this.#places.keys(prefix);
  }

  async *lengths(prefix: string): AsyncGenerator<StoredLength, void, void> {
    await this.#rounds.join();
    for (const key of this.#places.keys(prefix)) yield { key, length: this.#places.get(key)!.length };
  }

  async setComplete(): Promise<void> {
    await this.#journal.append(this, () => this.complete ? undefined : { type: "complete" });
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #known(pack: string): KnownPack | undefined {
    const number = this.#numbers.get(pack);
    return number === undefined ? undefined : this.#packs[number];
  }

  #locate(key: string): PackLocation | undefined {
    const place = this.#places.get(key);
    if (!place) return undefined;
    const { pack, small } = this.#packs[place.pack]!;
    return { pack, small, offset: place.offset, length: place.length };
  }

  /** The values of a pack that are not found in it: forgotten, or found elsewhere. */
  async #notIn({ change, pack }: KnownPack): Promise<string[]> {
    const record = await this.#journal.get(change);
    if (record?.type !== "pack" && record?.type !== "moved") return []; // somebody has removed it
    return record.entries.map(({ key }) => key).filter((key) => this.#locate(key)?.pack !== pack);
  }

  #addPack(record: PackChange & { type: "pack" | "moved" }, change: number): void {
    const number = this.#numberOf(record.pack, record.small);
    const known = this.#packs[number]!;
    known.change = change;
    known.held = record.entries.length;
    known.heldBytes = record.entries.reduce((sum, { length }) => sum + length, 0);
    for (const entry of record.entries) {
      const { key, offset, length } = entry;
      const place: Place = { pack: number, offset, length };
      if ("from" in entry) {
        const now = this.#places.get(key);
        if (!now || this.#packs[now.pack]!.pack !== entry.from) continue;
        this.#leave(now);
        this.#places.set(key, place);
      } else if (!this.#places.add(key, place)) continue;
      known.values++;
      known.live += length;
    }
  }

  #numberOf(pack: string, small: boolean): number {
    const known = this.#numbers.get(pack);
    if (known !== undefined) return known;
    const number = this.#free.pop() ?? this.#packs.length;
    if (number === MAX_PACKS) {
      throw new LimitError(MAX_PACKS, `Cannot hold more than ${MAX_PACKS} packs in one index in memory`);
    }
    this.#packs[number] = { pack, small, change: 0, held: 0, heldBytes: 0, values: 0, live: 0 };
    this.#numbers.set(pack, number);
    return number;
  }

  #forget(key: string): boolean {
    const place = this.#places.delete(key);
    if (place) this.#leave(place);
    return place !== undefined;
  }

  #leave({ pack, length }: Place): void {
    const known = this.#packs[pack]!;
    known.values--;
    known.live -= length;
  }

  #removePack(pack: string): void {
    const number = this.#numbers.get(pack);
    if (number === undefined) return;
    // Who has not read for long may have missed that they were forgotten: that may have been dropped.
    if (this.#packs[number]!.values > 0) {
      for (const key of [...this.#places.keys("")]) {
        if (this.#places.get(key)!.pack === number) this.#forget(key);
      }
    }
    this.#numbers.delete(pack);
    this.#packs[number] = undefined;
    this.#free.push(number);
  }
}

/** What a pack is used for. */
export interface PackUse {
  readonly pack: string;
  readonly small: boolean;
  /** How many values are found in it, and their bytes. */
  readonly values: number;
  readonly live: number;
  /** Bytes of the values it holds that are not found in it. */
  readonly dead: number;
}

function packChange(pack: string, small: boolean, entries: readonly PackEntry[]): PackChange {
  return { type: "pack", pack, small, entries: [...entries] };
}

/** One reading after the other. Who joins gets the next that has not begun, so it sees all that was there before. */
class ReadingRounds {
  #read: () => Promise<void>;
  #last: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor(read: () => Promise<void>) {
    this.#read = read;
  }

  join(): Promise<void> {
    if (this.#next) return this.#next;
    const begin = () => {
      this.#last = this.#next!;
      this.#next = undefined;
      return this.#read();
    };
    return this.#next = this.#last.then(begin, begin);
  }
}
