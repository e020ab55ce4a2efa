/**
 * Names for files that leave the store: in a zip, where a name must not lead out of the folder it is unpacked in, and on a
 * disk of any system.
 */
import { shown } from "./shown.ts";

/** Names that Windows keeps for devices. */
const DEVICE = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)/i;

/** A name a file can be saved under on every system. */
export function safeName(name: string): string {
  const clean = shown(name).replace(/[\\/:*?"<>|]/g, "_").replace(/[. ]+$/, "").slice(0, 200);
  return clean === "" || DEVICE.test(clean) ? `_${clean}` : clean;
}

/**
 * A path as it stands in a zip. Names of a store path hold no slash and are not `.` or `..`, but a backslash is a slash to some
 * that unpack, and a colon a drive: those become `_`, as do characters that cannot be seen.
 */
export function zipPath(path: string): string {
  return path.split("/").map((part) => {
    const clean = shown(part).replace(/[\\:]/g, "_");
    return clean === "" || /^\.+$/.test(clean) ? `_${clean}` : clean;
  }).join("/");
}
