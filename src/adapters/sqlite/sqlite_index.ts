/**
 * The index of packs in an SQLite file: a few microseconds an entry, at any size, where a key-value database asked
 * over an asynchronous interface takes twenty to a hundred. Only what the packs say of themselves is in it.
 *
 * A transaction is not brought to the disk before it counts as done: waiting for that would stop everything else, and the packs
 * are there. Instead the index says it is complete only while it is closed; one that was not closed properly is compared
 * with the packs when it is opened.
 */
import { Lru } from "../../bytes/lru.ts";
import { StoreFullError } from "../../errors.ts";
import type { PackEntry, PackIndex, PackLocation } from "../../combinators/pack_index.ts";

/** What is used of `node:sqlite`'s `DatabaseSync`. */
export interface SqliteDatabase {
  exec(sql: string): void;
  prepare(sql: string): SqliteStatement;
  close(): void;
}

interface SqliteStatement {
  get(...values: (string | number)[]): unknown;
  all(...values: (string | number)[]): unknown[];
  run(...values: (string | number)[]): unknown;
}

interface PackRow {
  readonly name: string;
  readonly small: number;
}

/** Names of packs kept in memory. */
const PACK_NAMES_KEPT = 4096;
/** Keys read at once while listing. */
const PAGE = 1000;

const SCHEMA = `
  PRAGMA locking_mode = EXCLUSIVE; -- nobody else has it open, and asking the system for a lock costs more than a look-up
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  PRAGMA cache_size = -16384;
  PRAGMA temp_store = MEMORY;
  PRAGMA wal_autocheckpoint = 8192;
  CREATE TABLE IF NOT EXISTS pack (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, small INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS value (
    key TEXT PRIMARY KEY, pack INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS deleted (pack INTEGER NOT NULL, key TEXT NOT NULL, PRIMARY KEY (pack, key)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS complete (yes INTEGER PRIMARY KEY);
`;

/** Opens an index in a database, which it owns from now on: disposing the index closes it. */
export function openSqliteIndex(database: SqliteDatabase): PackIndex {
  return new SqliteIndex(database);
}

class SqliteIndex implements PackIndex {
  complete: boolean;
  #database: SqliteDatabase;
  #get: SqliteStatement;
  #insert: SqliteStatement;
  #delete: SqliteStatement;
  #noteDeleted: SqliteStatement;
  #deleted: SqliteStatement;
  #list: SqliteStatement;
  #pack: SqliteStatement;
  #insertPack: SqliteStatement;
  #packById: SqliteStatement;
  /** Names of packs by their row: a row in memory for each pack that was asked for. */
  #packs = new Lru<number, PackRow>(PACK_NAMES_KEPT);

  constructor(database: SqliteDatabase) {
    this.#database = database;
    database.exec(SCHEMA);
    this.complete = database.prepare("SELECT yes FROM complete").get() !== undefined;
    this.#durably("DELETE FROM complete");
    this.#get = database.prepare("SELECT pack, offset, length FROM value WHERE key = ?");
    this.#packById = database.prepare("SELECT name, small FROM pack WHERE id = ?");
    this.#insert = database.prepare("INSERT INTO value VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING");
    this.#delete = database.prepare("DELETE FROM value WHERE key = ?");
    this.#noteDeleted = database.prepare(
      "INSERT INTO deleted SELECT pack, key FROM value WHERE key = ? ON CONFLICT DO NOTHING",
    );
    this.#deleted = database.prepare(
      "SELECT key FROM deleted JOIN pack ON pack.id = deleted.pack WHERE pack.name = ?",
    );
    this.#list = database.prepare("SELECT key FROM value WHERE key >= ? AND key < ? ORDER BY key LIMIT ?");
    this.#pack = database.prepare("SELECT id FROM pack WHERE name = ?");
    this.#insertPack = database.prepare(
      "INSERT INTO pack (name, small) VALUES (?, ?) ON CONFLICT DO NOTHING",
    );
  }

  get(key: string): PackLocation | undefined {
    const row = this.#get.get(key) as { pack: number; offset: number; length: number } | undefined;
    if (!row) return undefined;
    let pack = this.#packs.get(row.pack);
    if (!pack) {
      pack = this.#packById.get(row.pack) as unknown as PackRow;
      this.#packs.set(row.pack, pack, 1);
    }
    return { pack: pack.name, small: pack.small === 1, offset: row.offset, length: row.length };
  }

  hasPack(pack: string): boolean {
    return this.#pack.get(pack) !== undefined;
  }

  add(pack: string, small: boolean, entries: readonly PackEntry[]): Promise<void> {
    return this.#write(() => {
      this.#insertPack.run(pack, small ? 1 : 0);
      const { id } = this.#pack.get(pack) as { id: number };
      for (const { key, offset, length } of entries) this.#insert.run(key, id, offset, length);
    });
  }

  delete(key: string): Promise<void> {
    return this.#write(() => {
      this.#noteDeleted.run(key);
      this.#delete.run(key);
    });
  }

  deletedFrom(pack: string): readonly string[] {
    return (this.#deleted.all(pack) as { key: string }[]).map(({ key }) => key);
  }

  async *list(prefix: string): AsyncGenerator<string, void, void> {
    const end = prefix + "\x7f"; // above every character a key may hold
    for (let from = prefix;;) {
      const rows = this.#list.all(from, end, PAGE) as { key: string }[];
      for (const { key } of rows) yield key;
      if (rows.length < PAGE) return;
      from = rows[rows.length - 1].key + "\0";
    }
  }

  // deno-lint-ignore require-await -- the interface is asynchronous for other platforms
  async setComplete(): Promise<void> {
    this.complete = true;
  }

  // deno-lint-ignore require-await -- the interface is asynchronous for other platforms
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.complete) this.#durably("INSERT INTO complete VALUES (1) ON CONFLICT DO NOTHING");
    this.#database.close();
  }

  /** A change that is on the disk, with all before it, when this returns. */
  #durably(sql: string): void {
    this.#database.exec(`PRAGMA synchronous = FULL; ${sql}; PRAGMA synchronous = NORMAL`);
  }

  /** One transaction. SQLite is synchronous, so no two of them meet. */
  // deno-lint-ignore require-await -- so that what is thrown rejects
  async #write(change: () => void): Promise<void> {
    try {
      this.#database.exec("BEGIN IMMEDIATE");
      try {
        change();
        this.#database.exec("COMMIT");
      } catch (error) {
        // A failed COMMIT may have ended the transaction already.
        try {
          this.#database.exec("ROLLBACK");
        } catch { /* it has */ }
        throw error;
      }
    } catch (error) {
      throw isFull(error)
        ? new StoreFullError("Cannot write the index of packs: the disk is full", { cause: error })
        : error;
    }
  }
}

/** SQLITE_FULL, or an I/O error below it for want of room. */
function isFull(error: unknown): boolean {
  return error instanceof Error &&
    /database or disk is full|no space left|disk I\/O error/i.test(error.message);
}
