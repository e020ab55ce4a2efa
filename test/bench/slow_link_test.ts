// The slow link of the benchmark keeps its rate, loses nothing, and ends.
import assert from "node:assert/strict";
import { permissions, testNeeding } from "../needs.ts";
import { type Clock, Pace, SlowLink } from "./slow_link.ts";

/** A clock that stands still but for sleeping, and whose timers are late. */
class Late implements Clock {
  time = 1000;
  sleeps = 0;
  now = () => this.time;
  sleep = (milliseconds: number) => {
    this.time += Math.ceil(milliseconds) + (this.sleeps++ % 4);
    return Promise.resolve();
  };
}

for (const [name, bytesPerSecond] of [["100 Mbit/s", 12.5e6], ["1 Gbit/s", 125e6]] as const) {
  Deno.test(`slow link: ${name} is that, with timers that are late`, async () => {
    const clock = new Late();
    const pace = new Pace(bytesPerSecond, clock);
    const start = clock.time;
    let carried = 0;
    for (let i = 0; carried < 200e6; i++) {
      const bytes = i % 3 ? 65536 : 1000 + i % 5000;
      await pace.carry(bytes);
      carried += bytes;
      const most = (clock.time - start + 25 + 1) * bytesPerSecond / 1000;
      assert.ok(carried <= most, `${carried} bytes after ${clock.time - start} ms`);
    }
    const rate = carried / (clock.time - start) * 1000;
    assert.ok(Math.abs(rate / bytesPerSecond - 1) < 0.01, `${rate} bytes a second`);
  });
}

Deno.test("slow link: what was not used for long is gone", async () => {
  const clock = new Late();
  const pace = new Pace(1e6, clock);
  await pace.carry(1);
  clock.time += 60_000;
  const start = clock.time;
  await pace.carry(1_000_000);
  assert.ok(clock.time - start >= 1000 - 25, `${clock.time - start} ms`);
});

testNeeding(permissions)("slow link: connections share it, and get every byte", async () => {
  const body = crypto.getRandomValues(new Uint8Array(60_000));
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    return request.method === "PUT" ? new Response(await request.bytes()) : new Response(body);
  });
  {
    await using link = new SlowLink(`http://127.0.0.1:${server.addr.port}`, 1e6);
    const start = performance.now();
    const bodies = await Promise.all(Array.from({ length: 8 }, async (_, i) => {
      const response = await fetch(link.url, i % 2 ? {} : { method: "PUT", body });
      return await response.bytes();
    }));
    for (const got of bodies) assert.deepEqual(got, body);
    // It may take longer on a busy machine, and must not take less.
    assert.ok(performance.now() - start >= 480 - 25, `${performance.now() - start} ms`);
    const { body: rest } = await fetch(link.url);
    await rest!.cancel();
  }
  await server.shutdown();
});
