/** grpcio, the gRPC of C++ and python, as a client of firn's native port: the transcript of `grpc_python_client.py`. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { grpcTest, PYTHON, pythonGrpc, run } from "./grpc_clients.ts";

const SCRIPT = fileURLToPath(new URL("grpc_python_client.py", import.meta.url));
const PARTS = 12;

for (const era of ["snix", "tvix"]) {
  grpcTest(`grpcio: the whole transcript (${era})`, async (server) => {
    const { code, stdout, stderr } = await run(PYTHON!, [SCRIPT, server.grpc, era]);
    assert.equal(code, 0, `${stdout}${stderr}`);
    assert.equal(stdout.match(/^ok /gm)?.length, PARTS, stdout);
    assert.equal(await server.stop(), 0, server.log);
    assert.doesNotMatch(server.log, /^\s+at /m, "no stack in the log");
  }, pythonGrpc);
}
