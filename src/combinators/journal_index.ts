/**
 * An index of packs for a home with few enough values for memory, as a browser tab is: every key and its place in a compact
 * table, read from a journal at opening. Looking up is immediate. Others may write to the same journal, so the
 * rest of it is read when a key is not found, before a key that is found is relied on, and with each change.
 */
import type { Bytes } from "../bytes/bytes.ts";
import { LimitError } from "../errors.ts";
import type { PackEntry, PackIndex, PackLocation } from "./pack_index.ts";
import type { JournalFollower, NumberedChange, PackChange, PackJournal } from "./pack_journal.ts";
import { MAX_PACKS, type Place, PlaceTable } from "./place_table.ts";

/** Opens the index that a journal holds. */
export async function openJournalIndex(journal: PackJournal): Promise<PackIndex> {
  const index = new JournalIndex(journal);
  await journal.follow(index);
  return index;
}

/** A pack that the journal names. */
interface KnownPack {
  readonly key: string;
  readonly small: boolean;
  /** Its last change in the journal. */
  number: number;
  /** Values in it, and those of them that are found there. */
  values: number;
  live: number;
}

class JournalIndex implements PackIndex, JournalFollower {
  complete = false;
  seen = 0;
  #journal: PackJournal;
  #places = new PlaceTable();
  #packs: KnownPack[] = [];
  #packNumbers = new Map<string, number>();
  #rounds = new ReadingRounds(() => this.#journal.follow(this));

  constructor(journal: PackJournal) {
    this.#journal = journal;
  }

  take(changes: readonly NumberedChange[]): void {
    for (const { number, change } of changes) {
      if (number <= this.seen) continue;
      if (change.type === "pack") this.#addPack(change, number);
      else if (change.type === "forgotten") { for (const key of change.keys) this.#forget(key); }
      else this.complete = true;
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
    return this.#packNumbers.has(pack);
  }

  add(pack: string, small: boolean, entries: readonly PackEntry[]): Promise<void> {
    const change = packChange(pack, small, entries);
    return this.#journal.append(this, () => change);
  }

  addWith(pack: string, small: boolean, entries: readonly PackEntry[], bytes: Bytes): Promise<void> {
    const change = packChange(pack, small, entries);
    return this.#journal.append(this, () => change, { key: pack, small, bytes });
  }

  delete(key: string): Promise<void> {
    return this.#journal.append(
      this,
      () => this.#places.get(key) && { type: "forgotten", keys: [key] },
    );
  }

  deletedFrom(pack: string): readonly string[] | Promise<readonly string[]> {
    const number = this.#packNumbers.get(pack);
    const known = number === undefined ? undefined : this.#packs[number];
    return known && known.live < known.values ? this.#notIn(known, number!) : [];
  }

  async *list(prefix: string): AsyncGenerator<string, void, void> {
    await this.#rounds.join();
    yield* this.#places.keys(prefix);
  }

  async setComplete(): Promise<void> {
    await this.#journal.append(this, () => this.complete ? undefined : { type: "complete" });
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #locate(key: string): PackLocation | undefined {
    const place = this.#places.get(key);
    if (!place) return undefined;
    const { key: pack, small } = this.#packs[place.pack];
    return { pack, small, offset: place.offset, length: place.length };
  }

  /** The values of a pack that are not found in it: forgotten, or found elsewhere. */
  async #notIn({ number }: KnownPack, pack: number): Promise<string[]> {
    const change = await this.#journal.get(number);
    if (change?.type !== "pack") return [];
    return change.entries.map(({ key }) => key).filter((key) => this.#places.get(key)?.pack !== pack);
  }

  #addPack({ pack, small, entries }: PackChange & { type: "pack" }, change: number): void {
    let number = this.#packNumbers.get(pack);
    if (number === undefined) {
      number = this.#packs.length;
      if (number === MAX_PACKS) {
        throw new LimitError(MAX_PACKS, `Cannot hold more than ${MAX_PACKS} packs in one index in memory`);
      }
      this.#packs.push({ key: pack, small, number: change, values: 0, live: 0 });
      this.#packNumbers.set(pack, number);
    }
    const known = this.#packs[number];
    known.number = change;
    known.values = entries.length;
    for (const { key, offset, length } of entries) {
      if (this.#places.get(key)) continue;
      const place: Place = { pack: number, offset, length };
      this.#places.set(key, place);
      known.live++;
    }
  }

  #forget(key: string): void {
    const place = this.#places.delete(key);
    if (place) this.#packs[place.pack].live--;
  }
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
