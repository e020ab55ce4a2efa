/**
 * Clients of the rows of remote calls. The big blob goes by h2load on native gRPC, which is written in C and knows nothing of
 * gRPC, so its answers are checked by their size; everything else by a program in Go, which checks what it gets.
 */
import { run } from "../measure.ts";
import type { FramedBlob } from "./frames.ts";
import type { Built, Target } from "./servers.ts";

export const PROTOCOLS = ["native", "web", "connect", "websocket"] as const;
export type Protocol = typeof PROTOCOLS[number];

const SERVICE = "tvix.castore.v1.BlobService";
/** A frame whose message is a digest: the answer of a Put. */
const PUT_ANSWER = 5 + 34;
/** What a frame has beside the bytes of a blob, at most. */
const FRAME_MOST = 5 + 6;
/** Shorter messages than these would be a poor answer to a Read. */
const MESSAGE_LEAST = 16 * 1024;

/** Send a big blob in messages of that length. Returns seconds. */
export async function putBig(
  { client }: Built,
  target: Target,
  protocol: Protocol,
  { puts, digest }: FramedBlob,
  messageLength: number,
): Promise<number> {
  const file = puts.get(messageLength)!;
  if (protocol !== "native") return (await inGo(client, target, protocol, "up", file, digest)).up;
  const { seconds, size } = await h2load(target, "Put", file);
  if (size !== PUT_ANSWER) throw new Error(`Cannot measure Put: it was answered with ${size} bytes`);
  return seconds;
}

/** Get a big blob. Returns seconds. */
export async function readBig(
  { client }: Built,
  target: Target,
  protocol: Protocol,
  { size: want, digest, read }: FramedBlob,
): Promise<number> {
  if (protocol !== "native") return (await inGo(client, target, protocol, "down", String(want), digest)).down;
  const { seconds, size } = await h2load(target, "Read", read);
  const most = want + Math.ceil(want / MESSAGE_LEAST) * FRAME_MOST;
  if (size < want || size > most) throw new Error(`Cannot measure Read: it was answered with ${size} bytes`);
  return seconds;
}

/** Put that many different blobs of 4 KiB, 64 at a time; then Read, then Stat each. Returns seconds. */
export async function callSmall(
  { client }: Built,
  target: Target,
  protocol: Protocol,
  count: number,
): Promise<Record<"put" | "read" | "stat", number>> {
  const { put, read, stat } = await inGo(client, target, protocol, "small", String(count), "4096");
  return { put, read, stat };
}

async function inGo(
  client: string,
  target: Target,
  protocol: Protocol,
  ...task: string[]
): Promise<Record<string, number>> {
  const address = protocol === "native" ? target.native : target.http;
  return JSON.parse(await run(client, [address, protocol, ...task]));
}

async function h2load(
  { native }: Target,
  method: string,
  file: string,
): Promise<{ seconds: number; size: number }> {
  const headers = ["--header", "content-type: application/grpc", "--header", "te: trailers"];
  const one = ["--requests", "1", "--clients", "1", "--max-concurrent-streams", "1"];
  const printed = await run("h2load", [
    ...one,
    ...headers,
    "--data",
    file,
    `http://${native}/${SERVICE}/${method}`,
  ]);
  const time = /^finished in ([\d.]+)(ms|s),/m.exec(printed);
  const size = /\((\d+)\) data$/m.exec(printed);
  if (!time || !size || !/^status codes: 1 2xx/m.test(printed)) {
    throw new Error(`Cannot measure ${method}: ${printed}`);
  }
  return { seconds: Number(time[1]) / (time[2] === "ms" ? 1000 : 1), size: Number(size[1]) };
}
