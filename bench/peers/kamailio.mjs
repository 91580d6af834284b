// Kamailio as a server of calls: stateful transactions, no dialogs; one worker, because it has one core.
import { ANSWER } from "../support/description.mjs";

const quoted = (text) => text.replaceAll("\r\n", "\\r\\n");

const frame = (port, modules) => `#!KAMAILIO
debug=0
log_stderror=yes
fork=yes
children=1
auto_aliases=no
disable_tcp=yes
listen=udp:127.0.0.1:${port}
${modules.map((name) => `loadmodule "${name}.so"`).join("\n")}
`;

/** Answers INVITE with 180 and 200, BYE with 200. */
export const answering = (port) => `${frame(port, ["kex", "tm", "tmx", "sl", "pv", "textops"])}
request_route {
  if (is_method("ACK")) exit;
  if (!is_method("INVITE|BYE")) {
    sl_send_reply("405", "Method Not Allowed");
    exit;
  }
  if (!t_newtran()) exit;
  if (is_method("INVITE")) {
    append_to_reply("Contact: <sip:bench@127.0.0.1:${port}>\\r\\n");
    t_reply("180", "Ringing");
    append_to_reply("Contact: <sip:bench@127.0.0.1:${port}>\\r\\n");
    set_reply_body("${quoted(ANSWER)}", "application/sdp");
  }
  t_reply("200", "OK");
}
`;

/** A registrar that asks for the digest of user bench, password secret, and keeps bindings in memory. */
export const registrar = (
  port,
) => `${frame(port, ["kex", "tm", "sl", "pv", "textops", "usrloc", "registrar", "auth"])}
modparam("registrar", "max_contacts", 1)
modparam("usrloc", "db_mode", 0)
request_route {
  if (!is_method("REGISTER")) {
    sl_send_reply("405", "Method Not Allowed");
    exit;
  }
  if (!pv_www_authenticate("127.0.0.1", "secret", "0")) {
    www_challenge("127.0.0.1", "1");
    exit;
  }
  save("location");
}
`;
