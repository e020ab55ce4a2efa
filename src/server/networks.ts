/**
 * Networks, as operators write them: an address, or one with the number of bits that count, `10.0.0.0/8`, `2001:db8::/32`; `unix`
 * for whoever comes by a Unix socket.
 */
import { FormatError } from "../errors.ts";
import { plainAddress, UNIX } from "./peer.ts";

/** The test whether an address is in one of these networks. Throws {@link FormatError}. */
export function networksTest(texts: readonly string[]): (address: string) => boolean {
  const tests = texts.map(networkTest);
  return (address) => tests.some((test) => test(plainAddress(address)));
}

function networkTest(text: string): (address: string) => boolean {
  if (text === UNIX) return (address) => address === UNIX;
  const [, host, length] = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const base = host === undefined ? undefined : bitsOf(plainAddress(host));
  if (base === undefined || Number(length ?? 0) > base.length) {
    throw new FormatError(
      "network",
      `Cannot use the network ${
        JSON.stringify(text.slice(0, 100))
      }: want an address such as 192.0.2.1, or 10.0.0.0/8`,
    );
  }
  const counting = base.slice(0, length === undefined ? base.length : Number(length));
  return (address) => {
    const bits = bitsOf(address);
    return bits?.length === base.length && bits.startsWith(counting);
  };
}

/** Whether this text is an address of IPv4 or IPv6. */
export function isAddress(text: string): boolean {
  return bitsOf(plainAddress(text)) !== undefined;
}

/** The bits of an address, as a text of 32 or 128 digits; `undefined` for what is none. */
function bitsOf(address: string): string | undefined {
  if (address.includes(":")) return bitsOf6(address);
  const parts = address.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) {
    return undefined;
  }
  return parts.map((part) => Number(part).toString(2).padStart(8, "0")).join("");
}

function bitsOf6(address: string): string | undefined {
  const halves = address.split("::");
  if (halves.length > 2) return undefined;
  const [front, back = []] = halves.map((half) => half === "" ? [] : half.split(":"));
  const gap = 8 - front.length - back.length;
  if (halves.length === 2 ? gap < 1 : gap !== 0) return undefined;
  const groups = [...front, ...Array<string>(gap).fill("0"), ...back];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/.test(group))) return undefined;
  return groups.map((group) => parseInt(group, 16).toString(2).padStart(16, "0")).join("");
}
