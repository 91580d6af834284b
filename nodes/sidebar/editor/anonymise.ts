/**
 * A trace that can be shown to strangers: users, names, hosts and addresses replaced, the same one always by the same
 * stand-in, so that the story can still be followed. What may hold anything (bodies but SDP, tokens) is left out.
 */
import { partsOf } from "./message-parts.js";

/** Headers whose values have no place for what is not found by a pattern below; all others are left out. */
const SHOWN = new Set(
  (
    "via from to call-id cseq contact max-forwards route record-route content-type content-length content-disposition " +
    "content-encoding allow allow-events supported require proxy-require unsupported accept accept-encoding accept-language " +
    "user-agent server expires min-expires session-expires min-se p-asserted-identity p-preferred-identity remote-party-id " +
    "privacy reason warning retry-after refer-to referred-by reply-to replaces join target-dialog event subscription-state " +
    "rseq rack diversion history-info date timestamp path service-route p-associated-uri p-called-party-id flow-timer " +
    "mime-version alert-info answer-mode priv-answer-mode info-package recv-info sip-etag sip-if-match refer-sub priority"
  ).split(" "),
);
/** Headers that hold names and addresses of people. */
const WITH_NAMES =
  /^(from|to|contact|p-asserted-identity|p-preferred-identity|remote-party-id|p-called-party-id|refer-to|referred-by|reply-to|diversion|history-info|path|service-route|route|record-route|p-associated-uri)$/i;
const IPV4 = /(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])/g;
const IPV6 =
  /(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}(?:[0-9a-f]{1,4}|(?:\d{1,3}\.){3}\d{1,3})?(?![\w:])/gi;
