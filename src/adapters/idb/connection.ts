/**
 * A connection to the database of a store, and what may happen to it: another tab that wants to upgrade or delete it, the
 * browser that clears it, a version that is not known here.
 *
 *   names    key → bytes    a ByteStore: path infos, side files, small packs
 *   packs    key → Blob     packs, of which a slice reads a slice, and the reserve: see `reserve.ts`
 *   journal  1, 2, … → bytes    each pack's table, and what was forgotten: see `combinators/pack_journal.ts`
 */
import { type DBSchema, type IDBPDatabase, wrap } from "idb";
import type { Bytes } from "../../bytes/bytes.ts";
import { StoreBusyError, StoreFullError, StoreGoneError, StoreVersionError } from "../../errors.ts";

/** What is in the database. */
export interface Schema extends DBSchema {
  names: { key: string; value: Bytes };
  packs: { key: string; value: Blob };
  journal: { key: number; value: Bytes };
}

export type StoreName = "names" | "packs" | "journal";
const STORES: readonly StoreName[] = ["names", "packs", "journal"];

/** Brings a database from version `i` to `i + 1`. Each is as it was when its version was released. */
const UPGRADES: readonly ((database: IDBDatabase) => void)[] = [
  (database) => {
    database.createObjectStore("names");
    database.createObjectStore("packs");
    database.createObjectStore("journal", { autoIncrement: true });
  },
];

/** Milliseconds that may lie between a failure and the event that says why, and between two looks. */
const LATE_MS = 1000;
const LATE_STEP_MS = 20;

/** How a database is opened. */
export interface ConnectionOptions {
  readonly indexedDB: IDBFactory;
  /** Name of the database. */
  readonly name: string;
  /** Milliseconds to wait for another tab that keeps it from being opened; default 30 seconds. */
  readonly patience?: number;
  /** Told when the database is taken away; after that every call fails with this error. */
  readonly onGone?: (error: StoreGoneError) => void;
}

export class Connection {
  /** Why the database cannot be used any more. */
  gone: StoreGoneError | undefined;

  private constructor(
    readonly name: string,
    readonly database: IDBPDatabase<Schema>,
    /** Whether the database was not there before. */
    readonly created: boolean,
    readonly onGone: ((error: StoreGoneError) => void) | undefined,
  ) {
    database.addEventListener("versionchange", (event) => {
      const what = event.newVersion === null ? "deletes" : "upgrades";
      this.#lose(`another tab ${what} it; reload this page`);
      database.close(); // once what is under way is done: the other tab waits for that
    });
    database.addEventListener("close", () => {
      this.#lose(
        "the browser took it away, as when a site's data are cleared; reload this page to begin anew",
      );
    });
  }

  /** Opens the database, which is made when it is missing. */
  static async open(options: ConnectionOptions): Promise<Connection> {
    const { indexedDB, name } = options;
    let created = false;
    const request = indexedDB.open(name, UPGRADES.length);
    request.onupgradeneeded = ({ oldVersion }) => {
      created = oldVersion === 0;
      for (const upgrade of UPGRADES.slice(oldVersion)) upgrade(request.result);
    };
    let database: IDBPDatabase<Schema>;
    try {
      database = await inTime(request, options);
    } catch (error) {
      throw whyNotOpened(error, name);
    }
    if (!STORES.every((store) => database.objectStoreNames.contains(store))) {
      database.close();
      throw new StoreVersionError(
        `Cannot open the store ${name}: the database of that name is not one of firn; use another name`,
      );
    }
    return new Connection(name, database, created, options.onGone);
  }

  /** What to tell of an error of the database. */
  async explain(cause: unknown): Promise<unknown> {
    if (!(cause instanceof DOMException)) return this.gone ?? cause;
    if (cause.name === "QuotaExceededError") {
      return new StoreFullError(
        `Cannot write to the store ${this.name}: the browser gives this site no more room; delete what is not needed ` +
          "from the store, or free space on the disk, and try again",
        { cause },
      );
    }
    await this.mayBeGone();
    if (!this.gone && cause.name === "InvalidStateError") this.#lose("it was closed; open it again");
    return this.gone ??
      new Error(`Cannot use the store ${this.name}: ${cause.name}: ${cause.message}`, { cause });
  }

  /** What was under way when the database went away is told first that it failed, and why a while later. */
  async mayBeGone(): Promise<StoreGoneError | undefined> {
    for (let waited = 0; !this.gone && waited < LATE_MS; waited += LATE_STEP_MS) {
      await new Promise((resolve) => setTimeout(resolve, LATE_STEP_MS));
    }
    return this.gone;
  }

  close(): void {
    this.gone ??= new StoreGoneError(`Cannot use the store ${this.name}: it was closed; open it again`);
    this.database.close();
  }

  #lose(why: string): void {
    if (this.gone) return;
    this.gone = new StoreGoneError(`Cannot use the store ${this.name}: ${why}`);
    this.onGone?.(this.gone);
  }
}

/**
 * Waits for the database a bounded time: another tab may have an older version open and not let go of it, or wait in vain to
 * delete it.
 */
async function inTime(
  request: IDBOpenDBRequest,
  { name, patience = 30_000 }: ConnectionOptions,
): Promise<IDBPDatabase<Schema>> {
  let late = false;
  const opened = wrap(request) as unknown as Promise<IDBPDatabase<Schema>>;
  opened.then((database) => late && database.close(), () => {});
  let timer: ReturnType<typeof setTimeout> | undefined;
  const waited = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      late = true;
      reject(
        new StoreBusyError(
          `Cannot open the store ${name}: another tab keeps it from being opened; close the other tabs of this site`,
        ),
      );
    }, patience);
  });
  try {
    return await Promise.race([opened, waited]);
  } finally {
    clearTimeout(timer);
  }
}

function whyNotOpened(cause: unknown, name: string): unknown {
  if (!(cause instanceof DOMException)) return cause;
  if (cause.name === "VersionError") {
    return new StoreVersionError(
      `Cannot open the store ${name}: a newer firn wrote it; reload this page to get the newer one here`,
      { cause },
    );
  }
  if (cause.name === "QuotaExceededError") {
    return new StoreFullError(
      `Cannot open the store ${name}: the browser gives this site no room; free space on the disk, and try again`,
      { cause },
    );
  }
  return new Error(
    `Cannot open the store ${name}: the browser does not let this page keep data (${cause.name}: ${cause.message})`,
    { cause },
  );
}
