/**
 * gRPC-Web over a WebSocket, subprotocol `grpc-websockets` of improbable-eng's grpc-web: the way for a page, or a client
 * without HTTP/2, to stream in both directions. One call is one socket, opened on the path of the method. All messages are binary.
 *
 *   client := header { 0x00 bytes } [ 0x01 ]      0x01 alone: no more bytes follow
 *   header := { name ":" value CRLF }             at most 16 KiB
 *   bytes  := frames of gRPC-Web, or parts of them
 *   server := pair { pair }                       headers (flag 0x80), messages (flag 0x00), trailers (flag 0x80); then close 1000
 *   pair   := flag length(4, big-endian)  payload, as two messages
 *
 * A WebSocket cannot be told to wait, so what the store has not taken yet is kept, up to 32 MiB; a client that is further ahead is
 * closed out (1013): long uploads belong to `PUT /blob`. What does not follow the grammar is closed with 1002, a message
 * over the bound with 1009, silence in place of the headers with 1008.
 *
 * Browsers ask no leave (CORS) for WebSockets: every page that reaches the port may call, as in `web.ts`. A token stands in the
 * headers that are sent first, for pages cannot put one into the request.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { type Bytes, concat, fromText } from "../../bytes/bytes.ts";
import { Channel } from "../../bytes/channel.ts";
import { FormatError } from "../../errors.ts";
import type { ServerContext, UpgradeWebSocket } from "../context.ts";
import type { Hono } from "hono";
import { HttpError } from "../http_error.ts";
import type { Peer } from "../peer.ts";
import { peerOf } from "../visitors.ts";
import type { Rpc } from "./call_door.ts";
import { CALL_ROUTE } from "./paths.ts";

const PROTOCOL = "grpc-websockets";
const MAX_HEADER = 16 * 1024;
/** Bytes the client may be ahead of the store. */
const MAX_WAITING = 32 * 1024 * 1024;
/** What a message weighs beside its bytes, so that tiny ones are bounded too. */
const MESSAGE_WEIGHT = 128;
/** Bytes that may wait to be sent. */
const MAX_BUFFERED = 1024 * 1024;
/** Between looks at what waits to be sent, in milliseconds: a WebSocket does not tell when it has room. */
const LOOK = 5;
/** A client is quiet that sends nothing for so long, and is waited for at most so long, in milliseconds. */
const QUIET = 50;
const LINGER = 3_000;
/** Longest wait for the headers, in milliseconds. */
const MAX_HEADER_WAIT = 30_000;

const HEADER = 0x80;
const BYTES = 0x00;
const END = 0x01;

/** Adds the routes of calls over WebSockets; a request that asks for none is passed on. */
export function webSocketRoutes(app: Hono, rpc: Rpc, context: ServerContext): void {
  app.get(CALL_ROUTE, (c, next) => {
    const webSocket = c.req.header("upgrade")?.toLowerCase() === "websocket";
    return webSocket ? Promise.resolve(open(c.req.raw, peerOf(c), rpc, context)) : next();
  });
}

function open(request: Request, peer: Peer, rpc: Rpc, context: ServerContext): Response {
  if (!context.upgradeWebSocket) {
    throw new HttpError(501, "Cannot open a WebSocket: this server has none; use gRPC-Web over HTTP");
  }
  const offered = request.headers.get("sec-websocket-protocol")?.split(",").map((name) => name.trim());
  if (!offered?.includes(PROTOCOL)) {
    throw new HttpError(400, `Cannot open a WebSocket: want the subprotocol ${PROTOCOL}`);
  }
  const { address, local } = peer; // now, for the platform does not tell any more when the request is over
  const { socket, response } = upgraded(request, context.upgradeWebSocket);
  const call: Rpc = (request) => rpc(request, { address, local });
  new SocketCall(socket, request.url, call, context);
  return response;
}

