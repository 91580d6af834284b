/**
 * A telephone of bare datagrams: it says exactly what the test writes and keeps what came, so that what it sees is
 * not the product's opinion of itself. Loopback only; it never retransmits.
 */
import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { pause } from "./node-red.js";

/** One datagram that came. */
export class Heard {
  readonly at = Date.now();

  constructor(
    readonly text: string,
    readonly port: number,
  ) {}

  /** Status code of a response, 0 of a request. */
  get status(): number {
    return Number(/^SIP\/2\.0 (\d+)/.exec(this.text)?.[1] ?? 0);
  }

  get method(): string {
    return /^(\w+) /.exec(this.text)?.[1] ?? "";
  }

  get uri(): string {
    return /^\w+ (\S+) SIP/.exec(this.text)?.[1] ?? "";
  }

  get body(): string {
    return this.text.slice(this.text.indexOf("\r\n\r\n") + 4);
  }

  all(name: string): string[] {
    const head = this.text.slice(0, this.text.indexOf("\r\n\r\n"));
    return head
      .split("\r\n")
      .filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
      .map((line) => line.slice(name.length + 1).trim());
  }

  get(name: string): string {
    return this.all(name)[0] ?? "";
  }
}

export interface Said {
  readonly headers?: readonly string[];
  readonly body?: string;
  readonly contentType?: string;
  readonly tag?: string;
  readonly reason?: string;
  readonly contact?: string;
}

/** Both ends of a dialog as this phone sees it. */
export interface PhoneCall {
  target: string;
  from: string;
  to: string;
  readonly callId: string;
  sequence: number;
  branch: string;
}

export class RawPhone {
  readonly heard: Heard[] = [];
  /** What `wait` has given out. */
  readonly #taken = new Set<Heard>();
  readonly #socket: Socket;

  private constructor(
    socket: Socket,
    /** Port of the product. */
    readonly server: number,
  ) {
    this.#socket = socket;
    socket.on("message", (data, from) => {
      const text = data.toString("utf8");
      // Repetitions are heard once.
      if (!this.heard.some((heard) => heard.text === text))
        this.heard.push(new Heard(text, from.port));
    });
  }

