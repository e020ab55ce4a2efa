/**
 * Authorization headers with random damage: none opens anything, each is refused with 401 and a line that tells nothing of it,
 * and none makes the server fail.
 */
import assert from "node:assert/strict";
import { seeded } from "../hash/_inputs.ts";
import { badTokens, guardedSite, tokenFor } from "../server/access/_tokens.ts";

const ROUNDS = 20_000;
const MILLISECONDS = 6000;
const ODD = [
  "",
  " ",
  "\t",
  "Bearer",
  "Basic",
  "bearer ",
  ",",
  ":",
  "=",
  ".",
  "..",
  "%00",
  "\u00e9",
  "eyJ",
  "null",
  "{}",
  "A".repeat(20_000),
];

type Random = (below: number) => number;

function damaged(text: string, other: string, random: Random): string {
  const at = random(text.length + 1);
  switch (random(7)) {
    case 0:
      return text.slice(0, at) + String.fromCharCode(33 + random(94)) + text.slice(at + 1);
    case 1:
      return text.slice(0, at) + text.slice(at + 1 + random(8));
    case 2:
      return text.slice(0, at) + other.slice(random(other.length + 1));
    case 3:
      return text.slice(0, at) + ODD[random(ODD.length)] + text.slice(at);
    case 4: {
      const [a, b] = [text.split("."), other.split(".")];
      return a.map((part, i) => random(2) ? part : b[i] ?? "").join(".");
    }
    case 5:
      return text.split(".").map((part) => random(3) ? part : btoa(part.slice(0, 50))).join(".");
    default:
      return ODD[random(ODD.length)];
  }
}

Deno.test("damaged Authorization headers open nothing and tell nothing", async () => {
  const site = guardedSite();
  const good = await tokenFor({ rights: ["read", "write", "admin"] });
  // Without those that are parts of another good one, which damage could put together again.
  const parts = ["changed payload", "critical extension", "a payload that is a list", "in another alphabet"];
  const bad = Object.entries(await badTokens()).filter(([name]) => !parts.includes(name));
  const seeds = [good, ...bad.map(([, [token]]) => token)];
  const whole = (token: string) => [`Bearer ${token}`, `Basic ${btoa(`me:${token}`)}`];
  const isGood = (header: string) => {
    const [, scheme, rest] = /^\s*(\S+) +(\S+)\s*$/.exec(header) ?? [];
    try {
      if (scheme?.toLowerCase() === "bearer") return isSame(rest);
      return scheme?.toLowerCase() === "basic" && isSame(atob(rest).replace(/^[^:]*:/, ""));
    } catch {
      return false;
    }
  };
  /** The last character of a signature has bits that stand for nothing. */
  const isSame = (token: string) => {
    const [parts, wanted] = [token.split("."), good.split(".")];
    return parts.length === 3 && parts[0] === wanted[0] && parts[1] === wanted[1] &&
      atob(parts[2].replaceAll("-", "+").replaceAll("_", "/")) ===
        atob(wanted[2].replaceAll("-", "+").replaceAll("_", "/"));
  };
  const until = Date.now() + MILLISECONDS;
  let refused = 0;
  for (let round = 0; round < ROUNDS && Date.now() < until; round++) {
    const random = seeded(round + 1);
    for (let i = 0; i < 20; i++) random(2); // the first numbers of near seeds are alike
    const pick = () => seeds[random(3) ? 0 : random(seeds.length)];
    let header = whole(pick())[random(2)];
    if (random(2)) header = whole(damaged(pick(), pick(), random).replace(/[^\x20-\x7e]/g, ""))[random(2)];
    else header = damaged(header, whole(pick())[random(2)], random);
    let headers: Headers;
    try {
      headers = new Headers({ authorization: header });
    } catch {
      continue; // no client can send it
    }
    const path = `http://cache.test/${["blob", "nix-cache-info", "token/revoked"][random(3)]}`;
    const answer = await site.server.fetch(new Request(path, { headers }));
    const text = await answer.text();
    if (isGood(headers.get("authorization")!)) continue;
    assert.equal(answer.status, 401, `${header}: ${answer.status} ${text}`);
    assert.match(text, /^[^\n]+\n$/);
    for (const part of header.split(/[ .]/)) {
      assert.ok(part.length < 12 || !text.includes(part), `${header} told again`);
    }
    refused++;
  }
  assert.ok(refused > 1000, `${refused} refused`);
  assert.ok(!site.log.some((line) => line.includes(good.slice(-40))));
});
