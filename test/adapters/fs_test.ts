import { openFs } from "../../src/adapters/fs/fs_store.ts";
import { byteStoreContract } from "../contract/byte_store.ts";
import { testContract } from "../contract/run.ts";

testContract("fs", byteStoreContract, async () => {
  const directory = await Deno.makeTempDir();
  const store = await openFs(directory);
  const dispose = store[Symbol.asyncDispose].bind(store);
  store[Symbol.asyncDispose] = async () => {
    await dispose();
    await Deno.remove(directory, { recursive: true });
  };
  return store;
});
