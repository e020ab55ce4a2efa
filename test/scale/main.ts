/**
 * Proof of scale, in figures: `deno task scale`. Takes some minutes, 10 GB of room for temporary files, and Linux. Prints one
 * JSON line a figure, and exits 1 if one is over its bound.
 *
 *   { name, value, unit }                  a figure
 *   { name, value, unit, below, ok }       a figure with a bound
 *
 * Arguments choose: `memory`, `start-up`, `grpc`; none is all.
 */
import { measureGrpc } from "./grpc.ts";
import { measureNar } from "./large_nars.ts";
import { manyFiles, oneFile } from "./nars.ts";
import { verdict } from "./rows.ts";
import { measureStartUp } from "./start_up.ts";

const wanted = (part: string) => Deno.args.length === 0 || Deno.args.includes(part);

if (wanted("start-up")) await measureStartUp(100_000, 2_000_000);
if (wanted("memory")) {
  await measureNar(manyFiles(200, 1000, 4096));
  await measureNar(manyFiles(1, 200_000, 64));
  await measureNar(oneFile(4096));
}
if (wanted("grpc")) await measureGrpc();
for (const line of verdict()) console.error(`over: ${line}`);
Deno.exitCode = verdict().length > 0 ? 1 : 0;
