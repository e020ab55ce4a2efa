import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { byteStoreContract } from "../contract/byte_store.ts";
import { testContract } from "../contract/run.ts";

testContract("memory", byteStoreContract, () => Promise.resolve(openMemory()));
