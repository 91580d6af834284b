/** Body of the package `dialog`: the calls of a phone (RFC 4235 §4), partial documents merged. */
import { childOf, readXml, type XmlElement } from "./xml-reader.js";

export type PhoneStatus = "idle" | "trying" | "ringing" | "busy";

export interface ObservedDialog {
  readonly id: string;
  /** `trying` `proceeding` `early` `confirmed` `terminated`. */
  readonly state: string;
  readonly direction?: string;
  readonly remote?: { readonly uri: string; readonly displayName?: string };
}

export interface DialogInfo {
  readonly entity: string;
  readonly status: PhoneStatus;
  readonly dialogs: readonly ObservedDialog[];
}

/** Calls of one phone that are kept. */
const MOST_DIALOGS = 256;

/** The state of one phone over the documents of one subscription. */
export class DialogInfoView {
  #version: number | undefined;
  #entity = "";
  readonly #dialogs = new Map<string, ObservedDialog>();
  #stale = false;

  /** A document was missed: a refresh brings the full state (RFC 4235 §4.3). */
  get stale(): boolean {
    return this.#stale;
  }

  /** @returns the merged state, undefined when the body is no such document. */
  receive(body: string): DialogInfo | undefined {
    const root = readXml(body);
    if (root?.name !== "dialog-info") return undefined;
    const version = versionOf(root);
    const isFull = root.attributes.get("state") !== "partial";
    if (!isFull && this.#version !== undefined && version <= this.#version) return this.#info();
    if (isFull) {
      this.#dialogs.clear();
      this.#stale = false;
    } else if (this.#version === undefined || version > this.#version + 1) {
      this.#stale = true;
    }
    this.#version = version;
    this.#entity = root.attributes.get("entity") ?? this.#entity;
    for (const element of root.children) {
      if (element.name === "dialog") this.#merge(dialogOf(element));
    }
    const info = this.#info();
    for (const [id, { state }] of this.#dialogs) {
      if (state === "terminated") this.#dialogs.delete(id);
    }
    return info;
  }

  #merge(dialog: ObservedDialog): void {
    const known = this.#dialogs.get(dialog.id);
    if (known === undefined && this.#dialogs.size >= MOST_DIALOGS) return;
    this.#dialogs.set(dialog.id, { ...known, ...dialog });
  }

  #info(): DialogInfo {
    const dialogs = [...this.#dialogs.values()].map((dialog) => ({ ...dialog }));
    return { entity: this.#entity, status: statusOf(dialogs), dialogs };
  }
}

/** The calls of all phones of one user; at least one state. */
export function mergeDialogInfo(states: readonly DialogInfo[]): DialogInfo {
  const dialogs = states.flatMap((state) => state.dialogs.map((dialog) => ({ ...dialog })));
  return { entity: states[0].entity, status: statusOf(dialogs), dialogs };
}

function versionOf(root: XmlElement): number {
  const text = root.attributes.get("version") ?? "";
  return /^\d{1,10}$/.test(text) ? Number(text) : 0;
}

function dialogOf(element: XmlElement): ObservedDialog {
  const remote = childOf(element, "remote");
  const identity = remote === undefined ? undefined : childOf(remote, "identity");
  const target = remote === undefined ? undefined : childOf(remote, "target");
  const uri = identity?.text.trim() || target?.attributes.get("uri");
  const direction = element.attributes.get("direction");
  const displayName =
    identity?.attributes.get("display") ?? identity?.attributes.get("display-name");
  return {
    id: element.attributes.get("id") ?? "",
    state: childOf(element, "state")?.text.trim().toLowerCase() ?? "",
    ...(direction === undefined ? {} : { direction }),
    ...(uri === undefined
      ? {}
      : {
          remote: {
            uri,
            ...(displayName === undefined || displayName === "" ? {} : { displayName }),
          },
        }),
  };
}

/** What the lamp of this phone shows: the busiest of its calls. */
function statusOf(dialogs: readonly ObservedDialog[]): PhoneStatus {
  const has = (...states: string[]): boolean => dialogs.some(({ state }) => states.includes(state));
  if (has("confirmed")) return "busy";
  if (has("early")) return "ringing";
  return has("trying", "proceeding") ? "trying" : "idle";
}
