/**
 * firn push to a server, and real Nix that copies out of it what was pushed: closures, folders, and pushes that were interrupted.
 */
import assert from "node:assert/strict";
import { permissions, testNeeding, tool } from "../needs.ts";
import { firn } from "../cli/_command.ts";
import { hashPart } from "./cache_folder.ts";
import { debianClosure, manyPaths, sampler } from "./closures.ts";
import { lines, nixTest, outcomeOf, User } from "./nix.ts";
import { Proxy } from "./proxy.ts";
import { pull } from "./pull.ts";
import { attemptPush, push, startPush } from "./push.ts";
import { FirnServer, pause } from "./server.ts";

const MIB = 2 ** 20;

async function statusOf(url: string): Promise<number> {
  const answer = await fetch(url);
  await answer.body?.cancel();
  return answer.status;
}

/** The most resident memory a process has had, in bytes; 0 when it has ended. */
function peakMemory(pid: number): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Bytes that nobody has seen before, the same for the same seed. */
function noise(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = seed * 2654435761 >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state;
  }
  return bytes;
}

for (const name of ["old", "new"] as const) {
  nixTest(
    "a closure is pushed, and copied out by nix; once there, nothing is sent",
    name,
    async (nix, folder) => {
      const closure = await sampler(`${folder}/builder`);
      await using server = await FirnServer.start(`${folder}/store`);
      await using proxy = new Proxy(server.url);
      await Deno.symlink(closure.root, `${folder}/result`);
      const pushed = await push([`${folder}/result`, "--to", proxy.url]);
      assert.deepEqual(pushed.roots, [closure.root]);
      assert.deepEqual(pushed.sent.toSorted(), closure.paths.toSorted());
      assert.ok(pushed.bodyBytes < pushed.sentBytes / 2, "bodies are compressed");
      const infos = proxy.passed.map(({ path }) => path).indexOf("/path-info");
      assert.ok(
        proxy.passed.slice(infos).every(({ path }) => path === "/path-info"),
        "path infos come after all that they need",
      );
      await pull(new User(nix, `${folder}/puller`), server.url, closure, `${folder}/pulled`);

      const before = proxy.passed.length;
      const again = await push([closure.root, "--to", proxy.url]);
      assert.deepEqual([again.sent, again.sentBytes, again.readBytes], [[], 0, 0]);
      assert.deepEqual(again.there.toSorted(), closure.paths.toSorted());
      assert.equal(proxy.passed.length - before, 2, "what it is, and what is missing");

      const alone = await FirnServer.start(`${folder}/another`);
      await using _ = alone;
      const one = await push([`${closure.root}`, "--no-closure", "--to", alone.url]);
      assert.deepEqual(one.sent, [closure.root]);
    },
  );
}

nixTest(
  "a closure of Debian packages is pushed, in bounded memory",
  "new",
  async (nix, folder) => {
    const closure = await debianClosure(`${folder}/builder`, "git");
    await using server = await FirnServer.start(`${folder}/store`);
    const child = startPush([closure.root, "--to", server.url]);
    const ended = outcomeOf(child);
    let peak = 0;
    for (
      let running = true;
      running;
      running = await Promise.race([ended.then(() => false), pause(50).then(() => true)])
    ) {
      peak = Math.max(peak, peakMemory(child.pid));
    }
    const { code, stdout, stderr } = await ended;
    assert.equal(code, 0, stderr);
    assert.equal(stdout, `${closure.root}\n`);
    assert.match(stderr, /^sent \d+ paths: .* as .* in \d+ requests, .* there already\n$/m);
    assert.ok(peak > 50 * MIB && peak < 400 * MIB, `resident memory reached ${Math.round(peak / MIB)} MiB`);
    await pull(new User(nix, `${folder}/puller`), server.url, closure, `${folder}/pulled`);
  },
  tool("git", "git"),
  tool("dpkg-query", "dpkg"),
);

nixTest("a folder is pushed, and is the path that nix makes of it", "old", async (nix, folder) => {
  await using server = await FirnServer.start(`${folder}/store`);
  const user = new User(nix, `${folder}/user`);
  const tree = `${folder}/tree`;
  const script = String.raw`
    mkdir -p tree/deep/er tree/empty; cd tree; echo one > deep/er/file; echo run > deep/run; chmod +x deep/run
    echo odd > "$(printf 'latin\351')"; ln -s deep/run link; head -c 5000000 /dev/urandom > long; printf '' > nothing`;
  await new Deno.Command("/bin/sh", { args: ["-ec", script], cwd: folder }).output();
  const expected = await user.nixStore(
    "--store",
    `${folder}/mine`,
    "--add-fixed",
    "--recursive",
    "sha256",
    tree,
  );
  const { code, stdout, stderr } = await attemptPush([tree, "--to", server.url]);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, expected);
  await user.nixCommand("copy", "--from", server.url, "--to", `${folder}/pulled`, stdout.trim());
  const there = new User(nix, `${folder}/verifier`);
  await there.nixStore("--store", `${folder}/pulled`, "--verify", "--check-contents");
  const { success } = await new Deno.Command("diff", {
    args: ["-r", "--no-dereference", tree, `${folder}/pulled${stdout.trim()}`],
  }).output();
  assert.ok(success, "nix has the same files");

  await Deno.writeTextFile(`${tree}/deep/er/more`, "two");
  const named = await push([tree, "--name", "other-1.0", "--to", server.url]);
  assert.match(named.roots[0], /-other-1\.0$/);
  assert.equal(named.sentBytes, 3, "only what is new");
  assert.ok(named.sharedBytes > 5_000_000);
});

