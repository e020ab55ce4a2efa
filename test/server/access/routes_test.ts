// Every route of HTTP by everybody who may come: who is let in, who is not, and what they are told.
import assert from "node:assert/strict";
import { fileNar, narFile, narInfo, narInfoName, pathOf } from "../_site.ts";
import { badTokens, type GuardedSite, guardedSite, tokenFor, told } from "./_tokens.ts";

const DIGEST = "A".repeat(43);
const ZERO = "0".repeat(32);
const NO_BODY = new Uint8Array(0);

type Need = "nothing" | "read" | "write" | "admin" | "figures";
/** Each route, what it needs, and the statuses it has for who may. */
const ROUTES: [method: string, path: string, needs: Need, status: number, body?: BodyInit][] = [
  ["GET", "", "nothing", 200],
  ["HEAD", "", "nothing", 200],
  ["GET", "firn.json", "nothing", 200],
  ["GET", "nix-cache-info", "read", 200],
  ["GET", "healthz", "nothing", 200],
  ["GET", "readyz", "nothing", 200],
  ["OPTIONS", "blob", "nothing", 204],
  ["GET", "metrics", "figures", 404],
  ["GET", `${ZERO}.narinfo`, "read", 404],
  ["HEAD", `${ZERO}.narinfo`, "read", 404],
  ["GET", `${ZERO}.ls`, "read", 404],
  ["GET", `nar/${"0".repeat(52)}.nar`, "read", 404],
  ["GET", "nar/snix-castore/CgQKABAA?narsize=1", "read", 400],
  ["GET", `log/${ZERO}-x.drv`, "read", 404],
  ["GET", "realisations/sha256:00!out.doi", "read", 404],
  ["GET", `build-trace-v2/${ZERO}-x.drv/out.doi`, "read", 404],
  ["GET", "debuginfo/0123", "read", 404],
  ["GET", `blob/${DIGEST}`, "read", 404],
  ["GET", `blob/${DIGEST}?bao`, "read", 404],
  ["GET", `directory/${DIGEST}`, "read", 404],
  ["GET", `directory/${DIGEST}?recursive`, "read", 404],
  ["GET", `path-info/${ZERO}`, "read", 404],
  ["GET", `nix/store/${ZERO}-x/`, "read", 404],
  ["GET", "nothing-here", "read", 404],
  ["POST", "blob/missing", "read", 200, NO_BODY],
  ["POST", "blob/read", "read", 200, NO_BODY],
  ["POST", "blob/chunks", "read", 200, NO_BODY],
  ["POST", "directory/read", "read", 200, NO_BODY],
  ["POST", "path-info/missing", "read", 200, NO_BODY],
  ["POST", "blob/write", "write", 200, NO_BODY],
  ["PUT", "blob", "write", 200, "x"],
  ["PUT", `blob/${DIGEST}`, "write", 400, "x"],
  ["PUT", `blob/${DIGEST}?joined`, "write", 400, NO_BODY],
  ["PUT", "blob?joined", "write", 200, NO_BODY],
  ["PUT", "directory", "write", 400, "x"],
  ["PUT", "directory?joined", "write", 400, NO_BODY],
  ["PUT", "path-info", "write", 400, "x"],
  ["PUT", "nix-cache-info", "write", 200, "StoreDir: /nix/store\n"],
  ["PUT", `${ZERO}.narinfo`, "write", 400, "x"],
  ["PUT", `${ZERO}.ls`, "write", 200, "{}"],
  ["PUT", `nar/${"0".repeat(52)}.nar`, "write", 400, "x"],
  ["PUT", `log/${ZERO}-x.drv`, "write", 200, "x"],
  ["PUT", "realisations/sha256:00!out.doi", "write", 200, "{}"],
  ["PUT", `build-trace-v2/${ZERO}-x.drv/out.doi`, "write", 200, "{}"],
  ["PUT", "debuginfo/0123", "write", 200, "{}"],
  ["DELETE", `${ZERO}.narinfo`, "write", 405],
  ["GET", "token/revoked", "admin", 200],
  ["PUT", "token/revoked/abcdefgh", "admin", 200],
];

