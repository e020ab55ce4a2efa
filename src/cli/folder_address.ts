/** Addresses of folders: a path, or file:///PATH. */

/** The folder of an address; `undefined` if it names something else. */
export function folderOf(address: string): string | undefined {
  if (address.startsWith("file://")) return decodeURIComponent(new URL(address).pathname);
  return /^[a-z0-9+]{2,}:/i.test(address) ? undefined : address;
}