nixTest("20,000 small files take few requests", "old", async (_nix, folder) => {
  await using server = await FirnServer.start(`${folder}/store`);
  await using proxy = new Proxy(server.url);
  for (let i = 0; i < 20_000; i++) {
    if (i % 500 === 0) await Deno.mkdir(`${folder}/tree/${i / 500}`, { recursive: true });
    Deno.writeTextFileSync(
      `${folder}/tree/${Math.floor(i / 500)}/${i}`,
      `file ${i} of many`.repeat(1 + i % 40),
    );
  }
  const pushed = await push([`${folder}/tree`, "--to", proxy.url]);
  assert.ok(pushed.requests <= 14, `${pushed.requests} requests`);
  assert.equal(proxy.blobs().size, 20_000);
  assert.ok(proxy.passed.every(({ length }) => length <= 4 * MIB));
});

nixTest(
  "a push that is killed goes on: what was acknowledged is not sent again",
  "new",
  async (nix, folder) => {
    const closure = await manyPaths(`${folder}/builder`, 60, 200_000);
    const long = `${folder}/long`;
    await Deno.mkdir(long);
    for (let i = 0; i < 4; i++) await Deno.writeFile(`${long}/${i}`, noise(6 * MIB, i + 1));
    await using server = await FirnServer.start(`${folder}/store`);
    await using proxy = new Proxy(server.url);
    const args = [closure.root, long, "--max-body", "1MiB", "--no-compress", "--to", proxy.url];
    // Killed as the n-th request is there: before the server has it, or after, and before the client hears of it.
    const moments = [
      ["POST", /missing/, 1, "after"],
      ["POST", /\/blob\/write/, 3, "after"],
      ["POST", /\/blob\/write/, 5, "before"],
      ["POST", /\/blob\/write/, 9, "after"],
      ["PUT", /joined/, 1, "after"],
      ["PUT", /directory/, 1, "before"],
      ["PUT", /path-info/, 1, "before"],
      ["PUT", /path-info/, 20, "after"],
    ] as const;
    for (const [method, path, number, when] of moments) {
      const acknowledged = proxy.blobs(0, true);
      const from = proxy.passed.length;
      const child = startPush(args);
      const ended = child.status;
      let killed = false;
      proxy[when] = () => {
        const passed = proxy.passed.slice(from).filter((one) => one.method === method && path.test(one.path));
        const there = when === "before" ? passed : passed.filter(({ status }) => status === 200);
        if (killed || there.length < number) return;
        killed = true;
        child.kill("SIGKILL");
      };
      const { signal } = await ended;
      await Promise.all([child.stdout.cancel(), child.stderr.cancel()]);
      assert.equal(signal, "SIGKILL", `killed ${when} ${method} ${path} ${number}`);
      proxy[when] = () => {};
      const twice = [...proxy.blobs(from)].filter((blob) => acknowledged.has(blob));
      assert.deepEqual(twice, [], "nothing that was acknowledged was sent again");
    }
    const acknowledged = proxy.blobs(0, true);
    const from = proxy.passed.length;
    const done = await push(args);
    assert.deepEqual([...proxy.blobs(from)].filter((blob) => acknowledged.has(blob)), []);
    assert.equal(done.sent.length + done.there.length, closure.paths.length + 1);
    assert.ok(done.there.length >= 20, "paths that were published stay published");
    assert.ok(proxy.passed.every(({ length }) => length <= MIB));
    await pull(new User(nix, `${folder}/puller`), server.url, closure, `${folder}/pulled`);
  },
);

nixTest(
  "a server killed in the middle of a push, and started again: the push ends well",
  "new",
  async (nix, folder) => {
    const closure = await manyPaths(`${folder}/builder`, 60, 200_000);
    await using servers = new AsyncDisposableStack();
    let server = servers.use(await FirnServer.start(`${folder}/store`));
    await using proxy = new Proxy(server.url);
    const deaths = [/blob\/write/, /directory/, /path-info$/];
    let restarting: Promise<void> | undefined;
    proxy.before = ({ path }) => {
      if (restarting === undefined && deaths[0]?.test(path)) {
        deaths.shift();
        restarting = server.kill().then(async () => {
          server = servers.use(await FirnServer.start(`${folder}/store`));
          proxy.target = server.url;
          restarting = undefined;
        });
        return new Response("the server is gone\n", { status: 502 });
      }
      if (restarting) {
        return new Response("the server is gone\n", {
          status: 503,
          headers: { "retry-after": "1" },
        });
      }
    };
    const pushed = await push([closure.root, "--max-body", "1MiB", "--to", proxy.url]);
    assert.deepEqual(deaths, []);
    assert.deepEqual(pushed.sent.toSorted(), closure.paths.toSorted());
    await pull(new User(nix, `${folder}/puller`), server.url, closure, `${folder}/pulled`);
  },
);

