/** Builds flow JSON for tests: nodes get ids, coordinates and wires without ceremony. */
export interface FlowNode {
  id: string;
  type: string;
  [property: string]: unknown;
}

export class FlowBuilder {
  readonly #nodes: FlowNode[];
  #next = 1;

  constructor(
    readonly tab = "tab",
    label = "test",
  ) {
    this.#nodes = [{ id: tab, type: "tab", label }];
  }

  /** A config node. */
  config(type: string, properties: Record<string, unknown> = {}, id = this.#id()): string {
    this.#nodes.push({ id, type, ...properties });
    return id;
  }

  /** A flow node; `wires[n]` lists the ids that output n+1 leads to. */
  node(
    type: string,
    properties: Record<string, unknown> = {},
    wires: string[][] = [],
    id = this.#id(),
  ): string {
    const place = this.#nodes.length;
    this.#nodes.push({
      id,
      type,
      z: this.tab,
      x: 100 + (place % 8) * 160,
      y: 40 + Math.floor(place / 8) * 60,
      wires,
      ...properties,
    });
    return id;
  }

  /** A node that remembers every message under `name`; read them with `NodeRed.captured(name)`. */
  capture(name: string): string {
    return this.node("function", {
      name,
      func: `const all = global.get("captured") || {};
(all[${JSON.stringify(name)}] = all[${JSON.stringify(name)}] || []).push({ at: Date.now(), msg: RED.util.cloneMessage(msg) });
global.set("captured", all);
return null;`,
      outputs: 0,
      timeout: "",
      noerr: 0,
      initialize: "",
      finalize: "",
      libs: [],
    });
  }

  /** Capture nodes for the first `count` outputs of a node: `name/1`, `name/2` …; more ids can be added behind. */
  captures(name: string, count: number, further: Record<number, string[]> = {}): string[][] {
    return Array.from({ length: count }, (_, index) => [
      this.capture(`${name}/${index + 1}`),
      ...(further[index + 1] ?? []),
    ]);
  }

  /** An entry for tests: `NodeRed.inject(name, msg)` sends that message to `targets`. */
  entry(name: string, targets: string[]): string {
    const respond = this.node("http response", { statusCode: "204" });
    const unpack = this.node(
      "function",
      {
        func: `const out = msg.payload && msg.payload.message || {};
if (out.payloadBase64) { out.payload = Buffer.from(out.payloadBase64, "base64"); delete out.payloadBase64; }
return [{ _msgid: msg._msgid, ...out }, { res: msg.res, payload: "" }];`,
        outputs: 2,
        timeout: "",
        noerr: 0,
        initialize: "",
        finalize: "",
        libs: [],
      },
      [targets, [respond]],
    );
    return this.node("http in", { url: `/test/${name}`, method: "post", upload: false }, [
      [unpack],
    ]);
  }

  /** The way for tests to read what capture nodes remember. */
  #reader(): FlowNode[] {
    return [
      {
        id: "reader-in",
        type: "http in",
        z: this.tab,
        x: 100,
        y: 900,
        url: "/captured",
        method: "get",
        upload: false,
        wires: [["reader-get"]],
      },
      {
        id: "reader-get",
        type: "function",
        z: this.tab,
        x: 300,
        y: 900,
        func: 'msg.payload = JSON.stringify(global.get("captured") || {}); msg.headers = {"content-type": "application/json"}; return msg;',
        outputs: 1,
        timeout: "",
        noerr: 0,
        initialize: "",
        finalize: "",
        libs: [],
        wires: [["reader-out"]],
      },
      { id: "reader-out", type: "http response", z: this.tab, x: 500, y: 900, wires: [] },
      {
        id: "reader-clear",
        type: "http in",
        z: this.tab,
        x: 100,
        y: 960,
        url: "/captured",
        method: "delete",
        wires: [["reader-clear-do"]],
      },
      {
        id: "reader-clear-do",
        type: "function",
        z: this.tab,
        x: 300,
        y: 960,
        func: 'global.set("captured", {}); msg.payload = ""; return msg;',
        outputs: 1,
        timeout: "",
        noerr: 0,
        initialize: "",
        finalize: "",
        libs: [],
        wires: [["reader-out"]],
      },
    ];
  }

  build(): FlowNode[] {
    return [...this.#nodes, ...this.#reader()];
  }

  #id(): string {
    return `${this.tab === "tab" ? "n" : this.tab}${String(this.#next++).padStart(15, "0")}`;
  }
}
