/**
 * Kamailio as registrar and proxy with digest over UDP, TCP, TLS, WS and WSS, on one loopback address. Users and
 * passwords: alice/alicepw, bob/bobpw, carol/carolpw, nodered/noderedpw and so on; domain `sip.test`. Who calls `moved`
 * is redirected to carol (302); subscriptions to `message-summary` of anybody go to nodered.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pause } from "../node-red.js";
import { PeerProcess } from "./process.js";

export interface KamailioOptions {
  /** Default 127.0.61.1. */
  readonly address?: string;
  /** Challenge algorithm. Default MD5. */
  readonly algorithm?: "MD5" | "SHA-256";
}

export class Kamailio {
  readonly folder = mkdtempSync(join(tmpdir(), "kamailio-"));
  readonly address: string;
  readonly domain = "sip.test";
  #process: PeerProcess | undefined;

  constructor(readonly options: KamailioOptions = {}) {
    this.address = options.address ?? "127.0.61.1";
    makeCertificates(this.folder, this.address);
    writeFileSync(join(this.folder, "tls.cfg"), tlsConfig(this.folder));
    writeFileSync(join(this.folder, "kamailio.cfg"), config(this.folder, this.address, options));
  }

  /** PEM of the authority that signed the server's certificate. */
  get authority(): string {
    return readFileSync(join(this.folder, "ca.pem"), "utf8");
  }

  get log(): string {
    return this.#process?.log ?? "";
  }

