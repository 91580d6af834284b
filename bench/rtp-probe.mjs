// Loaded into the worker by bench/rtp.mjs: counts the packets of each socket and how even they leave.
import dgram from "node:dgram";
import { writeFileSync } from "node:fs";
import { Session } from "node:inspector";
import { BroadcastChannel } from "node:worker_threads";

const PERIOD_MS = 20;
/** Steps of 0.05 ms. */
const STEP = 0.05;
const errors = new Uint32Array(4000);
const LAST = Symbol();
let measuring = false;
let sent = 0;
let received = 0;
let intervals = 0;

const send = dgram.Socket.prototype.send;
dgram.Socket.prototype.send = function (packet, port, address, done) {
  if (measuring && packet.length > 100) {
    const now = performance.now();
    const before = this[LAST];
    sent += 1;
    if (before !== undefined) {
      const error = Math.abs(now - before - PERIOD_MS);
      errors[Math.min(errors.length - 1, Math.floor(error / STEP))] += 1;
      intervals += 1;
    }
    this[LAST] = now;
  }
  return send.call(this, packet, port, address, done);
};
const emit = dgram.Socket.prototype.emit;
dgram.Socket.prototype.emit = function (name, first, second) {
  if (measuring && name === "message") received += 1;
  return emit.call(this, name, first, second);
};

function percentile(share) {
  let seen = 0;
  for (let i = 0; i < errors.length; i++) {
    seen += errors[i];
    if (seen >= intervals * share) return (i + 1) * STEP;
  }
  return errors.length * STEP;
}

const inspector = process.env.PROFILE ? new Session() : undefined;
inspector?.connect();
inspector?.post("Profiler.enable");

const channel = new BroadcastChannel("rtp-probe");
channel.unref();
channel.onmessage = ({ data }) => {
  if (data === "begin") {
    measuring = true;
    inspector?.post("Profiler.start");
  } else {
    measuring = false;
    inspector?.post("Profiler.stop", (_error, { profile }) =>
      writeFileSync(process.env.PROFILE, JSON.stringify(profile)),
    );
    channel.postMessage({ sent, received, p99: percentile(0.99), p999: percentile(0.999) });
  }
};
