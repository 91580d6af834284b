/**
 * The properties of a node as data: what type each has and what it is when absent. `property-values.ts` reads
 * them for one input. Times come out in milliseconds, whatever unit the property has in the editor.
 */
import { misuse } from "./errors.js";

/** Where a value came from; a literal was typed into the editor by the flow's author. */
export interface Origin {
  readonly type: string;
  readonly literal: boolean;
}

export interface Property<T> {
  /** The value when the property is absent. */
  readonly fallback: T;
  /** A TypedInput (`x` + `xType`), with what is read when both are absent. */
  readonly typed?: { readonly value: string; readonly type: string } | true;
  /** An empty text is a choice of its own, not an absent property. */
  readonly emptyIsChoice?: true;
  /** @throws InvalidArgumentError `bad-option` when the value has the wrong type. */
  parse(value: unknown, name: string, origin: Origin): T;
}

export type Properties = Readonly<Record<string, Property<unknown>>>;

/** The values of a table of properties. */
export type Values<P extends Properties> = {
  readonly [K in keyof P]: P[K] extends Property<infer T> ? T : never;
};

function wrong(name: string, expected: string): Error {
  return misuse("bad-option", `"${name}" must be ${expected}`);
}

/** Texts go into SIP lines: what would end a line is refused. */
function asText(value: unknown, name: string): string {
  if (typeof value === "number") return String(value);
  if (typeof value !== "string") throw wrong(name, "a text");
  if (/[\r\n\0]/.test(value)) {
    throw misuse("bad-text", `"${name}" holds a line break or a NUL`);
  }
  return value;
}

export function text(fallback = ""): Property<string> {
  return { fallback, parse: asText };
}

/** A text whose emptiness means something: no end key. */
export function textOrNone(fallback: string): Property<string> {
  return { fallback, parse: asText, emptyIsChoice: true };
}

/** A text that may stay away. */
export const optionalText: Property<string | undefined> = {
  fallback: undefined,
  parse: (value, name) => {
    const result = asText(value, name);
    return result === "" ? undefined : result;
  },
};

export function flag(fallback: boolean): Property<boolean> {
  return {
    fallback,
    parse: (value, name, origin) => {
      if (typeof value === "boolean") return value;
      // `${ENV}` in a flow file is text.
      if (origin.literal && value === "true") return true;
      if (origin.literal && value === "false") return false;
      throw wrong(name, "true or false");
    },
  };
}

/** Strict decimal number: no hex, no exponent, no trailing words. */
function asNumber(value: unknown, name: string): number {
  const number =
    typeof value === "number"
      ? value
      : typeof value === "string" && /^\s*\d+(\.\d+)?\s*$/.test(value)
        ? Number(value)
        : Number.NaN;
  if (!Number.isFinite(number) || number < 0) throw wrong(name, "a number, zero or more");
  return number;
}

export function number(fallback: number): Property<number> {
  return { fallback, parse: asNumber };
}

export const optionalNumber: Property<number | undefined> = {
  fallback: undefined,
  parse: asNumber,
};

/** A SIP status code in `[lowest, highest]`; absent = the stack's default. */
export function statusCode(
  lowest: number,
  highest: number,
  fallback?: number,
): Property<number | undefined> {
  return {
    fallback,
    parse: (value, name) => {
      const code = asNumber(value, name);
      if (!Number.isInteger(code) || code < lowest || code > highest) {
        throw wrong(name, `a status code from ${lowest} to ${highest}`);
      }
      return code;
    },
  };
}

/** One of a few numbers. */
export function numberOf(allowed: readonly number[], fallback: number): Property<number> {
  return {
    fallback,
    parse: (value, name) => {
      const given = asNumber(value, name);
      if (!allowed.includes(given)) throw wrong(name, `one of ${allowed.join(", ")}`);
      return given;
    },
  };
}

/** A number in `[lowest, highest]`. */
export function numberWithin(lowest: number, highest: number, fallback: number): Property<number> {
  return {
    fallback,
    parse: (value, name) => {
      const given = asNumber(value, name);
      if (given < lowest || given > highest) throw wrong(name, `from ${lowest} to ${highest}`);
      return given;
    },
  };
}

/** Seconds in the editor, milliseconds here. */
export function seconds(fallback: number): Property<number> {
  return { fallback: fallback * 1000, parse: (value, name) => asNumber(value, name) * 1000 };
}

export function milliseconds(fallback: number): Property<number> {
  return number(fallback);
}

export function choice<T extends string>(allowed: readonly T[], fallback: T): Property<T> {
  return {
    fallback,
    parse: (value, name) => {
      const found = allowed.find((word) => word === value);
      if (found === undefined) throw wrong(name, `one of ${allowed.join(", ")}`);
      return found;
    },
  };
}

/** Reliable provisional responses (RFC 3262); absent or empty = as the stack, or where the caller supports it. */
export const rel100: Property<"none" | "supported" | "required" | undefined> = {
  fallback: undefined,
  parse: (value, name) => {
    if (value === "") return undefined;
    if (value === "none" || value === "supported" || value === "required") return value;
    throw wrong(name, "none, supported or required");
  },
};

/** Strings, as an array or comma-separated. */
export const list: Property<readonly string[]> = {
  fallback: [],
  parse: (value, name) => parseList(value, name),
};

export function parseList(value: unknown, name: string): string[] {
  const entries: unknown[] = Array.isArray(value) ? value : asText(value, name).split(",");
  return entries.map((entry) => asText(entry, name).trim()).filter((entry) => entry !== "");
}

/** A TypedInput; `absent` is read when the flow says nothing. */
export function typed<T>(
  parse: (value: unknown, name: string, origin: Origin) => T,
  absent: { readonly value: string; readonly type: string } | { readonly fallback: T },
): Property<T> {
  return "type" in absent
    ? {
        // Never used: `absent` names what to evaluate instead.
        fallback: undefined as T,
        typed: absent,
        parse,
      }
    : { fallback: absent.fallback, typed: true, parse };
}

/** Any value, as it was evaluated. */
export function anyValue(value: unknown): unknown {
  return value;
}

/** The session that a node acts in (contract §4.3). */
export const session: Property<unknown> = typed(anyValue, { value: "sip.session", type: "msg" });

/** A typed text. */
export function typedText(absent?: {
  readonly value: string;
  readonly type: string;
}): Property<string | undefined> {
  return typed(
    (value, name) => {
      if (value === undefined || value === null || value === "") return undefined;
      return asText(value, name);
    },
    absent ?? { fallback: undefined },
  );
}

/** What is to be heard, with its origin: only the flow's author may name any file of the machine. */
export interface SourceValue {
  readonly value: unknown;
  readonly origin: Origin;
}

/** A sound (`source`, `prompt`); without `absent` nothing when the flow says nothing. */
export function audioSource(absent?: {
  readonly value: string;
  readonly type: string;
}): Property<SourceValue> {
  return typed<SourceValue>(
    (value, _name, origin) => ({ value, origin }),
    absent ?? { fallback: { value: undefined, origin: { type: "str", literal: true } } },
  );
}

/** How often a sound is played: false = once, true = for ever, a number = that many times. */
export const loop: Property<boolean | number> = {
  fallback: false,
  parse: (value, name, origin) => {
    if (typeof value === "boolean" || value === "true" || value === "false") {
      return flag(false).parse(value, name, origin);
    }
    const times = asNumber(value, name);
    if (!Number.isInteger(times) || times < 1) throw wrong(name, "true, false or a whole number");
    return times;
  },
};
