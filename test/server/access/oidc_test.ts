// Tokens of CI systems, by a real issuer on this machine: discovery, keys, keys that change, and an issuer that is away.
import assert from "node:assert/strict";
import { base64url, type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT, UnsecuredJWT } from "jose";
import { FormatError } from "../../../src/errors.ts";
import { OidcIssuer } from "../../../src/server/access/oidc.ts";
import { readOidcConfig } from "../../../src/server/access/oidc_config.ts";
import { permissions, testNeeding } from "../../needs.ts";
import { type GuardedSite, guardedSite, tokenFor, told } from "./_tokens.ts";

const test = testNeeding(permissions);

/** An issuer with keys of its own. */
class Issuer implements AsyncDisposable {
  readonly url: string;
  readonly requests: string[] = [];
  readonly keys = new Map<string, { jwk: JWK; key: CryptoKey; alg: string }>();
  /** What it answers instead, by path. */
  readonly instead = new Map<string, () => Response | Promise<Response>>();
  #server: Deno.HttpServer<Deno.NetAddr>;

  private constructor(port: number) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port, onListen: () => {} }, (request) => {
      const path = new URL(request.url).pathname;
      this.requests.push(path);
      const other = this.instead.get(path);
      if (other) return other();
      if (path === "/.well-known/openid-configuration") {
        return Response.json({ issuer: this.url, jwks_uri: `${this.url}/keys` });
      }
      return Response.json({ keys: [...this.keys.values()].map(({ jwk }) => jwk) });
    });
    this.url = `http://127.0.0.1:${this.#server.addr.port}`;
  }

  static async open(alg: string, port = 0): Promise<Issuer> {
    const issuer = new Issuer(port);
    await issuer.addKey(alg, `first ${alg}`);
    return issuer;
  }

  async addKey(alg: string, kid: string): Promise<void> {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
    this.keys.set(kid, {
      jwk: { ...await exportJWK(publicKey), kid, alg, use: "sig" },
      key: privateKey,
      alg,
    });
  }

  /** A token as a workflow gets it. */
  async token(changes: Record<string, unknown> = {}, kid = [...this.keys.keys()][0]): Promise<string> {
    const { key, alg } = this.keys.get(kid)!;
    const now = Math.floor(Date.now() / 1000);
    return await new SignJWT({
      ...{
        iss: this.url,
        aud: "firn",
        sub: "repo:me/app:ref:refs/heads/main",
        iat: now,
        nbf: now,
        exp: now + 300,
      },
      ...{ repository: "me/app", ref: "refs/heads/main", runs: 7, groups: ["dev", "ops"] },
      ...changes,
    }).setProtectedHeader({ alg, kid }).sign(key);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

interface Clock {
  now: number;
}

function siteOf(
  issuer: string,
  config: Record<string, unknown> = {},
  clock: Clock = { now: Date.now() },
): GuardedSite {
  const log: string[] = [];
  const rules = [
    { claims: { repository: "me/app", ref: "refs/heads/main" }, rights: ["write"], paths: "app-*" },
    { claims: { repository: "me/*", groups: "ops" }, rights: ["read"] },
  ];
  const text = JSON.stringify({ issuer, audience: "firn", rules, ...config });
  const options = { log: (line: string) => log.push(line), now: () => clock.now };
  const issuers = readOidcConfig(text).map((one) => new OidcIssuer(one, options));
  return Object.assign(guardedSite({ issuers }), { issuerLog: log });
}

const ABSENT = `${"0".repeat(32)}.narinfo`;

async function read(site: GuardedSite, token: string): Promise<[number, string]> {
  return await told(await site.send("GET", ABSENT, { token }));
}

async function write(site: GuardedSite, token: string): Promise<[number, string]> {
  return await told(await site.send("PUT", "blob", { token, body: "x" }));
}

for (const alg of ["RS256", "ES256"]) {
  test(`a token of an issuer by ${alg} has the rights of the first rule that its claims meet`, async () => {
    await using issuer = await Issuer.open(alg);
    const site = siteOf(issuer.url);
    const token = await issuer.token();
    assert.equal((await write(site, token))[0], 200);
    assert.equal((await read(site, token))[0], 404);
    const [, log] = await told(
      await site.send("PUT", `log/${"0".repeat(32)}-other.drv`, { token, body: "x" }),
    );
    assert.match(
      log,
      /the token "repo:me\/app:ref:refs\/heads\/main of 127\.0\.0\.1:\d+" \([0-9a-z]{16}\) is for paths of other names/,
    );
    assert.equal(
      (await told(await site.send("PUT", `log/${"0".repeat(32)}-app-1.drv`, { token, body: "x" })))[0],
      200,
    );

    const reader = await issuer.token({ repository: "me/other" });
    assert.equal((await read(site, reader))[0], 404);
    assert.equal((await write(site, reader))[0], 403);
    const stranger = await issuer.token({ repository: "you/app" });
    const [status, text] = await read(site, stranger);
    assert.equal(status, 403);
    assert.match(
      text,
      /^Cannot read: the token "repo:me\/app:.*" \(\w+\) has no right at all, and this needs the right to read\n$/,
    );
    assert.deepEqual(issuer.requests, ["/.well-known/openid-configuration", "/keys"], "asked once for all");
    assert.equal(
      (await write(site, await tokenFor({ rights: ["write"] })))[0],
      200,
      "beside the server's own",
    );
  });
}

test("tokens of an issuer that must not be taken, and what is told of them", async () => {
  await using issuer = await Issuer.open("RS256");
  await issuer.addKey("PS256", "other algorithm");
  await using other = await Issuer.open("RS256");
  const site = siteOf(issuer.url);
  const now = Math.floor(Date.now() / 1000);
  const cases: [string, string, RegExp][] = [
    ["expired", await issuer.token({ exp: now - 3600 }), /it expired on 20/],
    ["never expiring", await issuer.token({ exp: undefined }), /its claim exp is missing or wrong/],
    ["not valid yet", await issuer.token({ nbf: now + 3600 }), /it is not valid yet/],
    [
      "for another audience",
      await issuer.token({ aud: "https://github.com/me" }),
      /it is for another audience/,
    ],
    ["without subject", await issuer.token({ sub: undefined }), /it has no subject/],
    [
      "by an algorithm not configured",
      await issuer.token({}, "other algorithm"),
      /an algorithm that is not taken here/,
    ],
    [
      "unsigned",
      new UnsecuredJWT({ iss: issuer.url, aud: "firn", sub: "x", exp: now + 60 }).encode(),
      /an algorithm/,
    ],
    ["of an issuer that is not configured", await other.token(), /an issuer that is not trusted here/],
    [
      "of that issuer in this one's name",
      await other.token({ iss: issuer.url }),
      /its signature is not right/,
    ],
    [
      "with the issuer's name otherwise written",
      await issuer.token({ iss: issuer.url + "/" }),
      /an issuer that is not/,
    ],
  ];
  for (const [name, token, why] of cases) {
    for (const send of [read, write]) {
      const [status, text] = await send(site, token);
      assert.equal(status, 401, `${name}: ${text}`);
      assert.match(text, why, name);
      assert.ok(!text.includes(token));
    }
  }
  assert.ok(!site.log.some((line) => cases.some(([, token]) => line.includes(token))));
});

test("keys that change are taken over, and one that nobody publishes is not asked for again and again", async () => {
  await using issuer = await Issuer.open("ES256");
  const site = siteOf(issuer.url, { jwks: `${issuer.url}/keys` });
  const old = await issuer.token();
  assert.equal((await write(site, old))[0], 200);
  assert.deepEqual(issuer.requests, ["/keys"], "where its keys are was told");
  const first = issuer.keys.get("first ES256")!;
  issuer.keys.clear();
  await issuer.addKey("ES256", "second");
  const [soon, text] = await write(site, await issuer.token());
  assert.equal(soon, 401, "asked half a minute ago at most");
  assert.match(text, /its issuer publishes no such key/);
  assert.equal(issuer.requests.length, 1);

  const fresh = siteOf(issuer.url);
  assert.equal((await write(fresh, await issuer.token()))[0], 200);
  issuer.keys.set("first ES256", first);
  issuer.keys.delete("second");
  assert.equal((await write(fresh, await issuer.token({}, "first ES256")))[0], 401);
});

test("an issuer that is away is 503 with Retry-After, is left alone for a while, and is asked again", async () => {
  const issuer = await Issuer.open("ES256");
  const clock = { now: Date.now() };
  const site = siteOf(issuer.url, {}, clock) as GuardedSite & { issuerLog: string[] };
  const token = await issuer.token();
  const port = Number(new URL(issuer.url).port);
  await issuer[Symbol.asyncDispose]();
  const answer = await site.send("PUT", "blob", { token, body: "x" });
  assert.equal(answer.headers.get("retry-after"), "5");
  const [status, text] = await told(answer);
  assert.equal(status, 503);
  assert.match(
    text,
    /^Cannot tell now whether the token is genuine: the keys of http:\/\/127\.0\.0\.1:\d+ cannot be had; try again\n$/,
  );
  assert.equal(site.issuerLog.length, 1);
  assert.match(site.issuerLog[0], /^Cannot have the keys of http:/);
  await using back = await Issuer.open("ES256", port);
  for (const [kid, key] of issuer.keys) back.keys.set(kid, key);
  assert.equal((await write(site, token))[0], 503);
  assert.deepEqual(back.requests, [], "left alone");
  clock.now += 5000;
  assert.equal((await write(site, token))[0], 200);
});

test("what an issuer answers amiss is 503, and is told to the log only", async () => {
  const answers: [string, () => Response, RegExp][] = [
    [
      "/.well-known/openid-configuration",
      () => new Response("no", { status: 500 }),
      /answers with status 500/,
    ],
    ["/.well-known/openid-configuration", () => new Response("{", { status: 200 }), /JSON/],
    [
      "/.well-known/openid-configuration",
      () => Response.json({ issuer: "https://evil.example", jwks_uri: "x" }),
      /is of another issuer/,
    ],
    [
      "/.well-known/openid-configuration",
      () => Response.redirect("http://127.0.0.1:1/"),
      /answers with status 302/,
    ],
    ["/.well-known/openid-configuration", () => new Response("x".repeat(2 ** 21)), /over 1048576 bytes/],
    ["/keys", () => new Response("no", { status: 404 }), /./],
    ["/keys", () => new Response("<html>"), /./],
    ["/keys", () => Response.json({ keys: "none" }), /./],
  ];
  for (const [path, answer, why] of answers) {
    await using issuer = await Issuer.open("ES256");
    const site = siteOf(issuer.url) as GuardedSite & { issuerLog: string[] };
    issuer.instead.set(path, answer);
    const [status, text] = await write(site, await issuer.token());
    assert.equal(status, 503, `${path} ${why}: ${text}`);
    assert.match(site.issuerLog[0], why);
  }
  await using issuer = await Issuer.open("ES256");
  const site = siteOf(issuer.url) as GuardedSite & { issuerLog: string[] };
  issuer.instead.set(
    "/.well-known/openid-configuration",
    () => Response.json({ issuer: issuer.url, jwks_uri: "file:///etc/passwd" }),
  );
  assert.equal((await write(site, await issuer.token()))[0], 503);
  assert.match(site.issuerLog[0], /names no keys with https/);
});

test("a token of an issuer can be revoked by the id that its refusals tell", async () => {
  await using issuer = await Issuer.open("ES256");
  const site = siteOf(issuer.url);
  const token = await issuer.token({ repository: "me/other" });
  const [, text] = await write(site, token);
  const id = /\(([0-9a-z]{16})\)/.exec(text)![1];
  const admin = await tokenFor({ rights: ["admin"] });
  assert.equal((await site.send("PUT", `token/revoked/${id}`, { token: admin })).status, 200);
  const again = siteOf(issuer.url);
  await again.names.put(`revoked/${id}`, (await site.names.get(`revoked/${id}`))!);
  const [status, why] = await read(again, token);
  assert.equal(status, 401);
  assert.match(why, /it was revoked/);
});

Deno.test("a configuration says strictly what it means, or is refused with the place that is wrong", () => {
  const rule = { claims: { repository: "me/app" }, rights: ["write"] };
  const good = { issuer: "https://issuer.example", audience: "firn", rules: [rule] };
  const [config] = readOidcConfig(JSON.stringify(good));
  assert.deepEqual(config.algorithms, ["RS256", "ES256"]);
  const { matches } = readOidcConfig(JSON.stringify([{
    ...good,
    rules: [{ ...rule, claims: { ref: ["refs/heads/*", "refs/tags/v1"], n: "7", ok: "true" } }],
  }]))[0].rules[0];
  assert.ok(matches({ ref: "refs/heads/x", n: 7, ok: true }));
  assert.ok(matches({ ref: ["z", "refs/tags/v1"], n: "7", ok: "true" }));
  assert.ok(!matches({ ref: "refs/tags/v2", n: 7, ok: true }));
  assert.ok(!matches({ n: 7, ok: true }), "a claim that is not there");
  assert.ok(!matches({ ref: { toString: () => "refs/heads/x" }, n: 7, ok: true }));
  const bad: [unknown, RegExp][] = [
    ["{", /it is no JSON/],
    [[], /want a list of 1 to 100/],
    [[good, good], /an issuer is there twice/],
    [{ ...good, issuer: "http://issuer.example" }, /issuer 1, issuer: want a URL with https/],
    [{ ...good, issuer: "issuer.example" }, /want a URL with https/],
    [{ ...good, jwks: "http://issuer.example/keys" }, /jwks: want a URL with https/],
    [{ ...good, audience: "" }, /audience: want a text/],
    [{ ...good, audience: undefined }, /audience: want a text/],
    [{ ...good, algorithms: ["HS256"] }, /algorithms may be RS256/],
    [{ ...good, algorithms: ["none"] }, /algorithms may be RS256/],
    [{ ...good, rules: [] }, /rules: want a list/],
    [{ ...good, audiences: "firn" }, /"audiences" is not known here/],
    [
      { ...good, rules: [{ ...rule, claims: {} }] },
      /rule 1: it has no claims, and everybody can get a token/,
    ],
    [{ ...good, rules: [{ rights: ["read"] }] }, /rule 1, claims: want an object/],
    [{ ...good, rules: [{ ...rule, rights: ["all"] }] }, /rule 1: rights may be read, write, admin/],
    [{ ...good, rules: [{ ...rule, claims: { ref: 7 } }] }, /rule 1, claim ref: want a text/],
    [{ ...good, rules: [{ ...rule, claims: { ref: [] } }] }, /rule 1, claim ref: want a list/],
    [{ ...good, rules: [{ ...rule, paths: "a/b" }] }, /Cannot use the pattern/],
    [{ ...good, rules: [{ ...rule, path: "a" }] }, /"path" is not known here/],
    ["null", /want an object/],
  ];
  for (const [value, why] of bad) {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    assert.throws(
      () => readOidcConfig(text),
      (error) => error instanceof FormatError && why.test(error.message),
      text,
    );
  }
});

test("a revoked token does not come back with another signature that is good", async () => {
  await using issuer = await Issuer.open("ES256");
  const site = siteOf(issuer.url);
  const token = await issuer.token();
  const [, text] = await told(
    await site.send("PUT", `log/${"0".repeat(32)}-other.drv`, { token, body: "x" }),
  );
  const id = /\(([0-9a-z]{16})\)/.exec(text)![1];
  await site.send("PUT", `token/revoked/${id}`, { token: await tokenFor({ rights: ["admin"] }) });
  // Of an ECDSA signature (r, s), (r, -s) is another.
  const at = token.lastIndexOf(".") + 1;
  const signature = base64url.decode(token.slice(at));
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const s = order - BigInt("0x" + signature.slice(32).toHex());
  const other = token.slice(0, at) +
    base64url.encode(Uint8Array.fromHex(signature.slice(0, 32).toHex() + s.toString(16).padStart(64, "0")));
  assert.notEqual(other, token);
  const [status, why] = await write(site, other);
  assert.equal(status, 401);
  assert.match(why, /it was revoked/);
});
