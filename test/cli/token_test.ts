// firn token: keys, tokens, and tokens taken back, as a person runs it.
import assert from "node:assert/strict";
import { FirnServer } from "../e2e/server.ts";
import { assertMisused, commandTest, firn } from "./_command.ts";

const DAY = 86_400_000;

/** Makes a key in a file. */
async function makeKey(file: string): Promise<string> {
  const { code, stdout, stderr } = await firn(["token", "key"]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^A token key, .* Keep it secret: chmod 600 its file\.\n$/);
  assert.match(
    stdout,
    /^\{"kty":"OKP","crv":"Ed25519",[^\s]*"d":"[^\s]*\}\n$/,
    "one line, without white space",
  );
  await Deno.writeTextFile(file, stdout, { append: true, mode: 0o600 });
  return stdout;
}

async function makeToken(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ token: string; told: string; id: string }> {
  const { code, stdout, stderr } = await firn(["token", "new", ...args], env);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^[\w\-]+\.[\w\-]+\.[\w\-]+\n$/, "the token, and nothing else");
  return { token: stdout.trim(), told: stderr, id: /\(([0-9a-z]{16})\)/.exec(stderr)![1] };
}

commandTest("a token is made with a key, told, shown and verified", async (folder) => {
  const key = `${folder}/key`;
  const text = await makeKey(key);
  const { token, told, id } = await makeToken([
    "--write",
    "--name",
    "ci",
    "--paths",
    "app-* tool",
    "--expires",
    "30d",
    "--key",
    key,
  ]);
  const match =
    /^token "ci" \(\w+\): may write and read, paths named app-\* tool, until (\S+); firn token revoke \w+ takes it back\n$/
      .exec(told);
  assert.ok(match, told);
  assert.ok(Math.abs(Date.parse(match[1]) - Date.now() - 30 * DAY) < 120_000, match[1]);
  const shown = await firn(["token", "show", token, "--key", key]);
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(
    shown.stdout,
    new RegExp(`^token "ci" \\(${id}\\): may write and read, .*\ngood: signed with one of these keys`),
  );
  const unverified = await firn(["token", "show", token]);
  assert.match(unverified.stdout, /\nnot verified: --key FILE does that\n$/);

  const byEnv = await makeToken(["--read", "--admin", "--expires=never"], { FIRN_TOKEN_KEY: text });
  assert.match(byEnv.told, /^token "unnamed" \(\w+\): may read, administer, for ever; /);
  const byFile = await makeToken(["--admin"], { FIRN_TOKEN_KEY_FILE: key });
  const until = Date.parse(/until (\S+);/.exec(byFile.told)![1]);
  assert.ok(Math.abs(until - Date.now() - 90 * DAY) < 120_000, "90 days unless told");

  await makeKey(`${folder}/other`);
  const other = await firn(["token", "show", token, "--key", `${folder}/other`]);
  assert.equal(other.code, 1);
  assert.match(other.stdout, /\nnot good: it was made with a key that is not one of this server\n$/);
  await makeKey(key); // a second one: tokens of both are good
  for (const one of [token, (await makeToken(["--read", "--key", key])).token]) {
    assert.equal((await firn(["token", "show", one, "--key", key])).code, 0);
  }
  const halves = await firn(["token", "key", "--public", "--key", key]);
  assert.equal(halves.stdout.trim().split("\n").length, 2);
  assert.ok(!halves.stdout.includes('"d"'));
  await Deno.writeTextFile(`${folder}/public`, halves.stdout);
  assert.equal((await firn(["token", "show", token, "--key", `${folder}/public`])).code, 0);
  await assertMisusedOnce(
    ["token", "new", "--read", "--key", `${folder}/public`],
    /want a key with its private half/,
  );
});

/** A failure in one line; the exit code may be 1 or 2. */
async function assertMisusedOnce(args: string[], why: RegExp): Promise<void> {
  const { code, stdout, stderr } = await firn(args);
  assert.ok(code === 1 || code === 2, `${code}`);
  assert.equal(stdout, "");
  assert.match(stderr, /^firn: [^\n]+\n$/);
  assert.match(stderr, why);
}

