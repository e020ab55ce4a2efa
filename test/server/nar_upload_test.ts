// Uploads of NARs that are not what they should be: each is refused with its reason, and leaves nothing a reader can see.
import assert from "node:assert/strict";
import { type Bytes, concat, fromText } from "../../src/bytes/bytes.ts";
import { directory, entry, nar, word } from "../nar/_nars.ts";
import { bzip2, xz } from "../needs.ts";
import {
  assertRefused,
  assertTaken,
  compress,
  fileNar,
  narFile,
  narInfo,
  narInfoName,
  narUrl,
  noise,
  pathOf,
  type Site,
  siteTest,
  treeNar,
} from "./_site.ts";

/** Uploads bytes under their right name, which must be refused, and their narinfo, which must be too. */
async function assertNarRefused(site: Site, bytes: Bytes, why: RegExp, status = 400): Promise<void> {
  const url = narUrl(bytes);
  await assertRefused(await site.put(url, bytes), status, why);
  await site.assertNoFile(url);
  const path = pathOf("refused");
  const file = { nar: bytes, compression: "none", bytes, url };
  await assertRefused(
    await site.put(narInfoName(path), narInfo(path, file, { NarSize: String(bytes.length || 1) })),
    400,
    /no NAR with NarHash sha256:[0-9a-z]{52} was received/,
  );
  await site.assertNoPath(path);
}

const folder = (...entries: Bytes[]) => directory(...entries);

siteTest("a truncated NAR is refused, wherever it ends", async (site) => {
  const whole = await treeNar({
    "a.sh": "#!/bin/sh\n",
    deep: { er: { empty: "", file: noise(5000) } },
    link: { link: "a.sh" },
    long: noise(300_000, 2),
  });
  const ends = [1, 7, 8, 23, 24, 40, 100, 500, 1000, 5000, 150_000, whole.length - 16, whole.length - 1];
  for (const end of ends) {
    await assertNarRefused(
      site,
      whole.slice(0, end),
      end < 24
        ? /^Cannot take the upload: it is neither a NAR nor one compressed with/
        : /ends? (?:too )?early|ends in|incomplete|cut/i,
    );
  }
});

siteTest("an empty upload is refused", async (site) => {
  await assertNarRefused(site, new Uint8Array(0), /^Cannot take the upload: it is neither a NAR nor/);
});

siteTest("a NAR with bytes after its end is refused", async (site) => {
  const whole = await fileNar("whole");
  for (const rest of [new Uint8Array(1), new Uint8Array(8), whole, word(")")]) {
    await assertNarRefused(site, concat([whole, rest]), /^Cannot read NAR.*after|follow/i);
  }
});

siteTest("a compressed NAR with bytes after its end is refused, inside and outside", async (site) => {
  const whole = await fileNar(noise(100_000));
  for (const compression of ["xz", "zstd", "gzip", "br", "bzip2"]) {
    const suffix = (await narFile(whole, compression)).url.split(".nar")[1];
    const inside = await compress(compression, concat([whole, new Uint8Array(8)]));
    const outside = concat([await compress(compression, whole), fromText("rest")]);
    for (const [bytes, why] of [[inside, /Cannot read NAR/], [outside, /Cannot decompress/]] as const) {
      const url = narUrl(bytes, suffix);
      await assertRefused(await site.put(url, bytes), 400, why);
      await site.assertNoFile(url);
    }
  }
}, { needs: [xz, bzip2] });

siteTest("a truncated compressed NAR is refused, wherever it ends", async (site) => {
  const whole = await fileNar(noise(100_000));
  for (const compression of ["xz", "zstd", "gzip", "br", "bzip2"]) {
    const { bytes, url } = await narFile(whole, compression);
    for (const end of [30, bytes.length >> 1, bytes.length - 1]) {
      const cut = bytes.slice(0, end);
      const cutUrl = narUrl(cut, url.split(".nar")[1]);
      await assertRefused(await site.put(cutUrl, cut), 400, /^Cannot (?:decompress|read)/);
      await site.assertNoFile(cutUrl);
    }
  }
}, { needs: [xz, bzip2] });

