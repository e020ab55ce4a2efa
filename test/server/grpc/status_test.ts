/**
 * How calls end: each row is a situation and the status that snix and tvix, the servers spoken for, give it, tried in both
 * packages and by every protocol.
 */
import assert from "node:assert/strict";
import type { GrpcContext } from "../../../src/server/grpc/handlers.ts";
import { clientsOf, everyWay, openContext, outcome } from "./_calls.ts";
import { BLOB_ROWS, DIRECTORY_ROWS, REMOTE_ROWS } from "./_castore_rows.ts";
import { PATH_INFO_ROWS } from "./_path_info_rows.ts";
import { DISK } from "./_status_rows.ts";

const ROWS = [...BLOB_ROWS, ...DIRECTORY_ROWS, ...REMOTE_ROWS, ...PATH_INFO_ROWS];

/** A service of which every method throws; of those that give a stream, the stream does. */
function throwing(error: Error): never {
  const fail = (method: string) => () => {
    if (method === "getClosure" || method === "list") return failing(error);
    return Promise.reject(error);
  };
  return new Proxy({}, { get: (_, method) => fail(String(method)) }) as never;
}

// deno-lint-ignore require-yield
async function* failing(error: Error): AsyncGenerator<never, void, void> {
  throw await error;
}

for (const { era, protocol, way } of everyWay()) {
  Deno.test(`grpc status: every row, ${way}`, async (t) => {
    for (const { when, call, want, before, broken, error } of ROWS) {
      await t.step(when, async () => {
        const parts: Partial<GrpcContext> = broken ? { [broken.service]: throwing(broken.error) } : {};
        const context = openContext(parts);
        const clients = clientsOf(context, era, protocol);
        await before?.(clients);
        const ended = await outcome(call(clients));
        const wanted = typeof want === "string" ? want : want[era.name];
        assert.equal(ended.code, wanted, `${ended.error?.message}`);
        if (error) assert.equal(ended.error?.metadata.get("firn-error"), error);
        assert.doesNotMatch(ended.error?.message ?? "", /secret/, "clients are not told of the inside");
        if (broken?.error === DISK) {
          assert.equal(ended.error!.metadata.get("firn-error"), null);
          assert.equal(context.lines.length, 1);
          assert.match(context.lines[0], /^refused (snix|tvix)\.[A-Za-z.1]+\/\w+: /);
          assert.match(context.lines[0], /disk on fire at \/secret\/place\n\s+at /, "the log has the stack");
        } else if (ended.code === "NotFound") assert.deepEqual(context.lines, []);
      });
    }
  });
}
