/**
 * Does a certificate speak for a SIP domain? RFC 5922 §7: exact names, no wildcards; the common name counts only
 * where the certificate has no subjectAltName.
 */
import type { PeerCertificate } from "node:tls";
import { errorText } from "../foundation/index.js";
import { canonicalAddress, ipFamily } from "./addresses.js";
import { errorCode } from "./transport-errors.js";

/** The parts of a PeerCertificate that are read. */
export type CertificateNames = Pick<PeerCertificate, "subjectaltname"> & {
  readonly subject?: { readonly CN?: string | string[] } | undefined;
};

/**
 * @param expected - configured domain or, when the target was given as such, IP address.
 * @returns undefined when it matches, else what is wrong, in words.
 */
export function checkCertificateIdentity(
  expected: string,
  certificate: CertificateNames,
): string | undefined {
  const names = certificateNames(certificate);
  const wanted = canonicalAddress(expected).replace(/\.$/, "");
  if (ipFamily(expected) !== 0) {
    if (names.addresses.some((address) => canonicalAddress(address) === wanted)) return undefined;
  } else if (names.domains.some((domain) => domain.toLowerCase().replace(/\.$/, "") === wanted)) {
    return undefined;
  }
  const all = [...names.domains, ...names.addresses];
  const found = all.length > 0 ? all.slice(0, 5).join(", ") : "no SIP name at all";
  return `the certificate is for ${found}, not for ${expected}`;
}

function certificateNames(certificate: CertificateNames): {
  domains: string[];
  addresses: string[];
} {
  if (certificate.subjectaltname === undefined) {
    const commonName = certificate.subject?.CN;
    const domains = typeof commonName === "string" ? [commonName] : (commonName ?? []);
    return { domains, addresses: [] };
  }
  const uris: string[] = [];
  const dns: string[] = [];
  const addresses: string[] = [];
  for (const [kind, value] of subjectAltNames(certificate.subjectaltname)) {
    if (kind === "DNS") dns.push(value);
    else if (kind === "IP Address") addresses.push(value);
    else if (kind === "URI") uris.push(...sipDomain(value));
  }
  // §7.1: DNS names count only where no SIP URI names a domain.
  return { domains: uris.length > 0 ? uris : dns, addresses };
}

/** `sip:example.com` names a domain; with a user part it names a person, and other schemes name no SIP domain. */
function sipDomain(uri: string): string[] {
  const match = /^sip:([^@;?:]+)$/i.exec(uri);
  return match ? [match[1]] : [];
}

/** Node's text `DNS:a, URI:"quoted, as JSON", IP Address:1.2.3.4` as pairs. */
function subjectAltNames(text: string): [string, string][] {
  const pairs: [string, string][] = [];
  const pattern = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/y;
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    if (match[0] === "") break;
    pairs.push([match[1], unquote(match[2])]);
  }
  return pairs;
}

function unquote(value: string): string {
  if (!value.startsWith('"')) return value;
  try {
    const parsed: unknown = JSON.parse(value);
    return typeof parsed === "string" ? parsed : "";
  } catch {
    // A value that Node could not quote properly is no name that we trust.
    return "";
  }
}

const WANTS_OURS =
  "the server wants a certificate of ours: put certificate and key into the TLS configuration";

/** A TLS server that ends the connection before its first word, as some do who want a certificate of ours. */
export const CLOSED_AFTER_HANDSHAKE =
  "closed by the server before its first word: it may want a certificate of ours";

const CERTIFICATE_FAULTS: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT:
    "the server's certificate is self-signed: put that certificate as CA into the TLS configuration, or switch off the verification of the server",
  SELF_SIGNED_CERT_IN_CHAIN:
    "the server's certificate comes from a private CA: put the CA's certificate into the TLS configuration, or switch off the verification of the server",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "the server's certificate is signed by an unknown CA: put the CA's certificate into the TLS configuration, or switch off the verification of the server",
  UNABLE_TO_GET_ISSUER_CERT:
    "the server's certificate chain is incomplete: put the CA's certificate into the TLS configuration",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    "the server's certificate is signed by an unknown CA: put the CA's certificate into the TLS configuration, or switch off the verification of the server",
  CERT_HAS_EXPIRED: "the server's certificate has expired",
  CERT_NOT_YET_VALID:
    "the server's certificate is not valid yet: check the clocks of both machines",
  ERR_SSL_WRONG_VERSION_NUMBER: "the server does not speak TLS at this port",
  EPROTO: "the server does not speak TLS at this port, or refuses our TLS version",
  ECONNRESET: "the server closed the connection during the TLS handshake",
  ERR_SSL_UNSUPPORTED_PROTOCOL: "the server's TLS is too old: TLS 1.2 or newer is needed",
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: "the server's TLS is too old: TLS 1.2 or newer is needed",
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: WANTS_OURS,
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE:
    "the server refuses the TLS handshake: it may want a certificate of ours, or other ciphers",
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA:
    "the server does not trust our certificate: its CA is unknown there",
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: "the server does not accept our certificate",
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: "the server does not accept our certificate",
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: "the server says that our certificate has expired",
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED: "the server says that our certificate is revoked",
};

/** OpenSSL's own words without its places in the source. */
function reasonOf(error: unknown): string {
  if (error instanceof Error && "reason" in error && typeof error.reason === "string") {
    return error.reason;
  }
  return errorText(error);
}

/** An error of a TLS handshake with words a person can act upon; errors of the network come back unchanged. */
export function explainTlsError(error: unknown): unknown {
  const code = errorCode(error);
  const words = code === undefined ? undefined : CERTIFICATE_FAULTS[code];
  if (words !== undefined) return new Error(words, { cause: error });
  if (code?.startsWith("ERR_SSL_")) {
    return new Error(`TLS handshake failed: ${reasonOf(error)}`, { cause: error });
  }
  return error;
}

/** The same for an established connection: in TLS 1.3 a server refuses our certificate after the handshake. */
export function explainTlsAlert(error: unknown): unknown {
  return errorCode(error)?.startsWith("ERR_SSL_") === true ? explainTlsError(error) : error;
}
