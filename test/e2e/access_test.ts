/**
 * Stock nix with a token in its netrc file: what a private cache gives it and what it takes, by both versions; and that
 * no token comes into any log.
 */
import assert from "node:assert/strict";
import { newTokenKey, readTokenKeys, type TokenKey } from "../../src/server/access/token_keys.ts";
import { newToken } from "../../src/server/access/tokens.ts";
import type { Right } from "../../src/server/door.ts";
import { sampler } from "./closures.ts";
import { nixTest, User } from "./nix.ts";
import { pull } from "./pull.ts";
import { FirnServer } from "./server.ts";

/** What nix says of a cache that it may not read: not that a path is missing. */
const NO_ENTRY = /does not appear to be a binary cache|HTTP error 401[^]*without a token/;

/** Keys of a server in a file, and a way to make tokens. */
class Issuer {
  readonly tokens: string[] = [];
  #keys: TokenKey[];

  private constructor(readonly file: string, keys: TokenKey[]) {
    this.#keys = keys;
  }

  static async open(folder: string): Promise<Issuer> {
    const text = await newTokenKey();
    await Deno.writeTextFile(`${folder}/token.key`, text, { mode: 0o600 });
    return new Issuer(`${folder}/token.key`, await readTokenKeys(text));
  }

  /** Writes a netrc file with a token, and returns the options that make nix use it. */
  async netrc(
    file: string,
    name: string,
    rights: Right[],
    rest: { paths?: string; expiresAt?: number } = {},
  ) {
    const { token } = await newToken(this.#keys, { name, rights, ...rest });
    this.tokens.push(token);
    await Deno.writeTextFile(file, `machine 127.0.0.1\n  login any\n  password ${token}\n`);
    return ["--option", "netrc-file", file];
  }
}

for (const name of ["old", "new"] as const) {
  nixTest(
    "nix copies into and out of a private cache with a token in its netrc file",
    name,
    async (nix, folder) => {
      const closure = await sampler(`${folder}/builder`);
      const issuer = await Issuer.open(folder);
      await using server = await FirnServer.start(`${folder}/store`, "--token-key", issuer.file, "--private");
      const read = await issuer.netrc(`${folder}/read`, "reader", ["read"]);
      const write = await issuer.netrc(`${folder}/write`, "writer", ["write"]);

      const refused = await new User(nix, `${folder}/nobody`).attempt(
        "nix",
        "copy",
        "--to",
        server.url,
        closure.root,
      );
      assert.notEqual(refused.code, 0);
      assert.match(refused.stderr, NO_ENTRY);
      const reader = await new User(nix, `${folder}/reader`).attempt(
        "nix",
        "copy",
        ...read,
        "--to",
        server.url,
        closure.root,
      );
      assert.notEqual(reader.code, 0);
      assert.match(reader.stderr, /403/, reader.stderr);

      await new User(nix, `${folder}/writer`).nixCommand("copy", ...write, "--to", server.url, closure.root);

      const none = await new User(nix, `${folder}/no puller`).attempt(
        ...[
          "nix",
          "copy",
          "--from",
          server.url,
          "--no-check-sigs",
          "--to",
          `${folder}/none`,
          closure.root,
        ] as [
          "nix",
          ...string[],
        ],
      );
      assert.notEqual(none.code, 0);
      assert.match(none.stderr, NO_ENTRY);
      await pull(new User(nix, `${folder}/puller`), server.url, closure, `${folder}/pulled`, [
        "--no-check-sigs",
        ...read,
      ]);
      await server.stop();
      assert.match(server.log, /GET \/nix-cache-info 401 .*Cannot let you read without a token/);
      assert.match(server.log, / 403 .*Cannot write: the token "reader"/);
      assertNoToken(server.log, issuer.tokens);
    },
  );

  nixTest(
    "a token for some names pushes those, an expired one none, and nix says why",
    name,
    async (nix, folder) => {
      const closure = await sampler(`${folder}/builder`);
      const issuer = await Issuer.open(folder);
      await using server = await FirnServer.start(`${folder}/store`, "--token-key", issuer.file);
      const file = closure.paths.find((path) => path.endsWith("-sampler-file"))!;
      const link = closure.paths.find((path) => path.endsWith("-sampler-link"))!;
      const some = await issuer.netrc(`${folder}/some`, "ci", ["write"], { paths: "sampler-f*" });
      const pusher = new User(nix, `${folder}/pusher`);
      await pusher.nixCommand("copy", ...some, "--to", server.url, file);
      const beyond = await pusher.attempt("nix", "copy", ...some, "--to", server.url, link);
      assert.notEqual(beyond.code, 0);
      assert.match(beyond.stderr, /403/);
      const old = await issuer.netrc(`${folder}/old`, "old", ["write"], {
        expiresAt: Date.now() - 3_600_000,
      });
      const expired = await pusher.attempt("nix", "copy", ...old, "--to", server.url, link);
      assert.notEqual(expired.code, 0);
      assert.match(expired.stderr, /401/);
      const status = (path: string) =>
        fetch(`${server.url}/${path.slice(11, 43)}.narinfo`).then(async (answer) => {
          await answer.body?.cancel();
          return answer.status;
        });
      assert.equal(await status(file), 200, "reading is open");
      assert.equal(await status(link), 404, "what was refused is not there");
      await server.stop();
      assert.match(
        server.log,
        /Cannot write a path named sampler-link: the token "ci" \(\w+\) is for paths of other names/,
      );
      assertNoToken(server.log, issuer.tokens);
    },
  );
}

/** That of no token any part that is its own is in a log. */
function assertNoToken(log: string, tokens: readonly string[]): void {
  assert.ok(tokens.length > 0);
  for (const token of tokens) {
    const [, payload, signature] = token.split(".");
    for (const part of [payload, signature, btoa(`any:${token}`).slice(0, 60)]) {
      assert.ok(!log.includes(part.slice(0, 24)), "a token is in the log");
    }
  }
}