siteTest("names out of order, twice, and unlawful are refused", async (site) => {
  const cases: [string, Bytes, RegExp][] = [
    ["unsorted", folder(entry("b"), entry("a")), /"a".*(?:after|order)/],
    ["duplicate", folder(entry("a"), entry("a")), /"a" stands twice/],
    ["unsorted by bytes", folder(entry("\u{ff21}"), entry("z")), /"z".*(?:after|order)/],
    ["dot", folder(entry(".")), /"\."/],
    ["dots", folder(entry("..")), /"\.\."/],
    ["empty", folder(entry("")), /name.*empty|empty.*name/i],
    ["slash", folder(entry("a/b")), /"a\/b"/],
    ["only a slash", folder(entry("/")), /"\/"/],
    ["NUL", folder(entry("a\0b")), /a(?:\\0|\\x00|\\u0000)b/],
    ["over 255 bytes", folder(entry("n".repeat(256))), /a name of over 255 bytes/],
  ];
  for (const [title, bytes, why] of cases) {
    await assertNarRefused(site, bytes, why).catch((error) => {
      error.message = `${title}: ${error.message}`;
      throw error;
    });
  }
});

siteTest("an archive whose words are wrong is refused", async (site) => {
  const cases: Bytes[] = [
    nar("nix-archive-1", "(", "type", "regular", "contents", word("a", 9n), ")"),
    nar("nix-archive-1", "(", "type", "fifo", ")"),
    nar("nix-archive-1", "(", "type", "symlink", "target", "", ")"),
    nar("nix-archive-1", "(", "type", "symlink", "target", "a\0b", ")"),
    nar("nix-archive-1", "(", "type", "regular", "executable", "yes", "contents", "", ")"),
    nar("nix-archive-2", "(", "type", "regular", "contents", "", ")"),
  ];
  // Padding that is not zero.
  const padded = nar("nix-archive-1", "(", "type", "regular", "contents", "abc", ")");
  padded[padded.length - 17] = 1;
  for (const bytes of [...cases, padded]) await assertNarRefused(site, bytes, /^Cannot /);
  const endless = nar("nix-archive-1", "(", "type", "regular", "contents", word("", 1n << 63n));
  await assertNarRefused(site, endless, /over 2\^53 - 1 bytes/, 413);
});

siteTest("a file whose name is not the hash of its bytes is refused", async (site) => {
  const other = narUrl(fromText("something else"));
  for (const compression of ["none", "xz", "zstd", "gzip", "br", "bzip2"]) {
    const file = await narFile(await fileNar("named wrongly"), compression);
    const url = other + file.url.split(".nar")[1];
    await assertRefused(
      await site.put(url, file.bytes),
      400,
      /^Cannot take [0-9a-z]{52}\.nar.*: the bytes received have the hash sha256:[0-9a-z]{52}$/m,
    );
    await site.assertNoFile(url);
    await site.assertNoFile(file.url);
  }
}, { needs: [xz, bzip2] });

siteTest("file names that are no hash are refused", async (site) => {
  const nar = await fileNar("anything");
  const hash = narUrl(nar).slice(4, 56);
  const names = [
    `e${hash.slice(1)}.nar`, // not in the alphabet
    `z${hash.slice(1)}.nar`, // more than 256 bits
    `${hash.slice(1)}.nar`,
    `0${hash}.nar`,
    hash.toUpperCase() + ".nar",
    `${hash}.nar.`,
    `${hash}.nar.xz.xz`,
    `${hash}.nar.${"x".repeat(9)}`,
    hash,
    "..nar",
    "%2e%2e%2fescape.nar",
    `${hash}%00.nar`,
    "a".repeat(3000) + ".nar",
  ];
  for (const name of names) {
    await assertRefused(await site.put(`nar/${name}`, nar), 400, /^Cannot take .*want nar\/<FileHash/);
    await site.assertNoFile(`nar/${name}`);
  }
});

