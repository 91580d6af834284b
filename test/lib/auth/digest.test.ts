/**
 * Digest vectors.
 * 1 RFC 7616 §3.9.1: MD5 and SHA-256 with qop auth. 2 RFC 2617 §3.5. 3 RFC 2069 without qop. 4 auth-int hashes the body.
 * 5 The -sess algorithms bind the key to nonce and cnonce. 6 Names of algorithms: case, unknown, missing.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { digestResponse, findAlgorithm, type DigestInput } from "../../../lib/auth/index.js";

const RFC_7616: DigestInput = {
  algorithm: "SHA-256",
  user: "Mufasa",
  password: "Circle of Life",
  realm: "http-auth@example.org",
  nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
  method: "GET",
  uri: "/dir/index.html",
  qop: "auth",
  nonceCount: "00000001",
  clientNonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
  body: "",
};

const RFC_2617: DigestInput = {
  algorithm: "MD5",
  user: "Mufasa",
  password: "Circle Of Life",
  realm: "testrealm@host.com",
  nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
  method: "GET",
  uri: "/dir/index.html",
  qop: "auth",
  nonceCount: "00000001",
  clientNonce: "0a4f113b",
  body: "",
};

function hex(hash: string, text: string): string {
  return createHash(hash).update(text).digest("hex");
}

describe("digestResponse", () => {
  it("gives the SHA-256 response of RFC 7616 §3.9.1", () => {
    assert.equal(
      digestResponse(RFC_7616),
      "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
    );
  });

  it("gives the MD5 response of RFC 7616 §3.9.1", () => {
    assert.equal(
      digestResponse({ ...RFC_7616, algorithm: "MD5" }),
      "8ca523f5e9506fed4657c9700eebdbec",
    );
  });

  it("gives the response of RFC 2617 §3.5", () => {
    assert.equal(digestResponse(RFC_2617), "6629fae49393a05397450978507c4ef1");
  });

  it("leaves nonce count, cnonce and qop out without qop (RFC 2069 §2.1.2)", () => {
    const { user, realm, password, method, uri, nonce } = RFC_2617;
    const expected = hex(
      "md5",
      `${hex("md5", `${user}:${realm}:${password}`)}:${nonce}:${hex("md5", `${method}:${uri}`)}`,
    );
    assert.equal(digestResponse({ ...RFC_2617, qop: undefined }), expected);
    assert.equal(expected, "670fd8c2df070c60b045671b8b24ff02");
  });

  it("hashes the body with auth-int (RFC 7616 §3.4.3)", () => {
    const body = "v=0\r\n";
    const { user, realm, password, method, uri, nonce, nonceCount, clientNonce } = RFC_7616;
    const subject = hex("sha256", `${method}:${uri}:${hex("sha256", body)}`);
    const key = hex("sha256", `${user}:${realm}:${password}`);
    const expected = hex(
      "sha256",
      `${key}:${nonce}:${nonceCount}:${clientNonce}:auth-int:${subject}`,
    );
    assert.equal(digestResponse({ ...RFC_7616, qop: "auth-int", body }), expected);
    assert.equal(
      digestResponse({ ...RFC_7616, qop: "auth-int", body: Buffer.from(body) }),
      expected,
    );
  });

  it("binds the key of -sess to nonce and cnonce (RFC 7616 §3.4.2)", () => {
    const { user, realm, password, method, uri, nonce, nonceCount, clientNonce } = RFC_7616;
    for (const [algorithm, hash] of [
      ["MD5-sess", "md5"],
      ["SHA-256-sess", "sha256"],
      ["SHA-512-256-sess", "sha512-256"],
    ] as const) {
      const key = hex(hash, `${hex(hash, `${user}:${realm}:${password}`)}:${nonce}:${clientNonce}`);
      const expected = hex(
        hash,
        `${key}:${nonce}:${nonceCount}:${clientNonce}:auth:${hex(hash, `${method}:${uri}`)}`,
      );
      assert.equal(digestResponse({ ...RFC_7616, algorithm }), expected, algorithm);
    }
  });

  it("hashes user and password as UTF-8 with SHA-512-256 (RFC 7616 §3.9.2)", () => {
    // The values that the RFC prints for this example do not fit SHA-512/256 (erratum 4897): the hash of user and
    // realm is the erratum's, the response is computed step by step.
    assert.equal(
      hex("sha512-256", "J\u00e4s\u00f8n Doe:api@example.org"),
      "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b",
    );
    const input: DigestInput = {
      algorithm: "SHA-512-256",
      user: "J\u00e4s\u00f8n Doe",
      password: "Secret, or not?",
      realm: "api@example.org",
      nonce: "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
      method: "GET",
      uri: "/doe.json",
      qop: "auth",
      nonceCount: "00000001",
      clientNonce: "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm",
      body: "",
    };
    const key = hex("sha512-256", "J\u00e4s\u00f8n Doe:api@example.org:Secret, or not?");
    const subject = hex("sha512-256", "GET:/doe.json");
    const expected = hex(
      "sha512-256",
      `${key}:${input.nonce}:00000001:${input.clientNonce}:auth:${subject}`,
    );
    assert.equal(digestResponse(input), expected);
  });
});

describe("findAlgorithm", () => {
  it("takes a missing name as MD5 and ignores case", () => {
    assert.equal(findAlgorithm(undefined)?.name, "MD5");
    assert.equal(findAlgorithm("sha-256-SESS")?.name, "SHA-256-sess");
    assert.equal(findAlgorithm("SHA-512-256")?.strength, 3);
  });

  it("knows no others, whatever they are called", () => {
    for (const name of ["AKAv1-MD5", "SHA-1", "", "__proto__", "constructor"]) {
      assert.equal(findAlgorithm(name), undefined, name);
    }
  });
});
