/** A SIP peer of bare UDP datagrams and strings, so that nothing of the product is on its side. */
import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { pause } from "./node-red.js";

const token = (): string => randomBytes(6).toString("hex");

export interface RawRequest {
  readonly user?: string;
  /** Lines with their CRLF. */
  readonly headers?: string;
  readonly body?: string;
  readonly contentType?: string;
  readonly to?: string;
  readonly from?: string;
}

/** One call of the peer: its dialog identity, in strings. */
export interface RawCall {
  readonly id: string;
  readonly from: string;
  to: string;
  target: string;
  sequence: number;
}

export class RawPeer {
  /** Every datagram, oldest first. */
  readonly received: string[] = [];
  /** Answer to requests; return a status line part such as "200 OK", or undefined for silence. */
  answer: (request: string) => string | undefined = () => "200 OK";
  readonly #socket: Socket;

  private constructor(
    socket: Socket,
    readonly server: number,
  ) {
    this.#socket = socket;
    socket.on("message", (data, from) => {
      const text = data.toString("utf8");
      this.received.push(text);
      if (text.startsWith("SIP/2.0") || text.startsWith("ACK ")) return;
      const status = this.answer(text);
      if (status !== undefined) socket.send(this.response(text, status), from.port, from.address);
    });
  }

  static async open(server: number): Promise<RawPeer> {
    const socket = createSocket("udp4");
    await new Promise<void>((done) => socket.bind(0, "127.0.0.1", done));
    return new RawPeer(socket, server);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  close(): void {
    this.#socket.close();
  }

  send(text: string): void {
    this.#socket.send(Buffer.from(text, "latin1"), this.server, "127.0.0.1");
  }

  /** `status` = "200 OK" with optional further lines: "200 OK\r\nX: y". */
  response(request: string, status: string): string {
    const copied = ["Via", "From", "To", "Call-ID", "CSeq"].flatMap((name) =>
      headerLines(request, name).map((value) =>
        name === "To" && !value.includes("tag=") ? `To: ${value};tag=peer` : `${name}: ${value}`,
      ),
    );
    return `SIP/2.0 ${status}\r\n${copied.join("\r\n")}\r\nContact: <sip:peer@127.0.0.1:${this.port}>\r\nContent-Length: 0\r\n\r\n`;
  }

  call(user = "alice"): RawCall {
    return {
      id: token(),
      from: `<sip:peer@127.0.0.1:${this.port}>;tag=${token()}`,
      to: `<sip:${user}@127.0.0.1:${this.server}>`,
      target: `sip:${user}@127.0.0.1:${this.server}`,
      sequence: 0,
    };
  }

  /** Sends a request (in a dialog when `call` has one). @returns the CSeq number. */
  request(method: string, call: RawCall = this.call(), options: RawRequest = {}): number {
    const { headers = "", body = "", contentType = "text/plain" } = options;
    const number = method === "ACK" || method === "CANCEL" ? call.sequence : ++call.sequence;
    this.send(
      `${method} ${call.target} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:${this.port};branch=z9hG4bK${token()};rport\r\n` +
        `Max-Forwards: 70\r\nFrom: ${options.from ?? call.from}\r\nTo: ${options.to ?? call.to}\r\nCall-ID: ${call.id}\r\nCSeq: ${number} ${method}\r\n` +
        `Contact: <sip:peer@127.0.0.1:${this.port}>\r\n${headers}${body ? `Content-Type: ${contentType}\r\n` : ""}` +
        `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
    return number;
  }

  /** Waits for a message that fits. @returns undefined when none came. */
  async next(fits: (text: string) => boolean, timeoutMs = 2000): Promise<string | undefined> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const found = this.received.find(fits);
      if (found !== undefined || Date.now() > end) return found;
      await pause(10);
    }
  }

  /** Final response to a request; undefined when none came. */
  async final(call: RawCall, number: number, timeoutMs = 2000): Promise<string | undefined> {
    return this.next(
      (text) =>
        /^SIP\/2\.0 [2-6]/.test(text) &&
        headerLines(text, "Call-ID")[0] === call.id &&
        headerLines(text, "CSeq")[0]?.startsWith(`${number} `) === true,
      timeoutMs,
    );
  }

  /** Asks out of any dialog and waits. @returns the status code, 0 = silence. */
  async ask(method: string, options: RawRequest & { timeoutMs?: number } = {}): Promise<number> {
    const call = this.call(options.user);
    const answer = await this.final(call, this.request(method, call, options), options.timeoutMs);
    return answer === undefined ? 0 : Number(answer.slice(8, 11));
  }

  /** Places a call and sends the ACK. @returns undefined when nobody answered with 2xx. */
  async establish(
    sdp: string,
    options: RawRequest & { timeoutMs?: number } = {},
  ): Promise<(RawCall & { sdp: string }) | undefined> {
    const call = this.call(options.user);
    const number = this.request("INVITE", call, {
      ...options,
      body: sdp,
      contentType: "application/sdp",
    });
    const answer = await this.final(call, number, options.timeoutMs ?? 4000);
    if (answer === undefined) return undefined;
    this.adopt(call, answer);
    this.request("ACK", call);
    if (!answer.startsWith("SIP/2.0 2")) return undefined;
    return Object.assign(call, { sdp: answer.slice(answer.indexOf("\r\n\r\n") + 4) });
  }

  /** Takes tag and Contact from a response. */
  adopt(call: RawCall, response: string): void {
    call.to = headerLines(response, "To")[0] ?? call.to;
    call.target = /<([^>]+)>/.exec(headerLines(response, "Contact")[0] ?? "")?.[1] ?? call.target;
  }
}

export function headerLines(text: string, name: string): string[] {
  const head = text.slice(0, text.indexOf("\r\n\r\n"));
  return head
    .split("\r\n")
    .slice(1)
    .filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
    .map((line) => line.slice(name.length + 1).trim());
}
