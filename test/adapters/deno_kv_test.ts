import { openDenoKv } from "../../src/adapters/deno_kv/deno_kv_store.ts";
import { byteStoreContract } from "../contract/byte_store.ts";
import { testContract } from "../contract/run.ts";

testContract("deno kv", byteStoreContract, async () => {
  const directory = await Deno.makeTempDir();
  const kv = await Deno.openKv(`${directory}/kv`);
  const store = openDenoKv(kv);
  store[Symbol.asyncDispose] = async () => {
    kv.close();
    await Deno.remove(directory, { recursive: true });
  };
  return store;
});
