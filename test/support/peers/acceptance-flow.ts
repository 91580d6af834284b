/**
 * One flow that plays every role the SIPp scenarios ask for, so that all of them run against the same Node-RED, side by
 * side. Called users: `alice` answers at once, `ring` rings 5 s and answers, `hang` answers and hangs up, `silent` rings.
 */
import { FlowBuilder, type FlowNode } from "../flow-builder.js";

export interface AcceptanceFlowOptions {
  readonly port: number;
  readonly address?: string;
  /** Address and port of the scenario peer whose challenges the account answers. */
  readonly authPeer?: string;
  /** Listen on ::1 as well. */
  readonly ipv6?: boolean;
  /** Address and port of the scenario peer that refuses every password. */
  readonly refusingPeer?: string;
}

export const accountId = "acceptance-account";
const refusedAccountId = "refused-account";

export function acceptanceFlow(options: AcceptanceFlowOptions): {
  flows: FlowNode[];
  credentials: Record<string, Record<string, string>>;
} {
  const address = options.address ?? "127.0.0.1";
  const flow = new FlowBuilder();
  const stack = flow.config("sip-stack", {
    name: "acceptance",
    transports: [
      { protocol: "udp", address, port: options.port },
      { protocol: "tcp", address, port: options.port },
      ...(options.ipv6 === true ? [{ protocol: "udp", address: "::1", port: options.port }] : []),
    ],
    maxRequestsPerSecond: 0,
    codecs: "PCMU,PCMA",
  });
  const account = flow.config(
    "sip-account",
    {
      stack,
      uri: `sip:test@${options.authPeer ?? "127.0.0.1:5999"}`,
      authUser: "test",
      register: false,
    },
    accountId,
  );
  // Another one for the scenario that refuses every password: what it is known by must not be of use to others.
  const refusedAccount = flow.config(
    "sip-account",
    { stack, uri: `sip:test@${options.refusingPeer ?? "127.0.0.1:5998"}`, register: false },
    refusedAccountId,
  );
  const delay = (seconds: number, next: string[]) =>
    flow.node(
      "delay",
      {
        pauseType: "delay",
        timeout: String(seconds),
        timeoutUnits: "seconds",
        rate: "1",
        nbRateUnits: "1",
        rateUnits: "second",
        randomFirst: "1",
        randomLast: "5",
        randomUnits: "seconds",
        drop: false,
        allowrate: false,
        outputs: 1,
      },
      [next],
    );
  const caught = flow.capture("caught");
  flow.node("catch", { scope: null, uncaught: false }, [[caught]]);

  // Incoming calls.
  const accept = flow.node("sip-accept", {}, flow.captures("accept", 2));
  flow.node("sip-incoming", { stack, match: "alice", ring: true }, [
    [flow.capture("incoming/1"), accept],
    [flow.capture("incoming/2")],
  ]);
  flow.node("sip-incoming", { stack, match: "ring", ring: true }, [
    [delay(5, [accept])],
    [flow.capture("ring/2")],
  ]);
  flow.node("sip-incoming", { stack, match: "silent", ring: true }, [
    [flow.capture("silent/1")],
    [flow.capture("silent/2")],
  ]);
  const hangBye = flow.node("sip-bye", {}, [[flow.capture("hang/bye")]]);
  const hangAccept = flow.node("sip-accept", {}, [[delay(0.5, [hangBye])], []]);
  flow.node("sip-incoming", { stack, match: "hang", ring: false }, [
    [hangAccept],
    [flow.capture("hang/2")],
  ]);
  const busy = flow.node("sip-reject", { statusCode: 486 }, [[flow.capture("busy/rejected")]]);
  flow.node("sip-incoming", { stack, match: "busy", ring: false }, [
    [busy],
    [flow.capture("busy/2")],
  ]);

  // Forwarded at once, or after it has rung for a while.
  const forward = flow.node(
    "sip-reject",
    { statusCode: 302, contacts: '["sip:other@example.com"]', contactsType: "json" },
    [[flow.capture("forward/rejected")]],
  );
  flow.node("sip-incoming", { stack, match: "forward", ring: false }, [
    [forward],
    [flow.capture("forward/2")],
  ]);
  flow.node("sip-incoming", { stack, match: "forward-late", ring: true }, [
    [delay(1, [forward])],
    [flow.capture("forward-late/2")],
  ]);

  // A 183 with a description, then at once the answer.
  const early = flow.node("sip-progress", { statusCode: 183, earlyMedia: true }, [
    [flow.capture("early/progress"), accept],
    [flow.capture("early/gone")],
  ]);
  flow.node("sip-incoming", { stack, match: "early", ring: false }, [
    [early],
    [flow.capture("early/2")],
  ]);

  // What comes besides calls.
  flow.node("sip-event", { stack, events: ["dtmf"] }, [[flow.capture("dtmf")]]);
  flow.node("sip-event", { stack, events: ["message"], answerWithin: 0 }, [
    [flow.capture("message")],
  ]);
  flow.node("sip-event", { stack, events: [] }, [[flow.capture("events")]]);
  const byeNew = flow.node("sip-bye", {}, [[flow.capture("follow/bye")]]);
  const follow = flow.node(
    "sip-accept",
    { follow: true },
    flow.captures("follow", 2, { 1: [delay(1.5, [byeNew])] }),
  );
  flow.node("sip-event", { stack, events: ["refer"], answerWithin: 3000 }, [
    [flow.capture("refer"), follow],
  ]);

  // A notifier of one package; any other is left to the stack.
  const notify = flow.node(
    "sip-notify",
    { contentType: "application/pidf+xml" },
    flow.captures("notify", 2),
  );
  const subscribed = flow.node(
    "sip-accept",
    { expires: 600 },
    flow.captures("subscribed", 2, {
      1: [
        flow.node(
          "change",
          { rules: [{ t: "set", p: "payload", pt: "msg", to: "<presence/>", tot: "str" }] },
          [[notify]],
        ),
      ],
    }),
  );
  const isPresence = flow.node(
    "switch",
    {
      property: "sip.headers.event",
      propertyType: "msg",
      rules: [{ t: "eq", v: "presence", vt: "str" }],
      checkall: "true",
      repair: false,
      outputs: 1,
    },
    [[subscribed]],
  );
  flow.node("sip-event", { stack, events: ["subscribe"], answerWithin: 2000 }, [[isPresence]]);
  flow.node(
    "sip-supplement",
    {
      stack,
      methods: ["MESSAGE"],
      directions: ["outgoing-request"],
      rules: [{ action: "add", header: "X-Supplement", value: "added", valueType: "str" }],
    },
    [[], [], [], [], [], []],
  );

  // Outgoing calls: msg.to, and what happens after the answer by the entry's name.
  const invite = (
    name: string,
    next: string[],
    properties: Record<string, unknown> = {},
    onProgress: string[] = [],
  ) => {
    const node = flow.node(
      "sip-invite",
      { stack, to: "to", toType: "msg", timeout: 60, ...properties },
      flow.captures(name, 4, { 1: next, 2: onProgress }),
    );
    flow.entry(name, [node]);
  };
  const bye = flow.node("sip-bye", {}, [[flow.capture("bye")]]);
  invite("call", [delay(0.5, [bye])]);
  invite("call-wait", []);
  invite("call-account", [delay(0.5, [bye])], { account, stack });
  invite("call-refused", [], { account: refusedAccount, stack });
  invite("call-delayed", [delay(0.5, [bye])], { delayedOffer: true });
  invite("call-report-redirect", [], { redirects: 0 });
  const ringing = flow.node(
    "switch",
    {
      property: "sip.statusCode",
      propertyType: "msg",
      rules: [{ t: "eq", v: "180", vt: "num" }],
      checkall: "true",
      repair: false,
      outputs: 1,
    },
    [[bye]],
  );
  invite("call-cancel", [], {}, [ringing]);
  const inviting = flow.node(
    "switch",
    {
      property: "topic",
      propertyType: "msg",
      rules: [{ t: "eq", v: "inviting", vt: "str" }],
      checkall: "true",
      repair: false,
      outputs: 1,
    },
    // Without the pause the call can be cancelled before its INVITE has left, and nothing is sent.
    [[delay(0.1, [bye])]],
  );
  invite("call-cancel-early", [], {}, [inviting]);
  invite("call-pickup", [delay(0.5, [bye])], { replaces: "replaces", replacesType: "msg" });
  const info = flow.node(
    "sip-request",
    { scope: "session", method: "INFO", infoPackage: "nr-test", contentType: "text/plain" },
    flow.captures("info-out", 3, { 1: [delay(0.3, [bye])] }),
  );
  invite("call-info", [
    flow.node(
      "change",
      { rules: [{ t: "set", p: "payload", pt: "msg", to: "news", tot: "str" }] },
      [[info]],
    ),
  ]);
  const refer = flow.node(
    "sip-refer",
    { to: "referTo", toType: "msg", timeout: 20 },
    flow.captures("refer-out", 3, { 3: [delay(0.3, [bye])] }),
  );
  invite("call-refer", [delay(0.5, [refer])]);
  // Two calls, then the one is transferred to the other.
  const join = flow.node(
    "sip-refer",
    {
      session: "sip.peer",
      sessionType: "msg",
      target: "sip.session",
      targetType: "msg",
      timeout: 20,
    },
    flow.captures("join", 3),
  );
  const consult = flow.node(
    "sip-invite",
    { stack, to: "second", toType: "msg" },
    flow.captures("consult", 4, { 1: [join] }),
  );
  invite("call-join", [consult]);
  // Two calls whose media is to flow directly.
  const direct = flow.node("sip-bridge", { mode: "signaling" }, flow.captures("direct", 2));
  const beside = flow.node(
    "sip-invite",
    { stack, to: "second", toType: "msg" },
    flow.captures("beside", 4, { 1: [direct] }),
  );
  invite("call-direct", [beside]);
  const digits = flow.node(
    "sip-dtmf",
    { digits: "5", digitsType: "str", method: "info-relay" },
    flow.captures("dtmf-out", 2, { 1: [delay(0.3, [bye])] }),
  );
  invite("call-dtmf", [delay(0.3, [digits])]);
  // Held and resumed by us; a refusal changes nothing, and then the call is ended.
  const reinvite = (action: string, next: string[], delayedOffer = false) =>
    flow.node(
      "sip-reinvite",
      { action, delayedOffer },
      flow.captures(`reinvite-${action}`, 2, { 1: next, 2: [delay(0.3, [bye])] }),
    );
  const hold = reinvite("hold", [delay(0.3, [reinvite("resume", [delay(0.3, [bye])])])]);
  invite("call-hold", [delay(0.3, [hold])]);
  invite("call-renegotiate", [delay(0.3, [reinvite("renegotiate", [delay(0.3, [bye])], true)])]);
  const message = flow.node(
    "sip-message",
    { stack, scope: "standalone", to: "to", toType: "msg" },
    flow.captures("message-out", 2),
  );
  flow.entry("message-send", [message]);
  const subscribe = flow.node(
    "sip-subscribe",
    { stack, to: "to", toType: "msg", resubscribe: false },
    flow.captures("subscribe", 2),
  );
  flow.entry("subscribe", [subscribe]);
  for (const [name, properties] of [
    ["request-options", { method: "OPTIONS" }],
    [
      "request-publish",
      {
        method: "PUBLISH",
        contentType: "application/pidf+xml",
        headers: [{ name: "Event", value: "presence", valueType: "str" }],
      },
    ],
  ] as const) {
    const request = flow.node(
      "sip-request",
      { stack, scope: "standalone", to: "to", toType: "msg", ...properties },
      flow.captures(name, 3),
    );
    flow.entry(name, [request]);
  }

  return {
    flows: flow.build(),
    credentials: {
      [accountId]: { password: "secret" },
      [refusedAccountId]: { password: "secret" },
    },
  };
}
