/**
 * The XML that S3 answers with: a strict reader of its small part of XML.
 *
 *   document := [ "<?xml" … "?>" ] element
 *   element  := "<" name attributes "/>"  |  "<" name attributes ">" { element | text } "</" name ">"
 *
 * Entities are the five of XML and numbers. There are no comments, CDATA sections and document types: none is sent, and they are
 * a `FormatError`, like all else that is not this. Attributes are skipped; names keep no prefix.
 */
import { FormatError } from "../../errors.ts";

/** An element: what it holds is its children, or its text. */
export interface XmlElement {
  readonly name: string;
  readonly children: readonly XmlElement[];
  readonly text: string;
}

const MAX_DEPTH = 16;
const ENTITIES: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };
const TAG =
  /<(?:(\/)?(?:[\w.-]+:)?([\w.-]+)((?:\s+[\w:.-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/)?|\?xml[^<>]*\?)>/y;

/** The root element of a document. Throws {@link FormatError}. */
export function parseXml(document: string): XmlElement {
  const top = begin("");
  const open = [top];
  for (let at = 0; at < document.length;) {
    const next = document.indexOf("<", at);
    const text = document.slice(at, next < 0 ? undefined : next);
    open.at(-1)!.text += unescape(text);
    if (next < 0) break;
    TAG.lastIndex = next;
    const tag = TAG.exec(document);
    if (!tag) throw broken(`what is at ${JSON.stringify(document.slice(next, next + 40))}`);
    at = TAG.lastIndex;
    const [, closing, name, , empty] = tag;
    if (name === undefined) {
      if (next > 0) throw broken("a declaration that is not at the beginning");
    } else if (closing) {
      if (open.length === 1 || open.pop()!.name !== name || empty) throw broken(`</${name}>`);
    } else {
      const element = begin(name);
      open.at(-1)!.children.push(element);
      if (!empty) open.push(element);
      if (open.length > MAX_DEPTH) throw broken(`more than ${MAX_DEPTH} elements in each other`);
    }
  }
  if (open.length !== 1) throw broken(`no </${open.at(-1)!.name}>`);
  if (top.children.length !== 1 || top.text.trim() !== "") throw broken("not one root element");
  return top.children[0];
}

function begin(name: string) {
  return { name, children: [] as XmlElement[], text: "" };
}

/** The text of the child of this name. */
export function textOf(element: XmlElement, name: string): string | undefined {
  return element.children.find((child) => child.name === name)?.text;
}

function unescape(text: string): string {
  return text.replace(/&([^;]*);?/g, (entity, name: string) => {
    const code = /^#x[0-9a-f]{1,6}$/i.test(name)
      ? parseInt(name.slice(2), 16)
      : /^#\d{1,7}$/.test(name)
      ? Number(name.slice(1))
      : undefined;
    const character = code === undefined
      ? ENTITIES[name]
      : code <= 0x10ffff
      ? String.fromCodePoint(code)
      : undefined;
    if (character === undefined || !entity.endsWith(";")) throw broken(`the entity ${entity.slice(0, 20)}`);
    return character;
  });
}

function broken(what: string): FormatError {
  return new FormatError("XML", `Cannot parse the XML of an S3 answer: it has ${what}`);
}
