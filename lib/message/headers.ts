/**
 * The header fields of a message: ordered, repeatable, names compared without case and with compact forms
 * resolved. Values are unfolded and trimmed text; whoever needs structure parses it on demand.
 */
export class HeaderMap {
  /** First value of a header. @param name - full name in lower case. */
  get(_name: string): string | undefined {
    throw new Error("pending");
  }

  /** Every line of a header, in order; commas are not split. */
  getAll(_name: string): string[] {
    throw new Error("pending");
  }

  has(_name: string): boolean {
    throw new Error("pending");
  }

  /** Replaces every line of the header; keeps the place of the first. */
  set(_name: string, _value: string | readonly string[]): void {
    throw new Error("pending");
  }

  /** Adds a line after the others. `name` may be in display case ("X-Door"); it is sent that way. */
  add(_name: string, _value: string): void {
    throw new Error("pending");
  }

  /** Adds a line before the others of the same name (Via, Route, Record-Route). */
  prepend(_name: string, _value: string): void {
    throw new Error("pending");
  }

  /** Removes the first line of a header. */
  removeFirst(_name: string): void {
    throw new Error("pending");
  }

  delete(_name: string): void {
    throw new Error("pending");
  }

  /** [lower-case name, value] of every line in order. */
  entries(): [string, string][] {
    throw new Error("pending");
  }

  clone(): HeaderMap {
    throw new Error("pending");
  }
}
