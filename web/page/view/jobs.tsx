/** What is under way, in a corner: one card each, until it is done or taken away. */
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "../icons.tsx";
import { Name } from "../part/basics.tsx";
import { TokenForm, wantsToken } from "../part/wants_token.tsx";
import { ProgressBar, progressText } from "../part/progress_bar.tsx";
import { dismiss, engine, type Job, jobs } from "../store.ts";

export function Jobs() {
  const all = jobs.value;
  const tray = useRef<HTMLElement>(null);
  const any = all.length > 0;
  useEffect(() => {
    if (!any) return;
    // What lies below the cards can be scrolled to above them.
    const { style } = document.documentElement;
    const observer = new ResizeObserver(() =>
      style.setProperty("--tray", `${tray.current?.offsetHeight ?? 0}px`)
    );
    observer.observe(tray.current!);
    return () => {
      observer.disconnect();
      style.removeProperty("--tray");
    };
  }, [any]);
  if (!any) return null;
  return (
    <aside ref={tray} class="tray" aria-label="Under way">
      {all.slice(0, 6).map((job) => <JobCard key={job.id} job={job} />)}
      {all.length > 6 && <p class="dim">and {all.length - 6} more</p>}
    </aside>
  );
}

function JobCard({ job }: { job: Job }) {
  const { id, title, state, progress, fault, outcome, href, ownToken, again } = job;
  return (
    <div class={`job ${state}`}>
      <div class="top">
        {state !== "running" && <Icon name={state === "done" ? "check" : "warn"} class="state" />}
        <span class="title">
          <Name>{title}</Name>
        </span>
        {state === "running"
          ? <button type="button" class="small quiet" onClick={() => engine.cancel(id)}>Cancel</button>
          : (
            <button
              type="button"
              class="quiet square small"
              aria-label={`Dismiss: ${title}`}
              onClick={() => dismiss(id)}
            >
              <Icon name="cross" />
            </button>
          )}
      </div>
      {state === "running" && <ProgressBar progress={progress} label={title} />}
      {state === "running" && progress && <div class="told">{progressText(progress)}</div>}
      {outcome && (
        <div class="told">
          <Name>{outcome}</Name> {href && <a href={href}>Look at it</a>}
        </div>
      )}
      {fault && (
        <div class="told" role="alert">
          <Name>{fault.message}</Name>
          {fault.name === "StoreFullError" && (
            <>
              {" "}
              <a href="#/kept">See what is kept</a>
            </>
          )}
          {fault.claimed !== undefined && fault.actual !== undefined && (
            <div class="mono">
              claimed <Name>{fault.claimed}</Name>, the bytes give <Name>{fault.actual}</Name>
            </div>
          )}
        </div>
      )}
      {fault && again && !ownToken && wantsToken(fault) && (
        <TokenForm address={fault.address!} again={again} />
      )}
      {again && (
        <div>
          <button type="button" class="small" onClick={again}>Try again</button>
        </div>
      )}
    </div>
  );
}
