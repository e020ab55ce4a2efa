// More connections than there may be open files: the server loses them, and goes on.
import assert from "node:assert/strict";
import { permissions, testNeeding } from "../needs.ts";
import { until } from "../server/_wire.ts";

const MAIN = new URL("../../mod.ts", import.meta.url).href;
const FILES = 200;

testNeeding(permissions)({
  name: "a server that runs out of open files goes on when there are some again",
  sanitizeResources: false,
  sanitizeOps: false,
  fn: async () => {
    const serve = `${Deno.execPath()} run -A ${MAIN} serve --store memory:`;
    const child = new Deno.Command("sh", {
      args: ["-c", `ulimit -n ${FILES}; exec ${serve} --listen 127.0.0.1:0 --grpc-listen off --log off`],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    let told = "";
    const collect = async (stream: ReadableStream<Uint8Array>) => {
      for await (const text of stream.pipeThrough(new TextDecoderStream() as ReadableWritablePair)) {
        told += text;
      }
    };
    const collected = Promise.all([collect(child.stdout), collect(child.stderr)]);
    const conns: Deno.TcpConn[] = [];
    try {
      await until("the server", () => /^firn serves on http:\/\/127.0.0.1:\d+$/m.test(told), 60_000);
      const url = /^firn serves on (\S+)$/m.exec(told)![1];
      for (let i = 0; i < 3 * FILES && !told.includes("Too many open files"); i++) {
        const connecting = Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(url).port) });
        connecting.then((conn) => conns.push(conn), () => {}); // one that nobody accepts may take long to be told so
        await Promise.race([connecting.catch(() => {}), new Promise((resolve) => setTimeout(resolve, 300))]);
      }
      await until("it to run out", () => told.includes("Cannot accept connections"), 30_000);
      for (const conn of conns.splice(0)) conn.close();
      let answer = "";
      for (let i = 0; i < 100 && answer !== "alive\n"; i++) {
        answer = await fetch(`${url}/healthz`).then((response) => response.text(), () => "");
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      assert.equal(answer, "alive\n", told);
      child.kill("SIGTERM");
      assert.equal((await child.status).code, 0, told);
    } finally {
      for (const conn of conns) conn.close();
      try {
        child.kill("SIGKILL");
      } catch { /* it has ended */ }
      await child.status;
      await collected;
    }
  },
});
