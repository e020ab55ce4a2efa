// Changing what is stored, behind the server's back.
import assert from "node:assert/strict";
import type { Bytes } from "../../src/bytes/bytes.ts";

/** Changes one byte of the file below a folder that holds these bytes. */
export async function flip(folder: string, needle: Bytes, at = 0): Promise<void> {
  let found = 0;
  for (const path of await filesBelow(folder)) {
    const bytes = await Deno.readFile(path);
    const position = Buffer.from(bytes.buffer).indexOf(needle);
    if (position < 0) continue;
    bytes[position + at] ^= 1;
    await Deno.writeFile(path, bytes);
    found++;
  }
  assert.equal(found, 1, "the bytes to change are stored once");
}

export async function filesBelow(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
    if (isDirectory) paths.push(...await filesBelow(`${folder}/${name}`));
    else if (isFile) paths.push(`${folder}/${name}`);
  }
  return paths;
}
