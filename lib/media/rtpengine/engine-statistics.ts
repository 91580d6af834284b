/** What rtpengine has counted of one side of a bridge (`query` of the ng protocol), in the words of our own media. */
import type { MediaStatistics } from "../../session/media-handler.js";
import type { BencodeDictionary, BencodeValue } from "./bencode.js";

const MOST_STREAMS = 16;

/** @param tag - of the side. @param otherTag - of the other one. @returns undefined when nothing is said of them. */
export function legStatistics(
  report: BencodeDictionary,
  tag: string,
  otherTag: string,
): MediaStatistics | undefined {
  const own = streamsOf(report, tag);
  const others = streamsOf(report, otherTag);
  if (own.length === 0 || others.length === 0) return undefined;
  const heard = own.map((stream) => dictionary(report, "SSRC", text(stream.get("SSRC"))));
  return {
    packetsReceived: sum(own.map((stream) => number(dictionary(stream, "stats"), "packets"))),
    packetsSent: sum(others.map((stream) => number(dictionary(stream, "stats"), "packets"))),
    packetsLost: sum(heard.map((source) => number(source, "cumulative loss"))),
    jitter: Math.max(
      0,
      ...heard.map((source) => number(dictionary(source, "average MOS"), "jitter")),
    ),
  };
}

/** Of RTP, not RTCP. */
function streamsOf(report: BencodeDictionary, tag: string): BencodeDictionary[] {
  const medias = list(dictionary(report, "tags", tag)?.get("medias"));
  const streams = medias.flatMap((media) => list(media.get("streams")));
  return streams
    .filter((stream) => {
      const flags = stream.get("flags");
      return Array.isArray(flags) && flags.includes("RTP");
    })
    .slice(0, MOST_STREAMS);
}

function list(value: BencodeValue | undefined): BencodeDictionary[] {
  if (!Array.isArray(value)) return [];
  return (value as readonly BencodeValue[]).filter((entry) => isDictionary(entry));
}

function dictionary(
  from: BencodeDictionary | undefined,
  ...names: readonly string[]
): BencodeDictionary | undefined {
  for (const name of names) {
    const value = from?.get(name);
    from = value !== undefined && isDictionary(value) ? value : undefined;
  }
  return from;
}

function isDictionary(value: BencodeValue): value is BencodeDictionary {
  return typeof value === "object" && !Array.isArray(value);
}

function number(from: BencodeDictionary | undefined, name: string): number {
  const value = from?.get(name);
  return typeof value === "number" && value > 0 ? value : 0;
}

function text(value: BencodeValue | undefined): string {
  return typeof value === "object" ? "" : String(value);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
