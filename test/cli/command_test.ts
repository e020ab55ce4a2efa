// The command as a user runs it: exit codes, what is said where, and what variables do.
import assert from "node:assert/strict";
import { assertMisused, commandTest, firn, MAIN } from "./_command.ts";
import { FirnServer } from "../e2e/server.ts";
import { assertTaken, fileNar, narFile, narInfo, narInfoName, pathOf, treeNar } from "../server/_site.ts";

commandTest(
  "--help tells the commands, and of serve every option, its variable, its default, and examples",
  async () => {
    for (const args of [["--help"], ["-h"], ["help"]]) {
      const { code, stdout, stderr } = await firn(args);
      assert.equal(code, 0);
      for (const command of ["serve", "token", "gc", "pin", "unpin", "pins", "stats"]) {
        assert.match(stdout, new RegExp(`^\\s+${command} `, "m"));
      }
      assert.equal(stderr, "");
    }
    const bare = await firn([]);
    assert.equal(bare.code, 2);
    assert.match(bare.stdout + bare.stderr, /^\s+serve /m);

    const { code, stdout } = await firn(["serve", "--help"]);
    assert.equal(code, 0);
    const options = [
      "listen",
      "content-listen",
      "content-origin",
      "grpc-listen",
      "grpc-tls-cert",
      "grpc-tls-key",
      "max-message",
      "near",
      "allow-origin",
      "store",
      "secret-key",
      "priority",
      "no-mass-query",
      "references",
      "directory-sizes",
      "oidc",
      "private",
      "trust-proxy",
      "token-key",
    ];
    for (const option of options) {
      assert.ok(stdout.includes(`--${option}`), option);
      assert.ok(stdout.includes(`FIRN_${option.toUpperCase().replaceAll("-", "_")}`), option);
    }
    for (
      const text of [
        "[127.0.0.1:8080]",
        "[127.0.0.1:8000]",
        "[4194304]",
        "[./firn-near]",
        "[./firn-store]",
        "[40]",
        "[warn]",
        "[documented]",
      ]
    ) {
      assert.ok(stdout.includes(text), text);
    }
    assert.match(stdout, /^examples:\n(?: {2}.*\n)+/m);
    assert.match(stdout, /nix copy --to http:\/\/127\.0\.0\.1:8080/);
    for (const line of stdout.split("\n")) assert.ok(line.length <= 120, line);
  },
);

commandTest("what cannot be carried out is exit code 2 and a line that says why", async (folder) => {
  await assertMisused(["server"], /Cannot run server: no such command; firn --help lists them/);
  await assertMisused(["serve", "--unknown"], /--unknown/);
  await assertMisused(["serve", "--priority"], /--priority/);
  await assertMisused(["serve", "--priority", "high"], /Cannot use --priority high/);
  await assertMisused(["serve", "extra"], /extra/);
  await assertMisused(["serve", "--listen", "nowhere"], /Cannot listen on nowhere: want HOST:PORT/);
  await assertMisused(["serve"], /Cannot use --references sometimes/, { FIRN_REFERENCES: "sometimes" });
  await assertMisused(["serve", "--secret-key", `${folder}/none`], /Cannot read the secret key .*none/);
  await Deno.writeTextFile(`${folder}/bad.key`, "not-a-key");
  await assertMisused(["serve", "--secret-key", `${folder}/bad.key`], /Cannot use the secret key .*bad\.key/);
  await assertMisused(
    ["serve", "--listen=127.0.0.1:0", "--store", "s3://bucket"],
    /Cannot open the store s3:\/\/bucket: want a folder, file:\/\/\/folder, memory: or grpc\+http:/,
  );
  await assertMisused(
    ["serve", "--store", "grpc+http://host/path", "--near", "memory:"],
    /Cannot open the store grpc\+http:\/\/host\/path: want grpc\+http:\/\/HOST:PORT, /,
  );
  const tls = ["--store=memory:", "--grpc-tls-cert", `${folder}/bad.key`, "--grpc-tls-key", `${folder}/none`];
  await assertMisused(
    ["serve", "--listen=127.0.0.1:0", ...tls],
    /Cannot (read .*none: |use .*bad.key for TLS)/,
  );
  await assertMisused(
    ["serve", "--listen=127.0.0.1:0", ...tls.slice(0, 4), `${folder}/bad.key`],
    /Cannot use .*bad\.key for TLS: it is not in PEM/,
  );
});

