/** The contracts of BlobService and DirectoryService, over every kind of home. */
import { blobDamageContract, blobServiceContract } from "../contract/blob_service.ts";
import { directoryDamageContract, directoryServiceContract } from "../contract/directory_service.ts";
import { testContract } from "../contract/run.ts";
import { HOMES } from "./_homes.ts";

for (const { name, needs, open } of HOMES) {
  testContract(`blobs over ${name}`, blobServiceContract, open, needs);
  testContract(`blobs over ${name}`, blobDamageContract, open, needs);
  testContract(`directories over ${name}`, directoryServiceContract, open, needs);
  testContract(`directories over ${name}`, directoryDamageContract, open, needs);
}
