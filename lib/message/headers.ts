/**
 * The header fields of a message: ordered, repeatable, names compared without case and with compact forms
 * resolved. Values are unfolded and trimmed text; whoever needs structure parses it on demand.
 */
import { listOf } from "../foundation/index.js";
import { checkUserHeaderValue, checkUserToken, hasForbiddenCharacters } from "./header-checks.js";
import { headerName, knownHeaderName, type HeaderName } from "./header-names.js";

/**
 * One line. Never changed: another value is another field, so what was parsed from it stays right. The value
 * is a range of a longer text, usually of the whole head, and is cut out when somebody asks for it.
 */
export class HeaderField {
  /** What the typed getters of a message made of the value. */
  parsed: unknown = undefined;
  #value: string | undefined = undefined;

  constructor(
    readonly header: HeaderName,
    readonly text: string,
    readonly start = 0,
    readonly end = text.length,
  ) {}

  get value(): string {
    return (this.#value ??= this.text.slice(this.start, this.end));
  }
}

const NO_FIELDS: readonly HeaderField[] = [];

/**
 * Names given to `set`, `add`, `prepend`, `delete` may have any case or be compact; lookups (`get`, `getAll`,
 * `has`) take the full name in lower case. Values of our side are refused with InvalidArgumentError
 * (`bad-header`) when they hold CR, LF or NUL, so no map can ever hold a line break.
 */
export class HeaderMap {
  /** The lines in order. For files of this room; others use the methods. */
  readonly fields: HeaderField[];

  /** Without fields it is empty; a copied list, because it holds a message (lists.ts of the foundation). */
  constructor(fields: HeaderField[] = NO_FIELDS.slice()) {
    this.fields = fields;
  }

  /** First line of a header. @param name - full name in lower case. */
  first(name: string): HeaderField | undefined {
    const fields = this.fields;
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i];
      if (field.header.name === name) return field;
    }
    return undefined;
  }

  /** First value of a header. @param name - full name in lower case. */
  get(name: string): string | undefined {
    return this.first(name)?.value;
  }

  /** Every line of a header, in order; commas are not split. */
  getAll(name: string): string[] {
    let values: string[] | undefined;
    for (const field of this.fields) {
      if (field.header.name !== name) continue;
      if (values === undefined) values = listOf(field.value);
      else values.push(field.value);
    }
    return values ?? [];
  }

  /** Characters that the lines take in a message, line ends included. */
  get textLength(): number {
    let length = 0;
    for (const { header, start, end } of this.fields) {
      length += header.prefix.length + end - start + 2;
    }
    return length;
  }

  has(name: string): boolean {
    return this.first(name) !== undefined;
  }

  /** Replaces every line of the header; keeps the place of the first. An empty array removes it. */
  set(name: string, value: string | readonly string[]): void {
    const header = localName(name);
    const values = typeof value === "string" ? [value] : value;
    const added = values.map((text) => localField(header, text));
    const at = this.fields.findIndex((field) => field.header.name === header.name);
    if (at < 0) {
      this.fields.push(...added);
      return;
    }
    const rest = this.fields.slice(at).filter((field) => field.header.name !== header.name);
    this.fields.length = at;
    this.fields.push(...added, ...rest);
  }

  /** Adds a line after the others. `name` may be in display case ("X-Door"); it is sent that way. */
  add(name: string, value: string): void {
    this.fields.push(localField(localName(name), value));
  }

  /** Adds a line before the others of the same name (Via, Route, Record-Route); without any, at the top. */
  prepend(name: string, value: string): void {
    const header = localName(name);
    const at = this.fields.findIndex((field) => field.header.name === header.name);
    this.fields.splice(Math.max(at, 0), 0, localField(header, value));
  }

  /** Removes the first line of a header. */
  removeFirst(name: string): void {
    const wanted = headerName(name).name;
    const at = this.fields.findIndex((field) => field.header.name === wanted);
    if (at >= 0) this.fields.splice(at, 1);
  }

  delete(name: string): void {
    const wanted = headerName(name).name;
    let kept = 0;
    for (const field of this.fields) {
      if (field.header.name !== wanted) this.fields[kept++] = field;
    }
    this.fields.length = kept;
  }

  /** [lower-case name, value] of every line in order. */
  entries(): [string, string][] {
    return this.fields.map((field) => [field.header.name, field.value]);
  }

  clone(): HeaderMap {
    return new HeaderMap(this.fields.slice());
  }
}

function localName(name: string): HeaderName {
  const known = knownHeaderName(name);
  if (known === undefined) checkUserToken("Header name", name);
  return known ?? headerName(name);
}

function localField(header: HeaderName, value: string): HeaderField {
  if (hasForbiddenCharacters(value)) checkUserHeaderValue(`Header ${header.display}`, value);
  return new HeaderField(header, value);
}
