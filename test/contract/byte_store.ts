/**
 * What `ByteStore` promises, sentence by sentence. What it promises about crashes needs a process to kill and is
 * tested with the adapters.
 */
import type { ByteStore } from "../../src/castore/byte_store.ts";
import { listCases } from "./_byte_store_lists.ts";
import { togetherCases } from "./_byte_store_together.ts";
import { valueCases } from "./_byte_store_values.ts";
import type { ContractCase } from "./case.ts";

/** Every promise of a ByteStore. */
export const byteStoreContract: readonly ContractCase<ByteStore>[] = [
  ...valueCases,
  ...listCases,
  ...togetherCases,
];
