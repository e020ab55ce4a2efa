// Clients that stall, dawdle, and go away.
import assert from "node:assert/strict";
import { fromText } from "../../src/bytes/bytes.ts";
import { bzip2, permissions, xz } from "../needs.ts";
import { Listening, RawRequest, until } from "./_wire.ts";
import { assertTaken, fileNar, narFile, narInfo, narInfoName, noise, pathOf, siteTest } from "./_site.ts";

const STALL_MS = 400;
const PATH = pathOf("slow");
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

siteTest(
  "a client that stalls in the middle of an upload is refused, and nothing of it is kept",
  async (site) => {
    await using listening = new Listening(site);
    const nar = await fileNar(noise(3_000_000, 9));
    const stall = async (compression: string, sent: number) => {
      const { bytes, url } = await narFile(nar, compression);
      using request = await RawRequest.put(listening.url, url, bytes.length);
      await request.send(bytes.subarray(0, sent));
      const started = performance.now();
      const { status, body } = await request.response();
      const took = performance.now() - started;
      assert.equal(status, 408, `${compression}, after ${sent} bytes: ${body}`);
      assert.match(body, /^Cannot take the upload: nothing came for \d+ seconds\n$/);
      assert.ok(took > STALL_MS / 2 && took < 10_000, `after ${Math.round(took)} ms`);
      await site.assertNoFile(url);
    };
    const compressions = ["none", "xz", "zstd", "gzip", "br", "bzip2"];
    await Promise.all(compressions.flatMap((name) => [0, 10, 100_000].map((sent) => stall(name, sent))));
    // The same bytes without the pause.
    const { bytes, url } = await narFile(nar, "xz");
    await assertTaken(await fetch(`${listening.url}/${url}`, { method: "PUT", body: bytes }));
  },
  { stallMs: STALL_MS, needs: [xz, bzip2] },
);

siteTest("a client that stalls in a narinfo, or in a side file, is refused", async (site) => {
  await using listening = new Listening(site);
  const text = fromText(narInfo(PATH, await site.putNar(await narFile(await fileNar("x")))));
  const names = [
    narInfoName(PATH),
    `${PATH.slice(0, 32)}.ls`,
    "nix-cache-info",
    `log/${PATH}.drv`,
    "realisations/x.doi",
  ];
  await Promise.all(names.map(async (name) => {
    using request = await RawRequest.put(listening.url, name, text.length);
    await request.send(text.subarray(0, 20));
    assert.equal((await request.response()).status, 408, name);
  }));
  await site.assertNoPath(PATH);
}, { stallMs: STALL_MS, needs: [permissions] });

siteTest("a client that is slow, but steady, is served", async (site) => {
  await using listening = new Listening(site);
  const { bytes, url } = await narFile(await fileNar(noise(200_000, 10)), "xz");
  using request = await RawRequest.put(listening.url, url, bytes.length);
  const piece = Math.ceil(bytes.length / 12);
  for (let at = 0; at < bytes.length; at += piece) {
    await request.send(bytes.subarray(at, at + piece));
    await pause(STALL_MS / 4);
  }
  const { status, body } = await request.response();
  assert.equal(status, 200, body);
}, { stallMs: STALL_MS, needs: [xz] });

siteTest("a client that goes away in the middle of an upload leaves nothing", async (site) => {
  await using listening = new Listening(site);
  const nar = await fileNar(noise(3_000_000, 11));
  for (const compression of ["none", "xz", "zstd", "gzip", "br", "bzip2"]) {
    const { bytes, url } = await narFile(nar, compression);
    for (const sent of [0, 10, 1_000_000, bytes.length - 1]) {
      site.log.length = 0;
      {
        using request = await RawRequest.put(listening.url, url, bytes.length);
        await request.send(bytes.subarray(0, sent));
        await pause(20);
      }
      await until(`the end of ${compression} after ${sent} bytes`, () => site.log.length > 0);
      assert.match(
        site.log[0],
        /^refused PUT \/nar\/\S+: 400 Cannot take the upload: the connection ended before/,
      );
      await site.assertNoFile(url);
    }
  }
  const { bytes, url } = await narFile(nar, "none");
  await assertTaken(await fetch(`${listening.url}/${url}`, { method: "PUT", body: bytes }));
  assert.deepEqual(await (await fetch(`${listening.url}/${url}`)).bytes(), bytes);
}, { needs: [xz, bzip2] });

siteTest("a client that goes away in the middle of a download disturbs nobody", async (site) => {
  await using listening = new Listening(site);
  const file = await site.putNar(await narFile(await fileNar(noise(20_000_000, 12))));
  for (let i = 0; i < 10; i++) {
    const leaving = new AbortController();
    const answer = await fetch(`${listening.url}/${file.url}`, { signal: leaving.signal });
    await answer.body!.getReader().read();
    leaving.abort();
  }
  const whole = await fetch(`${listening.url}/${file.url}`);
  assert.ok(Buffer.compare(await whole.bytes(), file.nar) === 0);
}, { needs: [permissions] });

siteTest("many clients at once upload one path, and all are told that it is taken", async (site) => {
  await using listening = new Listening(site);
  const nar = await fileNar(noise(2_000_000, 13));
  const upload = async (compression: string) => {
    const file = await narFile(nar, compression);
    const put = async (name: string, body: BodyInit) =>
      await assertTaken(await fetch(`${listening.url}/${name}`, { method: "PUT", body }));
    await put(file.url, file.bytes);
    await put(narInfoName(PATH), narInfo(PATH, file));
  };
  await Promise.all(["none", "none", "xz", "xz", "zstd", "gzip", "none", "zstd"].map(upload));
  const text = await (await fetch(`${listening.url}/${narInfoName(PATH)}`)).text();
  const served = await fetch(`${listening.url}/${/^URL: (.*)$/m.exec(text)![1]}`);
  assert.ok(Buffer.compare(await served.bytes(), nar) === 0);
}, { needs: [xz] });
