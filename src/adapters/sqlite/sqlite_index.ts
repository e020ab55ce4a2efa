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
import type {
  MovedEntry,
  PackEntry,
  PackIndex,
  PackLocation,
  PackUse,
  StoredLength,
} from "../../combinators/pack_index.ts";

/** What is used of `node:sqlite`'s `DatabaseSync`. */
export interface SqliteDatabase {
  exec(sql: string): void;
  prepare(sql: string): SqliteStatement;
  close(): void;
}

interface SqliteStatement {
  get(...values: (string | number)[]): unknown;
  all(...values: (string | number)[]): unknown[];
  run(...values: (string | number)[]): { readonly changes: number | bigint };
}

interface PackRow {
  readonly name: string;
  readonly small: number;
}

/** Names of packs kept in memory. */
const PACK_NAMES_KEPT = 4096;
/** Keys read at once while listing. */
const PAGE = 1000;
/** Rows after which others get a turn, where many are read: some milliseconds. */
const ROWS_A_TURN = 10_000;

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
  CREATE TABLE IF NOT EXISTS deleted (
    pack INTEGER NOT NULL, key TEXT NOT NULL, length INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (pack, key)
  ) WITHOUT ROWID;
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
  #move: SqliteStatement;
  #noteDead: SqliteStatement;
  #noteLive: SqliteStatement;
  #values: SqliteStatement;
  #deadBytes: SqliteStatement;
  #removePack: SqliteStatement;
  #removeNotes: SqliteStatement;
  #toDelete: string[] = [];
  #deleting: Promise<void> | undefined;
  /** Names of packs by their row: a row in memory for each pack that was asked for. */
  #packs = new Lru<number, PackRow>(PACK_NAMES_KEPT);

  constructor(database: SqliteDatabase) {
    this.#database = database;
    database.exec(SCHEMA);
    addLengths(database);
    this.complete = database.prepare("SELECT yes FROM complete").get() !== undefined;
    this.#durably("DELETE FROM complete");
    this.#get = database.prepare("SELECT pack, offset, length FROM value WHERE key = ?");
    this.#packById = database.prepare("SELECT name, small FROM pack WHERE id = ?");
    this.#insert = database.prepare("INSERT INTO value VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING");
    this.#delete = database.prepare("DELETE FROM value WHERE key = ?");
    this.#noteDeleted = database.prepare(
      "INSERT INTO deleted (pack, key, length) SELECT pack, key, length FROM value WHERE key = ? ON CONFLICT DO NOTHING",
    );
    this.#move = database.prepare("UPDATE value SET pack = ?, offset = ? WHERE key = ? AND pack = ?");
    this.#noteDead = database.prepare(
      "INSERT INTO deleted (pack, key, length) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    );
    this.#noteLive = database.prepare("DELETE FROM deleted WHERE pack = ? AND key = ?");
    this.#values = database.prepare("SELECT key, pack, length FROM value WHERE key > ? ORDER BY key LIMIT ?");
    this.#removePack = database.prepare("DELETE FROM pack WHERE id = ?");
    this.#removeNotes = database.prepare("DELETE FROM deleted WHERE pack = ?");
    this.#deadBytes = database.prepare(
      "SELECT pack, SUM(length) AS dead FROM deleted WHERE pack > ? GROUP BY pack ORDER BY pack LIMIT ?",
    );
    this.#deleted = database.prepare(
      "SELECT key FROM deleted JOIN pack ON pack.id = deleted.pack WHERE pack.name = ?",
    );
    this.#list = database.prepare(
      "SELECT key, length FROM value WHERE key >= ? AND key < ? ORDER BY key LIMIT ?",
    );
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
      const { id, isNew } = this.#rowOf(pack, small);
      for (const { key, offset, length } of entries) {
        const { changes } = this.#insert.run(key, id, offset, length);
        if (!isNew && changes) this.#noteLive.run(id, key);
      }
    });
  }

  move(pack: string, small: boolean, entries: readonly MovedEntry[]): Promise<void> {
    return this.#write(() => {
      const { id } = this.#rowOf(pack, small);
      const sources = new Map<string, number>();
      for (const { key, offset, length, from } of entries) {
        let source = sources.get(from);
        if (source === undefined) {
          source = (this.#pack.get(from) as { id: number } | undefined)?.id ?? -1;
          sources.set(from, source);
        }
        const { changes } = this.#move.run(id, offset, key, source);
        if (changes) this.#noteLive.run(id, key);
        else if (this.get(key)?.pack !== pack) this.#noteDead.run(id, key, length);
      }
    });
  }

  async *packs(): AsyncGenerator<PackUse, void, void> {
    const uses = new Map<number, { values: number; live: number; dead: number }>();
    const useOf = (pack: number) => {
      const use = uses.get(pack) ?? { values: 0, live: 0, dead: 0 };
      uses.set(pack, use);
      return use;
    };
    for (let from = "";;) {
      const rows = this.#values.all(from, PAGE) as { key: string; pack: number; length: number }[];
      for (const { pack, length } of rows) {
        const use = useOf(pack);
        use.values++;
        use.live += length;
      }
      if (rows.length < PAGE) break;
      from = rows[rows.length - 1].key;
      await turn();
    }
    for (let from = 0;;) {
      const rows = this.#deadBytes.all(from, PAGE) as { pack: number; dead: number }[];
      for (const { pack, dead } of rows) useOf(pack).dead = dead;
      if (rows.length < PAGE) break;
      from = rows[rows.length - 1].pack;
      await turn();
    }
    for (const [id, use] of uses) {
      const row = this.#packById.get(id) as PackRow | undefined;
      if (row) yield { pack: row.name, small: row.small === 1, ...use };
    }
  }

  async removePack(pack: string): Promise<void> {
    const row = this.#pack.get(pack) as { id: number } | undefined;
    if (!row) return;
    this.#database.exec("PRAGMA synchronous = FULL"); // which brings all before to the disk, too
    try {
      await this.#write(() => {
        this.#removePack.run(row.id);
        this.#removeNotes.run(row.id);
      });
    } finally {
      this.#database.exec("PRAGMA synchronous = NORMAL");
    }
    this.#packs.delete(row.id); // the number may be given again
  }

  delete(key: string): Promise<void> {
    this.#deleting ??= Promise.resolve().then(() => this.#deleteAll());
    this.#toDelete.push(key);
    return this.#deleting;
  }

  /** Those that are deleted at once are one transaction. */
  #deleteAll(): Promise<void> {
    const keys = this.#toDelete;
    this.#toDelete = [];
    this.#deleting = undefined;
    return this.#write(() => {
      for (const key of keys) {
        this.#noteDeleted.run(key);
        this.#delete.run(key);
      }
    });
  }

  deletedFrom(pack: string): readonly string[] {
    return (this.#deleted.all(pack) as { key: string }[]).map(({ key }) => key);
  }

  async *list(prefix: string): AsyncGenerator<string, void, void> {
    for (const { key } of this.#rows(prefix)) yield key;
  }

  async *lengths(prefix: string): AsyncGenerator<StoredLength, void, void> {
    let read = 0;
    for (const row of this.#rows(prefix)) {
      yield row;
      if (++read % ROWS_A_TURN === 0) await turn();
    }
  }

  /** A page at a time, so that others may write meanwhile. */
  *#rows(prefix: string): Generator<StoredLength, void, void> {
    const end = prefix + "\x7f"; // above every character a key may hold
    for (let from = prefix;;) {
      const rows = this.#list.all(from, end, PAGE) as { key: string; length: number }[];
      yield* rows;
      if (rows.length < PAGE) return;
      from = rows[rows.length - 1].key + "\0";
    }
  }

  // deno-lint-ignore require-await -- the interface is asynchronous for other platforms
  async setComplete(): Promise<void> {
    this.complete = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#deleting?.catch(() => {}); // each delete tells that itself
    if (this.complete) this.#durably("INSERT INTO complete VALUES (1) ON CONFLICT DO NOTHING");
    this.#database.close();
  }

  #rowOf(pack: string, small: boolean): { id: number; isNew: boolean } {
    const isNew = Number(this.#insertPack.run(pack, small ? 1 : 0).changes) > 0;
    return { id: (this.#pack.get(pack) as { id: number }).id, isNew };
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

/** Indexes made before lengths of forgotten values were noted have no column for them. */
function addLengths(database: SqliteDatabase): void {
  const columns = database.prepare("SELECT name FROM pragma_table_info('deleted')").all() as {
    name: string;
  }[];
  if (columns.some(({ name }) => name === "length")) return;
  database.exec("ALTER TABLE deleted ADD COLUMN length INTEGER NOT NULL DEFAULT 0");
}

/** Lets others run: SQLite is synchronous. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** SQLITE_FULL, or an I/O error below it for want of room. */
function isFull(error: unknown): boolean {
  return error instanceof Error &&
    /database or disk is full|no space left|disk I\/O error/i.test(error.message);
}