const GRANTS = {
  read: await tokenFor({ name: "reader", rights: ["read"] }),
  write: await tokenFor({ name: "writer", rights: ["write"] }),
  admin: await tokenFor({ name: "operator", rights: ["admin"] }),
  "read admin": await tokenFor({ name: "both", rights: ["read", "admin"] }),
};

function mayBy(rights: string): (needs: Need) => boolean {
  return (needs) => {
    if (needs === "nothing") return true;
    if (needs === "figures") return /read|admin|write/.test(rights);
    return rights.split(" ").includes(needs) || (rights === "write" && needs === "read");
  };
}

async function status(
  site: GuardedSite,
  route: typeof ROUTES[number],
  token?: string,
): Promise<[number, string, Response]> {
  const [method, path, , , body] = route;
  const answer = await site.send(method, path, { body, token });
  const [code, text] = method === "HEAD" ? [answer.status, ""] : await told(answer);
  return [code, text, answer];
}

Deno.test("each route of a private store lets in who has its right, and tells the others which they lack", async (t) => {
  for (const [rights, token] of Object.entries(GRANTS)) {
    await t.step(rights, async () => {
      const site = guardedSite();
      const may = mayBy(rights);
      for (const route of ROUTES) {
        const [method, path, needs, expected] = route;
        const what = `${method} /${path} with ${rights}`;
        const [code, text, answer] = await status(site, route, token);
        if (may(needs)) assert.equal(code, expected, `${what}: ${text}`);
        else {
          assert.equal(code, 403, what);
          if (method !== "HEAD") {
            const verb = needs === "admin" ? "administer" : needs;
            assert.match(
              text,
              new RegExp(
                `^Cannot ${verb}: the token "\\w+" \\([0-9a-z]{16}\\) has .* needs the right to ${verb}\\n`,
              ),
            );
          }
          assert.match(
            answer.headers.get("www-authenticate")!,
            new RegExp(`insufficient_scope", scope="${needs}"`),
          );
        }
      }
    });
  }
});

Deno.test("without a token a private store has nothing to read but how to get in", async () => {
  const site = guardedSite();
  for (const route of ROUTES) {
    const [method, path, needs, expected] = route;
    const [code, text, answer] = await status(site, route);
    assert.equal(code, needs === "nothing" ? expected : 401, `${method} /${path}: ${text}`);
    if (needs === "nothing") continue;
    if (method !== "HEAD") {
      assert.match(text, /^Cannot let you .* without a token: send one as Authorization: Bearer/);
    }
    assert.equal(
      answer.headers.get("www-authenticate"),
      'Bearer realm="firn", Basic realm="firn", charset="UTF-8"',
    );
  }
});

Deno.test("where reading is open, a token is asked for to write, and looked at for nothing else", async () => {
  for (const [rights, token] of [["nobody", undefined], ...Object.entries(GRANTS)] as const) {
    const site = guardedSite({ private: false });
    const may = mayBy(rights);
    for (const route of ROUTES) {
      const [method, path, needs, expected] = route;
      const [code, text] = await status(site, route, token);
      const open = needs === "read" || may(needs);
      assert.equal(code, open ? expected : token ? 403 : 401, `${method} /${path} by ${rights}: ${text}`);
    }
  }
  const site = guardedSite({ private: false });
  const [expired] = (await badTokens()).expired;
  assert.equal((await site.send("GET", `${ZERO}.narinfo`, { token: expired })).status, 404, "not looked at");
  assert.equal((await site.send("PUT", "blob", { token: expired, body: "x" })).status, 401);
});

