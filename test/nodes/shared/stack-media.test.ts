import assert from "node:assert/strict";
import type { Node, NodeAPI } from "node-red";
import { SystemClock } from "../../../lib/index.js";
import { replaceEnvironment } from "../../../nodes/shared/environment.js";
import type { EmbeddedMediaSettings } from "../../../nodes/shared/environment.js";
import { readStackSettings } from "../../../nodes/shared/stack-settings.js";

/** What the media handler is made with, and what the log warns of. */
function read(config: Record<string, unknown>) {
  const made: EmbeddedMediaSettings[] = [];
  const warnings: string[] = [];
  const restore = replaceEnvironment({
    clock: new SystemClock(),
    createUserAgent: () => {
      throw new Error("none is wanted");
    },
    createMediaHandler: (settings) => {
      made.push(settings);
      return {
        contentType: "application/sdp",
        createSession: () => {
          throw new Error("none is wanted");
        },
        close: () => undefined,
      };
    },
  });
  const quiet = (): void => undefined;
  const logger = {
    debug: quiet,
    info: quiet,
    error: quiet,
    warn: (text: string) => warnings.push(text),
  };
  const node = { id: "stack" } as unknown as Node;
  const tls = (id: string) => ({ addTLSOptions: () => ({ rejectUnauthorized: id !== "open" }) });
  const RED = {
    nodes: { getNode: tls, eachNode: quiet, getCredentials: () => undefined },
  } as unknown as NodeAPI;
  try {
    const settings = readStackSettings(RED, node, {
      id: "stack",
      type: "sip-stack",
      name: "",
      z: "",
      ...config,
    });
    settings.options(logger);
    return { settings, srtp: made[0]?.srtp, mediaTimeout: made[0]?.mediaTimeout, warnings };
  } finally {
    restore();
  }
}

describe("srtp of sip-stack", () => {
  for (const srtp of ["off", "optional", "required"] as const) {
    it(`${srtp} reaches the media handler`, () => assert.equal(read({ srtp }).srtp, srtp));
  }

  it("is off where nothing is said, and nothing else is taken", () => {
    assert.equal(read({}).srtp, "off");
    assert.equal(read({ srtp: "" }).srtp, "off");
    assert.throws(() => read({ srtp: "sometimes" }), /off, optional or required/);
  });

  it("warns where the keys can be read on their way, and only there", () => {
    const udp = [{ protocol: "udp", address: "127.0.0.1", port: 5060 }];
    const tls = [{ protocol: "tls", address: "127.0.0.1", port: 5061 }];
    assert.equal(read({ srtp: "required", transports: udp }).warnings.length, 1);
    assert.equal(read({ srtp: "required", transports: tls }).warnings.length, 0);
    assert.equal(read({ srtp: "off", transports: udp }).warnings.length, 0);
    assert.equal(read({ srtp: "required", transports: udp, media: "none" }).warnings.length, 0);
  });

  it("a flow that makes the descriptions sees their keys", () => {
    assert.equal(read({ media: "none" }).settings.flowMakesDescriptions, true);
    assert.equal(read({}).settings.flowMakesDescriptions, false);
  });
});

describe("TLS of sip-stack", () => {
  it("warns once where servers are not verified, and only there", () => {
    const entry = (tls: string) => [{ protocol: "tls", address: "127.0.0.1", port: 5061, tls }];
    assert.match(read({ transports: entry("open") }).warnings.join(), /^tls: .* not verified/);
    assert.equal(read({ transports: entry("sound") }).warnings.length, 0);
  });
});

describe("mediaTimeout of sip-stack", () => {
  it("is seconds, and off by default", () => {
    assert.equal(read({}).mediaTimeout, 0);
    assert.equal(read({ mediaTimeout: "45" }).mediaTimeout, 45_000);
    assert.throws(() => read({ mediaTimeout: -1 }), /mediaTimeout/);
    assert.throws(() => read({ mediaTimeout: "soon" }), /mediaTimeout/);
  });
});
