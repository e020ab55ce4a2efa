/** How Nix itself uses the server that this page came from. */
import { Command, Empty, FaultNote, Note, Waiting } from "../part/basics.tsx";
import { useAnswer } from "../part/ask.ts";
import { askFacts } from "../server_facts.ts";
import { site } from "../store.ts";

export function WithNix() {
  const { server } = site.value;
  return (
    <>
      <div class="head">
        <div>
          <h1>Use with Nix</h1>
          <p>
            The server behind this page is a binary cache: Nix copies packages into it, and fetches them from
            it.
          </p>
        </div>
      </div>
      {server ? <Server server={server} /> : (
        <div class="card">
          <Empty icon="cloud" title="This page came without a server">
            <p>
              It is kept by a host of plain files. To have a store that Nix can use, start a firn server on
              any machine that has Node:
            </p>
            <Command label="Start a firn server">npx -y deno@2.9.6 run -A mod.ts serve</Command>
          </Empty>
        </div>
      )}
    </>
  );
}

function Server({ server }: { server: string }) {
  const { value: facts, fault, again } = useAnswer(() => askFacts(server), [server]);
  if (fault) return <FaultNote fault={fault} again={again} />;
  if (!facts) return <Waiting />;
  const { publicKeys, storeDir, priority, strictReferences } = facts;
  const signs = publicKeys.length > 0;
  const trust = signs ? `--option trusted-public-keys '${publicKeys.join(" ")}'` : "--no-check-sigs";
  const configuration = `extra-substituters = ${server}\n` +
    (signs
      ? `extra-trusted-public-keys = ${publicKeys.join(" ")}`
      : "# this server signs nothing; start it with --secret-key to sign\nrequire-sigs = false");
  return (
    <div class="stack">
      <section class="card padded stack tight">
        <h2>Let Nix fetch from it</h2>
        <p class="dim">
          In <code>nix.conf</code>:
        </p>
        <Command label="Lines for nix.conf">{configuration}</Command>
        {!signs && (
          <Note tone="warn">
            This server signs nothing, so <code>require-sigs = false</code>{" "}
            would let every cache in. Start it with <code>--secret-key</code> before other people use it.
          </Note>
        )}
      </section>
      <section class="card padded stack tight">
        <h2>Copy a path into it</h2>
        <Command label="Copy a path into this server">{`nix copy --to ${server} ${storeDir}/…`}</Command>
        <h2>Copy a path out of it</h2>
        <Command label="Copy a path out of this server">
          {`nix copy ${trust} --from ${server} ${storeDir}/…`}
        </Command>
        <h2>Look around</h2>
        <Command label="List a path of this server">
          {`nix store ls -lR --store ${server} ${storeDir}/…`}
        </Command>
      </section>
      <section class="card padded stack tight">
        <h2>About this server</h2>
        <dl class="facts">
          <dt>Store directory</dt>
          <dd class="mono">{storeDir}</dd>
          <dt>Priority</dt>
          <dd>{priority}; lower is asked first</dd>
          <dt>Signs with</dt>
          <dd class={signs ? "mono" : ""}>{signs ? publicKeys.join(", ") : "nothing"}</dd>
          <dt>References</dt>
          <dd>a path that mentions what it does not list is {strictReferences ? "refused" : "noted"}</dd>
          <dt>What Nix reads first</dt>
          <dd>
            <a href={`${server}/nix-cache-info`}>{server}/nix-cache-info</a>
          </dd>
        </dl>
      </section>
    </div>
  );
}
