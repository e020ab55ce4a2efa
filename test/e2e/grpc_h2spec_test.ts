/** h2spec, which tries what RFC 9113 and RFC 7541 forbid, against the port of native gRPC. */
import assert from "node:assert/strict";
import { client, clientPath, grpcTest, run } from "./grpc_clients.ts";

grpcTest("h2spec: all of its cases, none failed and none skipped", async (server) => {
  const [host, port] = server.grpc.split(":");
  const { stdout, stderr } = await run(clientPath("h2spec"), ["-h", host, "-p", port, "-o", "5"]);
  const summary = /^(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed$/m.exec(stdout);
  assert.ok(summary, stdout + stderr);
  const [tests, , skipped, failed] = summary.slice(1).map(Number);
  assert.ok(tests >= 145, summary[0]);
  assert.equal(skipped, 0, summary[0]);
  assert.equal(failed, 0, stdout.slice(stdout.indexOf("Failures:")));
  assert.equal(await server.stop(), 0, server.log);
  assert.doesNotMatch(server.log, /^\s+at /m, "no stack in the log");
}, client("h2spec"));
