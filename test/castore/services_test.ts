/** The contracts of BlobService and DirectoryService, over every kind of home. */
import { blobDamageContract, blobServiceContract } from "../contract/blob_service.ts";
import { directoryDamageContract, directoryServiceContract } from "../contract/directory_service.ts";
import { testContract } from "../contract/run.ts";
import { HOMES } from "./_homes.ts";

for (const { name, ignore, open } of HOMES) {
  testContract(`blobs over ${name}`, blobServiceContract, open, { ignore });
  testContract(`blobs over ${name}`, blobDamageContract, open, { ignore });
  testContract(`directories over ${name}`, directoryServiceContract, open, { ignore });
  testContract(`directories over ${name}`, directoryDamageContract, open, { ignore });
}