nixTest(
  "a store path that is not what nix recorded, or not there, is not sent",
  "old",
  async (nix, folder) => {
    const closure = await sampler(`${folder}/builder`);
    const user = new User(nix, `${folder}/user`);
    const root = `${folder}/root`;
    await user.nixCommand("copy", "--no-check-sigs", "--to", root, closure.root);
    await using server = await FirnServer.start(`${folder}/store`);
    const large = closure.paths.find((path) => path.endsWith("-sampler-large"))!;
    await new Deno.Command("chmod", { args: ["-R", "u+w", `${root}${large}`] }).output();
    await Deno.writeTextFile(`${root}${large}/text`, "others");
    const { code, stderr } = await attemptPush([closure.root, "--nix-root", root, "--to", server.url]);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /Cannot push .*sampler-large: its contents are not what Nix has recorded \(sha256:.*repair/,
    );
    assert.equal(await statusOf(`${server.url}/${hashPart(large)}.narinfo`), 404);
    assert.equal(await statusOf(`${server.url}/${hashPart(closure.root)}.narinfo`), 404);

    const absent = `/nix/store/${"0".repeat(32)}-absent`;
    const other = await attemptPush([absent, "--to", server.url]);
    assert.equal(other.code, 1);
    assert.match(
      other.stderr,
      /^firn: Cannot push .*-absent: it is not valid in the Nix store of this machine\n$/,
    );

    await Deno.rename(`${root}/nix/var/nix/db/db.sqlite`, `${root}/nix/var/nix/db/gone`);
    const neither = await attemptPush([closure.root, "--nix-root", root, "--to", server.url], {
      PATH: "/nowhere",
    });
    assert.match(neither.stderr, /^firn: Cannot read Nix's database .*\. Cannot run nix: /);
  },
);

nixTest("without its database, nix is asked by its command", "old", async (nix, folder) => {
  const closure = await sampler(`${folder}/builder`);
  await using server = await FirnServer.start(`${folder}/store`);
  // The command reads the machine's own store; where this process would look for the database, there is none.
  const tools = `${folder}/tools`;
  const path = Deno.env.get("PATH");
  await Deno.mkdir(tools);
  await Deno.writeTextFile(
    `${tools}/nix`,
    `#!/bin/sh\nPATH='${path}'; unset NIX_STATE_DIR; exec ${nix.folder}nix "$@"\n`,
    {
      mode: 0o755,
    },
  );
  const env = { NIX_STATE_DIR: `${folder}/nowhere`, PATH: `${tools}:${path}` };
  const pushed = await push([closure.root, "--to", server.url], env);
  assert.deepEqual(pushed.sent.toSorted(), closure.paths.toSorted());
  await pull(new User(nix, `${folder}/puller`), server.url, closure, `${folder}/pulled`);
});

nixTest("out of a firn store that no server has open", "old", async (nix, folder) => {
  const closure = await sampler(`${folder}/builder`);
  {
    await using server = await FirnServer.start(`${folder}/first`);
    await push([closure.root, "--to", server.url]);
    assert.equal(await server.stop(), 0);
  }
  await using server = await FirnServer.start(`${folder}/second`);
  const pushed = await push([hashPart(closure.root), "--from", `${folder}/first`, "--to", server.url]);
  assert.deepEqual(pushed.sent.toSorted(), closure.paths.toSorted());
  await pull(new User(nix, `${folder}/puller`), server.url, closure, `${folder}/pulled`);
});

testNeeding(permissions)({
  name: "what a push left that did not end is garbage, and gc deletes all of it",
  sanitizeResources: false,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "firn-e2e-" });
    try {
      await Deno.mkdir(`${folder}/tree/deep`, { recursive: true });
      for (let i = 0; i < 4; i++) await Deno.writeFile(`${folder}/tree/deep/${i}`, noise(3 * MIB, i + 10));
      {
        await using server = await FirnServer.start(`${folder}/store`);
        await using proxy = new Proxy(server.url);
        proxy.before = ({ path }) =>
          path === "/path-info" ? new Response("no\n", { status: 403 }) : undefined;
        const { code, stderr } = await attemptPush([`${folder}/tree`, "--to", proxy.url]);
        assert.equal(code, 1, stderr);
        assert.ok(proxy.sent("PUT", /directory/).length > 0, "all but the path info was sent");
        assert.equal(await server.stop(), 0);
      }
      const before = await firn(["stats", "--store", `${folder}/store`]);
      assert.match(before.stdout, /^garbage +12\.\d MiB/m);
      const { stdout } = await firn(["gc", "--grace", "0", "--store", `${folder}/store`]);
      assert.match(stdout, / and [1-9]\d* values of 12\.\d MiB; 0 values stay/);
      const after = lines((await firn(["stats", "--store", `${folder}/store`])).stdout);
      assert.ok(after.some((line) => /^garbage +0 B/.test(line)), after.join("\n"));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
