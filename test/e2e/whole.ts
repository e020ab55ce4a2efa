/** Whether what a server shows is whole: no narinfo whose NAR is missing or wrong. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { openCodecs } from "../../src/adapters/codecs/codecs.ts";
import { collect } from "../../src/bytes/streams.ts";
import type { CompressionName } from "../../src/store/codec.ts";
import { field, forEach, hashPart } from "./cache_folder.ts";
import type { Closure } from "./closures.ts";
import { lines, type User } from "./nix.ts";

/** SHA-256 of every path's NAR in hexadecimal, in the order of the closure, converted by nix. */
export async function narDigests(user: User, closure: Closure): Promise<string[]> {
  const hashes = closure.paths.map((path) => closure.narHashes.get(path)!);
  return lines(await user.nixCommand("hash", "to-base16", "--type", "sha256", ...hashes));
}

/** Every narinfo that is served leads to a NAR that is whole. @returns how many are served */
export async function assertWhole(
  server: { readonly url: string },
  closure: Closure,
  digests: readonly string[],
): Promise<number> {
  let served = 0;
  await forEach(closure.paths.entries(), 4, async ([index, path]) => {
    const answer = await fetch(`${server.url}/${hashPart(path)}.narinfo`);
    const narInfo = await answer.text();
    if (answer.status === 404) return;
    assert.equal(answer.status, 200, narInfo);
    const nar = await fetch(`${server.url}/${field(narInfo, "URL")}`);
    assert.equal(nar.status, 200, `the NAR of ${path}`);
    assert.equal(await narDigest(nar, narInfo), digests[index], `the NAR of ${path}`);
    served++;
  });
  return served;
}

/** SHA-256, in hexadecimal, of the NAR in an answer, which is compressed as its narinfo says. */
export async function narDigest(answer: Response, narInfo: string): Promise<string> {
  const compression = field(narInfo, "Compression");
  assert.ok(compression === "none" || compression === "zstd", compression);
  const nar = openCodecs().decompress(compression as CompressionName, [await answer.bytes()]);
  return createHash("sha256").update(await collect(nar)).digest("hex");
}
