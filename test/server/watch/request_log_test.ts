// Lines of the log: one each, whatever a client sends; and who writes them.
import assert from "node:assert/strict";
import { toText } from "../../../src/bytes/bytes.ts";
import { LineWriter } from "../../../src/server/watch/line_writer.ts";
import { plainLine, type RequestEntry, requestLine } from "../../../src/server/watch/request_log.ts";

const ENTRY: RequestEntry = {
  at: new Date(0),
  protocol: "http",
  method: "GET",
  path: "/nix-cache-info",
  status: 200,
  received: 0,
  sent: 12,
  ms: 1.23456,
};

Deno.test("log: a request as JSON, and in words", () => {
  assert.deepEqual(JSON.parse(requestLine(ENTRY, "json")), {
    time: "1970-01-01T00:00:00.000Z",
    method: "GET",
    path: "/nix-cache-info",
    status: 200,
    in: 0,
    out: 12,
    ms: 1.23,
    protocol: "http",
  });
  assert.equal(
    requestLine(ENTRY, "text"),
    "1970-01-01T00:00:00.000Z GET /nix-cache-info 200 in=0 out=12 ms=1.23 http -",
  );
  const full: RequestEntry = {
    ...ENTRY,
    at: new Date(86_400_000),
    protocol: "grpc",
    code: 3,
    address: "2001:db8::1",
    token: "4f2a",
    ended: "left",
    did: "received it",
    error: { kind: "FormatError", message: "Cannot" },
  };
  assert.deepEqual(JSON.parse(requestLine(full, "json")), {
    time: "1970-01-02T00:00:00.000Z",
    method: "GET",
    path: "/nix-cache-info",
    status: 200,
    code: 3,
    in: 0,
    out: 12,
    ms: 1.23,
    protocol: "grpc",
    address: "2001:db8::1",
    token: "4f2a",
    ended: "left",
    did: "received it",
    error: "FormatError",
    message: "Cannot",
  });
  assert.equal(
    requestLine(full, "text"),
    "1970-01-02T00:00:00.000Z GET /nix-cache-info 200 code=3 in=0 out=12 ms=1.23 grpc 2001:db8::1 token=4f2a, " +
      "the client left: received it: FormatError: Cannot",
  );
});

/** What would end a line, colour a terminal, or turn the order of what follows. */
const HOSTILE = [
  "\n2026-01-01T00:00:00.000Z GET /forged 200",
  "\r\n{}",
  "\x1b[31mred\x1b]0;title\x07",
  "\0\x7f\x85\x9b31m",
  "\u2028\u2029\u202e\u2066\ufeff",
  "\ud800 alone",
  '"}{"status":200,',
];

// deno-lint-ignore no-control-regex -- that is what must not be there
const ACTING = /[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]/;

Deno.test("log: what a client sends ends no line and acts on no terminal", () => {
  for (const hostile of HOSTILE) {
    const entry: RequestEntry = {
      ...ENTRY,
      method: `G${hostile}`,
      path: `/x${hostile}`,
      token: hostile,
      did: hostile,
      error: { kind: "FormatError", message: `Cannot take ${hostile}` },
    };
    for (const format of ["json", "text"] as const) {
      for (const line of [requestLine(entry, format), plainLine(ENTRY.at, hostile, format)]) {
        assert.doesNotMatch(line, ACTING, JSON.stringify(line));
        assert.ok(line.isWellFormed());
        if (format === "json") assert.equal(typeof JSON.parse(line).time, "string");
      }
    }
    const words = requestLine(entry, "text").split(" ");
    assert.equal(words[3], "200", "what stands in a path cannot be taken for what follows it");
  }
});

Deno.test("log: a line is cut that would be long", () => {
  const long = "\x01".repeat(1_000_000);
  const entry = { ...ENTRY, method: long, path: long, did: long, error: { kind: "Error", message: long } };
  for (const format of ["json", "text"] as const) {
    assert.ok(requestLine(entry, format).length < 100_000);
    assert.ok(plainLine(ENTRY.at, long, format).length < 200_000);
  }
});

Deno.test("log: many lines are few writes, in order, and all are there", async () => {
  const writes: string[] = [];
  const writer = new LineWriter(async (bytes) => {
    await undefined;
    writes.push(toText(bytes));
  });
  const lines = Array.from({ length: 10_000 }, (_, i) => `line ${i}`);
  for (const line of lines) writer.line(line);
  await writer.drained();
  assert.equal(writes.join(""), lines.join("\n") + "\n");
  assert.ok(writes.length < 20, `${writes.length} writes`);
  writer.line("one more");
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(writes.at(-1), "one more\n", "nobody asked for it to be drained");
});

Deno.test("log: when nobody reads, lines are lost and counted, and memory is not", async () => {
  const read = Promise.withResolvers<void>();
  const writes: string[] = [];
  const writer = new LineWriter(async (bytes) => {
    await read.promise;
    writes.push(toText(bytes));
  }, 10_000);
  const line = "x".repeat(99);
  for (let i = 0; i < 1000; i++) {
    writer.line(line);
    if (i === 50) await new Promise((resolve) => setTimeout(resolve, 100)); // they are being written
  }
  const { lost } = writer;
  assert.ok(lost > 800, `${lost} lost`);
  read.resolve();
  await writer.drained();
  writer.line("after");
  await writer.drained();
  const all = writes.join("").trimEnd().split("\n");
  assert.deepEqual(all.slice(-2), [`${lost} lines were lost: they were not read fast enough`, "after"]);
  assert.equal(all.length, 1000 - lost + 2);
});

Deno.test("log: when it cannot be written, what waits is let go", async () => {
  const writer = new LineWriter(() => Promise.reject(new Error("no")));
  writer.line("one");
  await writer.drained();
  assert.equal(writer.take().length, 0);
});