function upgraded(request: Request, upgrade: UpgradeWebSocket): ReturnType<UpgradeWebSocket> {
  try {
    return upgrade(request, PROTOCOL);
  } catch (error) {
    throw new HttpError(400, `Cannot open a WebSocket: ${(error as Error).message}`);
  }
}

/** One call on one socket. Lives as long as the socket. */
class SocketCall {
  #socket: WebSocket;
  #rpc: Rpc;
  #url: string;
  #stallMs: number;
  #log: (line: string) => void;
  #expects: "header" | "bytes" | "nothing" = "header";
  #body = new Channel<Bytes>(MAX_WAITING);
  #ended = new AbortController();
  #heard = false;
  #patience: ReturnType<typeof setTimeout> | undefined;

  constructor(
    socket: WebSocket,
    url: string,
    rpc: Rpc,
    { stallMs, log }: Pick<ServerContext, "stallMs" | "log">,
  ) {
    this.#socket = socket;
    this.#url = url;
    this.#rpc = rpc;
    this.#stallMs = stallMs;
    this.#log = log;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.#take(data);
    socket.onclose = () => this.#end("The client closed the WebSocket");
    socket.onerror = () => this.#end("The WebSocket broke");
    this.#patience = setTimeout(
      () => this.#refuse(1008, "Cannot answer: no headers came"),
      Math.min(stallMs, MAX_HEADER_WAIT),
    );
  }

  #take(data: unknown): void {
    this.#heard = true;
    if (this.#ended.signal.aborted) return;
    if (!(data instanceof ArrayBuffer)) return this.#refuse(1002, "Cannot read the message: it is text");
    const message = new Uint8Array(data);
    if (this.#expects === "header") return this.#begin(message);
    if (this.#expects === "nothing") return this.#refuse(1002, "Cannot read the message: 01 ended them");
    if (message[0] === END && message.length === 1) {
      this.#expects = "nothing";
      clearTimeout(this.#patience);
      this.#body.close();
    } else if (message[0] === BYTES) this.#queue(message.subarray(1));
    else this.#refuse(1002, "Cannot read the message: it begins with neither 00 nor 01, or is too long");
  }

  #begin(message: Bytes): void {
    if (message.length > MAX_HEADER) {
      return this.#refuse(1009, `Cannot take the headers: over ${MAX_HEADER} bytes`);
    }
    let header: Headers;
    try {
      header = parseHeader(message);
    } catch (error) {
      return this.#refuse(1002, (error as Error).message);
    }
    this.#expects = "bytes";
    this.#waitForMore();
    this.#answer(header).catch((error) => {
      this.#log(`failed in a call over WebSocket: ${(error as Error).stack ?? error}`);
      this.#refuse(1011, "The server failed; its log says why");
    });
  }

  #queue(bytes: Bytes): void {
    if (bytes.length > MAX_WAITING) {
      return this.#refuse(1009, `Cannot take the message: over ${MAX_WAITING} bytes`);
    }
    this.#waitForMore();
    const full = this.#body.push(bytes, bytes.length + MESSAGE_WEIGHT);
    if (full) this.#refuse(1013, `Cannot keep up: ${MAX_WAITING} bytes wait for the store; use PUT /blob`);
  }

  #waitForMore(): void {
    clearTimeout(this.#patience);
    this.#patience = setTimeout(() => {
      const seconds = Math.round(this.#stallMs / 1000);
      this.#body.fail(new ConnectError(`Nothing came for ${seconds} seconds`, Code.DeadlineExceeded));
    }, this.#stallMs);
  }

  async #answer(header: Headers): Promise<void> {
    const response = await this.#rpc({
      httpVersion: "",
      method: "POST",
      url: this.#url,
      header,
      body: this.#body,
      signal: this.#ended.signal,
    });
    if (!await this.#send(HEADER, formatHeader(response.header))) return;
    let flag = 0;
    for await (const frame of framesOf(response.body ?? none())) {
      flag = frame.flag;
      if (!await this.#send(flag, frame.payload)) return;
    }
    // Some refusals have their status in the headers only, or in that of HTTP; clients wait for trailers.
    if ((flag & HEADER) === 0 && !await this.#send(HEADER, formatHeader(statusOf(response)))) return;
    this.#end("The call is over");
    await this.#close(1000, "");
  }

  /** Sends a pair once there is room. False: nobody is there to read it. */
  async #send(flag: number, payload: Bytes): Promise<boolean> {
    if (!await this.#room()) return false;
    const prefix = new Uint8Array(5);
    prefix[0] = flag;
    new DataView(prefix.buffer).setUint32(1, payload.length);
    this.#socket.send(prefix);
    this.#socket.send(payload);
    return true;
  }

  async #room(): Promise<boolean> {
    let least = Infinity;
    let since = performance.now();
    while (!this.#ended.signal.aborted) {
      const waiting = this.#socket.bufferedAmount;
      if (waiting <= MAX_BUFFERED) return this.#socket.readyState === this.#socket.OPEN;
      if (waiting < least) [least, since] = [waiting, performance.now()];
      else if (performance.now() - since > this.#stallMs) {
        this.#refuse(1008, "Cannot send: the client reads nothing");
      }
      await pause(LOOK);
    }
    return false;
  }

  #refuse(code: number, reason: string): void {
    this.#end(reason);
    this.#close(code, reason.slice(0, 120));
  }

  /**
   * Closes when the client is quiet, or has been heard for long enough: a platform that closes while messages are on their way may
   * drop the connection, and with it what the client has not read yet.
   */
  async #close(code: number, reason: string): Promise<void> {
    const end = performance.now() + LINGER;
    while (this.#expects === "bytes" && performance.now() < end) {
      this.#heard = false;
      await pause(QUIET);
      if (!this.#heard) break;
    }
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.close(code, reason);
  }

  #end(reason: string): void {
    if (this.#ended.signal.aborted) return;
    clearTimeout(this.#patience);
    const error = new ConnectError(reason, Code.Canceled);
    this.#ended.abort(error);
    this.#body.fail(error);
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

async function* none(): AsyncGenerator<Bytes, void, void> {}

function parseHeader(message: Bytes): Headers {
  const header = new Headers({ "content-type": "application/grpc-web+proto" });
  for (const line of new TextDecoder("latin1").decode(message).split("\r\n")) {
    if (line === "") continue;
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    try {
      if (colon < 1) throw new FormatError("headers", "no colon");
      if (name === "content-type") header.set(name, line.slice(colon + 1).trim());
      else header.append(name, line.slice(colon + 1).trim());
    } catch (cause) {
      throw new FormatError("headers", "Cannot read the headers: want lines of Name: value", { cause });
    }
  }
  return header;
}

function formatHeader(header: Headers | undefined): Bytes {
  let text = "";
  for (const [name, value] of header ?? []) text += `${name}: ${value}\r\n`;
  return fromText(text);
}

/** The trailers of an answer that has none in its body. */
function statusOf(response: { status: number; header?: Headers }): Headers {
  const trailers = new Headers();
  for (const [name, value] of response.header ?? []) if (name.startsWith("grpc-")) trailers.set(name, value);
  if (!trailers.has("grpc-status")) {
    trailers.set("grpc-status", String(Code.Unimplemented));
    trailers.set("grpc-message", `This call is not answered over WebSocket (HTTP status ${response.status})`);
  }
  return trailers;
}

/** The frames of a gRPC-Web body, however it is cut. */
async function* framesOf(
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<{ flag: number; payload: Bytes }, void, void> {
  let waiting: Uint8Array = new Uint8Array(0);
  for await (const piece of body) {
    waiting = waiting.length === 0 ? piece : concat([waiting, piece]);
    while (waiting.length >= 5) {
      const end = 5 + new DataView(waiting.buffer, waiting.byteOffset).getUint32(1);
      if (waiting.length < end) break;
      yield { flag: waiting[0], payload: waiting.subarray(5, end) as Bytes };
      waiting = waiting.subarray(end);
    }
  }
}
