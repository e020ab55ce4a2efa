/** The contracts of the services, over remotes of every protocol and both eras whose server is firn's own. */
import { blobServiceContract } from "../../contract/blob_service.ts";
import { directoryServiceContract } from "../../contract/directory_service.ts";
import { pathInfoServiceContract } from "../../contract/path_info_service.ts";
import { testContract } from "../../contract/run.ts";
import { openRemote, type Protocol } from "./_remotes.ts";

const REMOTES: readonly [Protocol, "snix" | "tvix"][] = [
  ["grpc", "snix"],
  ["grpc", "tvix"],
  ["grpc-web", "snix"],
  ["grpc-web", "tvix"],
  ["connect", "snix"],
  ["connect", "tvix"],
];

for (const [protocol, era] of REMOTES) {
  const name = `over ${protocol}, ${era}`;
  const open = () => Promise.resolve(openRemote({ protocol, era }));
  testContract(`blobs ${name}`, blobServiceContract, open);
  testContract(`directories ${name}`, directoryServiceContract, open);
  testContract(`path infos ${name}`, pathInfoServiceContract, open);
}
