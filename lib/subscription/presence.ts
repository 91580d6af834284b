/** Body of the package `presence`: PIDF (RFC 3863 §4), as far as a lamp needs it. */
import { childOf, readXml, type XmlElement } from "./xml-reader.js";

export type BasicStatus = "open" | "closed";

export interface PresenceTuple {
  readonly id: string;
  readonly status: BasicStatus;
  readonly contact?: string;
  readonly note?: string;
}

export interface Presence {
  readonly entity: string;
  /** `open` when any tuple is. */
  readonly status: BasicStatus;
  readonly note?: string;
  readonly tuples: readonly PresenceTuple[];
}

/** @returns undefined when the body is none. */
export function parsePresence(body: string): Presence | undefined {
  const root = readXml(body);
  if (root?.name !== "presence") return undefined;
  const tuples = root.children.filter(({ name }) => name === "tuple").map(tupleOf);
  const person = childOf(root, "person");
  const note =
    noteOf(root) ??
    (person === undefined ? undefined : noteOf(person)) ??
    tuples.find((tuple) => tuple.note !== undefined)?.note;
  return {
    entity: root.attributes.get("entity") ?? "",
    status: tuples.some(({ status }) => status === "open") ? "open" : "closed",
    ...(note === undefined ? {} : { note }),
    tuples,
  };
}

function tupleOf(tuple: XmlElement): PresenceTuple {
  const status = childOf(tuple, "status");
  const basic = status === undefined ? undefined : childOf(status, "basic")?.text.trim();
  const contact = textOf(childOf(tuple, "contact"));
  const note = noteOf(tuple);
  return {
    id: tuple.attributes.get("id") ?? "",
    status: basic?.toLowerCase() === "open" ? "open" : "closed",
    ...(contact === undefined ? {} : { contact }),
    ...(note === undefined ? {} : { note }),
  };
}

function noteOf(element: XmlElement): string | undefined {
  return textOf(childOf(element, "note"));
}

function textOf(element: XmlElement | undefined): string | undefined {
  const text = element?.text.trim();
  return text === "" ? undefined : text;
}