commandTest("a key in a bad file is not told to anybody", async (folder) => {
  const secret = btoa("x".repeat(63));
  await Deno.writeTextFile(`${folder}/bad.key`, `cache-1:${secret}`);
  const { stdout, stderr } = await firn(["serve", "--secret-key", `${folder}/bad.key`]);
  assert.ok(!(stdout + stderr).includes(secret.slice(0, 20)));
});

commandTest("an address that is taken, or not of this machine, is told in a line", async (folder) => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr as Deno.NetAddr;
  const store = ["--store", `${folder}/store`];
  await assertMisused(
    ["serve", "--listen", `127.0.0.1:${port}`, ...store],
    /Cannot listen on 127\.0\.0\.1:\d+/,
  );
  await assertMisused(["serve", "--listen", "192.0.2.1:80", ...store], /Cannot listen on 192\.0\.2\.1:80/);
  await assertMisused(
    ["serve", "--listen=127.0.0.1:0", "--grpc-listen", `127.0.0.1:${port}`, ...store],
    /Cannot listen on 127\.0\.0\.1:\d+: .*--grpc-listen/,
  );
});

commandTest("a store that cannot be opened is told in a line", async (folder) => {
  await Deno.writeTextFile(`${folder}/file`, "");
  for (const store of [`${folder}/file`, `${folder}/file/below`]) {
    const { code, stdout, stderr } = await firn(["serve", "--listen=127.0.0.1:0", "--store", store]);
    assert.notEqual(code, 0);
    assert.equal(stdout, "");
    assert.match(stderr, /^firn: Cannot open [^\n]*\n$/);
  }
});

commandTest("port 0 takes a free port, and a line on stdout for each address tells it", async (folder) => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", MAIN, "serve", "--listen", "127.0.0.1:0", "--store", `file://${folder}/with%20space`],
    env: { FIRN_GRPC_LISTEN: "127.0.0.1:0" },
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  while (!said.includes("firn serves on")) said += (await reader.read()).value ?? assert.fail(said);
  const lines =
    /^firn serves native gRPC on grpc\+http:\/\/127\.0\.0\.1:(\d+)\nfirn serves on (http:\/\/127\.0\.0\.1:(\d+))\n$/;
  const [, grpcPort, url, port] = lines.exec(said) ?? [];
  assert.ok(Number(port) > 0 && Number(grpcPort) > 0, said);
  // It answers as soon as it has said so.
  assert.equal((await (await fetch(`${url}/nix-cache-info`)).text()).split("\n")[0], "StoreDir: /nix/store");
  child.kill("SIGTERM");
  for (let part = await reader.read(); !part.done; part = await reader.read()) said += part.value;
  assert.equal(said.split("\n").length, 3, "two lines");
  assert.equal((await child.status).code, 0);
  assert.ok((await Deno.stat(`${folder}/with space/names.kv`)).isFile);
});