  static async open(server: number): Promise<RawPhone> {
    const socket = createSocket("udp4");
    await new Promise<void>((done) => socket.bind(0, "127.0.0.1", done));
    return new RawPhone(socket, server);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  get uri(): string {
    return `sip:phone@127.0.0.1:${this.port}`;
  }

  close(): void {
    this.#socket.close();
  }

  send(text: string, port = this.server): void {
    this.#socket.send(text, port, "127.0.0.1");
  }

  description(options: { direction?: string; version?: number; port?: number } = {}): string {
    return [
      "v=0",
      `o=phone 1 ${options.version ?? 1} IN IP4 127.0.0.1`,
      "s=-",
      "c=IN IP4 127.0.0.1",
      "t=0 0",
      `m=audio ${options.port ?? 40_000} RTP/AVP 0 101`,
      "a=rtpmap:0 PCMU/8000",
      "a=rtpmap:101 telephone-event/8000",
      `a=${options.direction ?? "sendrecv"}`,
      "",
    ].join("\r\n");
  }

  /** Starts a call to `user`. */
  invite(user: string, said: Said & { from?: string } = {}): PhoneCall {
    const call: PhoneCall = {
      target: `sip:${user}@127.0.0.1:${this.server}`,
      from: `${said.from ?? `"Phone" <${this.uri}>`};tag=${token()}`,
      to: `<sip:${user}@127.0.0.1:${this.server}>`,
      callId: token(),
      sequence: 0,
      branch: "",
    };
    this.request(call, "INVITE", {
      contentType: "application/sdp",
      ...said,
      body: said.body ?? this.description(),
    });
    return call;
  }

  /** Sends a request inside the call; ACK and CANCEL keep the number and branch of the last one. */
  request(call: PhoneCall, method: string, said: Said = {}): void {
    if (method !== "ACK" && method !== "CANCEL") call.sequence++;
    if (method !== "CANCEL") call.branch = `z9hG4bK${token()}`;
    const body = said.body ?? "";
    this.send(
      [
        `${method} ${call.target} SIP/2.0`,
        `Via: SIP/2.0/UDP 127.0.0.1:${this.port};branch=${call.branch};rport`,
        "Max-Forwards: 70",
        `From: ${call.from}`,
        `To: ${call.to}`,
        `Call-ID: ${call.callId}`,
        `CSeq: ${call.sequence} ${method}`,
        ...(method === "CANCEL" ? [] : [`Contact: <${said.contact ?? this.uri}>`]),
        ...(said.headers ?? []),
        ...(body === "" ? [] : [`Content-Type: ${said.contentType ?? "application/sdp"}`]),
        `Content-Length: ${Buffer.byteLength(body)}`,
        "",
        body,
      ].join("\r\n"),
    );
  }

  /** Waits for the final response to an INVITE; a 2xx becomes the call's dialog and is acknowledged unless told not to. */
  async final(call: PhoneCall, acknowledge = true): Promise<Heard> {
    const answer = await this.wait(
      (heard) =>
        heard.status >= 200 &&
        heard.get("call-id") === call.callId &&
        heard.get("cseq") === `${call.sequence} INVITE`,
      "a final response",
    );
    call.to = answer.get("to");
    const contact = /<([^>]+)>/.exec(answer.get("contact"))?.[1];
    if (answer.status < 300) {
      call.target = contact ?? call.target;
      if (acknowledge) this.request(call, "ACK");
    } else {
      const { branch } = call;
      this.send(
        [
          `ACK ${call.target} SIP/2.0`,
          `Via: SIP/2.0/UDP 127.0.0.1:${this.port};branch=${branch};rport`,
          "Max-Forwards: 70",
          `From: ${call.from}`,
          `To: ${call.to}`,
          `Call-ID: ${call.callId}`,
          `CSeq: ${call.sequence} ACK`,
          "Content-Length: 0",
          "",
          "",
        ].join("\r\n"),
      );
    }
    return answer;
  }

  /** Answers a request that came. */
  reply(request: Heard, status: number, said: Said = {}): void {
    const body = said.body ?? "";
    const to = request.get("to");
    const tagged = to.includes(";tag=") || status === 100 ? to : `${to};tag=${said.tag ?? "phone"}`;
    this.send(
      [
        `SIP/2.0 ${status} ${said.reason ?? "Said So"}`,
        ...request.all("via").map((via) => `Via: ${via}`),
        `From: ${request.get("from")}`,
        `To: ${tagged}`,
        `Call-ID: ${request.get("call-id")}`,
        `CSeq: ${request.get("cseq")}`,
        ...(status >= 300 && said.contact === undefined
          ? []
          : [`Contact: <${said.contact ?? this.uri}>`]),
        ...(said.headers ?? []),
        ...(body === "" ? [] : [`Content-Type: ${said.contentType ?? "application/sdp"}`]),
        `Content-Length: ${Buffer.byteLength(body)}`,
        "",
        body,
      ].join("\r\n"),
      request.port,
    );
  }

  /** The dialog of an INVITE that came and that this phone answers with `tag`. */
  dialogOf(invite: Heard, tag = "phone"): PhoneCall {
    return {
      target: /<([^>]+)>/.exec(invite.get("contact"))?.[1] ?? "",
      from: `${invite.get("to")};tag=${tag}`,
      to: invite.get("from"),
      callId: invite.get("call-id"),
      sequence: 100,
      branch: "",
    };
  }

  /** Waits for a datagram, also one that has come already; each is found once by this method. */
  async wait(which: (heard: Heard) => boolean, what: string, timeoutMs = 5000): Promise<Heard> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const found = this.heard.find((heard) => !this.#taken.has(heard) && which(heard));
      if (found !== undefined) {
        this.#taken.add(found);
        return found;
      }
      if (Date.now() > end) {
        const seen = this.heard.map((heard) => heard.text.split("\r\n")[0]).join(" | ");
        throw new Error(`${what} did not come; heard: ${seen}`);
      }
      await pause(5);
    }
  }

  comes(method: string, timeoutMs?: number): Promise<Heard> {
    return this.wait((heard) => heard.method === method, method, timeoutMs);
  }

  answered(status: number, method: string, timeoutMs?: number): Promise<Heard> {
    return this.wait(
      (heard) => heard.status === status && heard.get("cseq").endsWith(` ${method}`),
      `${status} to ${method}`,
      timeoutMs,
    );
  }
}

function token(): string {
  return randomBytes(6).toString("hex");
}
