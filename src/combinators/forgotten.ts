/**
 * Which values of packs are deleted, written down beside the packs: an index only repeats what packs say of themselves, so one
 * made anew would know deleted values again. That does no harm as long as all that was deleted together is still there; but a list
 * must not come back when the pack of its chunks is gone. So before a pack is removed, this is noted of every pack, and
 * all of it counts at one moment.
 *
 *   forgotten                     number of the notes that count
 *   forgotten/<number>/<pack>     keys, a line each; or `*`: all values of the pack
 */
import { fromText, toText } from "../bytes/bytes.ts";
import type { ByteStore } from "../castore/byte_store.ts";
import type { PackIndex } from "./pack_index.ts";

const NUMBER = "forgotten";
const ALL = "*";

/** The notes of a packed store. */
export class Forgotten {
  /** `undefined`: nothing is noted. */
  #names: ByteStore | undefined;
  /** Those that count. */
  #number: number;
  /** Those that are being written, if any. */
  #next: number | undefined;
  #packs = new Set<string>();

  private constructor(names: ByteStore | undefined, number: number) {
    this.#names = names;
    this.#number = number;
  }

  /** Notes nothing: for an index that is never made anew. */
  static nothing(): Forgotten {
    return new Forgotten(undefined, 0);
  }

  static async open(names: ByteStore): Promise<Forgotten> {
    const value = await names.get(NUMBER);
    const notes = new Forgotten(names, value ? parseInt(toText(value), 36) : 0);
    const prefix = notes.#key(notes.#number, "");
    for await (const key of names.list(prefix)) notes.#packs.add(key.slice(prefix.length));
    return notes;
  }

  /** Packs of which something is noted. */
  get packs(): ReadonlySet<string> {
    return this.#packs;
  }

  /** What is noted of a pack. */
  async of(pack: string): Promise<ReadonlySet<string> | "all" | undefined> {
    const value = this.#packs.has(pack) && await this.#names?.get(this.#key(this.#number, pack));
    if (!value) return undefined;
    const text = toText(value);
    return text === ALL ? "all" : new Set(text.split("\n"));
  }

  /** Begins new notes, which count once they are committed. */
  async begin(): Promise<void> {
    await this.#removeOthers();
    this.#next = this.#number + 1;
  }

  /** Notes what the index has forgotten of a pack. `all`: no value is found in it. */
  async note(index: PackIndex, pack: string, all: boolean): Promise<void> {
    if (!this.#names) return;
    const text = all ? ALL : [...await index.deletedFrom(pack)].sort().join("\n");
    if (text === "") return;
    await this.#names.put(this.#key(this.#next!, pack), fromText(text));
    this.#packs.add(pack);
  }

  /** From now on the new notes count, and those before are removed. */
  async commit(): Promise<void> {
    if (!this.#names) return;
    await this.#names.put(NUMBER, fromText(this.#next!.toString(36)));
    this.#number = this.#next!;
    this.#next = undefined;
    await this.#removeOthers();
  }

  /** Removes what is noted of a pack: it is gone, or stored anew. */
  async remove(pack: string): Promise<void> {
    if (!this.#packs.delete(pack)) return;
    await this.#names?.delete(this.#key(this.#number, pack));
    if (this.#next !== undefined) await this.#names?.delete(this.#key(this.#next, pack));
  }

  async #removeOthers(): Promise<void> {
    if (!this.#names) return;
    const counted = this.#key(this.#number, "");
    for await (const key of this.#names.list(NUMBER + "/")) {
      if (!key.startsWith(counted)) await this.#names.delete(key);
    }
  }

  #key(number: number, pack: string): string {
    return `${NUMBER}/${number.toString(36)}/${pack}`;
  }
}
