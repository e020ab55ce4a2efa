/** The contract of PathInfoService, over every kind of home. */
import { HOMES } from "../castore/_homes.ts";
import { pathInfoServiceContract } from "../contract/path_info_service.ts";
import { testContract } from "../contract/run.ts";

for (const { name, needs, open } of HOMES) {
  testContract(`path infos over ${name}`, pathInfoServiceContract, open, needs);
}
