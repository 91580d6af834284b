/** The text for a bug report: ladder and messages, with one anonymiser for all of it. Pure. */
import { Anonymiser } from "./anonymise.js";
import { layoutLadder, type Leg } from "./ladder-layout.js";
import { ladderAsText } from "./ladder-text.js";

export function shareText(legs: readonly Leg[]): string {
  const anonymiser = new Anonymiser();
  // What only a later message gives away as a name must not stand in an earlier one.
  for (const leg of legs) {
    if (leg.who !== "") anonymiser.user(leg.who);
    for (const message of leg.messages) anonymiser.message(message.text);
  }
  const shown = legs.map((leg) => ({
    ...leg,
    who: "",
    messages: leg.messages.map((message) => ({
      ...message,
      reason: message.reason === undefined ? undefined : anonymiser.line(message.reason),
      text: anonymiser.message(message.text),
      remote: { ...message.remote, address: anonymiser.line(message.remote.address) },
      local: { ...message.local, address: anonymiser.line(message.local.address) },
    })),
  }));
  const messages = shown
    .flatMap((leg) => leg.messages)
    .sort((a, b) => Date.parse(a.time) - Date.parse(b.time) || a.index - b.index)
    .map((message) => {
      const way = message.direction === "sent" ? "→" : "←";
      return `--- ${message.time} ${way} ${message.protocol} ${message.remote.address}:${message.remote.port}\n${message.text}`;
    });
  return [ladderAsText(layoutLadder(shown)), ...messages].join("\n\n");
}