commandTest("what cannot be a token is told in a line", async (folder) => {
  const key = `${folder}/key`;
  await makeKey(key);
  await assertMisused(["token", "burn"], /Cannot run token burn: no such command/);
  await assertMisused(
    ["token", "new", "--key", key],
    /a token that may nothing: add --read, --write or --admin/,
  );
  await assertMisused(["token", "new", "--read"], /without a token key: want --key FILE/);
  await assertMisused(
    ["token", "new", "--read", "--key", `${folder}/none`],
    /Cannot read the token key .*none/,
  );
  await assertMisused(
    ["token", "new", "--read", "--key", key, "--expires", "soon"],
    /Cannot use --expires soon/,
  );
  await assertMisused(["token", "new", "--read", "--key", key, "--expires", "0"], /expires at once/);
  await assertMisusedOnce(
    ["token", "new", "--read", "--key", key, "--paths", "a/b"],
    /Cannot use the pattern "a\/b"/,
  );
  await assertMisusedOnce(["token", "new", "--read", "--key", key, "--name", ""], /its name is none/);
  await assertMisusedOnce(["token", "show", "hello"], /it is no JSON Web Token/);
  await assertMisused(["token", "show"], /want TOKEN/);
  await assertMisused(
    ["token", "revoke", "abcdefgh", "--store", folder, "--server", "http://x"],
    /both --store and --server/,
  );
  await assertMisused(["token", "revoke", "abcdefgh", "--store", "memory:"], /use --server/);
  await assertMisused(["token", "revoke", "abcdefgh", "--server", "cache"], /want a URL/);
  await assertMisused(["token", "new", "--read"], /both FIRN_TOKEN_KEY and FIRN_TOKEN_KEY_FILE/, {
    FIRN_TOKEN_KEY: "{}",
    FIRN_TOKEN_KEY_FILE: key,
  });
  for (const [text, why] of [["", /there is none/], ["{", /no JSON/], ["{}", /not of Ed25519/]] as const) {
    await Deno.writeTextFile(`${folder}/bad`, text);
    await assertMisused(["serve", "--token-key", `${folder}/bad`], why);
  }
  const whole = JSON.parse(await Deno.readTextFile(key));
  await Deno.writeTextFile(`${folder}/bad`, JSON.stringify({ ...whole, x: whole.d }));
  const mixed = await firn(["serve", "--token-key", `${folder}/bad`]);
  assert.equal(mixed.code, 2);
  assert.ok(!mixed.stderr.includes(whole.d), "a key is told");
  await assertMisused(["serve", "--private"], /Cannot serve --private: nobody could read/);
  await assertMisused(
    ["serve", "--trust-proxy", "proxy.example"],
    /Cannot use the network "proxy\.example".*--trust-proxy/,
  );
  await Deno.writeTextFile(`${folder}/oidc`, '{"issuer":"http://example.org"}');
  await assertMisused(["serve", "--oidc", `${folder}/oidc`], /want a URL with https \(.*oidc\)/);
  const help = await firn(["token", "--help"]);
  assert.equal(help.code, 0);
  for (const word of ["key", "new", "show", "revoke", "revoked", "--paths", "--expires", "--server"]) {
    assert.ok(help.stdout.includes(word), word);
  }
  assert.equal((await firn(["token"])).code, 2);
});

commandTest("a token is taken back in a store that no server has open, and listed", async (folder) => {
  const key = `${folder}/key`;
  const store = `${folder}/store`;
  await makeKey(key);
  await using server = await FirnServer.start(store, "--token-key", key);
  const { token, id } = await makeToken(["--write", "--key", key]);
  const put = async (url: string) => {
    const answer = await fetch(`${url}/blob`, {
      method: "PUT",
      body: "x",
      headers: { authorization: `Bearer ${token}` },
    });
    return [answer.status, await answer.text()] as const;
  };
  assert.equal((await put(server.url))[0], 200);
  const busy = await firn(["token", "revoke", token, "--store", store]);
  assert.equal(busy.code, 1);
  assert.equal(await server.stop(), 0);

  const revoked = await firn(["token", "revoke", token, "--store", store]);
  assert.equal(revoked.code, 0, revoked.stderr);
  assert.equal(revoked.stderr, `the token ${id} is no longer taken\n`);
  assert.equal((await firn(["token", "revoke", "abcdefgh", "--store", store])).code, 0);
  const { stdout } = await firn(["token", "revoked", "--store", store]);
  assert.deepEqual(
    stdout.trim().split("\n").map((line) => line.split("\t")[0]).toSorted(),
    [id, "abcdefgh"].toSorted(),
  );
  assert.match(stdout, new RegExp(`^${id}\trevoked on \\S+\tuntil it expires on \\S+$`, "m"));
  assert.match(stdout, /^abcdefgh\trevoked on \S+\tfor ever$/m);
  await using again = await FirnServer.start(store, "--token-key", key);
  const [status, text] = await put(again.url);
  assert.equal(status, 401);
  assert.match(text, /it was revoked/);
});

commandTest("a token is taken back through the server, by who may administer", async (folder) => {
  const key = `${folder}/key`;
  await makeKey(key);
  await using server = await FirnServer.start(`${folder}/store`, "--token-key", key);
  const { token, id } = await makeToken(["--write", "--key", key]);
  const admin = (await makeToken(["--admin", "--key", key])).token;
  const args = ["token", "revoke", id, "--server", server.url];
  const without = await firn(args);
  assert.equal(without.code, 2);
  assert.match(without.stderr, /refuses with status 401 \(in FIRN_TOKEN\)/);
  const writer = await firn(args, { FIRN_TOKEN: token });
  assert.equal(writer.code, 2);
  assert.match(writer.stderr, /status 403: Cannot administer: the token "unnamed"/);
  assert.equal((await firn(args, { FIRN_TOKEN: admin })).code, 0);
  const listed = await firn(["token", "revoked", "--server", `${server.url}/`], { FIRN_TOKEN: admin });
  assert.match(listed.stdout, new RegExp(`^${id}\trevoked on `));
  const answer = await fetch(`${server.url}/blob`, {
    method: "PUT",
    body: "x",
    headers: { authorization: `Bearer ${token}` },
  });
  assert.equal(answer.status, 401);
  await answer.body?.cancel();
  assert.match(server.log, new RegExp(`revoked the token ${id}, for the token "unnamed"`));
  for (const secret of [token, admin]) assert.ok(!server.log.includes(secret.split(".")[2]));
});
