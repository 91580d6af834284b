/** Whom flows may call: globs over the outgoing URI (contract §2 `dial`). */
import { SipUri, TelUri, type Uri } from "../message/index.js";

/**
 * `*` stands for any text, `?` for one character; letters match in either case. A glob that begins with a scheme
 * (`sip:…`, `sips:…`, `tel:…`) or with `*` is held against the whole URI, with and without its parameters; one with
 * `@` against `user@host`; any other against the user or number alone. A `!` before a glob turns it round: what it matches
 * may not be called, whatever the others say.
 */
export class DialFilter {
  readonly #permitted: readonly string[];
  readonly #forbidden: readonly string[];

  constructor(globs: readonly string[]) {
    const written = globs.map((glob) => glob.trim().toLowerCase());
    const bare = written.map((glob) => glob.replace(/^!\s*/, ""));
    this.#permitted = bare.filter((glob, i) => glob !== "" && glob === written[i]);
    this.#forbidden = bare.filter((glob, i) => glob !== "" && glob !== written[i]);
  }

  /** An empty filter lets everything through. Only sip, sips and tel can be dialled at all. */
  permits(uri: Uri): boolean {
    if (!(uri instanceof SipUri || uri instanceof TelUri)) return false;
    if (this.#permitted.length === 0 && this.#forbidden.length === 0) return true;
    const forms = uri instanceof SipUri ? sipForms(uri) : telForms(uri);
    if (this.#permitted.length > 0 && !matches(this.#permitted, forms)) return false;
    return !matches(this.#forbidden, uri instanceof SipUri ? strictForms(uri) : forms);
  }
}

type GlobKind = "whole" | "address" | "user";
type Forms = Readonly<Record<GlobKind, readonly string[]>>;

function matches(globs: readonly string[], forms: Forms): boolean {
  return globs.some((glob) => forms[kindOf(glob)].some((text) => globMatches(glob, text)));
}

function kindOf(glob: string): GlobKind {
  if (glob.startsWith("*") || /^(sips?|tel):/.test(glob)) return "whole";
  return glob.includes("@") ? "address" : "user";
}

function sipForms(uri: SipUri): Forms {
  const user = uri.decodedUser.toLowerCase();
  const port = uri.port === undefined ? "" : `:${uri.port}`;
  const address = `${user === "" ? "" : `${user}@`}${uri.host}${port}`;
  const bare = `${uri.scheme}:${address}`;
  // A `maddr` sends the request elsewhere than the host says, so it may not hide behind the short forms.
  const whole = uri.with({ headers: new Map() }).toString().toLowerCase();
  if (uri.parameters.has("maddr")) return { whole: [whole], address: [], user: [] };
  return { whole: [whole, bare], address: [address], user: user === "" ? [] : [user] };
}

/** Written so that nothing forbidden hides behind `maddr`, parameters of the user part or what stands between digits. */
function strictForms(uri: SipUri): Forms {
  const parameters = new Map(uri.parameters);
  parameters.delete("maddr");
  const { whole, address, user } = sipForms(uri.with({ parameters }));
  const plain = uri.decodedUser
    .toLowerCase()
    .split(";")[0]
    .replace(/[-.() ]/g, "");
  const bare = `${plain}@${uri.host}${uri.port === undefined ? "" : `:${uri.port}`}`;
  return {
    whole: [...whole, `${uri.scheme}:${bare}`],
    address: [...address, bare, `${plain}@${uri.host}`],
    user: [...user, plain],
  };
}

function telForms(uri: TelUri): Forms {
  const number = uri.number.toLowerCase();
  return { whole: [uri.toString().toLowerCase(), `tel:${number}`], address: [], user: [number] };
}

/** Linear in the text for one `*`; at worst text × glob, both bounded by the limits of a URI. */
export function globMatches(glob: string, text: string): boolean {
  let g = 0;
  let t = 0;
  let star = -1;
  let starText = 0;
  while (t < text.length) {
    if (g < glob.length && glob[g] === "*") {
      star = g++;
      starText = t;
    } else if (g < glob.length && (glob[g] === "?" || glob[g] === text[t])) {
      g++;
      t++;
    } else if (star >= 0) {
      g = star + 1;
      t = ++starText;
    } else {
      return false;
    }
  }
  while (g < glob.length && glob[g] === "*") g++;
  return g === glob.length;
}
