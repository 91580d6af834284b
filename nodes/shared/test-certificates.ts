/** What a certificate says, as a step of a test: the server's, and our own. */
import { X509Certificate } from "node:crypto";
import type { NodeAPI } from "node-red";
import type { PeerCertificateFacts, TlsMaterial, TransportOptions } from "../../lib/index.js";
import { TestFailure, type TestRun } from "./test-run.js";
import { translate } from "./texts.js";

const DAY_MS = 86_400_000;

interface Where {
  readonly RED: NodeAPI;
  readonly run: TestRun;
}

/** @throws TestFailure when the certificate is not to be trusted and the settings want that. */
export function certificateStep(
  { RED, run }: Where,
  peer: PeerCertificateFacts,
  ms: number,
  tls: TlsMaterial | undefined,
): void {
  const { fault } = peer;
  const isRefused = fault !== undefined && tls?.verifyServer !== false;
  run.add("tls", ms, {
    text: translate(RED, "test.certificate", {
      name: peer.name,
      issuer: peer.issuer,
      days: days(peer.validTo),
    }),
    detail: fault === undefined ? peer.version : fault,
    ok: !isRefused,
  });
  if (isRefused) throw new TestFailure(translate(RED, "test.reason.tls", { fault }));
}

/** Our own certificate of an entry; nothing when it has none. */
export async function ownCertificateStep(
  { RED, run }: Where,
  { tls }: TransportOptions,
): Promise<void> {
  const pem = tls?.cert;
  if (pem === undefined) return;
  await run.step("tls", () => {
    const { subject, issuer, validTo } = new X509Certificate(pem);
    const left = days(Date.parse(validTo));
    const text = translate(RED, "test.certificate", {
      name: commonName(subject),
      issuer: commonName(issuer),
      days: left,
    });
    if (left < 0) run.fail(translate(RED, "test.reason.expired"));
    return { text, ok: left >= 0 };
  });
}

function days(until: number): number {
  return Math.floor((until - Date.now()) / DAY_MS);
}

function commonName(names: string): string {
  return /(?:^|\n)CN=(.*)/.exec(names)?.[1] ?? names.replaceAll("\n", ", ");
}
