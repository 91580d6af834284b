/** Body of the package `message-summary`: is a message waiting, and how many (RFC 3842 §5). */

export interface MessageSummary {
  readonly waiting: boolean;
  /** Message-Account. */
  readonly account?: string;
  readonly voice: {
    readonly new: number;
    readonly old: number;
    readonly urgentNew: number;
    readonly urgentOld: number;
  };
}

/** `2/8 (0/2)`: new/old, urgent in parentheses. */
const COUNTS = /^(\d{1,9})\s*\/\s*(\d{1,9})(?:\s*\(\s*(\d{1,9})\s*\/\s*(\d{1,9})\s*\))?$/;

/** @returns undefined when the body is none. */
export function parseMessageSummary(body: string): MessageSummary | undefined {
  let waiting: boolean | undefined;
  let account: string | undefined;
  let counts: RegExpExecArray | null = null;
  for (const line of body.split(/\r?\n/, 200)) {
    const colon = line.indexOf(":");
    if (colon < 0) continue;
    const value = line.slice(colon + 1).trim();
    switch (line.slice(0, colon).trim().toLowerCase()) {
      case "messages-waiting":
        waiting = value.toLowerCase() === "yes";
        break;
      case "message-account":
        account = value;
        break;
      case "voice-message":
        counts = COUNTS.exec(value);
        break;
    }
  }
  if (waiting === undefined) return undefined;
  const count = (index: number): number => Number(counts?.[index] ?? 0);
  return {
    waiting,
    ...(account === undefined || account === "" ? {} : { account }),
    voice: { new: count(1), old: count(2), urgentNew: count(3), urgentOld: count(4) },
  };
}

/** The messages of all places that keep some; at least one summary. */
export function mergeMessageSummaries(summaries: readonly MessageSummary[]): MessageSummary {
  const account = summaries.find((summary) => summary.account !== undefined)?.account;
  const sum = (count: keyof MessageSummary["voice"]): number =>
    summaries.reduce((total, { voice }) => total + voice[count], 0);
  return {
    waiting: summaries.some(({ waiting }) => waiting),
    ...(account === undefined ? {} : { account }),
    voice: {
      new: sum("new"),
      old: sum("old"),
      urgentNew: sum("urgentNew"),
      urgentOld: sum("urgentOld"),
    },
  };
}
