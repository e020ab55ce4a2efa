/**
 * Closures to copy, built by real nix in the machine's own store with no network: builders are `/bin/sh` with the
 * machine's own tools. Built once; the next test finds them there.
 *
 * | closure | paths | what it is for |
 * |---|---|---|
 * | {@link sampler} | 7 | every kind of file a NAR can hold, small enough to be compressed six ways |
 * | {@link manyPaths} | any | counts: tiny paths that refer to one another |
 * | {@link debianClosure} | 30–70 | a real program: one path for each installed Debian package, references as its dependencies |
 */
import { builder, lines, User } from "./nix.ts";

/** Paths in the machine's own store. */
export interface Closure {
  /** The path that reaches all others. */
  readonly root: string;
  /** Every path once, each after those it refers to. */
  readonly paths: string[];
  /** Path → `sha256:<nixbase32>` of its NAR, as nix itself recorded it when it was built. */
  readonly narHashes: Map<string, string>;
}

const SAMPLER = String.raw`
let
  make = name: script: others: derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" ("set -e; PATH=/usr/bin:/bin; export LC_ALL=C\n" + script) ];
  } // others);
  file = make "sampler-file" "echo only a file > $out" { };
  program = make "sampler-program" "echo '#!/bin/sh' > $out; chmod +x $out" { };
  link = make "sampler-link" "ln -s $file $out" { inherit file; };
  tree = make "sampler-tree" ''
    mkdir -p $out/bin $out/empty $out/share/deep/er
    printf '%s' "" > $out/share/nothing
    printf '1234567' > $out/share/seven
    printf '12345678' > $out/share/eight
    printf '123456789' > $out/share/nine
    echo $program > $out/share/deep/er/reference
    echo $out > $out/share/self
    cp $program $out/bin/run; chmod +x $out/bin/run
    ln -s ../bin/run $out/share/run
    ln -s $program $out/bin/absolute
    ln -s nowhere $out/share/dangling
  '' { inherit program; };
  large = make "sampler-large" ''
    mkdir $out
    seq 1 400000 > $out/text
    seq 1 700000 | gzip -n > $out/noise
    head -c 3000000 /dev/zero > $out/zeros
  '' { };
  odd = make "sampler-odd" ''
    mkdir -p $out
    cd $out
    for name in 'with space' "$(printf 'caf\303\251')" "$(printf 'latin\351')" '.hidden' 'a' 'a.b' 'a-b' 'A' '~' '#'; do
      echo "$name" > "$name"
    done
    mkdir a0 && echo inside > a0/file
  '' { };
in make "sampler" "echo $file $link $tree $large $odd > $out" { inherit file link tree large odd; }`;

/** A closure with every kind of file: 7 paths, about 11 MB. */
export async function sampler(home: string): Promise<Closure> {
  return await built(home, SAMPLER);
}

/** Outputs of one derivation: a hundred paths cost one build. */
const GROUP = 100;

/**
 * A closure of `count` small paths and one that refers to all of them; each of them refers to one before it.
 * @param bytes about the size of each, of text that compresses to a third
 */
export async function manyPaths(home: string, count: number, bytes: number): Promise<Closure> {
  const script = String.raw`
    PATH=/usr/bin:/bin; set -e
    number=0; last=$before
    for output in $outputs; do
      eval "path=\$$output"
      number=$((number + 1))
      mkdir $path
      echo $last > $path/reference
      seq $((group * 1000000 + number * 1000)) 99999999 | head -c $bytes > $path/text
      if [ $((number % 7)) = 0 ]; then last=$path; fi
    done`;
  const groups = Math.ceil(count / GROUP);
  const outputs = (group: number) => {
    const size = Math.min(GROUP, count - group * GROUP);
    return ["out", ...Array.from({ length: size - 1 }, (_, index) => `o${index + 1}`)];
  };
  const derivations = Array.from(
    { length: groups },
    (_, group) =>
      `g${group} = derivation { name = "many-${count}-${bytes}-${group}"; builder = "/bin/sh"; args = [ "-c" script ];
       system = builtins.currentSystem; group = ${group}; bytes = ${bytes}; before = ${
        group ? `g${group - 1}` : `""`
      };
       outputs = [ ${outputs(group).map((name) => `"${name}"`).join(" ")} ]; };`,
  );
  const all = Array.from(
    { length: groups },
    (_, group) => outputs(group).map((name) => `"\${g${group}.${name}}"`),
  ).flat();
  return await built(
    home,
    `let script = ''${script}'';
     ${derivations.join("\n")}
     in derivation { name = "many-${count}-${bytes}"; builder = "/bin/sh"; system = builtins.currentSystem;
       all = [ ${all.join(" ")} ]; args = [ "-c" "echo $all > $out" ]; }`,
  );
}

