/** How far a path is known to be true: every claim, what was found, and in words. */
import { signal } from "@preact/signals";
import type { ClaimTruth, SignatureTruth, Truth, Verdict } from "../../engine/engine.ts";
import { shown } from "../../engine/shown.ts";
import { ago, count } from "../figures.ts";
import { type Answer, useAnswer } from "../part/ask.ts";
import { FaultNote, Mark, Name, Note, StorePath, type Tone, Waiting } from "../part/basics.tsx";
import { baseOf, nameOf, pathHref } from "../route.ts";
import { askFacts } from "../server_facts.ts";
import { changes, engine, run, settings } from "../store.ts";
import { hostOf } from "../part/path_list.tsx";
import { Icon } from "../icons.tsx";

const TONES: Record<Verdict, Tone> = { true: "good", false: "bad", unverified: "none" };

/** What verifying found false or damaged, until the path is opened or fetched anew: the engine does not remember that. */
const found = signal<ReadonlyMap<string, Truth>>(new Map());

function isFalse({ damage, narHash, narSize, contentAddress }: Truth): boolean {
  return damage.length > 0 || [narHash, narSize, contentAddress].some((claim) => claim?.verdict === "false");
}

/** What is known of a path, asked again whenever what is kept changes. */
export function useTruth(path: string): Answer<Truth> {
  const answer = useAnswer(() => engine.truth(path), [path, changes.value, settings.value], [path]);
  const worse = found.value.get(path);
  return worse ? { ...answer, value: worse, fault: undefined } : answer;
}

/** Recomputes everything, and remembers what is wrong. */
async function verify(path: string): Promise<void> {
  const truth = await run(
    `Verify ${nameOf(path)}`,
    (job, report) => engine.verify(path, job, report),
    (truth: Truth) => ({
      told: isFalse(truth)
        ? "it is not what it should be"
        : truth.state === "partial"
        ? "what is here is sound; the rest was not fetched yet"
        : "everything is true",
      bad: isFalse(truth),
      href: pathHref(path, "truth"),
    }),
  );
  if (!truth) return;
  const next = new Map(found.value);
  if (isFalse(truth)) next.set(path, truth);
  else next.delete(path);
  found.value = next;
}

/** The marks of a path's truth in a line. */
export function TruthMarks({ truth }: { truth: Truth }) {
  const { signatures, narHash, contentAddress, references, damage } = truth;
  const valid = signatures.filter(({ verdict }) => verdict === "valid");
  const invalid = signatures.filter(({ verdict }) => verdict === "invalid");
  return (
    <p class="marks" aria-label="Marks of truth">
      {damage.length > 0 && <Mark tone="bad">damaged: {count(damage.length, "piece")}</Mark>}
      {invalid.length > 0 && <Mark tone="bad">signature false: {shown(invalid[0].key)}</Mark>}
      {valid.length > 0 && <Mark tone="good" icon="key">signed by {shown(valid[0].key)}</Mark>}
      {valid.length === 0 && invalid.length === 0 && (signatures.length > 0
        ? <Mark tone="warn" icon="key">signed by a key you do not trust</Mark>
        : <Mark tone="none" icon="key">not signed</Mark>)}
      <Mark tone={TONES[narHash.verdict]}>
        {narHash.verdict === "true"
          ? "hash verified"
          : narHash.verdict === "false"
          ? "hash false"
          : "hash not verified yet"}
      </Mark>
      {contentAddress && (
        <Mark tone={TONES[contentAddress.verdict]}>
          {contentAddress.verdict === "true"
            ? "named by its contents"
            : contentAddress.verdict === "false"
            ? "content address false"
            : "content address not verified yet"}
        </Mark>
      )}
      {references.unlisted.length > 0
        ? <Mark tone="warn">mentions {count(references.unlisted.length, "path")} it does not list</Mark>
        : references.verdict === "true" && <Mark tone="good">references complete</Mark>}
    </p>
  );
}

export function TruthTab({ path, cache }: { path: string; cache?: string }) {
  const { value: truth, fault, again: ask } = useTruth(path);
  if (fault) return <FaultNote fault={fault} again={ask} />;
  if (!truth) return <Waiting />;
  const again = async () => {
    await verify(path);
    ask();
  };
  return (
    <div class="stack">
      <div class="row">
        <p class="grow dim">
          {truth.trusted
            ? "A key you trust vouches for this path, or its name is made from its contents."
            : "Nobody you trust vouches for this path: it is what its cache says, no more."}{" "}
          {truth.verifiedAt !== undefined && `Last recomputed from the bytes ${ago(truth.verifiedAt)}.`}
        </p>
        <button type="button" onClick={again}>
          <Icon name="again" /> Verify every byte
        </button>
      </div>
      {truth.state === "partial" && (
        <Note tone="none">
          Only what was looked at is here. Each piece was checked by its own digest when it came; hash and
          references of the whole are proven once all of it is here.
        </Note>
      )}
      <Damage truth={truth} path={path} />
      <ul class="card claims">
        <Signatures signatures={truth.signatures} cache={cache} />
        <Claim name="Hash of the archive" claim={truth.narHash} />
        <Claim name="Size of the archive" claim={truth.narSize} />
        {truth.contentAddress && <Claim name="Content address" claim={truth.contentAddress} />}
        <References references={truth.references} />
      </ul>
    </div>
  );
}

