/**
 * What the media of a call have counted: waited for when the call ends, so that `ended` and `failed` carry it
 * (`msg.sip.statistics`), and added up per stack for the metrics.
 */
import type { MediaStatistics, Session, SessionEvent } from "../../lib/index.js";
import { dispatcher } from "./dispatcher.js";
import { environment } from "./environment.js";
import { withoutUndefined } from "./sip-fields.js";

/** Closing takes milliseconds; a thread that hangs must not keep the end of a call from its flow. */
const LONGEST_WAIT_MS = 1500;

/** Of the calls of a stack in one direction. */
export class DirectionTotals {
  /** Those that have ended, by cause. */
  readonly ended = new Map<string, number>();
  answered = 0;
  /** Seconds from the INVITE to the answer, and from the answer to the end, of all of them together. */
  setupSeconds = 0;
  talkSeconds = 0;
  /** Calls in `talkSeconds`. */
  talked = 0;
}

/** Of all calls of a stack; media and causes of those that have ended. */
export class CallTotals {
  readonly incoming = new DirectionTotals();
  readonly outgoing = new DirectionTotals();
  packetsSent = 0;
  packetsReceived = 0;
  packetsLost = 0;
  packetsRejected = 0;
  /** Milliseconds. */
  concealed = 0;

  /** Follows the calls of the stack; called before anything of the event is delivered. */
  observe(session: Session, event: SessionEvent): void {
    const { snapshot } = event;
    const ofDirection = this[session.direction];
    if (event.name === "answered" && snapshot.answerTime !== undefined) {
      ofDirection.answered++;
      const setup = Date.parse(snapshot.answerTime) - Date.parse(snapshot.startTime);
      ofDirection.setupSeconds += Math.max(0, setup) / 1000;
    }
    if (event.name !== "ended" && event.name !== "failed") return;
    const cause = snapshot.cause ?? "unknown";
    ofDirection.ended.set(cause, (ofDirection.ended.get(cause) ?? 0) + 1);
    if (snapshot.answerTime !== undefined) {
      ofDirection.talked++;
      ofDirection.talkSeconds += snapshot.duration ?? 0;
    }
    const counted = session.mediaStatistics;
    if (counted === undefined) return;
    const release = dispatcher.hold(session.id, [event.name]);
    const limit = environment().clock.setTimer(LONGEST_WAIT_MS, release);
    void counted.then((statistics) => {
      limit.cancel();
      if (statistics !== undefined) {
        this.#add(statistics);
        event.snapshot.statistics = withoutUndefined({ ...statistics });
      }
      release();
    });
  }

  #add(statistics: MediaStatistics): void {
    this.packetsSent += statistics.packetsSent;
    this.packetsReceived += statistics.packetsReceived;
    this.packetsLost += statistics.packetsLost;
    this.packetsRejected += statistics.packetsRejected ?? 0;
    this.concealed += statistics.concealed ?? 0;
  }
}
