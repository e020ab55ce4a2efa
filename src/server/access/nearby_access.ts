/**
 * Access where there is no key to verify tokens with: everybody reads, and who is on this machine writes.
 *
 * On this machine means: the connection is on loopback at both ends or a Unix socket, no proxy stands in front, and a request of
 * HTTP is for a loopback name (`Asking.local`). A proxy that does not say it is one cannot be told from a program.
 */
import { type Access, ANYBODY, type Asking, type Caller } from "../door.ts";
import { forbidden } from "./refusals.ts";

const READER: Caller = { name: "anybody", rights: new Set(["read"]) };
const NEARBY: Caller = { ...ANYBODY, name: "a program on this machine" };

/** Who was asked for nothing. */
export function readerAt(address: string | undefined): Caller {
  return address === undefined ? READER : { ...READER, address };
}

/** Who is on this machine. */
export function nearbyAt(address: string | undefined): Caller {
  return address === undefined ? NEARBY : { ...NEARBY, address };
}

/** Everybody reads, and whoever is on this machine does the rest. */
export const NEARBY_ACCESS: Access = {
  opensReads: true,
  writesNeedToken: false,
  admit(asking: Asking): Caller {
    const { needs, address } = asking;
    if (needs === "nothing" || needs === "read") return readerAt(address);
    if (asking.local) return nearbyAt(address);
    const what = needs === "write" ? "write" : needs === "admin" ? "revoke tokens" : "read the metrics";
    throw forbidden(
      `Cannot let you ${what}: without a token key this server lets only programs on its own machine, ` +
        `by a loopback address; ` +
        `its operator can give it one (firn token key, and serve --token-key)`,
    );
  },
};
