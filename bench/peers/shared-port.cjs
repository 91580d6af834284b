// Loaded before a server: its UDP sockets share their port with other processes (SO_REUSEPORT, Node.js 23.1 and later).
const dgram = require("node:dgram");
const { createSocket } = dgram;

dgram.createSocket = (options, listener) =>
  createSocket(typeof options === "string" ? options : { ...options, reusePort: true }, listener);
