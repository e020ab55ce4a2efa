/** A journal of packs in memory, which several indexes may follow, as tabs do: encoded, and a turn late like a database. */
import type { Bytes } from "../../src/bytes/bytes.ts";
import {
  type ChangedPack,
  decodeChange,
  encodeChange,
  type JournalFollower,
  type PackChange,
  type PackJournal,
} from "../../src/combinators/pack_journal.ts";

export class MemoryJournal implements PackJournal {
  /** Change `number` is at `number - 1`; one that was dropped is `undefined`. */
  readonly changes: (Bytes | undefined)[] = [];
  /** Packs stored with their change. */
  readonly packs = new Map<string, Bytes>();
  /** How often it was read. */
  reads = 0;
  /** When set, thrown by the next append. */
  fails: Error | undefined;
  #last: Promise<void> = Promise.resolve();

  async follow(follower: JournalFollower): Promise<void> {
    this.reads++;
    await this.#turn(() => this.#tell(follower));
  }

  async append(
    follower: JournalFollower,
    decide: () => PackChange | undefined,
    { pack, drop }: { pack?: ChangedPack; drop?: () => readonly number[] } = {},
  ): Promise<void> {
    const bytes = pack?.bytes?.slice();
    await this.#turn(() => {
      this.#tell(follower);
      const fails = this.fails;
      this.fails = undefined;
      if (fails) throw fails;
      const change = decide();
      if (!change) return;
      if (bytes) this.packs.set(pack!.key, bytes);
      else if (pack) this.packs.delete(pack.key);
      for (const number of drop?.() ?? []) this.changes[number - 1] = undefined;
      this.changes.push(encodeChange(change));
      this.#tell(follower);
    });
  }

  async drop(numbers: readonly number[]): Promise<void> {
    await this.#turn(() => {
      for (const number of numbers) this.changes[number - 1] = undefined;
    });
  }

  get(number: number): Promise<PackChange | undefined> {
    const bytes = this.changes[number - 1];
    return Promise.resolve(bytes && decodeChange(bytes, number));
  }

  #tell(follower: JournalFollower): void {
    const from = follower.seen;
    follower.take(
      this.changes.slice(from).flatMap((bytes, i) => {
        const number = from + i + 1;
        return bytes ? [{ number, change: decodeChange(bytes, number) }] : [];
      }),
    );
  }

  /** One after the other. */
  #turn(task: () => void): Promise<void> {
    const turn = this.#last.then(() => new Promise<void>((resolve) => setTimeout(resolve, 0))).then(task);
    this.#last = turn.catch(() => {});
    return turn;
  }
}
