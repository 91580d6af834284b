/**
 * From the messages of one call, or of the two legs of a bridge, to the rows and columns of its ladder: pure, so that it
 * can be tested without a browser. Our side is one column; each remote endpoint has one of its own, those of the first
 * leg at its left when somebody called us or when there are two legs, else at its right.
 */
import type { LadderMessage } from "./types.js";

export interface Leg {
  readonly session: string;
  readonly direction: "incoming" | "outgoing";
  /** Who is at the other end, as far as a person knows. */
  readonly who: string;
  /** What our own column is called, if not Node-RED. */
  readonly own?: string;
  readonly messages: readonly LadderMessage[];
}

export interface LadderFilter {
  readonly hideRetransmissions?: boolean;
  readonly onlyRequests?: boolean;
  /** Only messages that contain this, whatever its case. */
  readonly text?: string;
}

export interface Column {
  readonly own: boolean;
  /** `address:port`, empty for our own. */
  readonly place: string;
  readonly who: string;
}

export interface MessageRow {
  readonly kind: "message";
  /** `session/index`. */
  readonly key: string;
  readonly leg: number;
  readonly message: LadderMessage;
  readonly from: number;
  readonly to: number;
  /** "INVITE", "180 Ringing". */
  readonly label: string;
  /** Of the transaction, counted over both legs. */
  readonly color: number;
  /** Which sending of the same message this is: 1, 2 … */
  readonly nth: number;
  /** How often it was sent altogether. */
  readonly times: number;
  /** Seconds since the first message of the ladder. */
  readonly seconds: number;
}

export interface GapRow {
  readonly kind: "gap";
  readonly seconds: number;
}

/** Messages between these two were not kept. */
export interface MissingRow {
  readonly kind: "missing";
  readonly count: number;
}

export type LadderRow = MessageRow | GapRow | MissingRow;

export interface Ladder {
  readonly columns: readonly Column[];
  readonly rows: readonly LadderRow[];
}

/** A pause that is longer gets a row of its own. */
export const GAP_SECONDS = 1;

interface Entry {
  readonly leg: number;
  readonly message: LadderMessage;
  readonly at: number;
  /** Same for all sendings of one message. */
  readonly sameAs: string;
}

const placeOf = ({ address, port }: LadderMessage["remote"]): string =>
  `${address.includes(":") ? `[${address}]` : address}:${port}`;

/** What the arrow says. */
export function labelOf(message: LadderMessage): string {
  if (message.kind === "request") return message.method;
  return `${message.statusCode ?? ""} ${message.reason ?? ""}`.trim();
}

/** All messages of the legs in the order of time; the same time keeps the order of each leg. */
function entriesOf(legs: readonly Leg[]): Entry[] {
  const entries = legs.flatMap((leg, number) =>
    leg.messages.map((message) => ({
      leg: number,
      message,
      at: Date.parse(message.time),
      sameAs: [
        number,
        message.direction,
        message.kind,
        message.branch ?? message.transaction,
        message.cseq,
        message.statusCode ?? "",
        placeOf(message.remote),
      ].join(" "),
    })),
  );
  return entries.sort((a, b) => a.at - b.at || a.leg - b.leg || a.message.index - b.message.index);
}

function columnsOf(legs: readonly Leg[], entries: readonly Entry[]): Column[] {
  const places = legs.map((leg, number) => {
    const own = entries.filter((entry) => entry.leg === number);
    const found = new Set(own.map(({ message }) => placeOf(message.remote)));
    return [...found].map((place) => ({ own: false, place, who: leg.who }));
  });
  const first = places[0] ?? [];
  const left = legs.length > 1 || legs[0]?.direction === "incoming" ? [...first].reverse() : [];
  const right = left.length > 0 || legs.length > 1 ? [] : first;
  // A place that both legs use, as two calls through one PBX, still has a column on each side.
  return [
    ...left,
    { own: true, place: "", who: legs[0]?.own ?? "" },
    ...right,
    ...places.slice(1).flat(),
  ];
}

function matches(message: LadderMessage, filter: LadderFilter): boolean {
  if (filter.onlyRequests && message.kind !== "request") return false;
  const text = filter.text?.trim().toLowerCase();
  return !text || message.text.toLowerCase().includes(text);
}

export function layoutLadder(legs: readonly Leg[], filter: LadderFilter = {}): Ladder {
  const entries = entriesOf(legs);
  const columns = columnsOf(legs, entries);
  const own = columns.findIndex((column) => column.own);
  const columnOf = (leg: number, place: string): number => {
    const secondSide = leg > 0;
    return columns.findIndex(
      (column, index) =>
        column.place === place && (legs.length === 1 || (secondSide ? index > own : index < own)),
    );
  };
  const times = new Map<string, number>();
  for (const { sameAs } of entries) times.set(sameAs, (times.get(sameAs) ?? 0) + 1);
  const seen = new Map<string, number>();
  const colors = new Map<string, number>();
  const lastIndex = new Map<number, number>();
  const rows: LadderRow[] = [];
  const start = entries[0]?.at ?? 0;
  let before = start;
  for (const { leg, message, at, sameAs } of entries) {
    const nth = (seen.get(sameAs) ?? 0) + 1;
    seen.set(sameAs, nth);
    const transaction = `${leg} ${message.transaction}`;
    const color = colors.get(transaction) ?? colors.size;
    colors.set(transaction, color);
    const last = lastIndex.get(leg) ?? message.index - 1;
    const missing = message.index - last - 1;
    lastIndex.set(leg, Math.max(last, message.index));
    if (missing > 0) rows.push({ kind: "missing", count: missing });
    const isRepeat = nth > 1 || message.retransmission;
    if ((filter.hideRetransmissions && isRepeat) || !matches(message, filter)) continue;
    const pause = (at - before) / 1000;
    if (pause > GAP_SECONDS && rows.length > 0) rows.push({ kind: "gap", seconds: pause });
    before = at;
    const remote = columnOf(leg, placeOf(message.remote));
    rows.push({
      kind: "message",
      key: `${legs[leg]?.session ?? ""}/${message.index}`,
      leg,
      message,
      from: message.direction === "sent" ? own : remote,
      to: message.direction === "sent" ? remote : own,
      label: labelOf(message),
      color,
      // The first sending may be among the messages that were not kept.
      nth: message.retransmission ? Math.max(2, nth) : nth,
      times: times.get(sameAs) ?? 1,
      seconds: (at - start) / 1000,
    });
  }
  return { columns, rows };
}
