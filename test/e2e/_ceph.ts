/**
 * A real Ceph with an S3 gateway, for tests: one monitor, three OSDs that keep their data in memory, one RADOS gateway, on
 * free ports of loopback, authenticated, everything in a temporary folder. It is up in some fifteen seconds.
 *
 * An object has three copies and is acknowledged when two have it, so that one OSD may die.
 */
import { type Need, permissions, tool } from "../needs.ts";

/** What a cluster needs; all of it comes with the package radosgw and what that depends on. */
export const ceph: Need = () => {
  for (const need of [permissions, tool("ceph-mon", "ceph-mon"), tool("ceph-osd", "ceph-osd")]) {
    const reason = need();
    if (reason) return reason;
  }
  return tool("radosgw", "radosgw")() ?? tool("ceph", "ceph-common")() ?? tool("setpriv", "util-linux")();
};

const OSDS = 3;
/** How long a part may take to come up on a loaded machine, in milliseconds. */
const PATIENCE = 120_000;
const REGION = "default";

/** A cluster that runs. Leaving its scope ends all of it. */
export interface Ceph extends AsyncDisposable {
  /** Where its S3 answers, without a slash at the end. */
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly region: string;
  /** Ends one OSD, 0 to 2, as a crash does. */
  killOsd(number: number): Promise<void>;
  /** Sets how many bytes a bucket of this cluster may hold; for tests of what is full. */
  setBucketQuota(bucket: string, bytes: number): Promise<void>;
}

