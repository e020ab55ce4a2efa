/** Small parts that every view uses. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Fault } from "../../engine/engine.ts";
import { shown } from "../../engine/shown.ts";
import { Icon, type IconName } from "../icons.tsx";
import { TokenForm, wantsToken } from "./wants_token.tsx";

/** A text that comes from a package: it cannot turn around what stands beside it, and hides nothing. */
export function Name({ children, class: extra = "" }: { children: string; class?: string }) {
  return <bdi class={extra || undefined} dir="auto">{shown(children)}</bdi>;
}

/** A store path: its name in ink, its folder and hash dimmed. */
export function StorePath({ path }: { path: string }) {
  const at = path.lastIndexOf("/") + 34;
  return (
    <bdi class="mono">
      <span class="dim">{path.slice(0, at)}</span>
      {shown(path.slice(at))}
    </bdi>
  );
}

export type Tone = "good" | "bad" | "warn" | "plain" | "none";
const SIGNS: Record<Tone, IconName> = {
  good: "check",
  bad: "cross",
  warn: "warn",
  plain: "box",
  none: "question",
};

/** A judgement in words, with a sign. */
export function Mark(
  { tone, icon, title, children }: {
    tone: Tone;
    icon?: IconName;
    title?: string;
    children: ComponentChildren;
  },
) {
  return (
    <span class={`mark ${tone}`} title={title}>
      <Icon name={icon ?? SIGNS[tone]} />
      {children}
    </span>
  );
}

export function Note(
  { tone, children }: { tone: "bad" | "warn" | "good" | "none"; children: ComponentChildren },
) {
  return (
    <div class={`note ${tone}`} role={tone === "bad" ? "alert" : undefined}>
      <Icon name={tone === "good" ? "check" : tone === "none" ? "question" : "warn"} />
      <div class="grow">{children}</div>
    </div>
  );
}

/** What went wrong, and what was expected where that is known. */
export function FaultNote({ fault, again }: { fault: Fault; again?: () => void }) {
  return (
    <Note tone="bad">
      <p>
        <Name>{fault.message}</Name>
      </p>
      {fault.claimed !== undefined && fault.actual !== undefined && (
        <p class="mono">
          claimed {shown(fault.claimed)}
          <br />
          the bytes give {shown(fault.actual)}
        </p>
      )}
      {again && wantsToken(fault) && <TokenForm address={fault.address!} again={again} />}
      {again && <button type="button" class="small" onClick={again}>Try again</button>}
    </Note>
  );
}

export function Empty(
  { icon, title, children }: { icon: IconName; title: string; children?: ComponentChildren },
) {
  return (
    <div class="empty">
      <Icon name={icon} />
      <strong>{title}</strong>
      {children}
    </div>
  );
}

/** Nothing for a moment, then a word: what comes at once should not flicker. */
export function Waiting({ children = "Loading…" }: { children?: string }) {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), 250);
    return () => clearTimeout(timer);
  }, []);
  return <p class="empty" role="status">{late ? children : ""}</p>;
}

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      setTimeout(() => setCopied(false), 1500);
    } catch {
      prompt(label, text); // the clipboard may be forbidden
    }
  };
  return (
    <button
      type="button"
      class="quiet square small"
      aria-label={copied ? "Copied" : label}
      title={label}
      onClick={copy}
    >
      <Icon name={copied ? "check" : "copy"} />
    </button>
  );
}

/** A command to be copied. */
export function Command({ children, label }: { children: string; label: string }) {
  return (
    <div class="command">
      <pre tabindex={0} aria-label={label}><code>{children}</code></pre>
      <CopyButton text={children} label={`Copy: ${label}`} />
    </div>
  );
}

/** A question that must be answered before anything else. */
export function Dialog(
  { title, children, onClose }: { title: string; children: ComponentChildren; onClose: () => void },
) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    element.current?.showModal();
    return () => before?.focus?.();
  }, []);
  return (
    <dialog ref={element} aria-labelledby="dialog-title" onClose={onClose}>
      <div class="dialog">
        <h2 id="dialog-title">{title}</h2>
        {children}
      </div>
    </dialog>
  );
}
