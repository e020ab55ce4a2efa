/**
 * A store that is another server, spoken to over native gRPC:
 *
 *   grpc+http://HOST[:PORT]    plain HTTP/2
 *   grpc+https://HOST[:PORT]   over TLS
 *   grpc+unix:/PATH            over a Unix socket; grpc+unix:///PATH says the same
 */
import { openGrpc, type RemoteServices } from "../adapters/grpc/open_grpc.ts";
import { grpcTransport } from "../adapters/grpc/transport.ts";
import { Http2Client } from "../adapters/http2/client.ts";
import { dialTcp, dialTls, dialUnix } from "../adapters/http2/dial.ts";
import type { Duplex } from "../adapters/http2/duplex.ts";
import { openFrames } from "./frames.ts";
import { UsageError } from "./usage.ts";

/**
 * The services of another server, which is reached when it is first asked. Throws {@link UsageError} for no such address.
 * @param token goes with every call
 */
export function openRemote(address: string, token?: string): RemoteServices & AsyncDisposable {
  const { baseUrl, open } = parseRemote(address);
  const client = new Http2Client(open);
  const request: typeof client.request = (call) => {
    if (token !== undefined) call.header.set("authorization", `Bearer ${token}`);
    return client.request(call);
  };
  const services = openGrpc(grpcTransport(baseUrl, request), {
    address,
    decoder: openFrames(undefined).decoder,
  });
  return { ...services, [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() };
}

interface RemoteAddress {
  readonly baseUrl: string;
  readonly open: () => Promise<Duplex>;
}

/** How to reach another server. Throws {@link UsageError}. */
export function parseRemote(address: string): RemoteAddress {
  const unix = /^grpc\+unix:(?:\/\/)?(\/.+)$/.exec(address);
  if (unix) return { baseUrl: "http://localhost", open: () => dialUnix(unix[1]) };
  const match = /^grpc\+(https?):\/\/(\[[0-9a-fA-F:.]+\]|[^/?#:@\s]+)(?::(\d{1,5}))?\/?$/.exec(address);
  if (!match || Number(match[3] ?? 0) > 65535) {
    throw new UsageError(
      `Cannot open the store ${address}: want grpc+http://HOST:PORT, grpc+https://HOST:PORT or grpc+unix:/PATH`,
    );
  }
  const [, scheme, hostname, text] = match;
  const port = Number(text ?? (scheme === "https" ? 443 : 80));
  const dial = scheme === "https" ? dialTls : dialTcp;
  return { baseUrl: `${scheme}://${hostname}:${port}`, open: () => dial({ hostname, port }) };
}
