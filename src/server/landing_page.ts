/** What a person sees who opens the address of a store in a browser: what it is, and how to use it. */
import { html } from "hono/html";
import { formatPublicKey } from "../nix/signature.ts";
import { STORE_DIR } from "../nix/store_path.ts";
import type { ServerContext } from "./context.ts";

const STYLE = `
  :root { color-scheme: light dark; --ink: #1b2733; --dim: #5a6b7b; --paper: #f7f9fb; --card: #fff; --line: #dbe3ea; --snow: #1769aa; }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e3eaf1; --dim: #93a4b5; --paper: #10161c; --card: #18212a; --line: #2b3846; --snow: #7cc4ff; }
  }
  * { box-sizing: border-box }
  body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.6 system-ui, sans-serif; }
  main { max-width: 46rem; margin: 0 auto; padding: 3rem 1.25rem 4rem; }
  h1 { margin: 0; font-size: 2.2rem; letter-spacing: -.02em; color: var(--snow); }
  h2 { margin: 2.2rem 0 .5rem; font-size: 1.1rem; }
  p { margin: .5rem 0; } .dim { color: var(--dim); }
  pre { margin: .6rem 0; padding: .8rem 1rem; overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; font-size: .875rem; line-height: 1.5; }
  code { font-family: ui-monospace, monospace; }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem; margin: .6rem 0; }
  dt { color: var(--dim); } dd { margin: 0; overflow-wrap: anywhere; }
`;

/** The page. `origin` is the address the person used. */
export function landingPage(origin: string, context: ServerContext): ReturnType<typeof html> {
  const keys = context.secretKeys.map(({ publicKey }) => formatPublicKey(publicKey));
  const trust = keys.length > 0 ? `--option trusted-public-keys '${keys.join(" ")}'` : "--no-check-sigs";
  // Put together here, for a formatter of HTML may break lines inside <pre>.
  const commands = {
    to: `nix copy --to ${origin} ${STORE_DIR}/…`,
    from: `nix copy ${trust} --from ${origin} ${STORE_DIR}/…`,
    configuration: `extra-substituters = ${origin}\n` +
      (keys.length > 0
        ? `extra-trusted-public-keys = ${keys.join(" ")}`
        : "# this server signs nothing; start it with --secret-key to sign\nrequire-sigs = false"),
  };
  return html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>firn: a Nix store</title>
        <style>${STYLE}</style>
      </head>
      <body>
        <main>
          <h1>firn</h1>
          <p>This is a Nix store. It keeps packages as files and folders named by their contents, so equal ones are stored once,
    and gives every archive back byte for byte. Nix uses it as a binary cache.</p>

          <h2>Copy a path into it</h2>
          <pre><code>${commands.to}</code></pre>

          <h2>Copy a path out of it</h2>
          <pre><code>${commands.from}</code></pre>

          <h2>Let Nix fetch from it</h2>
          <p>In <code>nix.conf</code>:</p>
          <pre><code>${commands.configuration}</code></pre>

          <h2>About this store</h2>
          <dl>
            <dt>Store directory</dt>
            <dd><code>${STORE_DIR}</code></dd>
            <dt>Priority</dt>
            <dd>${context.priority}</dd>
            <dt>Signs with</dt>
            <dd>${keys.length > 0 ? html`<code>${keys.join(", ")}</code>` : "nothing"}</dd>
            <dt>References</dt>
            <dd>${context.strictReferences
              ? "a path that mentions what it does not list is refused"
              : "a path that mentions what it does not list is noted"}</dd>
          </dl>
          <p
            class="dim">Look around with <code>nix store ls -lR --store ${origin} ${STORE_DIR}/…</code> and <code>nix store cat</code>;
    <a href="/nix-cache-info">/nix-cache-info</a> is what Nix reads first.</p>
        </main>
      </body>
    </html>
  `;
}
