/**
 * A home in a browser's IndexedDB: names as small values, everything content-addressed in packs. Pages, workers and other
 * tabs of one origin may have the same one open at the same time.
 */
import { openJournalIndex } from "../../combinators/journal_index.ts";
import { openPacked, type PackedStore } from "../../combinators/packed.ts";
import type { Home } from "../../store/services.ts";
import { Connection, type ConnectionOptions } from "./connection.ts";
import { IdbJournal } from "./journal.ts";
import { Transactions } from "./transactions.ts";
import { NameValues, PackValues } from "./values.ts";
import { WhileThere } from "./while_there.ts";

/** A slice of a pack of this length is read three times as fast as one of 4 MiB. */
const PACK_LENGTH = 1024 * 1024;

export interface IdbOptions extends ConnectionOptions {
  /**
   * `strict` (default): what was stored outlives a crash of the machine. `relaxed`: a crash of the browser only, and small
   * writes are faster.
   */
  readonly durability?: "strict" | "relaxed";
  /** Length of a full pack in bytes; default 1 MiB. */
  readonly packLength?: number;
}

/** A home in a browser. */
export interface IdbHome extends Home, AsyncDisposable {
  /** Gives back the room of what was deleted when it is told to. */
  readonly bytes: PackedStore;
  /**
   * Whether there was no such store before. Who remembers having had one knows by this that the browser, or somebody
   * who cleared the site's data, removed it.
   */
  readonly created: boolean;
  /**
   * Does something that makes room: deletes, collects garbage, compacts. All it writes meanwhile is written where the browser
   * gives no more room, too, with that of a reserve of at most 8 MiB, which the store holds back for this; nothing else should be put
   * meanwhile. A `delete` of `bytes` by itself needs no such help.
   */
  makeRoom<T>(work: () => Promise<T>): Promise<T>;
}

/**
 * Opens the store of this name, which is made when it is missing. Throws `StoreVersionError` for one that a newer firn wrote,
 * `StoreBusyError` when another tab keeps it from being opened, `StoreFullError` when the browser gives no room. Disposing it
 * writes what waits and closes the database.
 *
 * Of what another tab deleted a moment ago `has` and `put` know for sure; `get` may still give it.
 *
 * When the platform takes the store away while it is open (a tab that upgrades or deletes it, cleared data), every call fails
 * with `StoreGoneError`. Nothing that was put before is lost by that, unless it was deleted.
 */
export async function openIdb(options: IdbOptions): Promise<IdbHome> {
  const { durability = "strict", packLength = PACK_LENGTH } = options;
  const connection = await Connection.open(options);
  try {
    const transactions = new Transactions(connection, durability);
    const names = new NameValues(transactions);
    const packs = new PackValues(transactions);
    const index = await openJournalIndex(new IdbJournal(transactions));
    const bytes = new WhileThere(connection, await openPacked({ bytes: packs, names, index, packLength }));
    const { live, dead } = await bytes.use();
    await transactions.holds(live + dead);
    return {
      names,
      bytes,
      makeRoom: (work) => transactions.makeRoom(work),
      created: connection.created,
      async [Symbol.asyncDispose]() {
        await bytes[Symbol.asyncDispose]();
        await transactions.idle();
        connection.close();
      },
    };
  } catch (error) {
    connection.close();
    throw error;
  }
}
