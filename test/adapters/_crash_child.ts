/**
 * Writes to a store until it is killed: `_crash_child.ts fs|kv DIRECTORY GENERATION`. Eight writers, each on keys of its
 * own. Every line it prints is a fact that holds from then on: `put KEY GENERATION` or `delete KEY`.
 */
import { openCrashStore, valueOf } from "./_crash_store.ts";

const [kind, directory, generation] = Deno.args;
const store = await openCrashStore(kind, directory);
const LENGTHS = [0, 100, 5000, 61_440, 61_441, 300_000, 1_500_000];
const encoder = new TextEncoder();

function say(line: string): void {
  Deno.stdout.writeSync(encoder.encode(line + "\n"));
}

async function write(writer: number): Promise<void> {
  for (let count = Number(generation);; count++) {
    const length = LENGTHS[Math.floor(Math.random() * LENGTHS.length)];
    const [fresh, again] = [`${writer}/fresh/${count}`, `${writer}/again`];
    await store.put(fresh, valueOf(count, length));
    say(`put ${fresh} ${count}`);
    if (count % 2) await store.put(again, valueOf(count, length));
    else await store.update(again, () => valueOf(count, length));
    say(`put ${again} ${count}`);
    if (count % 3 === 0) {
      await store.delete(fresh);
      say(`delete ${fresh}`);
    }
  }
}

await Promise.all(Array.from({ length: 8 }, (_, writer) => write(writer)));