Deno.test("no token that is bad in any way opens anything, and each is told what is wrong", async (t) => {
  for (const [name, [token, why]] of Object.entries(await badTokens())) {
    await t.step(name, async () => {
      const site = guardedSite();
      for (const route of ROUTES) {
        const [method, path, needs, expected] = route;
        const [code, text, answer] = await status(site, route, token);
        assert.equal(code, needs === "nothing" ? expected : 401, `${method} /${path}`);
        if (code !== 401) continue;
        if (method !== "HEAD") assert.match(text, why);
        assert.match(
          answer.headers.get("www-authenticate")!,
          /^Bearer realm="firn", error="invalid_(?:token|request)"/,
        );
        assert.ok(!text.includes(token) || token.length < 8, "told again");
      }
      assert.ok(!site.log.some((line) => token.length > 8 && line.includes(token)), "in the log");
    });
  }
});

Deno.test("a revoked token opens nothing any more", async () => {
  let now = Date.now();
  const site = guardedSite({ now: () => now });
  const token = await tokenFor({ name: "lost", rights: ["read", "write", "admin"] });
  assert.equal((await site.send("PUT", "blob", { token, body: "x" })).status, 200);
  const id = JSON.parse(atob(token.split(".")[1])).jti;
  assert.equal((await site.send("PUT", `token/revoked/${id}`, { token: GRANTS.admin })).status, 200);
  const [own, text] = await told(await site.send("GET", "token/revoked", { token }));
  assert.equal(own, 401, "what only an administrator may is asked of the store each time");
  assert.match(text, /^Cannot take the token "lost" \([0-9a-z]{16}\): it was revoked\n$/);
  now += 5000;
  for (const route of ROUTES) {
    const [method, path, needs, expected] = route;
    const [code] = await status(site, route, token);
    assert.equal(code, needs === "nothing" ? expected : 401, `${method} /${path}`);
  }
});

Deno.test("it is known to all servers of a store within a second for writes, within five for reads", async () => {
  let now = Date.now();
  const site = guardedSite({ now: () => now });
  const token = await tokenFor({ rights: ["write"] });
  const id = JSON.parse(atob(token.split(".")[1])).jti;
  const read = async () => (await site.send("GET", `${ZERO}.narinfo`, { token })).status;
  const write = async () => (await site.send("PUT", "blob", { token, body: "x" })).status;
  assert.equal(await read(), 404);
  const other = guardedSite(); // another server, on the same names
  await site.names.put(
    `revoked/${id}`,
    await (async () => {
      await other.send("PUT", `token/revoked/${id}`, { token: GRANTS.admin });
      return (await other.names.get(`revoked/${id}`))!;
    })(),
  );
  assert.equal(await read(), 404, "remembered");
  now += 1000;
  assert.equal(await write(), 401);
  assert.equal(await read(), 401, "once seen, it is never taken again");
});

Deno.test("a token that expires while it is remembered is not taken any more, a minute later as clocks differ", async () => {
  let now = Date.now();
  const site = guardedSite({ now: () => now });
  const token = await tokenFor({ name: "short", expiresAt: now + 10_000 });
  const get = async () => await told(await site.send("GET", `${ZERO}.narinfo`, { token }));
  assert.equal((await get())[0], 404);
  now += 65_000;
  assert.equal((await get())[0], 404);
  now += 6000;
  const [code, text] = await get();
  assert.equal(code, 401);
  assert.match(text, /^Cannot take the token "short" \(.*\): it expired on 20/);
});

Deno.test("where the store does not say whether a token is revoked, none is taken, and it is worth another try", async () => {
  const site = guardedSite({
    revocations: {
      has: () => Promise.reject(new Error("disk")),
      add: () => Promise.reject(),
      list: null!,
      sweep: null!,
    },
  });
  const answer = await site.send("GET", `${ZERO}.narinfo`, { token: GRANTS.read });
  assert.equal(answer.headers.get("retry-after"), "5");
  const [code, text] = await told(answer);
  assert.equal(code, 503);
  assert.match(text, /^Cannot tell now whether the token is revoked/);
  assert.ok(site.log.some((line) => line === "Cannot read the revocations: disk"));
});

