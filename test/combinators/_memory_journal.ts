/** A journal of packs in memory, which several indexes may follow, as tabs do: encoded, and a turn late like a database. */
import type { Bytes } from "../../src/bytes/bytes.ts";
import {
  decodeChange,
  encodeChange,
  type JournalFollower,
  type PackChange,
  type PackJournal,
} from "../../src/combinators/pack_journal.ts";

export class MemoryJournal implements PackJournal {
  /** Change `number` is at `number - 1`. */
  readonly changes: Bytes[] = [];
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
    pack?: { key: string; small: boolean; bytes: Bytes },
  ): Promise<void> {
    const bytes = pack?.bytes.slice();
    await this.#turn(() => {
      this.#tell(follower);
      const fails = this.fails;
      this.fails = undefined;
      if (fails) throw fails;
      const change = decide();
      if (!change) return;
      if (pack) this.packs.set(pack.key, bytes!);
      this.changes.push(encodeChange(change));
      this.#tell(follower);
    });
  }

  get(number: number): Promise<PackChange | undefined> {
    return Promise.resolve(decodeChange(this.changes[number - 1], number));
  }

  #tell(follower: JournalFollower): void {
    const from = follower.seen;
    follower.take(
      this.changes.slice(from).map((bytes, i) => ({
        number: from + i + 1,
        change: decodeChange(bytes, from + i + 1),
      })),
    );
  }

  /** One after the other. */
  #turn(task: () => void): Promise<void> {
    const turn = this.#last.then(() => new Promise<void>((resolve) => setTimeout(resolve, 0))).then(task);
    this.#last = turn.catch(() => {});
    return turn;
  }
}
