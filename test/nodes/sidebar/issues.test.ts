/** Every rule of the list of issues, and that healthy flows have none. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import {
  findIssues,
  LONG_HOLD_SECONDS,
  type IssueSources,
  type WorkspaceNode,
} from "../../../nodes/sidebar/editor/issues.js";
import type { AccountSummary, StackSummary } from "../../../nodes/sidebar/editor/types.js";
import { callSummary, START } from "../../support/sidebar-data.js";

const node = (
  type: string,
  properties: Record<string, unknown> = {},
  wired = [0],
): WorkspaceNode => ({
  id: `id-${type}`,
  type,
  label: type,
  disabled: false,
  wired,
  properties,
});
const stack = (properties: Partial<StackSummary> = {}): StackSummary => ({
  id: "s",
  name: "house",
  state: "running",
  transports: [{ protocol: "udp", address: "0.0.0.0", port: 5060 }],
  accounts: [],
  ...properties,
});
const account = (registration: AccountSummary["registration"], problem?: string): StackSummary =>
  stack({ accounts: [{ id: "a", uri: "sip:me@pbx.lan", registration, problem }] });
const keys = (sources: Partial<IssueSources>): string[] =>
  findIssues({ stacks: [], calls: [], nodes: [], now: START, ...sources }).map(
    (issue) => `${issue.key} ${issue.node}`,
  );

describe("sidebar: issues", () => {
  it("tell of stacks that do not run, and of warnings", () => {
    assert.deepEqual(keys({ stacks: [stack()] }), []);
    assert.deepEqual(keys({ stacks: [stack({ state: "starting" })] }), []);
    const failed = stack({ state: "failed", problem: "UDP port 5060 is already in use" });
    assert.deepEqual(keys({ stacks: [failed] }), ["stack-failed s"]);
    assert.deepEqual(keys({ stacks: [stack({ state: "failed" })] }), ["stack-down s"]);
    assert.deepEqual(keys({ stacks: [stack({ warning: "no sound" })] }), ["stack-warning s"]);
  });

  it("tell of accounts that fail, with the password's failure apart", () => {
    assert.deepEqual(keys({ stacks: [account({ state: "registered", expires: 60 })] }), []);
    assert.deepEqual(keys({ stacks: [account({ state: "registering" })] }), []);
    assert.deepEqual(keys({ stacks: [account({ state: "unregistered" })] }), []);
    const failed = (statusCode?: number, cause?: string) =>
      keys({ stacks: [account({ state: "failed", statusCode, cause })] });
    assert.deepEqual(failed(403), ["account-password a"]);
    assert.deepEqual(failed(503), ["account-failed a"]);
    assert.deepEqual(failed(undefined, "timeout"), ["account-failed a"]);
    assert.deepEqual(failed(), ["account-expired a"]);
    assert.deepEqual(keys({ stacks: [account(undefined, "no stack")] }), ["account-problem a"]);
  });

  it("tell of two stacks that want one port, whatever the address, TCP and TLS alike", () => {
    const listens = (id: string, transports: unknown) => ({
      ...node("sip-stack", { transports }),
      id,
      label: id,
    });
    const pair = (first: object, second: object) =>
      keys({ nodes: [listens("a", [first]), listens("b", [second])] });
    const udp = (port: unknown, address = "0.0.0.0") => ({ protocol: "udp", address, port });
    assert.deepEqual(pair(udp(5060), udp("", "127.0.0.1")), ["same-port b"]);
    assert.deepEqual(pair(udp(5060, "10.0.0.1"), udp(5060, "10.0.0.2")), []);
    assert.deepEqual(pair(udp(0), udp(0)), []);
    assert.deepEqual(pair(udp(5060), { ...udp(5060), protocol: "tcp" }), []);
    assert.deepEqual(pair({ ...udp(5061), protocol: "tls" }, { ...udp(5061), protocol: "tcp" }), [
      "same-port b",
    ]);
    assert.deepEqual(pair(udp("${PORT}"), udp("${PORT}")), []);
    assert.deepEqual(keys({ nodes: [listens("a", "none"), listens("b", [null])] }), []);
  });

  it("tell of addresses that only examples have, and of a registrar on this machine", () => {
    const uri = (value: unknown) => keys({ nodes: [node("sip-account", { uri: value })] });
    for (const value of [
      "sip:alice@example.com",
      "sip:alice@pbx.example.org:5060",
      "sip:x@sip.example;transport=tcp",
      "sips:x@192.0.2.7",
      "sip:x@pbx.invalid",
    ])
      assert.deepEqual(uri(value), ["example-address id-sip-account"], value);
    for (const value of [
      "sip:example@pbx.lan",
      "sip:x@myexample.com",
      "sip:x@192.0.20.7",
      7,
      "${URI}",
    ])
      assert.deepEqual(uri(value), [], String(value));
    const registrar = (register: boolean) =>
      keys({ nodes: [node("sip-account", { registrar: "sip:127.0.0.1:5071", register })] });
    assert.deepEqual(registrar(true), ["loopback-registrar id-sip-account"]);
    assert.deepEqual(registrar(false), []);
    const call = (toType: string) =>
      keys({ nodes: [node("sip-invite", { to: "sip:a@example.com", toType })] });
    assert.deepEqual(call("str"), ["example-address id-sip-invite"]);
    assert.deepEqual(call("jsonata"), []);
  });

  it("tell of event nodes that no wire leaves, but not of disabled ones", () => {
    assert.deepEqual(keys({ nodes: [node("sip-incoming", {}, [])] }), [
      "unwired-incoming id-sip-incoming",
    ]);
    assert.deepEqual(keys({ nodes: [node("sip-invite", {}, [])] }), ["unwired id-sip-invite"]);
    assert.deepEqual(keys({ nodes: [node("sip-invite", {}, [3])] }), []);
    assert.deepEqual(keys({ nodes: [node("sip-bye", {}, [])] }), []);
    const heard = [node("sip-invite", {}, []), node("sip-event")];
    assert.deepEqual(keys({ nodes: heard }), []);
    assert.deepEqual(keys({ nodes: [{ ...node("sip-invite", {}, []), disabled: true }] }), []);
  });

  it("tell of a call that is held for hours, at the node that holds it", () => {
    const held = callSummary("x", { hold: "remote", node: "n" });
    const answered = Date.parse(held.answerTime ?? "");
    const at = (seconds: number) => keys({ calls: [held], now: answered + 1000 * seconds });
    assert.deepEqual(at(LONG_HOLD_SECONDS - 1), []);
    assert.deepEqual(at(LONG_HOLD_SECONDS + 1), ["long-hold n"]);
    assert.deepEqual(keys({ calls: [{ ...held, hold: "none" }], now: answered + 1e9 }), []);
  });

  it("keep their id as long as the reason stays", () => {
    const ids = (problem: string) =>
      findIssues({ stacks: [stack({ problem })], calls: [], nodes: [], now: 0 }).map(
        ({ id }) => id,
      );
    assert.deepEqual(ids("a"), ids("a"));
    assert.notDeepEqual(ids("a"), ids("b"));
  });

  it("are none of errors in the examples", () => {
    const root = resolve(__dirname, "../../../examples");
    for (const file of readdirSync(root, { recursive: true }).map(String)) {
      if (!file.endsWith(".json")) continue;
      const flow = JSON.parse(readFileSync(join(root, file), "utf8")) as Record<string, unknown>[];
      const nodes = flow.map((each) => ({
        ...node(String(each.type), each),
        id: String(each.id),
        wired: ((each.wires ?? []) as string[][]).flatMap((port, index) =>
          port.length > 0 ? [index] : [],
        ),
      }));
      const found = findIssues({ stacks: [], calls: [], nodes, now: 0 });
      assert.deepEqual(
        found.filter((issue) => issue.severity === "error").map((issue) => issue.id),
        [],
        file,
      );
      assert.deepEqual(
        found.filter((issue) => issue.key === "unwired").map((issue) => issue.id),
        [],
        file,
      );
    }
  });
});
