// Answering an offer with the library's own negotiation, beside what sdp-transform takes to read and write alone.
import { figuresOf } from "../support/child.mjs";
import { figure, table } from "../support/tables.mjs";

export const sdp = {
  name: "sdp",
  title: "Descriptions: offer to answer",
  npm: false,
  limit: { quick: 30, full: 60 },
  async run(bench) {
    const [rounds, ms] = bench.quick ? [2, 100] : [5, 250];
    const rates = await figuresOf("peers/descriptions.mjs", [rounds, ms], bench);
    const row = (title, name) => [
      title,
      figure(rates[name]),
      figure(1e6 / rates[name], 1),
      figure(rates[name] / rates.parseAndWrite, 2),
    ];
    return {
      text: [
        `Per second in one process on one core, the median of ${rounds} rounds in turns; the offer has four codecs. A peer such as a server offers the same again and again but for its origin line: such descriptions are read once.`,
        table(
          ["what", "per second", "µs", "× parse and write of sdp-transform"],
          [
            row("**parse, negotiate, write the answer**, every offer another one", "different"),
            row("**parse, negotiate, write the answer**, the offer is known", "same"),
            row("npm `sdp-transform`: parse only", "parseOnly"),
            row("npm `sdp-transform`: parse and write", "parseAndWrite"),
          ],
        ),
      ].join("\n\n"),
      goals: [],
    };
  },
};
