// docs/performance.md: a frame, the goals with what was measured, and one part per bench. A run replaces the parts of the
// benches that ran and leaves the others as they were, each with its own date.
import { cpus, totalmem } from "node:os";

const HEAD = `# Performance

What the user agent, its nodes and its media cost, beside other programs that do the same work on the same machine in the same run.
This file is written by \`npm run build && npm run bench\`; every part says when and where it was measured and which command repeats it.

## How it is measured

Everything runs on loopback of one machine: whoever makes the load is pinned to one core, whoever is measured to another (\`taskset\`).
Processor time is user and system time of the measured process with all its threads and children, as the kernel counts it. Programs
are measured in turns, several rounds of each; a table shows the median, and ratios are of neighbours in one round, because a virtual
machine is never twice as fast: compare ratios, not microseconds of different days. Calls come from sipp. The libraries of npm are
installed for the run, Kamailio, baresip and rtpengine are Debian's; what was not there is named under the table. No test has a limit
on time: these are figures to read, not gates.

## Goals

`;

const GOALS = ["| bench | what | goal | measured | met |", "| --- | --- | --- | --- | --- |"];
const PART = /<!-- bench (\w+) -->\n([\s\S]*?)<!-- end \1 -->/g;

function machine() {
  const [{ model } = { model: "unknown processor" }] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${model.trim()}, ${cpus().length} cores, ${memory} GB, Node.js ${process.versions.node}, ${process.platform} ${process.arch}`;
}

function part({ suite, result, missing, others }, quick) {
  const date = new Date().toISOString().slice(0, 10);
  const notes = [
    `Measured ${date} on ${machine()}, by \`npm run bench -- ${quick ? "--quick " : ""}--only ${suite.name}\`.`,
    ...(missing.length > 0 ? [`Not on that machine: ${missing.join(", ")}.`] : []),
    ...(others > 0.1
      ? [`Other programs used ${Math.round(others * 100)} % of a core when it began.`]
      : []),
  ];
  return `<!-- bench ${suite.name} -->\n## ${suite.title}\n\n${notes.join(" ")}\n\n${result.text}\n\n<!-- end ${suite.name} -->`;
}

const word = (met) => (met === undefined ? "–" : met ? "yes" : "no");

/** The document after a run. @param before - its text until now, or nothing */
export function updateDocument(before, done, quick) {
  const parts = new Map();
  for (const [text, name] of before.matchAll(PART)) parts.set(name, text);
  const goals = new Map();
  for (const [row, name] of before.matchAll(/^\| `(\w+)` \| .*$/gm)) {
    goals.set(name, [...(goals.get(name) ?? []), row]);
  }
  for (const each of done) {
    const { name } = each.suite;
    parts.set(name, part(each, quick));
    goals.set(
      name,
      each.result.goals.map(
        ({ what, goal, measured, met }) =>
          `| \`${name}\` | ${what} | ${goal} | ${measured} | ${word(met)} |`,
      ),
    );
  }
  const names = [...ORDER, ...parts.keys()].filter(
    (name, index, all) => parts.has(name) && all.indexOf(name) === index,
  );
  const rows = names.flatMap((name) => goals.get(name) ?? []);
  return `${HEAD}${[...GOALS, ...rows].join("\n")}\n\n${names.map((name) => parts.get(name)).join("\n\n")}\n`;
}

/** The order of the parts, whatever ran. */
const ORDER = [
  "uas",
  "uac",
  "flow",
  "register",
  "parser",
  "sdp",
  "memory",
  "growth",
  "setup",
  "rtp",
  "relay",
  "processes",
];
