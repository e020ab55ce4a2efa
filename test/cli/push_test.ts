// firn push as a user runs it: what it takes, what it says, and what it refuses.
import assert from "node:assert/strict";
import { attemptPush, push, startPush } from "../e2e/push.ts";
import { outcomeOf } from "../e2e/nix.ts";
import { Proxy } from "../e2e/proxy.ts";
import { FirnServer } from "../e2e/server.ts";
import { tool } from "../needs.ts";
import { assertMisused, commandTest, firn } from "./_command.ts";

const SECRET = "eyJhbGciOiJub25lIn0.c2VjcmV0.c2ln";

commandTest("push: a command line that cannot be carried out is refused", async (folder) => {
  const to = ["--to", "http://127.0.0.1:9"];
  await Deno.writeTextFile(`${folder}/bad name`, "x");
  await Deno.writeTextFile(`${folder}/empty`, "");
  await assertMisused(["push"], /want firn push PATH/);
  await assertMisused(["push", folder], /want --to URL/);
  await assertMisused(["push", folder, "--to", "ftp://x"], /want an address/);
  await assertMisused(
    ["push", folder, "--to", `http://user:${SECRET}@x.test`],
    /password in it: use --token-file/,
  );
  await assertMisused(["push", folder, ...to, "--token", SECRET], /use --token-file FILE, or FIRN_TOKEN/);
  await assertMisused(
    ["push", folder, ...to, "--token-file", `${folder}/absent`],
    /Cannot read --token-file/,
  );
  await assertMisused(["push", folder, ...to, "--token-file", `${folder}/empty`], /want a token in one line/);
  await assertMisused(["push", folder, ...to], /Cannot use FIRN_TOKEN: want a token/, {
    FIRN_TOKEN: "two words",
  });
  await assertMisused(
    ["push", folder, ...to, "--max-body", "1k"],
    /want bytes such as 4MiB.*at least 640.0 KiB/,
  );
  await assertMisused(["push", folder, ...to, "--max-body", "1e9"], /want bytes/);
  await assertMisused(["push", folder, ...to, "--retry-for", "soon"], /want a duration/);
  await assertMisused(["push", folder, folder, ...to, "--name", "x"], /several paths one name/);
  await assertMisused(["push", folder, ...to, "--name", "a b"], /want 1 to 211/);
  await assertMisused(["push", folder, ...to, "--from", folder, "--name", "x"], /with --from/);
  await assertMisused(["push", folder, ...to, "--colour"], /--colour/);
  const { code, stdout } = await firn(["push", "--help"]);
  assert.equal(code, 0);
  assert.match(stdout, /^firn push: .*\n\nusage: firn push \[options\] PATH… --to URL\n[\s\S]*\nexamples:\n/);
});

commandTest("push: what is not there, or no firn server, is told before anything is sent", async (folder) => {
  await Deno.writeTextFile(`${folder}/file`, "x");
  await Deno.writeTextFile(`${folder}/bad name`, "x");
  await using server = await FirnServer.start(`${folder}/store`);
  const said = async (...args: string[]) => {
    const { code, stdout, stderr } = await attemptPush(args);
    assert.equal(stdout, "");
    return `${code} ${stderr}`;
  };
  assert.match(
    await said(`${folder}/absent`, "--to", server.url),
    /^1 firn: Cannot read .*absent: No such file[^\n]*\n$/,
  );
  assert.match(
    await said(`${folder}/bad name`, "--to", server.url),
    /^2 firn: Cannot name a store path .*--name\n$/,
  );
  assert.match(await said("/nix/store", "--to", server.url), /^2 firn: Cannot push \/nix\/store as one path/);
  assert.match(await said("/nix/store/x", "--to", server.url), /^1 firn: Cannot parse store path/);
  await using other = new Proxy(server.url);
  other.before = () =>
    new Response("<h1>Not here</h1>", { status: 404, headers: { "content-type": "text/html" } });
  assert.match(
    await said(`${folder}/file`, "--to", other.url),
    /^1 firn: Cannot push to \S+: it is no firn server; nix copy --to \S+ sends to other caches\n$/,
  );
  other.before = () => new Response(null, { status: 302, headers: { location: server.url } });
  assert.match(
    await said(`${folder}/file`, "--to", other.url),
    /leads to http:\/\/127\.0\.0\.1:\d+; use that address/,
  );
  const gone = other.url;
  await other[Symbol.asyncDispose]();
  assert.match(
    await said(`${folder}/file`, "--to", gone, "--retry-for", "0"),
    /^1 firn: Cannot reach \S+: [^\n]*; is it up\?\n$/,
  );
});

