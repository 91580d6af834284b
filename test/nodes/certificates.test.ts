/**
 * The certificates of our own TLS and WSS ports, seen through the nodes: renewed on disk they are used without a deploy
 * and without harm to calls; expired, unreadable or wrong ones are told in words, and what was good stays in use.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { replaceEnvironment } from "../../nodes/shared/environment.js";
import { certificateAuthority } from "../support/certificates.js";
import type { Certificate, CertificateAuthority } from "../support/certificates.js";
import { type FlowEntry, NodeBench, stack, useNodeRed } from "../support/node-bench.js";
import { findEngine } from "../../nodes/shared/engines.js";
import { freePort } from "../support/ports.js";
import { until } from "../support/transport-bench.js";

const MINUTE = 60_000;

describe("certificates of our own ports", function () {
  this.timeout(20_000);
  useNodeRed();
  let bench: NodeBench;
  let folder: string;
  let authority: CertificateAuthority;
  let port: number;
  let restore: () => void;
  const sockets: TLSSocket[] = [];

  before(() => {
    authority = certificateAuthority();
  });
  beforeEach(async () => {
    bench = new NodeBench();
    bench.clock.epoch = Date.now();
    restore = replaceEnvironment({ clock: bench.clock });
    folder = mkdtempSync(join(tmpdir(), "sip-certificates-"));
    port = await freePort();
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await bench.unload();
    restore();
    rmSync(folder, { recursive: true, force: true });
  });

  const issue = (name: string, days = 30) =>
    authority.issue({ commonName: name, altNames: [`DNS:${name}`], days });
  const write = ({ cert, key }: Certificate): void => {
    writeFileSync(join(folder, "cert.pem"), cert);
    writeFileSync(join(folder, "key.pem"), key);
  };

  function flow(protocol: "tls" | "wss" = "tls"): FlowEntry[] {
    const tls: FlowEntry = {
      id: "tls",
      type: "tls-config",
      cert: join(folder, "cert.pem"),
      key: join(folder, "key.pem"),
      ca: "",
      verifyservercert: true,
    };
    return [
      tls,
      stack({
        media: "none",
        transports: [{ protocol, address: "127.0.0.1", port, tls: "tls" }],
      }),
      { id: "ev", type: "sip-event", stack: "stack", events: "error" },
    ];
  }

  /** The name in the certificate that the port shows. */
  function shown(): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () =>
        resolve(String(socket.getPeerCertificate().subject.CN)),
      );
      socket.on("error", reject);
      sockets.push(socket);
    });
  }

  async function running(): Promise<void> {
    await until(() => findEngine("stack")?.state === "running", "the stack");
    await bench.settle();
  }

  const status = () => bench.statuses("ev").at(-1);

  for (const protocol of ["tls", "wss"] as const) {
    it(`renewed on disk are shown by ${protocol} within a minute, and open connections stay`, async () => {
      write(issue("first.test"));
      await bench.loadReal(flow(protocol));
      await running();
      assert.equal(await shown(), "first.test");
      const [open] = sockets;
      write(issue("second.test"));
      bench.clock.advance(MINUTE);
      assert.equal(await shown(), "second.test");
      assert.equal(open?.destroyed, false);
    });
  }

  it("renewed before a deploy are shown after it, and the stack stays", async () => {
    write(issue("first.test"));
    await bench.loadReal(flow());
    await running();
    assert.equal(await shown(), "first.test");
    const [open] = sockets;
    write(issue("second.test"));
    await bench.deploy(undefined);
    assert.equal(await shown(), "second.test");
    assert.equal(open?.destroyed, false);
  });

  it("half written are left alone until they are whole; the problem is told once", async () => {
    write(issue("first.test"));
    await bench.loadReal(flow());
    await running();
    const second = issue("second.test");
    writeFileSync(join(folder, "cert.pem"), second.cert);
    for (let i = 0; i < 5; i++) bench.clock.advance(MINUTE);
    await bench.settle();
    assert.match(bench.only("ev:1").payload, /key must belong to the certificate/);
    assert.equal(await shown(), "first.test");
    writeFileSync(join(folder, "key.pem"), second.key);
    bench.clock.advance(MINUTE);
    assert.equal(await shown(), "second.test");
  });

  it("that have expired are told by event and status, and are well again when renewed", async () => {
    write(issue("old.test", -1));
    await bench.loadReal(flow());
    await running();
    await bench.settle();
    assert.match(bench.only("ev:1").payload, /certificate of TLS \d+ expired on 20\d\d-/);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    assert.equal(status()?.fill, "red");
    assert.match(status()?.text ?? "", /expired on/);
    for (let i = 0; i < 5; i++) bench.clock.advance(MINUTE);
    await bench.settle();
    assert.equal(bench.of("ev:1").length, 1, "told once");
    write(issue("new.test"));
    bench.clock.advance(MINUTE);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    assert.equal(status()?.fill, "green");
  });

  it("that expire while the stack runs are told when they do", async () => {
    write(issue("first.test", 1));
    await bench.loadReal(flow());
    await running();
    assert.equal(bench.of("ev:1").length, 0);
    bench.clock.epoch += 2 * 86_400_000;
    bench.clock.advance(MINUTE);
    await bench.settle();
    assert.match(bench.only("ev:1").payload, /expired on/);
  });

  it("are told in the status when those of servers are not verified", async () => {
    write(issue("first.test"));
    const [tls, ...others] = flow();
    await bench.loadReal([{ ...tls, verifyservercert: false }, ...others]);
    await running();
    await until(() => status()?.text === "listening (TLS not verified)", "the words");
    assert.equal(status()?.fill, "green");
  });

  it("that cannot be read stop the stack and name the file", async () => {
    await bench.loadReal(flow());
    await until(() => findEngine("stack")?.state === "failed", "the failure");
    await bench.settle();
    assert.match(bench.only("ev:1").payload, /TLS file .*cert\.pem cannot be read: ENOENT/);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    assert.equal(status()?.fill, "red");
  });
});
