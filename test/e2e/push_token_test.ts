/** firn push to a private server: with the token it needs, with one that is not enough, and with none. */
import assert from "node:assert/strict";
import { newTokenKey, readTokenKeys } from "../../src/server/access/token_keys.ts";
import { newToken } from "../../src/server/access/tokens.ts";
import type { Right } from "../../src/server/door.ts";
import { sampler } from "./closures.ts";
import { nixTest, User } from "./nix.ts";
import { Proxy } from "./proxy.ts";
import { pull } from "./pull.ts";
import { attemptPush, push } from "./push.ts";
import { FirnServer } from "./server.ts";

nixTest(
  "a private server takes a push with a token, and says what another lacks",
  "new",
  async (nix, folder) => {
    const closure = await sampler(`${folder}/builder`);
    const text = await newTokenKey();
    await Deno.writeTextFile(`${folder}/key`, text, { mode: 0o600 });
    const keys = await readTokenKeys(text);
    const tokens: string[] = [];
    const tokenOf = async (rights: Right[], rest: { paths?: string; expiresAt?: number } = {}) => {
      const { token } = await newToken(keys, { name: "someone", rights, ...rest });
      tokens.push(token);
      return token;
    };
    await using server = await FirnServer.start(
      `${folder}/store`,
      "--token-key",
      `${folder}/key`,
      "--private",
    );
    await using proxy = new Proxy(server.url);
    const args = [closure.root, "--to", proxy.url];
    const refused = async (token: string | undefined, why: RegExp) => {
      const { code, stdout, stderr } = await attemptPush(
        args,
        token === undefined ? {} : { FIRN_TOKEN: token },
      );
      assert.deepEqual([code, stdout], [1, ""], stderr);
      assert.match(stderr, why);
      for (const token of tokens) assert.ok(!stderr.includes(token), "no token is told");
    };
    await refused(undefined, /it wants a token; give one with --token-file FILE, or FIRN_TOKEN \(401 /);
    await refused("nonsense", /it does not take this token, which may have expired; ask for another \(401 /);
    await refused(await tokenOf(["read"]), /this token does not allow it \(403 .*write/);
    await refused(
      await tokenOf(["write"], { paths: "sampler-*" }),
      /this token does not allow it \(403 .*sampler/,
    );
    assert.ok(
      proxy.passed.every(({ status, path }) => path !== "/path-info" || status === 200 || status === 403),
    );

    await Deno.writeTextFile(`${folder}/token`, `${await tokenOf(["write"])}\n`, { mode: 0o600 });
    const pushed = await push([...args, "--token-file", `${folder}/token`]);
    assert.equal(pushed.sent.length + pushed.there.length, closure.paths.length);
    assert.ok(pushed.there.length > 0, "what the other token could publish is there");
    await Deno.writeTextFile(
      `${folder}/netrc`,
      `machine 127.0.0.1\n  login any\n  password ${tokens.at(-1)}\n`,
    );
    const options = ["--no-check-sigs", "--option", "netrc-file", `${folder}/netrc`];
    await pull(new User(nix, `${folder}/puller`), server.url, closure, `${folder}/pulled`, options);
    for (const token of tokens) assert.ok(!server.log.includes(token), "no token is in the log");
  },
);
