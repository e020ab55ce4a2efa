/** Two versions of a Debian package, as apt has them: a release, and what security fixes made of it. */
import { run } from "./measure.ts";

/** A version, and the folder with its files. */
export interface DebianVersion {
  readonly version: string;
  readonly root: string;
}

/** Gets the two newest versions, the older one first, into a folder that is there. Throws when apt does not know two. */
export async function twoVersions(name: string, folder: string): Promise<DebianVersion[]> {
  const lines = (await run("apt-cache", ["madison", name])).split("\n");
  const known = new Set(lines.map((line) => line.split("|")[1]?.trim()).filter((version) => version));
  const versions = [...known].slice(0, 2).reverse();
  if (versions.length < 2) {
    throw new Error(`Cannot compare versions of ${name}: apt knows ${versions.join(" ") || "none"}`);
  }
  const unpacked: DebianVersion[] = [];
  for (const [i, version] of versions.entries()) {
    const own = `${folder}/${name}-${i + 1}`;
    await Deno.mkdir(own);
    const script = `cd "$0" && apt-get download -qq "$1" && dpkg-deb -x *.deb root`;
    await run("sh", ["-c", script, own, `${name}=${version}`]);
    unpacked.push({ version, root: `${own}/root` });
  }
  return unpacked;
}
