// Folders as the archives that Nix makes of them: compared with nix-store --dump, byte for byte.
import assert from "node:assert/strict";
import { RawNames } from "../../src/adapters/fs/raw_names.ts";
import { readTree } from "../../src/adapters/fs/read_tree.ts";
import { concat } from "../../src/bytes/bytes.ts";
import { FormatError, UnreadableError } from "../../src/errors.ts";
import { writeNar } from "../../src/nar/writer.ts";
import { permissions, testNeeding, tool } from "../needs.ts";

const test = testNeeding(permissions);
const nix = testNeeding(tool("nix-store", "nix-bin"));

async function sh(script: string, folder: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("/bin/sh", { args: ["-ec", script], cwd: folder })
    .output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

async function dump(path: string): Promise<Uint8Array> {
  const { stdout, success } = await new Deno.Command("nix-store", { args: ["--dump", path] }).output();
  assert.ok(success);
  return stdout;
}

/** The archive, and the path of each file. */
async function read(path: string): Promise<{ nar: Uint8Array; files: string[]; contents: string[] }> {
  using rawNames = new RawNames();
  const files: string[] = [];
  const nar = concat(
    await Array.fromAsync(
      writeNar(readTree(path, { rawNames, file: (path) => files.push(path) })),
      (piece) => piece.slice(),
    ),
  );
  return {
    nar,
    files,
    contents: files.map((path) => new TextDecoder("latin1").decode(Deno.readFileSync(path))),
  };
}

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "firn-tree-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

nix("a folder with every kind of entry is the archive nix makes of it", () =>
  withFolder(async (folder) => {
    await sh(
      String.raw`
      mkdir -p tree/empty tree/deep/er tree/a0; cd tree
      printf '' > nothing; printf 1234567 > seven; printf 12345678 > eight
      head -c 3000000 /dev/urandom > long; head -c 1048576 /dev/zero > piece; head -c 1048577 /dev/zero > more
      echo run > deep/er/run; chmod +x deep/er/run; echo group > deep/er/group; chmod 0654 deep/er/group
      for name in 'with space' "$(printf 'caf\303\251')" .hidden ..more -dash a a.b a-b A '~' '#' '*' "$(printf 'new\nline')"; do
        echo "$name" > "$name"; done
      ln -s ../deep/er/run a0/link; ln -s nowhere dangling; ln -s / absolute`,
      folder,
    );
    const { nar, files } = await read(`${folder}/tree`);
    assert.deepEqual(nar, await dump(`${folder}/tree`));
    assert.equal(files.length, 21);
    for (const single of ["seven", "deep/er/run", "dangling", "empty", "long"]) {
      assert.deepEqual(
        (await read(`${folder}/tree/${single}`)).nar,
        await dump(`${folder}/tree/${single}`),
        single,
      );
    }
  }));

nix(
  "names and targets that are no UTF-8 are taken as the bytes they are",
  () =>
    withFolder(async (folder) => {
      await sh(
        String.raw`
      mkdir tree; cd tree; odd=$(printf 'd\377'); mkdir "$odd" plain
      echo one > "$(printf 'latin\351')"; echo two > "$(printf 'latin\350')"; echo three > "$odd/in"
      mkdir "$odd/$(printf 'e\376')"; echo four > "$odd/$(printf 'e\376')/$(printf 'f\375')"; chmod +x "$odd/in"
      ln -s "$(printf 't\376\n')" "$(printf 'l\375')"; ln -s "$(printf 't\374')" plain/link
      echo five > ..x; echo six > .y; ln -s . self; echo seven > '*'
      printf 'replacement' > "$(printf '\357\277\275')"`,
        folder,
      );
      const { nar, contents } = await read(`${folder}/tree`);
      assert.deepEqual(nar, await dump(`${folder}/tree`));
      assert.deepEqual(contents.map((text) => text.trim()).toSorted(), [
        ...["five", "four", "one", "replacement", "seven", "six", "three", "two"],
      ]);
      await assert.rejects(Deno.stat((await read(`${folder}/tree`)).files[0]), "the links are gone");
    }),
);

test("what is no file, folder or link is refused, and so is a file that changes", () =>
  withFolder(async (folder) => {
    await sh("mkdir tree; mkfifo tree/pipe", folder);
    await assert.rejects(
      read(`${folder}/tree`),
      (error) =>
        error instanceof FormatError && /tree\/pipe: it is no file, folder or symlink/.test(error.message),
    );
    for (
      const [to, why] of [[2_999_999, /has 2999999 bytes, and had 3000000/], [
        3_000_001,
        /over 3000000 bytes/,
      ]] as const
    ) {
      const path = `${folder}/file`;
      await Deno.writeFile(path, new Uint8Array(3_000_000));
      using rawNames = new RawNames();
      const tokens = readTree(path, { rawNames });
      await tokens.next();
      await Deno.truncate(path, to);
      await assert.rejects(Array.fromAsync(tokens), why);
    }
    await assert.rejects(
      read(`${folder}/absent`),
      (error) =>
        error instanceof UnreadableError && /^Cannot read .*absent: No such file/.test(error.message),
    );
  }));
