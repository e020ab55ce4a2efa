/** What the page says of truth: whose key signed, what was recomputed, and what was changed by somebody. */
import assert from "node:assert/strict";
import { toBase64 } from "../../src/bytes/base64.ts";
import { narFile, narInfo, narInfoName, pathOf, treeNar } from "../server/_site.ts";
import { pageTest, PageWorld, program, publish } from "./_world.ts";

/** A secret key as Nix keeps it: seed and public key after each other. */
async function secretKey(file: string, name: string): Promise<void> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]) as CryptoKeyPair;
  const seed = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey)).slice(-32);
  const publicKey = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  await Deno.writeTextFile(file, `${name}:${toBase64(Uint8Array.from([...seed, ...publicKey]))}`);
}

pageTest("a signature is by whose key it is, and a path is proven once all of it is here", async (folder) => {
  await secretKey(`${folder}/key`, "cache-1");
  await using world = await PageWorld.open(folder, {}, "--secret-key", `${folder}/key`);
  const { page, server } = world;
  const base = await publish(server.url, "hello-1.0", program("1.0"));
  await world.openPath(base);
  await page.getByText("signed by a key you do not trust").waitFor();
  await page.getByText("hash not verified yet").waitFor();
  await page.getByRole("link", { name: "Truth" }).click();
  await page.getByText("says that this is its key").waitFor();
  await page.getByRole("button", { name: "Trust it" }).click();
  await page.getByText("signed by cache-1").waitFor();
  await page.getByRole("button", { name: "Fetch all" }).click();
  await page.getByText("hash verified").waitFor();
  await page.getByText("references complete").waitFor();
  await page.getByRole("button", { name: "Verify every byte" }).click();
  await page.getByText("everything is true").first().waitFor();
  await page.reload();
  await page.getByText("signed by cache-1").waitFor();
  await page.getByText("Last recomputed from the bytes").waitFor();
  world.assertSound();
});

pageTest(
  "an archive that is not what its cache claims is refused, and told as what it is",
  async (folder) => {
    await using world = await PageWorld.open(folder);
    const { page } = world;
    const base = pathOf("tampered-1.0");
    const nar = await treeNar({ hello: "hello" });
    const tampered = nar.slice();
    tampered[tampered.lastIndexOf(0x6c)] ^= 1; // one bit of the file
    const claims = narInfo(base, await narFile(nar), { FileHash: null });
    await using cache = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
      const path = new URL(request.url).pathname.slice(1);
      const headers = { "access-control-allow-origin": "*" };
      if (path === "nix-cache-info") return new Response("StoreDir: /nix/store\n", { headers });
      if (path === narInfoName(base)) return new Response(claims, { headers });
      if (path.startsWith("nar/")) return new Response(tampered, { headers });
      return new Response(null, { status: 404, headers });
    });
    await page.getByLabel("Store path or hash").fill(base);
    await page.getByLabel("Cache", { exact: true }).fill(`http://127.0.0.1:${cache.addr.port}`);
    await page.getByRole("button", { name: "Open", exact: true }).click();
    const card = page.getByRole("alert");
    await card.getByText("the bytes give").first().waitFor();
    assert.match(await card.innerText(), /NarHash/);
    await page.getByText("Nothing yet").waitFor();
    world.assertSound();
  },
);

/** Flips one bit in the largest thing that the tab keeps, behind the back of the store. */
const TAMPER = `(async () => {
  const { promise, resolve, reject } = Promise.withResolvers();
  const opening = indexedDB.open("firn");
  opening.onerror = () => reject(opening.error);
  opening.onsuccess = () => resolve(opening.result);
  const db = await promise;
  const asked = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  let largest;
  for (const name of db.objectStoreNames) {
    const store = db.transaction(name).objectStore(name);
    for (const key of await asked(store.getAllKeys())) {
      const value = await asked(db.transaction(name).objectStore(name).get(key));
      for (const [field, part] of value instanceof Blob || ArrayBuffer.isView(value) ? [[undefined, value]] : Object.entries(value ?? {})) {
        const size = part instanceof Blob ? part.size : ArrayBuffer.isView(part) ? part.byteLength : 0;
        if (size > (largest?.size ?? 50000)) largest = { name, key, value, field, part, size, inline: store.keyPath !== null };
      }
    }
  }
  if (!largest) throw new Error("nothing large is kept");
  const { name, key, value, field, part, inline } = largest;
  const bytes = part instanceof Blob ? await part.bytes() : new Uint8Array(part.buffer, part.byteOffset, part.byteLength).slice();
  bytes[bytes.length >> 1] ^= 1;
  const changed = part instanceof Blob ? new Blob([bytes]) : bytes;
  const store = db.transaction(name, "readwrite").objectStore(name);
  const put = field === undefined ? changed : { ...value, [field]: changed };
  await asked(inline ? store.put(put) : store.put(put, key));
  db.close();
  return name;
})()`;

pageTest("a bit that changed in the browser's storage is found, with the file it is in", async (folder) => {
  await using world = await PageWorld.open(folder);
  const { page, server } = world;
  const noise = crypto.getRandomValues(new Uint8Array(60_000)); // one file, much larger than all else
  const base = await publish(server.url, "hello-1.0", { hello: "hello", large: { noise } });
  await world.openPath(base, true);
  await page.getByText("hash verified").waitFor();
  await page.evaluate(TAMPER);
  await page.reload();
  await world.go(`#/path/${base}/truth`);
  await page.getByRole("button", { name: "Verify every byte" }).click();
  await page.getByText("it is not what it should be", { exact: true }).waitFor();
  await page.getByText("damaged: 1 piece").waitFor();
  await page.getByRole("link", { name: "large/noise" }).click();
  await page.getByRole("alert").first().waitFor();
  assert.equal(await page.getByText("hash verified").count(), 0);
  world.assertSound();
});
