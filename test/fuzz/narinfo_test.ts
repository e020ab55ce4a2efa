// Real narinfos, damaged: only the errors of the format may come out, and what is read can be written and read again.
import assert from "node:assert/strict";
import { FormatError, LimitError } from "../../src/errors.ts";
import { formatNarInfo, parseNarInfo } from "../../src/nix/nar_info.ts";
import REAL from "../vectors/nix/narinfo.json" with { type: "json" };
import ODD from "../vectors/nix/narinfo_odd.json" with { type: "json" };

const ROUNDS = 20_000;
const SEEDS = [...REAL, ...ODD].filter((narinfo) => narinfo.length < 2000);
const PIECES = [
  "\n",
  "\r\n",
  ":",
  " ",
  "  ",
  "\0",
  "é",
  "\u{1f9ca}",
  "\ud800",
  "=",
  "-",
  "/",
  "0",
  "e",
  "unknown-deriver",
  "NarSize: 1\n",
  "References: ",
  "Sig: a:",
  "__proto__: x\n",
  "toString: x\n",
  "sha1:",
  "sha256-",
  "fixed:",
  "text:",
];

Deno.test("damaged narinfos give the errors of the format, or a narinfo that is written and read as the same", () => {
  let seed = 7;
  const below = (limit: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor(seed / 4294967296 * limit);
  };
  let read = 0;
  for (let round = 0; round < ROUNDS; round++) {
    let text = SEEDS[below(SEEDS.length)];
    for (let change = below(4); change >= 0; change--) {
      const at = below(text.length + 1);
      const to = Math.min(text.length, at + below(below(2) ? 4 : 80));
      const other = SEEDS[below(SEEDS.length)];
      const from = below(other.length);
      const middle = [
        "",
        text[at] === undefined ? "" : String.fromCharCode(text.charCodeAt(at) ^ (1 << below(7))),
        PIECES[below(PIECES.length)],
        text.slice(at, to).repeat(2),
        other.slice(from, from + below(200)),
      ][below(5)];
      text = text.slice(0, at) + middle + text.slice(to);
    }
    try {
      const info = parseNarInfo(text);
      assert.deepEqual(parseNarInfo(formatNarInfo(info)), info);
      read++;
    } catch (error) {
      assert.ok(
        error instanceof FormatError || error instanceof LimitError,
        `${error}\n${JSON.stringify(text)}`,
      );
      assert.match(error.message, /^Cannot parse narinfo: /);
    }
  }
  assert.ok(
    read > ROUNDS / 100 && read < ROUNDS * 0.9,
    `${read} were read: the damage is too hard or too soft`,
  );
});