interface Package {
  readonly name: string;
  readonly version: string;
  /** Alternatives in order, one list for each dependency. */
  readonly depends: string[][];
}

/** Names of installed packages, and of what they provide, to the packages. */
async function installedPackages(): Promise<Map<string, Package>> {
  const format =
    "${binary:Package}\\t${Version}\\t${Pre-Depends}, ${Depends}\\t${Provides}\\t${db:Status-Abbrev}\\n";
  const { stdout } = await new Deno.Command("dpkg-query", { args: ["--show", "--showformat", format] })
    .output();
  const packages = new Map<string, Package>();
  const provided = new Map<string, Package>();
  const plain = (text: string) => text.replace(/\(.*?\)|\[.*?\]|:\w+/g, "").trim();
  for (const line of lines(new TextDecoder().decode(stdout))) {
    const [name, version, depends, provides, status] = line.split("\t");
    if (!status.startsWith("ii")) continue;
    const item = {
      name,
      version,
      depends: depends.split(",").map((group) => group.split("|").map(plain)).filter(([first]) =>
        first !== ""
      ),
    };
    packages.set(plain(name), item);
    for (const other of provides.split(",").map(plain)) provided.set(other, item);
  }
  return new Map([...provided, ...packages]);
}

/** Dependencies before dependents. Debian's dependencies may run in circles; a store's may not: the edge back is left out. */
function order(root: string, packages: Map<string, Package>): Map<Package, Package[]> {
  const done = new Map<Package, Package[]>();
  const open = new Set<Package>();
  const visit = (item: Package) => {
    open.add(item);
    const edges = new Set<Package>();
    for (const alternatives of item.depends) {
      const chosen = alternatives.map((name) => packages.get(name)).find((found) => found !== undefined);
      if (chosen === undefined || open.has(chosen)) continue;
      if (!done.has(chosen)) visit(chosen);
      edges.add(chosen);
    }
    open.delete(item);
    done.set(item, [...edges]);
  };
  const first = packages.get(root);
  if (!first) throw new Error(`Cannot build a closure: the Debian package ${root} is not installed`);
  visit(first);
  return done;
}

/**
 * The closure of an installed Debian package: one store path for each package, with its files and, as references, the
 * paths of the packages it depends on.
 */
export async function debianClosure(home: string, root: string): Promise<Closure> {
  const edges = order(root, await installedPackages());
  const ids = new Map([...edges.keys()].map((item, index) => [item, `p${index}`]));
  const script = String.raw`
    PATH=/usr/bin:/bin; set -e
    mkdir -p $out/nix-support
    dpkg-query --listfiles $package | while read -r file; do
      case "$file" in /bin | /sbin | /lib | /lib64) continue ;; esac # links where older packages know folders
      if [ -L "$file" ] || [ -f "$file" ]; then echo ".$file"; fi
    done > $TMPDIR/files
    cd /
    tar --create --hard-dereference --file - --files-from $TMPDIR/files | tar --extract --file - --directory $out
    chmod -R u+rwX $out
    for path in $depends; do echo $path; done > $out/nix-support/depends`;
  const derivations = [...edges].map(([item, depends]) => {
    const name = `${item.name}-${item.version}`.replace(/[^A-Za-z0-9+._-]/g, "-");
    return `${ids.get(item)} = derivation { name = "deb-${name}"; builder = "/bin/sh"; args = [ "-c" script ];
      system = builtins.currentSystem; package = "${item.name}";
      depends = [ ${depends.map((other) => ids.get(other)).join(" ")} ]; };`;
  });
  return await built(
    home,
    `let script = ''${script}'';
     ${derivations.join("\n")}
     in p${edges.size - 1}`,
  );
}

async function built(home: string, expression: string): Promise<Closure> {
  const user = new User(builder(), home);
  const [root] = await user.build(expression);
  const paths = lines(await user.nixStore("--query", "--requisites", root));
  return { root, paths, narHashes: await narHashes(user, paths) };
}

/** The NAR hashes nix has recorded. @param options such as `--store` and a folder */
export async function narHashes(
  user: User,
  paths: string[],
  ...options: string[]
): Promise<Map<string, string>> {
  const hashes = lines(await user.nixStore("--query", "--hash", ...options, ...paths));
  return new Map(paths.map((path, index) => [path, hashes[index]]));
}
