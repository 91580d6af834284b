/**
 * A registrar behind TLS whose certificate does not do: the account says so in plain words, tries again a few times a
 * minute and no more, and is registered when the certificate is renewed.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer, type Server, type TlsOptions, type TLSSocket } from "node:tls";
import { createResponse, parseMessage, serializeMessage } from "../../../lib/message/index.js";
import { UserAgent, type StackEvent } from "../../../lib/user-agent/index.js";
import type { TlsMaterial } from "../../../lib/transport/transport.js";
import { certificateAuthority, selfSigned } from "../../support/certificates.js";
import type { Certificate, CertificateAuthority } from "../../support/certificates.js";
import { FastClock } from "../../support/fast-clock.js";
import { freePort } from "../../support/ports.js";
import { until } from "../../support/transport-bench.js";

const NAME = "home.test";
/** Half a minute of the account is half a second. */
const SPEED = 60;

/** Grants every REGISTER. */
class TlsRegistrar {
  registered = 0;
  connections = 0;
  readonly #sockets = new Set<TLSSocket>();

  private constructor(private readonly server: Server) {
    server.on("connection", () => this.connections++);
    server.on("tlsClientError", () => undefined);
    server.on("secureConnection", (socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("data", (data: Buffer) => this.#answer(socket, data));
    });
  }

  static async start(options: TlsOptions): Promise<TlsRegistrar> {
    const server = createServer(options);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new TlsRegistrar(server);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  renew(certificate: Certificate): void {
    this.server.setSecureContext(certificate);
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  stop(): void {
    this.cut();
    this.server.close();
  }

  #answer(socket: TLSSocket, data: Buffer): void {
    const result = parseMessage(data, { framing: "stream" });
    if (!result.ok || result.message.kind !== "request") return;
    const request = result.message;
    const contact = `${request.headers.get("contact")};expires=600`;
    this.registered++;
    socket.write(
      serializeMessage(
        createResponse(request, { statusCode: 200, toTag: "t", headers: [["Contact", contact]] }),
      ),
    );
  }
}

describe("a registrar whose certificate does not do", function () {
  this.timeout(20_000);
  let authority: CertificateAuthority;
  let good: Certificate;
  let registrar: TlsRegistrar | undefined;
  let userAgent: UserAgent | undefined;
  const events: StackEvent[] = [];

  before(() => {
    authority = certificateAuthority();
    good = authority.issue({ commonName: NAME, altNames: [`DNS:${NAME}`] });
  });

  afterEach(async () => {
    await userAgent?.stop({ graceMs: 100 });
    registrar?.stop();
    registrar = userAgent = undefined;
    events.length = 0;
  });

  async function phone(port: number, tls: TlsMaterial = { ca: authority.cert }) {
    const nothing = () => Promise.reject(Object.assign(new Error("none"), { code: "ENODATA" }));
    userAgent = new UserAgent({
      transports: [{ protocol: "tls", address: "127.0.0.1", port: 5061, tls }],
      clock: new FastClock(SPEED),
      dns: {
        resolveNaptr: nothing,
        resolveSrv: nothing,
        resolve4: () => Promise.resolve(["127.0.0.1"]),
        resolve6: nothing,
      },
    });
    userAgent.on("stackEvent", (event) => events.push(event));
    await userAgent.start();
    return userAgent.addAccount({
      id: "a",
      uri: `sip:alice@${NAME}`,
      registrar: `sip:${NAME}:${port};transport=tls`,
      transport: "tls",
    });
  }

  const reasons = () =>
    events.flatMap(({ name, connection }) =>
      name === "disconnected" ? [connection?.reason ?? ""] : [],
    );

  const troubles: Record<
    string,
    { options: () => TlsOptions; words: RegExp; tls?: () => TlsMaterial; flaps?: boolean }
  > = {
    expired: {
      options: () => authority.issue({ commonName: NAME, altNames: [`DNS:${NAME}`], days: -1 }),
      words: /certificate has expired/,
    },
    "for another host": {
      options: () => authority.issue({ commonName: "x", altNames: ["DNS:other.test"] }),
      words: /certificate is for other\.test, not for home\.test/,
    },
    "of an unknown authority": {
      options: () =>
        certificateAuthority("Unknown").issue({ commonName: NAME, altNames: [`DNS:${NAME}`] }),
      words: /unknown CA/,
    },
    "self-signed": {
      options: () => selfSigned({ commonName: NAME, altNames: [`DNS:${NAME}`] }),
      words: /self-signed/,
    },
    "of a server that speaks TLS 1.1 only": {
      options: () => ({
        ...good,
        minVersion: "TLSv1",
        maxVersion: "TLSv1.1",
        ciphers: "DEFAULT@SECLEVEL=0",
      }),
      words: /TLS 1\.2/,
    },
    "of a server that wants one of ours": {
      options: () => ({
        ...good,
        requestCert: true,
        rejectUnauthorized: true,
        ca: authority.cert,
      }),
      words:
        /may want a certificate of ours|wants a certificate of ours|does not (trust|accept) our/,
      flaps: true,
    },
    "of a server that does not trust ours": {
      options: () => ({
        ...good,
        requestCert: true,
        rejectUnauthorized: true,
        ca: authority.cert,
      }),
      tls: () => ({ ca: authority.cert, ...certificateAuthority("X").issue({ commonName: "me" }) }),
      words:
        /may want a certificate of ours|wants a certificate of ours|does not (trust|accept) our/,
      flaps: true,
    },
  };

  for (const [name, { options, words, tls, flaps }] of Object.entries(troubles)) {
    it(`${name}: says so, and does not hammer`, async () => {
      registrar = await TlsRegistrar.start(options());
      const account = await phone(registrar.port, tls?.());
      // Half a minute of the account's time.
      await new Promise((resolve) => setTimeout(resolve, 30_000 / SPEED));
      await until(() => account.registration.state === "failed", "the failure");
      assert.match(reasons()[0] ?? "", words);
      assert.match(account.registration.reason ?? "", words);
      assert.ok(registrar.connections <= 24, `${registrar.connections} connections`);
      // A connection that came up and goes down again is told each time.
      if (flaps !== true) assert.equal(reasons().length, 1, "told once");
      else assert.ok(reasons().every((reason) => words.test(reason)));
    });
  }

  for (const [name, own, words] of [
    ["wants one of ours", false, /^the server wants a certificate of ours/],
    ["does not know the CA of ours", true, /^the server does not (trust|accept) our certificate/],
  ] as const) {
    it(`of a server that ${name} and says so: we say it as well`, async () => {
      const folder = mkdtempSync(join(tmpdir(), "tls-server-"));
      const port = await freePort();
      for (const [file, text] of Object.entries({ ...good, ca: authority.cert }))
        writeFileSync(join(folder, file), text);
      const server = spawn(
        "openssl",
        [
          ...["s_server", "-quiet", "-accept", `127.0.0.1:${port}`, "-cert", "cert", "-key", "key"],
          ...["-CAfile", "ca", "-Verify", "1", "-verify_return_error"],
        ],
        { cwd: folder, stdio: ["pipe", "ignore", "ignore"] },
      );
      try {
        await phone(port, {
          ca: authority.cert,
          ...(own ? certificateAuthority("X").issue({ commonName: "me" }) : {}),
        });
        await until(() => reasons().some((reason) => words.test(reason)), "the words");
      } finally {
        server.kill();
        rmSync(folder, { recursive: true, force: true });
      }
    });
  }

  it("registers when the certificate is renewed", async () => {
    const expired = authority.issue({ commonName: NAME, altNames: [`DNS:${NAME}`], days: -1 });
    registrar = await TlsRegistrar.start(expired);
    const account = await phone(registrar.port);
    await until(() => account.registration.state === "failed", "the failure");
    registrar.renew(good);
    await until(() => account.registration.state === "registered", "the registration");
  });

  it("is left when the certificate changes for the worse, at the next connection", async () => {
    registrar = await TlsRegistrar.start(good);
    const account = await phone(registrar.port);
    await until(() => account.registration.state === "registered", "the registration");
    registrar.renew(selfSigned({ commonName: NAME, altNames: [`DNS:${NAME}`] }));
    registrar.cut();
    await until(() => reasons().some((reason) => /self-signed/.test(reason)), "the words");
    assert.notEqual(account.registration.state, "registered");
    registrar.renew(good);
    await until(() => account.registration.state === "registered", "the registration");
  });
});
