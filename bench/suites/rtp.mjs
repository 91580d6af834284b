// Streams that one worker plays and receives; bench/rtp.mjs by itself has more to choose from.
import { rowsOf } from "../support/script.mjs";
import { goal, table } from "../support/tables.mjs";

export const rtp = {
  name: "rtp",
  title: "Sound: streams of one worker",
  npm: false,
  limit: { quick: 40, full: 90 },
  async run(bench) {
    const measured = async (source, counts) =>
      (
        await rowsOf("rtp.mjs", counts, bench, {
          env: { SECS: bench.quick ? "2" : "6", SOURCE: source },
          seconds: 80,
        })
      ).map((row) => [source === "tone" ? "a tone" : "a WAV file", ...row]);
    const rows = [
      ...(await measured("tone", bench.quick ? [500] : [1500])),
      ...(await measured("file", bench.quick ? [500] : [1000, 1500])),
    ];
    const cells = rows.find(([, streams]) => Number(streams) === 1500)?.slice(1);
    const p99 = Number.parseFloat(cells?.[3]);
    const [sent, wanted] = (cells?.[1] ?? "").match(/\d+/g)?.map(Number) ?? [];
    return {
      text: [
        "Every stream (G.711, 20 ms) plays something in a loop and gets as many packets back as it sends; p99 is the error of the 20 ms between two packets of a stream as they leave the worker. `bench/rtp.mjs` by itself plays other sources and listens for tones.",
        table(
          [
            "plays",
            "streams",
            "packets/s sent (wanted)",
            "received",
            "p99 / p99.9 ms",
            "CPU µs per packet",
            "core %",
            "kB per call",
          ],
          rows,
        ),
      ].join("\n\n"),
      goals: [
        goal(
          "play (a tone) and receive 1,500 streams on one core",
          "p99 < 5 ms, none missing",
          p99,
          (value) => value < 5 && sent >= wanted * 0.995,
          `p99 ${cells?.[3].split(" ")[0]} ms, ${sent} of ${wanted} packets/s`,
        ),
      ],
    };
  },
};
