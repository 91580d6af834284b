/**
 * The RTP worker thread. All sockets, timing, coding and playing of its calls live here, so that a flow that blocks
 * the main thread does not stop the sound. Started by worker-client.ts.
 */
import { parentPort } from "node:worker_threads";
import { CryptoRandom, SystemClock } from "../../foundation/index.js";
import type { FromWorker, ToWorker } from "./worker-protocol.js";
import { WorkerSessions } from "./worker-sessions.js";

const port = parentPort;
if (port === null) throw new Error("This file runs as a worker thread only");

// The console of this thread is nobody else's. A library writes there what it cannot decode, which whoever plays the
// file hears of anyway, and a file can hold a million of such places.
const { error } = console;
console.error = (...texts: unknown[]) => {
  if (!String(texts.at(0)).startsWith("mpg123-decoder:")) error(...texts);
};

const send = (message: FromWorker, transfer?: readonly ArrayBuffer[]): void =>
  port.postMessage(message, transfer);
const sessions = new WorkerSessions({ clock: new SystemClock(), random: new CryptoRandom(), send });

port.on("message", (message: ToWorker) => {
  if (message.type === "shutdown") {
    // With the port closed and every socket gone the thread has nothing left and ends.
    void sessions.shutdown().finally(() => port.close());
  } else {
    sessions.receive(message);
  }
});
send({ type: "ready" });