commandTest("push: the token goes with every request, and into no line", async (folder) => {
  await Deno.writeTextFile(`${folder}/file`, "something");
  await Deno.writeTextFile(`${folder}/token`, `${SECRET}\n`);
  await using server = await FirnServer.start(`${folder}/store`);
  await using proxy = new Proxy(server.url);
  const args = [`${folder}/file`, "--to", proxy.url];
  await push([...args, "--token-file", `${folder}/token`]);
  await Deno.writeTextFile(`${folder}/file`, "something else");
  await push(args, { FIRN_TOKEN: SECRET });
  assert.ok(proxy.passed.length > 6);
  assert.ok(proxy.passed.every(({ authorization }) => authorization === `Bearer ${SECRET}`));
  const refusals: [number, Record<string, string>, RegExp][] = [
    [401, {}, /it wants a token; give one with --token-file FILE, or FIRN_TOKEN \(401 no\)/],
    [
      401,
      { FIRN_TOKEN: SECRET },
      /does not take this token, which may have expired; ask for another \(401 no\)/,
    ],
    [403, { FIRN_TOKEN: SECRET }, /this token does not allow it \(403 no\)/],
    [507, {}, /it has no room; what arrived stays/],
    [500, {}, /it goes on failing; what arrived stays there, and the same command goes on \(500 no\)/],
  ];
  for (const [status, env, why] of refusals) {
    await Deno.writeTextFile(`${folder}/file`, `something for ${status}`);
    proxy.before = ({ method }) => method === "GET" ? undefined : new Response("no\n", { status });
    const { code, stderr } = await attemptPush([...args, "--retry-for", "0"], env);
    assert.equal(code, 1);
    assert.match(stderr, why);
    assert.ok(!stderr.includes(SECRET));
  }
  assert.ok(!server.log.includes(SECRET));
});

commandTest(
  "push: a file that changes while it is sent ends the push, and nothing is published",
  async (folder) => {
    await Deno.mkdir(`${folder}/tree`);
    await Deno.writeTextFile(`${folder}/tree/a`, "before");
    await Deno.writeFile(`${folder}/tree/b`, new Uint8Array(3_000_000).map((_, i) => i * i >> 7));
    await using server = await FirnServer.start(`${folder}/store`);
    await using proxy = new Proxy(server.url);
    const changes: [string, () => Promise<void>][] = [
      ["a", () => Deno.writeTextFile(`${folder}/tree/a`, "after!")],
      ["b", () => Deno.truncate(`${folder}/tree/b`, 1_000_000)],
      ["a", () => Deno.remove(`${folder}/tree/a`)],
    ];
    for (const [name, change] of changes) {
      let changed = false;
      proxy.after = async ({ path }) => {
        if (changed || path !== "/blob/missing") return;
        changed = true;
        await change();
      };
      const { code, stdout, stderr } = await attemptPush([`${folder}/tree`, "--to", proxy.url]);
      assert.deepEqual([code, stdout], [1, ""], stderr);
      assert.match(stderr, new RegExp(`^firn: Cannot (send|read) .*/tree/${name}[: ]`));
      assert.deepEqual([proxy.sent("PUT", /directory/), proxy.sent("PUT", /path-info/)], [[], []]);
    }
  },
);

commandTest("push: a file that may not be read is told, and nothing is sent", async (folder) => {
  await Deno.mkdir(`${folder}/tree/deep`, { recursive: true });
  await Deno.writeTextFile(`${folder}/tree/deep/secret`, "x", { mode: 0o000 });
  await using server = await FirnServer.start(`${folder}/store`);
  await using proxy = new Proxy(server.url);
  // Root may read all; without its capabilities it may not.
  const bare = Deno.uid() === 0 ? ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] : [];
  const args = [`${folder}/tree`, "--to", proxy.url];
  const file = await attemptPush(args, {}, bare);
  assert.match(file.stderr, /^firn: Cannot read .*\/deep\/secret: Permission denied[^\n]*\n$/);
  await Deno.chmod(`${folder}/tree/deep`, 0o000);
  const inside = await attemptPush(args, {}, bare);
  await Deno.chmod(`${folder}/tree/deep`, 0o700);
  assert.match(inside.stderr, /^firn: Cannot read .*\/tree\/deep: Permission denied[^\n]*\n$/);
  assert.deepEqual([file.code, inside.code], [1, 1]);
  assert.ok(proxy.passed.every(({ method }) => method === "GET"));
}, tool("setpriv", "util-linux"));

commandTest("push: interrupted by a signal it says how to go on, and does", async (folder) => {
  await Deno.writeTextFile(`${folder}/file`, "something");
  await using server = await FirnServer.start(`${folder}/store`);
  await using proxy = new Proxy(server.url);
  const args = [`${folder}/file`, "--to", proxy.url];
  const child = startPush(args);
  proxy.before = ({ path }) => {
    if (path === "/path-info") child.kill("SIGINT");
    return path === "/path-info" ? new Response("wait\n", { status: 503 }) : undefined;
  };
  const { code, stderr } = await outcomeOf(child);
  assert.equal(code, 1);
  assert.match(stderr, /firn: stopped; what arrived stays there, and the same command goes on\n$/);
  proxy.before = () => {};
  const { sentBytes, sharedBytes, roots } = await push(args);
  assert.deepEqual([sentBytes, sharedBytes, roots.length], [0, 9, 1]);
});
