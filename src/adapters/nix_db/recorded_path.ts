/** What Nix has recorded of a path in its store on this machine. */
import type { StorePath } from "../../nix/store_path.ts";
import type { PathInfo } from "../../store/path_info.ts";

/** All that is claimed of a path, whose contents were not looked at. */
export type RecordedPath = Omit<PathInfo, "node" | "unclaimedReferences" | "registeredAt">;

/** The paths of a store that Nix manages. */
export interface NixRecords extends Disposable {
  /** What is recorded of a path; `undefined` if it is not valid there. */
  find(path: StorePath): RecordedPath | undefined;
}
