/** How far a job is: what came, what was here already, and how fast it goes. */
import type { Progress } from "../../engine/engine.ts";
import { bytes, percent, rate } from "../figures.ts";

const PHASES: Record<Progress["phase"], string> = {
  asking: "Asking what there is",
  waiting: "Waiting until no tab writes",
  directories: "Reading folders",
  fetching: "Fetching",
  reading: "Reading",
  verifying: "Verifying",
  sending: "Sending",
  packing: "Packing",
  collecting: "Clearing up",
  done: "Done",
};

/** Progress as a sentence: `Fetching 12.0 MiB of 40.1 MiB, 8.20 MiB/s, 3.10 MiB were here`. */
export function progressText({ phase, moved, toMove, done, total, shared, elapsed }: Progress): string {
  const parts: string[] = [];
  const local = phase === "verifying" || phase === "packing";
  const [now, all] = local ? [done, total] : [moved, toMove];
  if (now > 0 || all) parts.push(`${bytes(now)}${all ? ` of ${bytes(all)}` : ""}`);
  const speed = rate(local ? done : moved, elapsed);
  if (speed && phase !== "done") parts.push(speed);
  if (shared > 0) parts.push(`${bytes(shared)} ${phase === "sending" ? "were there" : "were here"} already`);
  return `${PHASES[phase]}${parts.length > 0 ? ` ${parts.join(", ")}` : ""}`;
}

export function ProgressBar({ progress, label }: { progress?: Progress; label: string }) {
  const all = progress?.total ?? progress?.toMove;
  const known = progress !== undefined && all !== undefined && all > 0;
  const done = progress?.total !== undefined ? progress.done : progress?.moved ?? 0;
  const share = known ? Math.min(1, done / all) : undefined;
  const here = known ? Math.min(share!, progress.shared / all) : 0;
  return (
    <div
      class={`progress ${known ? "" : "unknown"}`}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={known ? Math.round(100 * share!) : undefined}
      aria-valuetext={progress && progressText(progress)}
      title={known ? percent(done, all) : undefined}
    >
      {known && <i class="shared" style={{ width: `${100 * here}%` }} />}
      {known && <i class="moved" style={{ width: `${100 * (share! - here)}%` }} />}
    </div>
  );
}
