/** The index of packs in SQLite: its contract, on disk and in memory, and what only a file shows. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { openSqliteIndex, type SqliteDatabase } from "../../src/adapters/sqlite/sqlite_index.ts";
import { StoreFullError } from "../../src/errors.ts";
import { packIndexContract } from "../contract/pack_index.ts";
import { granted, testContract } from "../contract/run.ts";

const ignore = !granted("read", "write");

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

Deno.test({
  name: "sqlite index: what it holds is there when it is opened again, also after a crash",
  ignore,
  fn: () =>
    withFile(async (path) => {
      const crashed = openSqliteIndex(new DatabaseSync(path));
      await crashed.add("pack/a", true, [{ key: "k", offset: 1, length: 2 }]);
      await crashed.setComplete();
      // Opened again while the first was never closed, as after a crash.
      await using second = openSqliteIndex(new DatabaseSync(path));
      assert.equal(second.complete, true);
      assert.deepEqual(await second.get("k"), PLACE);
      await crashed[Symbol.asyncDispose]();
    }),
});

Deno.test({
  name: "sqlite index: a file that is no database is refused",
  ignore,
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

Deno.test("sqlite index: it does not say it is complete when that could not be noted", async () => {
  await using index = openSqliteIndex(failing(new DatabaseSync(":memory:"), (sql) => {
    return sql.startsWith("INSERT INTO complete") ? new Error("no luck") : undefined;
  }));
  await assert.rejects(index.setComplete(), /no luck/);
  assert.equal(index.complete, false);
});