commandTest("variables set up a server as options do", async (folder) => {
  const store = `${folder}/from-env`;
  // RFC 8032, section 7.1, test 1.
  const seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
  const key = seed + "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
  await Deno.writeTextFile(`${folder}/key`, `cache-1:${Uint8Array.fromHex(key).toBase64()}\n`);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", MAIN, "serve"],
    env: {
      FIRN_LISTEN: "127.0.0.1:0",
      FIRN_GRPC_LISTEN: "off",
      FIRN_STORE: store,
      FIRN_PRIORITY: "7",
      FIRN_NO_MASS_QUERY: "1",
      FIRN_REFERENCES: "strict",
      FIRN_SECRET_KEY: `${folder}/key`,
    },
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const [url] = /http:\S+/.exec((await reader.read()).value!)!;
  try {
    const info = await (await fetch(`${url}/nix-cache-info`)).text();
    assert.equal(info, "StoreDir: /nix/store\nWantMassQuery: 0\nPriority: 7\n");
    assert.match(
      await (await fetch(`${url}/firn.json`)).text(),
      /cache-1:11qYAYKxCrfVS\/7TyWQHOg7hcvPapiMlrwIaaPcHURo=/,
    );
    const [path, other] = [pathOf("env"), pathOf("unclaimed")];
    const file = await narFile(await fileNar(`/nix/store/${other}`));
    await assertTaken(await fetch(`${url}/${file.url}`, { method: "PUT", body: file.bytes }));
    const refused = await fetch(`${url}/${narInfoName(path)}`, { method: "PUT", body: narInfo(path, file) });
    assert.equal(refused.status, 400);
    assert.match(await refused.text(), /which References does not list/);
  } finally {
    child.kill("SIGTERM");
    await reader.cancel();
    await child.status;
  }
  assert.ok((await Deno.stat(`${store}/names.kv`)).isFile);
});

commandTest("--directory-sizes of either kind gives the same NAR", async (folder) => {
  const path = pathOf("sizes");
  const file = await narFile(await treeNar({ a: { b: { c: "d" } }, e: "f" }));
  const urls: string[] = [];
  for (const sizes of ["documented", "snix"]) {
    await using server = await FirnServer.start(`${folder}/${sizes}`, "--directory-sizes", sizes);
    for (const [name, body] of [[file.url, file.bytes], [narInfoName(path), narInfo(path, file)]] as const) {
      await assertTaken(await fetch(`${server.url}/${name}`, { method: "PUT", body }));
    }
    const text = await (await fetch(`${server.url}/${narInfoName(path)}`)).text();
    urls.push(/^URL: (.*)$/m.exec(text)![1]);
    assert.deepEqual(await (await fetch(`${server.url}/${urls.at(-1)}`)).bytes(), file.nar);
  }
  assert.notEqual(urls[0], urls[1], "the root nodes have different sizes");
});

commandTest("--content-listen gives contents an origin of their own, and pages are told", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      MAIN,
      "serve",
      "--store=memory:",
      "--listen=127.0.0.1:0",
      "--content-listen=127.0.0.1:0",
    ],
    env: { FIRN_GRPC_LISTEN: "off" },
    stdout: "piped",
    stderr: "null",
  }).spawn();
  try {
    let told = "";
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    while (!/^firn serves on /m.test(told)) {
      const { done, value } = await reader.read();
      assert.ok(!done, told);
      told += value;
    }
    const [, contents] = /^firn serves contents on (\S+)$/m.exec(told)!;
    const [, main] = /^firn serves on (\S+)$/m.exec(told)!;
    const facts = await (await fetch(`${main}/firn.json`)).json();
    assert.equal(facts.contentOrigin, contents);
    const file = await narFile(await treeNar({ "app.js": "1" }));
    const path = pathOf("scripts");
    await assertTaken(await fetch(`${main}/${file.url}`, { method: "PUT", body: file.bytes }));
    await assertTaken(
      await fetch(`${main}/${narInfoName(path)}`, { method: "PUT", body: narInfo(path, file) }),
    );
    for (const [origin, type] of [[contents, /^text\/javascript/], [main, /^text\/plain/]] as const) {
      const answer = await fetch(`${origin}/nix/store/${path}/app.js`);
      assert.equal(await answer.text(), "1");
      assert.match(answer.headers.get("content-type") ?? "", type);
    }
    const elsewhere = await fetch(`${contents}/nix-cache-info`);
    assert.equal(elsewhere.status, 404);
    await elsewhere.body?.cancel();
  } finally {
    child.kill("SIGTERM");
    await child.status;
  }
});
