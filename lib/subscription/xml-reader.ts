/**
 * A small XML reader for event bodies (dialog-info, PIDF). It validates nothing, knows no DTD and no entities but the
 * five predefined ones and numeric ones, runs in linear time, and gives up above its limits. Names come without prefix.
 */

export interface XmlElement {
  /** Local name. */
  readonly name: string;
  /** By local name; the first of equal ones counts. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** Character data directly inside. */
  readonly text: string;
}

interface OpenElement extends XmlElement {
  /** With prefix, to compare with the end tag. */
  readonly fullName: string;
  readonly children: XmlElement[];
  text: string;
}

/** Characters of a document, nesting, elements, attributes of one element. */
const LONGEST = 131_072;
const DEEPEST = 32;
const MOST_ELEMENTS = 4_096;
const MOST_ATTRIBUTES = 64;

const ENTITIES: ReadonlyMap<string, string> = new Map([
  ["amp", "&"],
  ["lt", "<"],
  ["gt", ">"],
  ["quot", '"'],
  ["apos", "'"],
]);
/** `&#x10FFFF;` is the longest. */
const LONGEST_ENTITY = 10;

class Malformed extends Error {}

/** @returns the root element, undefined for what is no well-formed document of ours. */
export function readXml(text: string): XmlElement | undefined {
  if (text.length > LONGEST) return undefined;
  try {
    return new Reader(text).read();
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

/** The first child of that name. */
export function childOf(element: XmlElement, name: string): XmlElement | undefined {
  return element.children.find((child) => child.name === name);
}

class Reader {
  readonly #text: string;
  #at = 0;
  #elements = 0;
  readonly #open: OpenElement[] = [];
  #root: XmlElement | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  read(): XmlElement {
    if (this.#text.startsWith("\uFEFF")) this.#at = 1;
    while (this.#at < this.#text.length) {
      if (this.#text[this.#at] === "<") this.#markup();
      else this.#characters();
    }
    if (this.#open.length > 0 || this.#root === undefined) throw new Malformed();
    return this.#root;
  }

  #characters(): void {
    const next = this.#text.indexOf("<", this.#at);
    const end = next < 0 ? this.#text.length : next;
    const raw = this.#text.slice(this.#at, end);
    this.#at = end;
    const parent = this.#open.at(-1);
    if (parent !== undefined) parent.text += decoded(raw);
    else if (raw.trim() !== "") throw new Malformed();
  }

  #markup(): void {
    const text = this.#text;
    if (text.startsWith("<!--", this.#at)) this.#skipTo("-->", 4);
    else if (text.startsWith("<?", this.#at)) this.#skipTo("?>", 2);
    else if (text.startsWith("<![CDATA[", this.#at)) this.#characterData();
    else if (text.startsWith("<!", this.#at)) throw new Malformed();
    else if (text.startsWith("</", this.#at)) this.#endTag();
    else this.#startTag();
  }

  /** @returns what stands between. */
  #skipTo(end: string, skip: number): string {
    const start = this.#at + skip;
    const found = this.#text.indexOf(end, start);
    if (found < 0) throw new Malformed();
    this.#at = found + end.length;
    return this.#text.slice(start, found);
  }

  #characterData(): void {
    const data = this.#skipTo("]]>", 9);
    const parent = this.#open.at(-1);
    if (parent === undefined) throw new Malformed();
    parent.text += data;
  }

  #endTag(): void {
    const name = this.#skipTo(">", 2).trimEnd();
    const element = this.#open.pop();
    if (element?.fullName !== name) throw new Malformed();
  }

  #startTag(): void {
    this.#at++;
    const fullName = this.#name();
    const attributes = new Map<string, string>();
    let isEmpty = false;
    for (;;) {
      const spaced = this.#skipSpace();
      const next = this.#text[this.#at];
      if (next === ">") break;
      if (next === "/") {
        isEmpty = true;
        this.#at++;
        if (this.#text[this.#at] !== ">") throw new Malformed();
        break;
      }
      if (!spaced || attributes.size >= MOST_ATTRIBUTES) throw new Malformed();
      this.#attribute(attributes);
    }
    this.#at++;
    this.#begin({ fullName, name: local(fullName), attributes, children: [], text: "" }, isEmpty);
  }

  #attribute(attributes: Map<string, string>): void {
    const fullName = this.#name();
    this.#skipSpace();
    if (this.#text[this.#at++] !== "=") throw new Malformed();
    this.#skipSpace();
    const quote = this.#text[this.#at];
    if (quote !== '"' && quote !== "'") throw new Malformed();
    const raw = this.#skipTo(quote, 1);
    if (raw.includes("<")) throw new Malformed();
    if (fullName === "xmlns" || fullName.startsWith("xmlns:")) return;
    const name = local(fullName);
    if (!attributes.has(name)) attributes.set(name, decoded(raw));
  }

  #begin(element: OpenElement, isEmpty: boolean): void {
    const parent = this.#open.at(-1);
    if (++this.#elements > MOST_ELEMENTS || this.#open.length >= DEEPEST) throw new Malformed();
    if (parent !== undefined) parent.children.push(element);
    else if (this.#root === undefined) this.#root = element;
    else throw new Malformed();
    if (!isEmpty) this.#open.push(element);
  }

  #name(): string {
    const start = this.#at;
    while (this.#at < this.#text.length && isNameCode(this.#text.charCodeAt(this.#at))) this.#at++;
    if (this.#at === start) throw new Malformed();
    return this.#text.slice(start, this.#at);
  }

  #skipSpace(): boolean {
    const start = this.#at;
    while (this.#at < this.#text.length && isSpaceCode(this.#text.charCodeAt(this.#at))) this.#at++;
    return this.#at > start;
  }
}

function isSpaceCode(code: number): boolean {
  return code === 32 || code === 9 || code === 10 || code === 13;
}

/** Letters, digits, `:` `_` `-` `.`, and all that is not ASCII. */
function isNameCode(code: number): boolean {
  return (
    (code >= 97 && code <= 122) ||
    (code >= 65 && code <= 90) ||
    (code >= 48 && code <= 58) ||
    code === 95 ||
    code === 45 ||
    code === 46 ||
    code >= 128
  );
}

function local(name: string): string {
  return name.slice(name.indexOf(":") + 1);
}

function decoded(raw: string): string {
  if (!raw.includes("&")) return raw;
  let result = "";
  let at = 0;
  for (;;) {
    const start = raw.indexOf("&", at);
    if (start < 0) return result + raw.slice(at);
    const window = raw.slice(start + 1, start + 1 + LONGEST_ENTITY);
    const end = window.indexOf(";");
    if (end < 0) throw new Malformed();
    result += raw.slice(at, start) + entity(window.slice(0, end));
    at = start + end + 2;
  }
}

function entity(name: string): string {
  const known = ENTITIES.get(name);
  if (known !== undefined) return known;
  const match = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}))$/.exec(name);
  if (match === null) throw new Malformed();
  const code = match[1] === undefined ? Number(match[2]) : Number.parseInt(match[1], 16);
  const isCharacter = code === 9 || code === 10 || code === 13 || (code >= 32 && code <= 0x10_ffff);
  if (!isCharacter || (code >= 0xd800 && code <= 0xdfff)) throw new Malformed();
  return String.fromCodePoint(code);
}
