// Reading an INVITE of 1,349 bytes and writing a 200 with a description.
import { figuresOf } from "../support/child.mjs";
import { INVITE } from "../support/messages.mjs";
import { figure, goal, table } from "../support/tables.mjs";

export const parser = {
  name: "parser",
  title: "Messages: reading and writing",
  limit: { quick: 60, full: 150 },
  async run(bench) {
    const [rounds, ms] = bench.quick ? [2, 100] : [5, 250];
    const { parse, five, reply } = await figuresOf("peers/parsers.mjs", [rounds, ms], bench);
    const rows = Object.keys(parse).map((name) => [
      name === "ours" ? "**@sipflow/node-red-sip**" : `npm \`${name}\``,
      figure(parse[name]),
      figure(five[name]),
      figure(reply[name]),
      figure(five.ours / five[name], 1),
    ]);
    return {
      text: [
        `Messages per second in one process on one core, the median of ${rounds} rounds in turns. The INVITE has ${INVITE.length} bytes, five Via and three Record-Route; the five headers are the host of the topmost Via, From and To URI, CSeq and Call-ID.`,
        table(
          [
            "parser",
            "parse",
            "parse and read five headers",
            "write 200 with SDP",
            "ours is faster ×",
          ],
          rows,
        ),
      ].join("\n\n"),
      goals: [
        goal(
          "parse an INVITE and read five headers",
          "≥ 400,000/s",
          five.ours,
          (value) => value >= 400_000,
          `${figure(five.ours)}/s`,
        ),
        goal(
          "write a 200 with SDP",
          "≥ 600,000/s",
          reply.ours,
          (value) => value >= 600_000,
          `${figure(reply.ours)}/s`,
        ),
      ],
    };
  },
};
