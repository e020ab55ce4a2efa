/** Whether what a server shows is whole: no narinfo whose NAR is missing or wrong. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { zstdDecompressSync } from "node:zlib";
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
    const body = new Uint8Array(await nar.arrayBuffer());
    assert.equal(nar.status, 200, `the NAR of ${path}`);
    const compression = field(narInfo, "Compression");
    assert.ok(compression === "none" || compression === "zstd", compression);
    const bytes = compression === "zstd" ? zstdDecompressSync(body) : body;
    assert.equal(createHash("sha256").update(bytes).digest("hex"), digests[index], `the NAR of ${path}`);
    served++;
  });
  return served;
}
