/**
 * Throw-away certificates for tests: a CA and server certificates with chosen names, made by the `openssl` command
 * in a temporary folder that is removed again at once.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Certificate {
  /** PEM. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
}

export interface CertificateNames {
  readonly commonName: string;
  /** `DNS:example.com`, `URI:sip:example.com`, `IP:127.0.0.1`; none = no subjectAltName at all. */
  readonly altNames?: readonly string[];
  /** Days until it expires; negative = has expired. */
  readonly days?: number;
}

export interface CertificateAuthority extends Certificate {
  issue(names: CertificateNames): Certificate;
}

const CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** A certificate that vouches for itself. */
export function selfSigned(names: CertificateNames): Certificate {
  return inFolder((folder) => {
    openssl(folder, [
      ...["req", "-x509", ...CURVE, "-keyout", "key.pem", "-out", "cert.pem"],
      ...["-days", String(names.days ?? 30), "-subj", `/CN=${names.commonName}`],
      ...extensions(names.altNames),
    ]);
    return readPair(folder);
  });
}

export function certificateAuthority(commonName = "Test CA"): CertificateAuthority {
  const authority = inFolder((folder) => {
    openssl(folder, [
      ...["req", "-x509", ...CURVE, "-keyout", "key.pem", "-out", "cert.pem"],
      ...["-days", "30", "-subj", `/CN=${commonName}`],
    ]);
    return readPair(folder);
  });
  return { ...authority, issue: (names) => issue(authority, names) };
}

function issue(authority: Certificate, names: CertificateNames): Certificate {
  return inFolder((folder) => {
    writeFileSync(join(folder, "ca.pem"), authority.cert);
    writeFileSync(join(folder, "ca-key.pem"), authority.key);
    const subject = ["-subj", `/CN=${names.commonName}`];
    openssl(folder, ["req", "-new", ...CURVE, "-keyout", "key.pem", "-out", "req.pem", ...subject]);
    const alt = names.altNames ?? [];
    writeFileSync(
      join(folder, "ext.cnf"),
      `basicConstraints=CA:FALSE\n${alt.length > 0 ? `subjectAltName=${alt.join(",")}\n` : ""}`,
    );
    openssl(folder, [
      ...["x509", "-req", "-in", "req.pem", "-CA", "ca.pem", "-CAkey", "ca-key.pem"],
      ...["-CAcreateserial", "-days", String(names.days ?? 30), "-extfile", "ext.cnf"],
      ...["-out", "cert.pem"],
    ]);
    return readPair(folder);
  });
}

function extensions(altNames: readonly string[] | undefined): string[] {
  if (!altNames || altNames.length === 0) return [];
  return ["-addext", `subjectAltName=${altNames.join(",")}`];
}

function readPair(folder: string): Certificate {
  return {
    cert: readFileSync(join(folder, "cert.pem"), "utf8"),
    key: readFileSync(join(folder, "key.pem"), "utf8"),
  };
}

function inFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "sip-certificates-"));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function openssl(folder: string, args: readonly string[]): void {
  execFileSync("openssl", args, { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
}
