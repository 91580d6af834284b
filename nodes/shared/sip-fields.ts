/** `msg.sip`: its fields (contract §3) and the helpers that keep it plain JSON. */

/** Everything below is plain JSON (and Buffers); unknown further fields are allowed. */
export interface SipFields {
  event: string;
  session?: string;
  state?: string;
  cause?: string;
  peer?: string;
  request?: string;
  subscription?: string;
  data?: Record<string, unknown>;
  statusCode?: number;
  reason?: string;
  [field: string]: unknown;
}

/** What a node reads of its input's `msg.sip` (contract §4.3) and carries to its outputs. */
export interface CarriedFields {
  readonly session: string | undefined;
  readonly peer: string | undefined;
  readonly request: string | undefined;
  readonly subscription: string | undefined;
  readonly data: Record<string, unknown> | undefined;
}

/** Names that never become a key anywhere in a message. */
const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

export function isSafeKey(name: string): boolean {
  return !FORBIDDEN_KEYS.has(name);
}

/**
 * Reads the fields of an input; whatever is no string or object is as if it were absent.
 *
 * @param clone - makes a copy of the data that belongs to the reader
 */
export function readCarried(
  sip: unknown,
  clone: (data: Record<string, unknown>) => Record<string, unknown>,
): CarriedFields {
  const fields = isRecord(sip) ? sip : {};
  const { data } = fields;
  return {
    session: handle(fields["session"]),
    peer: handle(fields["peer"]),
    request: handle(fields["request"]),
    subscription: handle(fields["subscription"]),
    data: !isRecord(data) ? undefined : isEmpty(data) ? {} : clone(data),
  };
}

/** The carried handles as fields of an output. */
export function carriedHandles(carried: CarriedFields): Partial<SipFields> {
  return withoutUndefined({
    peer: carried.peer,
    request: carried.request,
    subscription: carried.subscription,
  });
}

function handle(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

export function isEmpty(record: Record<string, unknown>): boolean {
  return Object.keys(record).length === 0;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What another process has written: an object of JSON, or undefined. */
export function parseRecord(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Keys with the value undefined are dropped: they would not survive JSON. */
export function withoutUndefined<T extends object>(object: T): T {
  const result: Record<string, unknown> = {};
  const source = object as Record<string, unknown>;
  for (const key of Object.keys(source)) {
    const value = source[key];
    if (value !== undefined && isSafeKey(key)) result[key] = value;
  }
  return result as T;
}

/** A deep copy of what is made of plain objects, lists and single values, without forbidden keys. */
export function plainCopy<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(plainCopy) as T;
  const source = value as Record<string, unknown>;
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(source)) {
    if (isSafeKey(key)) copy[key] = plainCopy(source[key]);
  }
  return copy as T;
}

/** A deep copy of JSON data without forbidden keys; what JSON cannot hold is dropped as JSON.stringify does. */
export function jsonCopy(value: unknown): unknown {
  if (isRecord(value) && isEmpty(value)) return {};
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) return undefined;
  return JSON.parse(text, function (this: unknown, key: string, entry: unknown) {
    return isSafeKey(key) ? entry : undefined;
  }) as unknown;
}
