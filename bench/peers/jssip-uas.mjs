// jssip: its whole user agent over a UDP socket written here, because it has only WebSocket; the browser's peer
// connection is a stand-in that answers with a fixed description, so only signalling is measured.
// Usage: BENCH_PEERS=FOLDER node jssip-uas.mjs PORT
import dgram from "node:dgram";
import { ANSWER } from "../support/description.mjs";
import { requireFrom } from "../support/npm-peers.mjs";

const port = Number(process.argv[2]);

class PeerConnection extends EventTarget {
  iceGatheringState = "complete";
  iceConnectionState = "connected";
  connectionState = "connected";
  signalingState = "stable";
  localDescription = null;
  remoteDescription = null;
  getSenders() {
    return [];
  }
  getReceivers() {
    return [];
  }
  createAnswer() {
    return Promise.resolve({ type: "answer", sdp: ANSWER });
  }
  setLocalDescription(description) {
    this.localDescription = description;
    return Promise.resolve();
  }
  setRemoteDescription(description) {
    this.remoteDescription = description;
    return Promise.resolve();
  }
  close() {
    this.signalingState = "closed";
  }
}
Object.assign(globalThis, {
  window: globalThis,
  RTCPeerConnection: PeerConnection,
  RTCSessionDescription: class {
    constructor(description) {
      Object.assign(this, description);
    }
  },
});
globalThis.navigator ??= { mediaDevices: {} };

const JsSIP = requireFrom(process.env.BENCH_PEERS)("jssip");
JsSIP.debug.disable();
const socket = dgram.createSocket({ type: "udp4", recvBufferSize: 4 << 20 });
const VIA = /^Via: SIP\/2\.0\/UDP ([^:;]+):(\d+)/im;
const transport = {
  url: `udp://127.0.0.1:${port}`,
  via_transport: "UDP",
  sip_uri: `sip:127.0.0.1:${port};transport=udp`,
  connect() {
    socket.on("message", (data) => transport.ondata(data.toString()));
    socket.bind(port, "127.0.0.1", () => transport.onconnect());
  },
  disconnect: () => socket.close(),
  send(message) {
    const text = String(message);
    const [, address, to] = VIA.exec(text) ?? [];
    if (address === undefined) return false;
    socket.send(text, Number(to), address);
    return true;
  },
};
const agent = new JsSIP.UA({
  sockets: [transport],
  uri: "sip:bench@127.0.0.1",
  contact_uri: `sip:bench@127.0.0.1:${port}`,
  register: false,
  session_timers: false,
});
agent.on("newRTCSession", ({ session }) =>
  session.answer({ mediaConstraints: { audio: false, video: false } }),
);
process.on("unhandledRejection", (error) => console.error(error));
process.once("SIGTERM", () => process.exit(0));
agent.start();
