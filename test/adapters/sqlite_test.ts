/** The index of packs in SQLite: its contract, on disk and in memory, and what only a file shows. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { openSqliteIndex, type SqliteDatabase } from "../../src/adapters/sqlite/sqlite_index.ts";
import { StoreFullError } from "../../src/errors.ts";
import { packIndexContract } from "../contract/pack_index.ts";
import { testContract } from "../contract/run.ts";
import { permissions, testNeeding } from "../needs.ts";

const test = testNeeding(permissions);

testContract(
  "sqlite index",
  packIndexContract,
  () => Promise.resolve(openSqliteIndex(new DatabaseSync(":memory:"))),
);

async function withFile(test: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(`${folder}/index.sqlite`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const PLACE = { pack: "pack/a", small: true, offset: 1, length: 2 };

test({
  name: "sqlite index: it is complete when it was closed complete, and not after a crash",
  fn: () =>
    withFile(async (path) => {
      const open = () => openSqliteIndex(new DatabaseSync(path));
      const first = open();
      await first.add("pack/a", true, [{ key: "k", offset: 1, length: 2 }]);
      await first[Symbol.asyncDispose]();
      const second = open();
      assert.equal(second.complete, false, "it was never said to be complete");
      await second.setComplete();
      await second[Symbol.asyncDispose]();
      const third = open();
      assert.equal(third.complete, true);
      await third.add("pack/b", false, [{ key: "l", offset: 3, length: 4 }]);
      // Its files as they lie there while it is not closed, as after a crash of the process.
      for (const end of ["", "-wal"]) await Deno.copyFile(path + end, `${path}-crashed${end}`);
      const fourth = openSqliteIndex(new DatabaseSync(`${path}-crashed`));
      assert.equal(fourth.complete, false);
      assert.deepEqual(await fourth.get("k"), PLACE);
      assert.deepEqual(await fourth.get("l"), { pack: "pack/b", small: false, offset: 3, length: 4 });
      assert.equal(await fourth.hasPack("pack/b"), true);
      assert.equal(await fourth.hasPack("pack/c"), false);
      await fourth[Symbol.asyncDispose]();
      await third[Symbol.asyncDispose]();
    }),
});

test({
  name: "sqlite index: a file that is no database is refused",
  fn: () =>
    withFile(async (path) => {
      await Deno.writeTextFile(path, "this is no database, and long enough to show it ".repeat(100));
      const database = new DatabaseSync(path);
      assert.throws(() => openSqliteIndex(database), /not a database/);
      database.close();
    }),
});

/** A database of which one statement fails. */
function failing(
  database: DatabaseSync,
  fails: (sql: string, run: number) => Error | undefined,
): SqliteDatabase {
  let run = 0;
  return {
    exec(sql) {
      const error = fails(sql, run);
      if (error) throw error;
      database.exec(sql);
    },
    prepare(sql) {
      const statement = database.prepare(sql);
      return {
        get: (...values) => statement.get(...values),
        all: (...values) => statement.all(...values),
        run(...values) {
          run++;
          const error = fails(sql, run);
          if (error) throw error;
          return statement.run(...values);
        },
      };
    },
    close: () => database.close(),
  };
}

const entries = ["a", "b", "c"].map((key, offset) => ({ key, offset, length: 1 }));

Deno.test("sqlite index: an add that fails in the middle adds nothing, and the next works", async () => {
  let armed = true;
  await using index = openSqliteIndex(failing(new DatabaseSync(":memory:"), (sql, run) => {
    return armed && sql.startsWith("INSERT INTO value") && run === 3 ? new Error("no luck") : undefined;
  }));
  await assert.rejects(index.add("pack/a", true, entries), /no luck/);
  assert.deepEqual(await Array.fromAsync(index.list("")), []);
  armed = false;
  await index.add("pack/b", false, entries);
  assert.deepEqual(await index.get("c"), { pack: "pack/b", small: false, offset: 2, length: 1 });
});

Deno.test("sqlite index: a full disk is a StoreFullError, also when the commit finds it", async () => {
  for (const where of ["INSERT INTO value", "COMMIT"]) {
    let armed = true;
    await using index = openSqliteIndex(failing(new DatabaseSync(":memory:"), (sql) => {
      return armed && sql.startsWith(where) ? new Error("database or disk is full") : undefined;
    }));
    await assert.rejects(index.add("pack/a", true, entries), StoreFullError);
    armed = false;
    assert.deepEqual(await Array.fromAsync(index.list("")), []);
    await index.add("pack/a", true, entries);
    assert.equal((await Array.fromAsync(index.list(""))).length, 3);
  }
});

Deno.test("sqlite index: packs beyond those whose names are kept in memory are found", async () => {
  await using index = openSqliteIndex(new DatabaseSync(":memory:"));
  const count = 5000;
  for (let i = 0; i < count; i++) {
    await index.add(`pack/${i}`, i % 2 === 0, [{ key: `k${i}`, offset: i, length: 1 }]);
  }
  for (const i of [0, 4999, 0, ...Array(count).keys(), 0]) {
    assert.deepEqual(await index.get(`k${i}`), {
      pack: `pack/${i}`,
      small: i % 2 === 0,
      offset: i,
      length: 1,
    });
  }
});

Deno.test("sqlite index: one made before lengths of forgotten values were noted goes on", async () => {
  const database = new DatabaseSync(":memory:");
  database.exec(`
    CREATE TABLE pack (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, small INTEGER NOT NULL);
    CREATE TABLE value (
      key TEXT PRIMARY KEY, pack INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE deleted (pack INTEGER NOT NULL, key TEXT NOT NULL, PRIMARY KEY (pack, key)) WITHOUT ROWID;
    CREATE TABLE complete (yes INTEGER PRIMARY KEY);
    INSERT INTO pack VALUES (1, 'pack/a', 0);
    INSERT INTO value VALUES ('k', 1, 0, 5), ('l', 1, 5, 7);
    INSERT INTO deleted VALUES (1, 'm');
  `);
  await using index = openSqliteIndex(database);
  await index.delete("k");
  assert.deepEqual([...await index.deletedFrom("pack/a")].sort(), ["k", "m"]);
  assert.deepEqual(await Array.fromAsync(index.packs()), [
    { pack: "pack/a", small: false, values: 1, live: 7, dead: 5 },
  ]);
});

Deno.test("sqlite index: a delete that fails fails each that was asked for with it, and changes nothing", async () => {
  let armed = false;
  const index = openSqliteIndex(failing(new DatabaseSync(":memory:"), (sql) => {
    return armed && sql.startsWith("COMMIT") ? new Error("database or disk is full") : undefined;
  }));
  await index.add("pack/a", true, [{ key: "k", offset: 0, length: 1 }, { key: "l", offset: 1, length: 1 }]);
  armed = true;
  const results = await Promise.allSettled([index.delete("k"), index.delete("l")]);
  for (const result of results) {
    assert.ok(result.status === "rejected" && result.reason instanceof StoreFullError);
  }
  armed = false;
  assert.deepEqual(await Array.fromAsync(index.list("")), ["k", "l"]);
  await Promise.all([index.delete("k"), index.delete("l")]);
  assert.deepEqual(await Array.fromAsync(index.list("")), []);
});
