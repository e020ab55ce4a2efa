/** Whom to trust, whom to ask, and how the page looks. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Fault, Settings as Kept } from "../../engine/engine.ts";
import { faultOf } from "../../engine/fault.ts";
import { Icon } from "../icons.tsx";
import { FaultNote, Name, Waiting } from "../part/basics.tsx";
import { announcement, engine, settings } from "../store.ts";
import { currentTheme, setTheme, type Theme } from "../theme.ts";

export function Settings() {
  const kept = settings.value;
  return (
    <>
      <div class="head">
        <div>
          <h1>Settings</h1>
          <p>Kept in this browser.</p>
        </div>
      </div>
      <div class="stack">
        <Looks />
        {!kept ? <Waiting /> : (
          <>
            <Lines
              kept={kept}
              field="trustedKeys"
              title="Trusted keys"
              explained="A signature by one of these keys vouches for a path. A key is a name and the key itself, as in nix.conf."
              placeholder="cache.example-1:…"
              word="key"
              label={(key) => {
                const at = key.indexOf(":");
                return (
                  <>
                    <strong>
                      <Name>{key.slice(0, at)}</Name>
                    </strong>{" "}
                    <span class="hash">
                      <Name>{key.slice(at + 1)}</Name>
                    </span>
                  </>
                );
              }}
            />
            <Lines
              kept={kept}
              field="caches"
              title="Caches"
              explained="Asked in this order for a path, where no cache is named."
              placeholder="https://cache.example"
              word="cache"
              label={(address) => <Name>{address}</Name>}
            />
            <Tokens kept={kept} />
          </>
        )}
      </div>
    </>
  );
}

function Looks() {
  const [theme, set] = useState(currentTheme());
  const words: [Theme, string][] = [["system", "As the system"], ["light", "Light"], ["dark", "Dark"]];
  return (
    <section class="card padded stack tight" aria-labelledby="looks">
      <h2 id="looks">Looks</h2>
      <div>
        <span class="choice" role="radiogroup" aria-label="Theme">
          {words.map(([value, word]) => (
            <label key={value}>
              <input
                type="radio"
                name="theme"
                checked={theme === value}
                onChange={() => {
                  setTheme(value);
                  set(value);
                }}
              />
              {word}
            </label>
          ))}
        </span>
      </div>
    </section>
  );
}

/** Tokens are not shown, only whose they are. */
function Tokens({ kept: { tokens } }: { kept: Kept }) {
  const [address, setAddress] = useState("");
  const [token, setToken] = useState("");
  const [fault, setFault] = useState<Fault | undefined>(undefined);
  const change = async (address: string, token?: string) => {
    try {
      settings.value = await engine.giveToken(address, token);
      setFault(undefined);
      setAddress("");
      setToken("");
      announcement.value = "Tokens changed";
    } catch (error) {
      setFault(faultOf(error));
    }
  };
  const add = (event: Event) => {
    event.preventDefault();
    change(address, token);
  };
  return (
    <section class="card padded stack tight" aria-labelledby="tokens">
      <h2 id="tokens">Tokens</h2>
      <p class="dim">For caches that are private. Each is sent to its own server, and to no other.</p>
      <ul class="list">
        {tokens.map((origin) => (
          <li key={origin}>
            <span class="grow">
              <Name>{origin}</Name>
            </span>
            <button
              type="button"
              class="quiet square small"
              aria-label={`Forget the token for ${origin}`}
              title="Forget this token"
              onClick={() => change(origin)}
            >
              <Icon name="cross" />
            </button>
          </li>
        ))}
        {tokens.length === 0 && <li class="dim">None.</li>}
      </ul>
      {fault && <FaultNote fault={fault} />}
      <form class="row" onSubmit={add}>
        <input
          type="url"
          class="grow"
          style={{ width: "auto" }}
          aria-label="Server of the new token"
          placeholder="https://cache.example"
          required
          spellcheck={false}
          value={address}
          onInput={({ currentTarget }) => setAddress(currentTarget.value)}
        />
        <input
          type="password"
          class="grow"
          style={{ width: "auto" }}
          aria-label="New token"
          placeholder="Token"
          required
          autocomplete="off"
          value={token}
          onInput={({ currentTarget }) => setToken(currentTarget.value)}
        />
        <button type="submit">Add</button>
      </form>
    </section>
  );
}

function Lines(
  { kept, field, title, explained, placeholder, word, label }: {
    kept: Kept;
    field: "trustedKeys" | "caches";
    title: string;
    explained: string;
    placeholder: string;
    word: string;
    label: (line: string) => ComponentChildren;
  },
) {
  const [text, setText] = useState("");
  const [fault, setFault] = useState<Fault | undefined>(undefined);
  const lines = kept[field];
  const change = async (next: readonly string[]) => {
    try {
      settings.value = await engine.configure({ [field]: next });
      setFault(undefined);
      setText("");
      announcement.value = `${title} changed`;
    } catch (error) {
      setFault(faultOf(error));
    }
  };
  const add = (event: Event) => {
    event.preventDefault();
    const line = text.trim();
    if (line !== "") change([...lines.filter((known) => known !== line), line]);
  };
  return (
    <section class="card padded stack tight" aria-labelledby={field}>
      <h2 id={field}>{title}</h2>
      <p class="dim">{explained}</p>
      <ul class="list">
        {lines.map((line, i) => (
          <li key={line}>
            <span class="grow">{label(line)}</span>
            {field === "caches" && i > 0 && (
              <button
                type="button"
                class="quiet small"
                aria-label={`Ask first: ${line}`}
                onClick={() => change([line, ...lines.filter((known) => known !== line)])}
              >
                Ask first
              </button>
            )}
            <button
              type="button"
              class="quiet square small"
              aria-label={`Remove the ${word} ${line}`}
              title={`Remove this ${word}`}
              onClick={() => change(lines.filter((known) => known !== line))}
            >
              <Icon name="cross" />
            </button>
          </li>
        ))}
        {lines.length === 0 && <li class="dim">None.</li>}
      </ul>
      {fault && <FaultNote fault={fault} />}
      <form class="row" onSubmit={add}>
        <input
          type="text"
          class="grow"
          style={{ width: "auto" }}
          aria-label={`New ${word}`}
          placeholder={placeholder}
          spellcheck={false}
          autocomplete="off"
          value={text}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
        />
        <button type="submit">Add</button>
      </form>
    </section>
  );
}
