/** Puts values into a text of the catalogue. Pure. */

/** Replaces each `{name}` once; what a value holds is not looked at again. */
export function fill(text: string, values: Readonly<Record<string, string | number>> = {}): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) =>
    Object.hasOwn(values, name) ? String(values[name]) : whole,
  );
}
