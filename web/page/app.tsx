/** The page around its views: the bar, where one is, what is under way, and the whole page as a place to drop things. */
import { useEffect, useRef, useState } from "preact/hooks";
import { open } from "./deeds.ts";
import { targetsOf } from "./dropped.ts";
import { faultOf } from "../engine/fault.ts";
import { Icon } from "./icons.tsx";
import { lazily } from "./lazily.tsx";
import { Empty, FaultNote } from "./part/basics.tsx";
import { nameOf, type Route, route } from "./route.ts";
import { announcement, broken, online } from "./store.ts";
import { setTheme } from "./theme.ts";
import { Home } from "./view/home.tsx";
import { Jobs } from "./view/jobs.tsx";
import { Path } from "./view/path.tsx";

const Compare = lazily(() => import("./view/compare.tsx").then(({ Compare }) => Compare));
const Kept = lazily(() => import("./view/kept.tsx").then(({ Kept }) => Kept));
const Settings = lazily(() => import("./view/settings.tsx").then(({ Settings }) => Settings));
const WithNix = lazily(() => import("./view/nix.tsx").then(({ WithNix }) => WithNix));

const PLACES = [["home", "#/", "Open"], ["kept", "#/kept", "Kept"], ["compare", "#/compare", "Compare"], [
  "nix",
  "#/nix",
  "Use with Nix",
], ["settings", "#/settings", "Settings"]] as const;

export function App() {
  const here = route.value;
  const main = useRef<HTMLElement>(null);
  const place = here.view === "path" ? `${here.base} ${here.tab}` : here.view;
  const first = useRef(true);
  useEffect(() => {
    document.title = `${titleOf(here)}firn`;
    // A new place is read from its beginning; the first one is where the browser put the reader.
    if (!first.current) {
      main.current?.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
    first.current = false;
  }, [place]);
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        Skip to the contents
      </a>
      <Bar view={here.view} />
      {!online.value && (
        <p class="away" role="status">
          <Icon name="cloud" /> No network. What is kept here can be used all the same.
        </p>
      )}
      <main
        id="main"
        ref={main}
        tabIndex={-1}
        class={here.view === "path" && here.tab === "files" ? "wide" : ""}
      >
        {broken.value
          ? <FaultNote fault={broken.value} again={() => location.reload()} />
          : <View route={here} />}
      </main>
      <DropArea />
      <Jobs />
      <div class="hidden" role="status" aria-live="polite">{announcement.value}</div>
    </>
  );
}

function titleOf(here: Route): string {
  if (here.view === "path") return `${nameOf(here.base) || here.base} · `;
  const place = PLACES.find(([view]) => view === here.view);
  return place && here.view !== "home" ? `${place[2]} · ` : "";
}

function View({ route }: { route: Route }) {
  switch (route.view) {
    case "home":
      return <Home path={route.path} cache={route.cache} />;
    case "path":
      return <Path base={route.base} tab={route.tab} file={route.file} />;
    case "compare":
      return <Compare before={route.before} after={route.after} />;
    case "kept":
      return <Kept />;
    case "settings":
      return <Settings />;
    case "nix":
      return <WithNix />;
  }
  return (
    <Empty icon="question" title="There is no such page">
      <p>
        <a href="#/">Back to the beginning</a>
      </p>
    </Empty>
  );
}

function Bar({ view }: { view: Route["view"] }) {
  return (
    <header class="bar">
      <a class="brand" href="#/" aria-label="firn, to the beginning">
        <img src="icon.svg" alt="" width={26} height={26} />
        <span>firn</span>
      </a>
      <nav aria-label="Main">
        <ul>
          {PLACES.map(([place, href, word]) => (
            <li key={place}>
              <a href={href} aria-current={place === view ? "page" : undefined}>
                {place === "nix"
                  ? (
                    <>
                      <span class="only-wide">Use with&#32;</span>Nix
                    </>
                  )
                  : word}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <ThemeButton />
    </header>
  );
}

function ThemeButton() {
  const [, redraw] = useState(0);
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark" ||
    (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  return (
    <button
      type="button"
      class="quiet square"
      aria-label={dark ? "Use the light theme" : "Use the dark theme"}
      title={dark ? "Light" : "Dark"}
      onClick={() => {
        setTheme(dark ? "light" : "dark");
        redraw((n) => n + 1);
      }}
    >
      <Icon name={dark ? "sun" : "moon"} />
    </button>
  );
}

/** The whole page takes what is dropped on it. */
function DropArea() {
  const [over, setOver] = useState(false);
  useEffect(() => {
    const files = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const taken = (event: DragEvent) => {
      if (!files(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const listeners: Record<string, (event: DragEvent) => void> = {
      // Both: a drop counts only where the last of them was taken, and the page may change under the pointer just before it.
      dragenter: taken,
      dragover: taken,
      // Of the page. From one element to the next it is entered again; and an element that goes is never left.
      dragleave(event) {
        if (files(event) && event.relatedTarget === null) setOver(false);
      },
      drop(event) {
        if (!files(event)) return;
        event.preventDefault();
        setOver(false);
        targetsOf(event.dataTransfer!).then(
          (targets) => targets.forEach((target) => open(target, {}, targets.length === 1)),
          (error) => announcement.value = faultOf(error).message,
        );
      },
    };
    for (const [name, listener] of Object.entries(listeners)) {
      addEventListener(name, listener as EventListener);
    }
    return () => {
      for (const [name, listener] of Object.entries(listeners)) {
        removeEventListener(name, listener as EventListener);
      }
    };
  }, []);
  if (!over) return null;
  return (
    <div class="droparea" aria-hidden="true">
      <div>
        Drop it to open it
        <p>.nar, .narinfo, an exported .zip, or a folder</p>
      </div>
    </div>
  );
}
