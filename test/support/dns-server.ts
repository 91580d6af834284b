/** A DNS server for tests: answers A, AAAA, CNAME, SRV and NAPTR questions over UDP from a table that may change. */
import { createSocket, type Socket } from "node:dgram";

export type DnsRecord =
  | { readonly type: "A"; readonly address: string }
  | { readonly type: "CNAME"; readonly name: string }
  | {
      readonly type: "SRV";
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly name: string;
    }
  | {
      readonly type: "NAPTR";
      readonly order: number;
      readonly preference: number;
      readonly flags: string;
      readonly service: string;
      readonly replacement: string;
    };

const TYPES = { A: 1, CNAME: 5, AAAA: 28, SRV: 33, NAPTR: 35 } as const;
const NO_SUCH_NAME = 3;

export class DnsServer {
  /** Name → records. Names that are missing do not exist. */
  readonly zone = new Map<string, readonly DnsRecord[]>();
  /** `SRV _sip._udp.example.test` */
  readonly asked: string[] = [];
  /** 2 = SERVFAIL to everything. */
  failure = 0;
  ttl = 1;
  /** Says nothing to anything. */
  silent = false;
  readonly #socket: Socket = createSocket("udp4");
  #address = "";

  /** `ip:port`, as `dnsServers` takes it. */
  get address(): string {
    return this.#address;
  }

  start(): Promise<this> {
    this.#socket.on("message", (data, remote) => {
      const answer = this.#answer(data);
      if (answer !== undefined) this.#socket.send(answer, remote.port, remote.address);
    });
    return new Promise((resolve) => {
      this.#socket.bind(0, "127.0.0.1", () => {
        this.#address = `127.0.0.1:${this.#socket.address().port}`;
        resolve(this);
      });
    });
  }

  stop(): Promise<void> {
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }

  #answer(question: Buffer): Buffer | undefined {
    if (question.length < 17) return undefined;
    const labels: string[] = [];
    let at = 12;
    for (let length = question[at]; length; length = question[at]) {
      labels.push(question.toString("latin1", at + 1, at + 1 + length).toLowerCase());
      at += 1 + length;
    }
    const type = question.readUInt16BE(at + 1);
    const name = labels.join(".");
    const word = Object.entries(TYPES).find(([, code]) => code === type)?.[0] ?? String(type);
    this.asked.push(`${word} ${name}`);
    if (this.silent) return undefined;
    const records = this.failure > 0 ? [] : this.#records(name, word);
    const header = Buffer.alloc(12);
    question.copy(header, 0, 0, 2);
    const code = this.failure > 0 ? this.failure : this.zone.has(name) ? 0 : NO_SUCH_NAME;
    // Response, authoritative, recursion desired and available.
    header.writeUInt16BE(0x8580 | code, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(records.length, 6);
    return Buffer.concat([header, question.subarray(12, at + 5), ...records]);
  }

  /** Those of the type, a chain of aliases before them. */
  #records(name: string, type: string, depth = 0): Buffer[] {
    const found = this.zone.get(name) ?? [];
    const alias = found.find((record) => record.type === "CNAME");
    if (alias !== undefined && type !== "CNAME") {
      const rest = depth < 8 ? this.#records(alias.name, type, depth + 1) : [];
      return [this.#record(name, alias), ...rest];
    }
    return found.filter((r) => r.type === type).map((record) => this.#record(name, record));
  }

  #record(name: string, record: DnsRecord): Buffer {
    const data = dataOf(record);
    const head = Buffer.alloc(10);
    head.writeUInt16BE(TYPES[record.type], 0);
    head.writeUInt16BE(1, 2);
    head.writeUInt32BE(this.ttl, 4);
    head.writeUInt16BE(data.length, 8);
    return Buffer.concat([encodeName(name), head, data]);
  }
}

function dataOf(record: DnsRecord): Buffer {
  switch (record.type) {
    case "A":
      return Buffer.from(record.address.split(".").map(Number));
    case "CNAME":
      return encodeName(record.name);
    case "SRV":
      return Buffer.concat([
        words(record.priority, record.weight, record.port),
        encodeName(record.name),
      ]);
    case "NAPTR":
      return Buffer.concat([
        words(record.order, record.preference),
        ...[record.flags, record.service, ""].map(encodeText),
        encodeName(record.replacement),
      ]);
  }
}

function words(...values: number[]): Buffer {
  const buffer = Buffer.alloc(values.length * 2);
  values.forEach((value, i) => buffer.writeUInt16BE(value, i * 2));
  return buffer;
}

function encodeText(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text, "latin1")]);
}

function encodeName(name: string): Buffer {
  return Buffer.concat([...name.split(".").filter(Boolean).map(encodeText), Buffer.from([0])]);
}