  async start(): Promise<void> {
    this.#process = PeerProcess.start(
      "kamailio",
      // prettier-ignore
      ["-f", join(this.folder, "kamailio.cfg"), "-DD", "-E", "-m", "64", "-M", "8", "-P", join(this.folder, "pid"), "-Y", this.folder, "-w", this.folder],
      { cwd: this.folder },
    );
    for (let i = 0; i < 100; i++) {
      if (this.#process.exitCode !== undefined)
        throw new Error(`kamailio ended: ${this.#process.log.slice(-2000)}`);
      if (this.#listening()) return;
      await pause(50);
    }
    throw new Error(`kamailio does not listen: ${this.#process.log.slice(-2000)}`);
  }

  /** All its locations are in memory: a restart forgets every registration. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
    this.#process = undefined;
  }

  async dispose(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #listening(): boolean {
    const hex = this.address
      .split(".")
      .reverse()
      .map((part) => Number(part).toString(16).padStart(2, "0"))
      .join("")
      .toUpperCase();
    return readFileSync("/proc/net/tcp", "utf8").includes(`${hex}:13C4 00000000:0000 0A`);
  }
}

/** A throw-away authority and a server certificate for `sip.test` and the address. */
export function makeCertificates(folder: string, address: string): void {
  const script = `
set -e; umask 077
curve="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
openssl req -x509 $curve -days 2 -keyout ca.key -out ca.pem -subj "/CN=Test CA"
openssl req $curve -keyout server.key -out server.csr -subj "/CN=sip.test"
printf 'subjectAltName=DNS:sip.test,DNS:localhost,IP:${address},URI:sip:sip.test\\nextendedKeyUsage=serverAuth,clientAuth\\n' > ext
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out server.pem`;
  const made = spawnSync("bash", ["-c", script], { cwd: folder, encoding: "utf8" });
  if (made.status !== 0) throw new Error(`openssl: ${made.stderr}`);
}

function tlsConfig(folder: string): string {
  return `[server:default]
method = TLSv1.2+
verify_certificate = no
require_certificate = no
private_key = ${folder}/server.key
certificate = ${folder}/server.pem
ca_list = ${folder}/ca.pem
[client:default]
method = TLSv1.2+
verify_certificate = no
`;
}

function config(folder: string, address: string, options: KamailioOptions): string {
  const modules =
    "tls kex corex tm tmx sl rr pv maxfwd textops siputils usrloc registrar auth htable nathelper xhttp websocket xlog"
      .split(" ")
      .map((name) => `loadmodule "${name}.so"`)
      .join("\n");
  const users = ["alice", "bob", "carol", "nodered", "tina", "tess", "dave", "erin", "frank"]
    .map((name) => `\t$sht(users=>${name}) = "${name}pw";`)
    .join("\n");
  return `#!KAMAILIO
debug=1
log_stderror=yes
children=2
tcp_children=2
fork=yes
enable_tls=yes
tcp_accept_no_cl=yes
auto_aliases=no
alias="sip.test"
listen=udp:${address}:5060
listen=tcp:${address}:5060
listen=tls:${address}:5061
listen=tcp:${address}:5080
listen=tls:${address}:5443
${modules}
modparam("tls", "config", "${folder}/tls.cfg")
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_expires", 3600)
modparam("registrar", "min_expires", 5)
modparam("registrar", "received_avp", "$avp(RECEIVED)")
modparam("nathelper", "received_avp", "$avp(RECEIVED)")
modparam("auth", "nonce_expire", 60)
modparam("auth", "nonce_count", 1)
modparam("auth", "qop", "auth")
${options.algorithm === "SHA-256" ? 'modparam("auth", "algorithm", "SHA-256")' : ""}
modparam("htable", "htable", "users=>size=6;")
modparam("rr", "enable_double_rr", 1)
modparam("rr", "append_fromtag", 1)

event_route[htable:mod-init] {
${users}
}

request_route {
	if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
	force_rport();
	if (is_method("REGISTER") || proto == WS || proto == WSS) fix_nated_register();
	if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
	if (!is_method("ACK")) { if (t_precheck_trans()) { t_check_trans(); exit; } t_check_trans(); }
	if (has_totag()) {
		if (loose_route()) { if (uri == myself && is_gruu()) lookup("location"); route(RELAY); exit; }
		if (is_method("ACK")) { if (t_check_trans()) t_relay(); exit; }
		if (uri != myself) { route(RELAY); exit; }
		sl_send_reply("404", "Not here");
		exit;
	}
	if (is_method("OPTIONS") && uri == myself && $rU == $null) { sl_send_reply("200", "OK"); exit; }
	# The flow keeps everybody's mailbox, and whoever asks is told.
	if (is_method("SUBSCRIBE") && $hdr(Event) == "message-summary") {
		record_route();
		$rU = "nodered";
		if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
		route(RELAY);
	}
	if (is_method("REGISTER")) {
		if (!pv_www_authenticate("sip.test", "$sht(users=>$au)", "0")) { www_challenge("sip.test", "1"); exit; }
	} else if (!pv_proxy_authenticate("sip.test", "$sht(users=>$au)", "0")) {
		proxy_challenge("sip.test", "1"); exit;
	}
	if ($au != $fU) { sl_send_reply("403", "Spoofed From"); exit; }
	consume_credentials();
	remove_hf("Route");
	if (is_method("INVITE|SUBSCRIBE|REFER")) record_route();
	if (is_method("REGISTER")) { if (!save("location")) sl_reply_error(); exit; }
	if (uri != myself) { sl_send_reply("403", "Relay Denied"); exit; }
	if ($rU == "moved") {
		append_to_reply("Contact: <sip:carol@sip.test>;q=0.5\r\n");
		sl_send_reply("302", "Moved Temporarily"); exit;
	}
	if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
	route(RELAY);
}

route[RELAY] {
	t_on_reply("NAT");
	if (is_method("INVITE|SUBSCRIBE|UPDATE") && (proto == WS || proto == WSS)) add_contact_alias();
	if (has_totag()) handle_ruri_alias();
	if (!t_relay()) sl_reply_error();
	exit;
}
onreply_route[NAT] { if (proto == WS || proto == WSS) add_contact_alias(); }

event_route[xhttp:request] {
	if ($hdr(Upgrade) =~ "websocket" && $hdr(Connection) =~ "Upgrade" && $rm =~ "GET") {
		if (ws_handle_handshake()) exit;
	}
	xhttp_reply("404", "Not Found", "", "");
}
`;
}