siteTest("a compression that is not known is refused", async (site) => {
  // The first bytes of an LZ4 frame, of an lzip file, and of nothing in particular.
  const lz4 = concat([Uint8Array.of(0x04, 0x22, 0x4d, 0x18, 0x64, 0x40, 0xa7), noise(2000)]);
  const lzip = concat([fromText("LZIP\x01\x0c"), noise(2000)]);
  for (const bytes of [lz4, lzip, noise(2000, 3), fromText("<html>")]) {
    for (const suffix of ["", ".lz4", ".lz", ".xz"]) {
      const url = narUrl(bytes, suffix);
      await assertRefused(
        await site.put(url, bytes),
        400,
        /^Cannot take the upload: it is neither a NAR nor one compressed with xz, zstd, gzip, br or bzip2$/m,
      );
      await site.assertNoFile(url);
    }
  }
  const notBrotli = noise(2000, 4);
  await assertRefused(await site.put(narUrl(notBrotli, ".br"), notBrotli), 400, /^Cannot (decompress|read)/);
  await site.assertNoFile(narUrl(notBrotli, ".br"));
});

siteTest("bytes tell the compression, whatever suffix the name has", async (site) => {
  for (const compression of ["xz", "zstd", "gzip", "bzip2", "none"]) {
    const nar = await fileNar(`suffix ${compression}`);
    const { bytes } = await narFile(nar, compression);
    const file = { nar, compression, bytes, url: narUrl(bytes, ".odd") };
    const path = pathOf(`suffix-${compression}`);
    await site.publish(path, file);
    assert.equal((await site.send("HEAD", file.url)).status, 200);
  }
}, { needs: [xz, bzip2] });

siteTest("a NAR over the bound is refused, compressed or not", async (site) => {
  const nar = await fileNar(new Uint8Array(3_000_000));
  for (const compression of ["none", "xz", "zstd", "gzip", "br", "bzip2"]) {
    const { bytes, url } = await narFile(nar, compression);
    await assertRefused(
      await site.put(url, bytes),
      413,
      /^Cannot take the NAR: it is longer than 2000000 bytes/,
    );
    await site.assertNoFile(url);
  }
  const fits = await narFile(await fileNar(new Uint8Array(1_999_000)), "zstd");
  await assertTaken(await site.put(fits.url, fits.bytes));
}, { maxNarSize: 2_000_000, needs: [xz, bzip2] });

siteTest("a bomb that is no NAR is refused at its first bytes", async (site) => {
  const MEMBER = 16 * 1024 * 1024;
  for (const compression of ["xz", "zstd", "gzip", "br"]) {
    const member = await compress(compression, new Uint8Array(MEMBER));
    // Members that follow each other are one stream in all but brotli: 4 GiB of zeros here.
    const bomb = compression === "br" ? member : concat(Array(256).fill(member));
    const url = narUrl(bomb, compression === "br" ? ".br" : "");
    const started = performance.now();
    await assertRefused(await site.put(url, bomb), 400, /^Cannot read NAR/);
    const took = performance.now() - started;
    assert.ok(took < 2000, `${compression}: refused after ${Math.round(took)} ms`);
    await site.assertNoFile(url);
  }
}, { needs: [xz] });

siteTest("nesting without end is refused", async (site) => {
  const open = concat([
    nar("nix-archive-1", "(", "type", "directory"),
    ...Array(5000).fill(nar("entry", "(", "name", "a", "node", "(", "type", "directory")),
  ]);
  await assertNarRefused(site, open, /4096/, 413);
});

siteTest("the same NAR twice, and in every compression, is one NAR", async (site) => {
  const nar = await treeNar({ a: "same", b: noise(400_000) });
  for (const compression of ["none", "xz", "zstd", "gzip", "br", "bzip2", "none", "xz"]) {
    await site.putNar(await narFile(nar, compression));
  }
  const path = pathOf("same");
  const file = await narFile(nar, "xz");
  await assertTaken(await site.put(narInfoName(path), narInfo(path, file)));
}, { needs: [xz, bzip2] });