Deno.test("a path written in another way needs the same right", async () => {
  const site = guardedSite({ private: false });
  for (
    const path of [
      "%74oken/revoked",
      "token/revoke%64",
      "toke%6e/revoked",
      "/token/revoked",
      "./token/revoked",
      "x/../token/revoked",
    ]
  ) {
    const [code] = await told(await site.send("GET", path));
    assert.ok(code === 401 || code === 404, `${path}: ${code}`);
    const [byReader] = await told(await site.send("GET", path, { token: GRANTS.read }));
    assert.ok(byReader === 403 || byReader === 404, `${path}: ${byReader}`);
  }
});

Deno.test("a token in a URL is refused, for logs keep those", async () => {
  const site = guardedSite();
  for (const name of ["token", "access_token", "auth_token", "TOKEN"]) {
    for (
      const path of [`${ZERO}.narinfo?${name}=abc`, `snix.castore.v1.BlobService/Stat?connect=v1&${name}=abc`]
    ) {
      const [code, text] = await told(await site.send("GET", path, { token: GRANTS.read }));
      assert.equal(code, 400, path);
      assert.match(text, /^Cannot take a token in a URL/);
      assert.ok(!site.log.join().includes("abc"));
    }
  }
});

Deno.test("the fast way to a narinfo is closed where reading needs a token, and minds patterns", async () => {
  const site = guardedSite({}, { alone: true });
  const path = pathOf("kept-1");
  const file = await narFile(await fileNar("kept"));
  const token = GRANTS.write;
  assert.equal((await site.send("PUT", file.url, { token, body: file.bytes })).status, 200);
  assert.equal((await site.send("PUT", narInfoName(path), { token, body: narInfo(path, file) })).status, 200);
  const get = async (token?: string) => {
    const answer = await site.send("GET", narInfoName(path), { token });
    await answer.text();
    return answer.status;
  };
  for (let i = 0; i < 2; i++) assert.equal(await get(GRANTS.read), 200);
  assert.equal(await get(), 401);
  assert.equal(await get(await tokenFor({ paths: "other-*" })), 404);
  assert.equal(await get(await tokenFor({ paths: "kept-*" })), 200);
});

Deno.test("what a private store answers is kept by no cache that serves several people", async () => {
  const site = guardedSite();
  const token = GRANTS.write;
  const { digest } = await (await site.send("PUT", "blob", { token, body: "secret" })).json();
  const path = `blob/${digest.slice(7).replaceAll("+", "-").replaceAll("/", "_").replace("=", "")}`;
  const answer = await site.send("GET", path, { token });
  assert.equal(await answer.text(), "secret");
  assert.equal(answer.headers.get("cache-control"), "private, max-age=31536000, immutable");
  const open = guardedSite({ private: false });
  await (await open.send("PUT", "blob", { token, body: "secret" })).body?.cancel();
  const public_ = await open.send("GET", path);
  await public_.body?.cancel();
  assert.match(public_.headers.get("cache-control")!, /^public/);
});

Deno.test("metrics are for who may read or administer, and for programs on this machine", async () => {
  for (const isPrivate of [true, false]) {
    const site = guardedSite({ private: isPrivate });
    const status = async (options: Parameters<typeof site.send>[2]) =>
      (await site.send("GET", "metrics", options)).status;
    assert.equal(await status({}), 401);
    assert.equal(await status({ token: GRANTS.read }), 404);
    assert.equal(await status({ token: GRANTS.admin }), 404);
    assert.equal(await status({ local: true, headers: { host: "localhost:8080" } }), 404);
    assert.equal(await status({ local: true, headers: { host: "cache.test" } }), 401);
    assert.equal(
      await status({ local: true, headers: { host: "localhost", "x-forwarded-for": "192.0.2.1" } }),
      401,
    );
  }
});