/** Starts a cluster. @throws {Error} with what it printed, if it does not come up */
export async function startCeph(): Promise<Ceph> {
  const cluster = new Cluster(await Deno.makeTempDir({ prefix: "firn-ceph-" }));
  try {
    await cluster.start();
    return cluster;
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

class Cluster implements Ceph {
  endpoint = "";
  readonly accessKey = randomHex(10);
  readonly secretKey = randomHex(20);
  readonly region = REGION;
  #folder: string;
  #running: Daemon[] = [];
  #osds: Daemon[] = [];

  constructor(folder: string) {
    this.#folder = folder;
  }

  async start(): Promise<void> {
    await this.#startMonitor();
    await Promise.all(Array.from({ length: OSDS }, (_, number) => this.#startOsd(number)));
    await this.#startGateway();
  }

  async killOsd(number: number): Promise<void> {
    await this.#osds[number].kill();
  }

  async setBucketQuota(bucket: string, bytes: number): Promise<void> {
    const scope = ["--quota-scope=bucket", `--bucket=${bucket}`];
    await this.#run("radosgw-admin", "quota", "set", ...scope, `--max-size=${bytes}`);
    await this.#run("radosgw-admin", "quota", "enable", ...scope);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#running.map((daemon) => daemon.kill()));
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #startMonitor(): Promise<void> {
    const folder = this.#folder;
    const fsid = crypto.randomUUID();
    const address = `[v2:127.0.0.1:${freePort()}/0]`;
    await Deno.writeTextFile(`${folder}/ceph.conf`, configuration(folder, fsid, address));
    const keyring = `${folder}/keyring`;
    const admin = ["--cap", "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *"];
    await command(
      "ceph-authtool",
      "--create-keyring",
      keyring,
      "--gen-key",
      "-n",
      "mon.",
      ...admin.slice(0, 3),
    );
    await command("ceph-authtool", keyring, "--gen-key", "-n", "client.admin", ...admin);
    await command("monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, `${folder}/monmap`);
    const own = ["--conf", `${folder}/ceph.conf`, "-i", "a"];
    await Deno.mkdir(`${folder}/mon`);
    await command("ceph-mon", ...own, "--mkfs", "--monmap", `${folder}/monmap`, "--keyring", keyring);
    this.#start("ceph-mon", ...own, "-f");
  }

  async #startOsd(number: number): Promise<void> {
    const data = `${this.#folder}/osd.${number}`;
    await Deno.mkdir(data);
    const uuid = crypto.randomUUID();
    // It waits for the monitor. The numbers are given out in the order of asking.
    const id = (await this.#run("ceph", "osd", "new", uuid)).trim();
    const own = ["--conf", `${this.#folder}/ceph.conf`, "-i", id];
    const key = ["auth", "get-or-create", `osd.${id}`, "mon", "allow profile osd", "osd", "allow *"];
    await Deno.writeTextFile(`${data}/keyring`, await this.#run("ceph", ...key));
    const paths = ["--osd-data", data, "--keyring", `${data}/keyring`];
    await command("ceph-osd", ...own, ...paths, "--mkfs", "--osd-uuid", uuid);
    this.#osds.push(this.#start("ceph-osd", ...own, ...paths, "-f"));
  }

  async #startGateway(): Promise<void> {
    const keyring = `${this.#folder}/rgw.keyring`;
    const key = ["auth", "get-or-create", "client.rgw", "mon", "allow rw", "osd", "allow rwx"];
    await Deno.writeTextFile(keyring, await this.#run("ceph", ...key));
    const port = freePort();
    this.#start(
      ...["radosgw", "--conf", `${this.#folder}/ceph.conf`, "-n", "client.rgw", "-f", "--keyring", keyring],
      `--rgw-frontends=beast endpoint=127.0.0.1:${port} tcp_nodelay=1`,
    );
    this.endpoint = `http://127.0.0.1:${port}`;
    await this.#answering();
    const keys = [`--access-key=${this.accessKey}`, `--secret-key=${this.secretKey}`];
    await this.#run("radosgw-admin", "user", "create", "--uid=firn", "--display-name=firn", ...keys);
  }

  async #answering(): Promise<void> {
    for (const end = Date.now() + PATIENCE;;) {
      try {
        const answer = await fetch(this.endpoint);
        await answer.body?.cancel();
        if (answer.ok) return;
      } catch (error) {
        if (Date.now() > end) {
          throw new Error(`Cannot start Ceph: its gateway does not answer`, { cause: error });
        }
      }
      for (const { ended } of this.#running) if (ended !== undefined) throw new Error(ended);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  #start(program: string, ...args: string[]): Daemon {
    const daemon = new Daemon(program, args);
    this.#running.push(daemon);
    return daemon;
  }

  async #run(program: string, ...args: string[]): Promise<string> {
    const own = ["--conf", `${this.#folder}/ceph.conf`, "--keyring", `${this.#folder}/keyring`];
    return await command(program, ...own, ...args);
  }
}

/** A process of the cluster. It dies with the process that started it. */
class Daemon {
  /** Why it is no more, when it ended by itself. */
  ended: string | undefined;
  #child: Deno.ChildProcess;
  #killed = false;
  #status: Promise<unknown>;

  constructor(program: string, args: string[]) {
    const options = { stdin: "null", stdout: "piped", stderr: "piped" } as const;
    const watched = ["--pdeathsig", "KILL", program, ...args];
    const child = this.#child = new Deno.Command("setpriv", { args: watched, ...options }).spawn();
    const said = Promise.all([lastText(child.stdout), lastText(child.stderr)]);
    this.#status = Promise.all([child.status, said]).then(([{ code }, texts]) => {
      if (!this.#killed) {
        this.ended = `Cannot run ${program}: it ended with ${code}, and printed:\n${texts.join("")}`;
      }
    });
  }

  async kill(): Promise<void> {
    this.#killed = true;
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It had ended.
    }
    await this.#status;
  }
}

/**
 * An OSD that was killed refuses connections, by which the others know at once; one that is only slow on a loaded machine must not be
 * taken for dead, so heartbeats are waited for long.
 */
function configuration(folder: string, fsid: string, monitor: string): string {
  return `[global]
fsid = ${fsid}
mon host = ${monitor}
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr1 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
admin socket = ${folder}/$cluster-$name.$pid.asok
pid file =
run dir = ${folder}
crash dir = ${folder}
log to file = false
log to stderr = true
err to stderr = true
mon cluster log to file = false
mon data = ${folder}/mon
osd objectstore = memstore
memstore device bytes = 4294967296
osd crush chooseleaf type = 0
osd pool default size = ${OSDS}
osd pool default min size = 2
osd pool default pg num = 8
osd heartbeat grace = 60
mon osd min down reporters = 1
mon allow pool size one = true
mon data avail warn = 1
mon data avail crit = 1
mon data size warn = 0
osd max backfills = 1
rgw thread pool size = 64
rgw dynamic resharding = false
rgw enable usage log = false
rgw bucket quota ttl = 0
`;
}

async function command(program: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, stdin: "null" }).output();
  const said = new TextDecoder().decode(stdout);
  if (success) return said;
  throw new Error(`Cannot run ${program} ${args.join(" ")}: ${said}${new TextDecoder().decode(stderr)}`);
}

/** The last of what a stream says. */
async function lastText(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of stream) text = (text + decoder.decode(bytes, { stream: true })).slice(-2000);
  return text;
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

function randomHex(bytes: number): string {
  return crypto.getRandomValues(new Uint8Array(bytes)).toHex();
}