const URI = /\b(sips?|tel|im|pres|mailto|xmpp|https?|wss?|urn):([^\s<>"]+)/gi;

/** A peer may send any number of names. */
const MOST_WORDS = 300;

/** Remembers who is who; one for all messages that are shared together. */
export class Anonymiser {
  readonly #standIns = new Map<string, string>();
  readonly #counts = new Map<string, number>();
  /** Stand-ins that were made: they stay. */
  readonly #made = new Set<string>();
  /** What is replaced wherever it stands alone, in lower case, and the pattern that finds it. */
  readonly #words = new Map<string, string>();
  #pattern: RegExp | undefined;

  message(text: string): string {
    const { startLine, headers, body } = partsOf(text);
    const lines = headers.map(({ name, value }) => `${name}: ${this.#header(name, value)}`);
    const type = headers.find(({ name }) => name.toLowerCase() === "content-type")?.value ?? "";
    return [this.line(startLine), ...lines, "", this.#body(type, body)].join("\n").trimEnd();
  }

  /** A text with URIs and addresses in it. */
  line(text: string): string {
    return this.#known(
      text
        .replace(URI, (_whole, scheme: string, rest: string) => this.#uri(scheme, rest))
        .replace(IPV4, (address) => this.#address(address))
        .replace(IPV6, (address) => (address.length > 4 ? this.#address(address) : address)),
    );
  }

  /** A person's name or user part. */
  user(text: string): string {
    return text === "" ? "" : this.#standIn("user", text);
  }

  #header(name: string, value: string): string {
    if (!SHOWN.has(name.toLowerCase())) return "…";
    let text = value;
    if (WITH_NAMES.test(name)) {
      text = text
        .replace(/"(?:[^"\\]|\\.)*"(?=\s*<)/g, (quoted) => `"${this.#standIn("Name", quoted)}"`)
        .replace(
          /(^|,\s*)([^"<,;:]+?)(\s*<)/g,
          (_all, before: string, words: string, after: string) =>
            words.trim()
              ? `${before}${this.#standIn("Name", words.trim())}${after}`
              : before + words + after,
        )
        .replace(/(\+sip\.instance|\+u\.sip!devicename[^=]*)="[^"]*"/gi, '$1="…"')
        .replace(/(pub-gruu|temp-gruu)="[^"]*"/gi, '$1="…"');
    }
    if (/^via$/i.test(name)) {
      text = text.replace(
        /^(SIP\s*\/\s*2\.0\s*\/\s*\w+\s+)([^;\s]+)/i,
        (_all, protocol: string, place: string) => protocol + this.#place(place),
      );
      text = text.replace(
        /;\s*(received|maddr)=([^;\s]+)/gi,
        (_all, key: string, host: string) => `;${key}=${this.#place(host)}`,
      );
    }
    if (/^(call-id|in-reply-to|replaces|target-dialog)$/i.test(name)) {
      text = text.replace(/@([^\s;,]+)/g, (_all, host: string) => `@${this.#place(host)}`);
    }
    if (/^warning$/i.test(name))
      text = text.replace(
        /^(\d{3})\s+(\S+)/,
        (_all, code: string, agent: string) => `${code} ${this.#place(agent)}`,
      );
    return this.line(text);
  }

  #body(type: string, body: string): string {
    if (body.trim() === "") return "";
    if (!/^application\/sdp\b/i.test(type)) return `[${body.length} characters are left out]`;
    return body
      .split(/\r?\n/)
      .map((line) => {
        if (/^[siuep]=/.test(line)) return `${line.slice(0, 2)}-`;
        if (line.startsWith("o=")) {
          const [user = "", ...rest] = line.slice(2).split(" ");
          const place = rest.pop() ?? "";
          return `o=${user === "-" ? user : this.user(user)} ${rest.join(" ")} ${this.#place(place)}`;
        }
        if (line.startsWith("c=")) {
          const words = line.split(" ");
          return [...words.slice(0, -1), this.#place(words.at(-1) ?? "")].join(" ");
        }
        if (/^a=(crypto|ice-pwd|ice-ufrag|fingerprint|cname|ssrc|msid)/i.test(line))
          return `${line.split(/[: ]/)[0] ?? ""}:…`;
        return this.line(line);
      })
      .join("\n");
  }

  #uri(scheme: string, rest: string): string {
    const lower = scheme.toLowerCase();
    if (lower === "urn") return `${scheme}:…`;
    if (lower === "tel") {
      const [number = "", ...parameters] = rest.split(";");
      return [
        `${scheme}:${this.user(number)}`,
        ...parameters.filter((each) => !/=/.test(each)),
      ].join(";");
    }
    if (/^(https?|wss?|mailto|xmpp)$/.test(lower)) return `${scheme}:…`;
    // Embedded headers (Replaces …) may hold anything.
    const [address = ""] = rest.split("?");
    const at = address.lastIndexOf("@");
    const [user = ""] = at < 0 ? [""] : address.slice(0, at).split(":");
    const [place = "", ...parameters] = address.slice(at + 1).split(";");
    const shown = parameters.map((each) =>
      /^(received|maddr|line|rinstance)=/i.test(each) ? `${each.split("=")[0] ?? ""}=…` : each,
    );
    return `${scheme}:${at < 0 ? "" : `${this.user(user)}@`}${[this.#place(place), ...shown].join(";")}`;
  }

  /** Host or address, with a port perhaps. */
  #place(text: string): string {
    const [, host = text, port = ""] = /^(\[[^\]]*\]|[^:]*)(:\d+)?$/.exec(text) ?? [];
    if (host === "") return text;
    const plain = host.replace(/^\[|\]$/g, "");
    if (/^(?:\d{1,3}\.){3}\d{1,3}$/.test(plain) || plain.includes(":"))
      return (host.startsWith("[") ? `[${this.#address(plain)}]` : this.#address(plain)) + port;
    return this.#standIn("host", host) + port;
  }

  #address(address: string): string {
    // Stand-ins and addresses that everybody has say nothing.
    if (/^(192\.0\.2\.|127\.|0\.0\.0\.0|2001:db8::|::1?$)/i.test(address)) return address;
    return this.#standIn(address.includes(":") ? "2001:db8::" : "192.0.2.", address);
  }

  /** The same text has the same stand-in; upper and lower case are one. */
  #standIn(kind: string, text: string): string {
    const key = `${kind} ${text.toLowerCase()}`;
    if (this.#made.has(text)) return text;
    const existing = this.#standIns.get(key);
    if (existing !== undefined) return existing;
    const number = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, number);
    const made =
      kind === "host" ? `host${number}.example` : `${kind}${kind === "Name" ? " " : ""}${number}`;
    this.#standIns.set(key, made);
    this.#made.add(made);
    // Short ones could be anything.
    if (kind !== "Name" && text.length >= 4 && this.#words.size < MOST_WORDS) {
      this.#words.set(text.toLowerCase(), made);
      this.#pattern = undefined;
    }
    return made;
  }

  /** What was replaced once is replaced wherever it stands alone. */
  #known(text: string): string {
    if (this.#words.size === 0) return text;
    this.#pattern ??= new RegExp(
      `(?<![\\w.])(?:${[...this.#words.keys()].map(escaped).join("|")})(?![\\w.])`,
      "gi",
    );
    return text.replace(this.#pattern, (word) => this.#words.get(word.toLowerCase()) ?? word);
  }
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