function Damage({ truth: { damage }, path }: { truth: Truth; path: string }) {
  if (damage.length === 0) return null;
  return (
    <Note tone="bad">
      <p>
        <strong>
          {count(damage.length, "piece")} of this path {damage.length === 1 ? "is" : "are"}{" "}
          not what was stored.
        </strong>{" "}
        They were changed or lost in this browser's storage. Delete the path and open it again, or take these
        files from nowhere.
      </p>
      <ul class="stack tight" style={{ marginTop: ".5rem" }}>
        {damage.map(({ file, fault }, i) => (
          <li key={i}>
            {file !== "" && (
              <a href={pathHref(path, "files", file)}>
                <Name>{file}</Name>
              </a>
            )} <span>{shown(fault.message)}</span>
          </li>
        ))}
      </ul>
    </Note>
  );
}

const SIGNED = { valid: "true", invalid: "false", "unknown key": "unknown key" } as const;

/** A firn server tells its keys: whoever trusts the server may trust them, and is asked. */
function TrustServer({ name, cache }: { name: string; cache?: string }) {
  const { value } = useAnswer(async () => {
    if (cache === undefined || settings.value === undefined) return undefined;
    return (await askFacts(cache)).publicKeys.find((key) => key.startsWith(`${name}:`));
  }, [name, cache]);
  if (value === undefined || cache === undefined) return null;
  const trust = async () => {
    settings.value = await engine.configure({ trustedKeys: [...settings.value!.trustedKeys, value] });
  };
  return (
    <div class="row">
      <span>{hostOf(cache)} says that this is its key.</span>
      <button type="button" class="small" onClick={trust}>Trust it</button>
    </div>
  );
}

function Signatures({ signatures, cache }: { signatures: readonly SignatureTruth[]; cache?: string }) {
  return (
    <li>
      <h3>Signature</h3>
      <div class="told">
        {signatures.length === 0 && (
          <>
            <div>
              <Mark tone="none">none</Mark>
            </div>
            <span class="dim">Nobody signed this path.</span>
          </>
        )}
        {signatures.map(({ key, text, verdict }) => (
          <div class="told" key={text}>
            <div class="row">
              <Mark tone={verdict === "valid" ? "good" : verdict === "invalid" ? "bad" : "warn"}>
                {SIGNED[verdict]}
              </Mark>
              <strong>
                <Name>{key}</Name>
              </strong>
            </div>
            <span class="hash">
              <Name>{text}</Name>
            </span>
            {verdict === "unknown key" && <TrustServer name={key} cache={cache} />}
            {verdict === "unknown key" && (
              <span class="dim">
                No key of that name is among those you <a href="#/settings">trust</a>, so it proves nothing.
              </span>
            )}
            {verdict === "invalid" && (
              <span>
                The key is one you trust, and it did not sign this: somebody changed the claims, or the
                signature.
              </span>
            )}
          </div>
        ))}
      </div>
    </li>
  );
}

function Claim({ name, claim: { verdict, claimed, actual } }: { name: string; claim: ClaimTruth }) {
  return (
    <li>
      <h3>{name}</h3>
      <div class="told">
        <div>
          <Mark tone={TONES[verdict]}>{verdict === "unverified" ? "not verified yet" : verdict}</Mark>
        </div>
        {actual === undefined
          ? (
            <span class="mono">
              <Name>{claimed}</Name>
            </span>
          )
          : (
            <dl class="said mono">
              <dt>claimed</dt>
              <dd>
                <Name>{claimed}</Name>
              </dd>
              <dt>the bytes give</dt>
              <dd>
                <Name>{actual}</Name>
              </dd>
            </dl>
          )}
      </div>
    </li>
  );
}

function References(
  { references: { verdict, listed, unlisted, absent } }: { references: Truth["references"] },
) {
  const missing = new Set(absent);
  return (
    <li>
      <h3>References</h3>
      <div class="told">
        <div>
          {unlisted.length > 0 ? <Mark tone="warn">incomplete</Mark> : (
            <Mark tone={TONES[verdict]}>
              {verdict === "true" ? "complete" : verdict === "false" ? "false" : "not verified yet"}
            </Mark>
          )}
        </div>
        {listed.length === 0 && <span class="dim">It refers to no other path.</span>}
        {listed.map((reference) => (
          <span key={reference} class="row">
            {missing.has(reference)
              ? (
                <>
                  <StorePath path={reference} />
                  <span class="dim">not kept here</span> <a href={`#/open?path=${baseOf(reference)}`}>Open</a>
                </>
              )
              : (
                <a href={pathHref(reference)}>
                  <StorePath path={reference} />
                </a>
              )}
          </span>
        ))}
        {unlisted.length > 0 && (
          <span>
            Its contents mention{" "}
            {unlisted.map((hash) => <code key={hash}>{hash}</code>)}which it does not list.
          </span>
        )}
      </div>
    </li>
  );
}
