/** What kind of contents a file has, as far as its first bytes and its name tell. */

export type Kind = "text" | "image" | "binary" | "empty";

const IMAGES: [string, (bytes: Uint8Array) => boolean][] = [
  ["image/png", (b) => starts(b, 0, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])],
  ["image/jpeg", (b) => starts(b, 0, [0xff, 0xd8, 0xff])],
  ["image/gif", (b) => starts(b, 0, [0x47, 0x49, 0x46, 0x38])],
  ["image/webp", (b) => starts(b, 0, [0x52, 0x49, 0x46, 0x46]) && starts(b, 8, [0x57, 0x45, 0x42, 0x50])],
  ["image/avif", (b) => starts(b, 4, [0x66, 0x74, 0x79, 0x70, 0x61, 0x76, 0x69])],
  ["image/bmp", (b) => starts(b, 0, [0x42, 0x4d]) && b.length > 26 && b[14] >= 12 && b[15] === 0],
  ["image/x-icon", (b) => starts(b, 0, [0, 0, 1, 0]) && b[4] > 0 && b[5] === 0],
];

function starts(bytes: Uint8Array, at: number, wanted: readonly number[]): boolean {
  return wanted.every((byte, i) => bytes[at + i] === byte);
}

/** The image type of a file, by its first bytes; SVG by its name, too. */
export function imageType(name: string, head: Uint8Array): string | undefined {
  const known = IMAGES.find(([, matches]) => matches(head))?.[0];
  if (known) return known;
  if (!/\.svg$/i.test(name)) return undefined;
  return /<svg[\s>]/i.test(new TextDecoder().decode(head.subarray(0, 4096))) ? "image/svg+xml" : undefined;
}

/** Whether the first bytes of a file look like text: UTF-8 (its last character may be cut off), and few controls. */
export function kindOf(name: string, head: Uint8Array): Kind {
  if (head.length === 0) return "empty";
  if (imageType(name, head)) return "image";
  if (head.includes(0)) return "binary";
  let controls = 0;
  for (const byte of head) if (byte < 32 && ![9, 10, 12, 13, 27].includes(byte)) controls++;
  if (controls > head.length / 50) return "binary";
  const text = new TextDecoder().decode(head, { stream: true });
  let broken = 0;
  for (const character of text) if (character === "\ufffd") broken++;
  return broken > text.length / 20 ? "binary" : "text";
}

const ENDINGS = new Map(Object.entries({
  nix: "nix",
  sh: "bash",
  bash: "bash",
  zsh: "bash",
  hook: "bash",
  c: "c",
  h: "c",
  cc: "cpp",
  cpp: "cpp",
  cxx: "cpp",
  hpp: "cpp",
  hh: "cpp",
  js: "javascript",
  mjs: "javascript",
  cjs: "javascript",
  ts: "typescript",
  tsx: "typescript",
  jsx: "javascript",
  py: "python",
  pyi: "python",
  json: "json",
  toml: "ini",
  ini: "ini",
  cfg: "ini",
  conf: "ini",
  desktop: "ini",
  service: "ini",
  pc: "ini",
  xml: "xml",
  svg: "xml",
  xsl: "xml",
  html: "xml",
  htm: "xml",
  xhtml: "xml",
  css: "css",
  md: "markdown",
  yaml: "yaml",
  yml: "yaml",
  rs: "rust",
  go: "go",
  pl: "perl",
  pm: "perl",
  rb: "ruby",
  lua: "lua",
  diff: "diff",
  patch: "diff",
  mk: "makefile",
  cmake: "cmake",
  java: "java",
}));
const NAMES = new Map([["makefile", "makefile"], ["cmakelists.txt", "cmake"], ["dockerfile", "bash"]]);
const INTERPRETERS: [RegExp, string][] = [
  [/^#!.*\b(?:ba|da|k|z)?sh\b/, "bash"],
  [/^#!.*\bpython/, "python"],
  [/^#!.*\bperl\b/, "perl"],
  [/^#!.*\b(?:node|deno|bun)\b/, "javascript"],
  [/^#!.*\bruby\b/, "ruby"],
  [/^<\?xml|^<!doctype html/i, "xml"],
];

/** The language to highlight a text in, or nothing. */
export function languageOf(name: string, firstLine: string): string | undefined {
  const lower = name.toLowerCase();
  const ending = lower.slice(lower.lastIndexOf(".") + 1);
  return NAMES.get(lower) ?? (lower.includes(".") ? ENDINGS.get(ending) : undefined) ??
    INTERPRETERS.find(([pattern]) => pattern.test(firstLine))?.[1];
}
