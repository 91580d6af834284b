/**
 * Whom we listen to (symmetric RTP): the address of the peer's description at once, another one, behind a NAT, after
 * some packets in a row; from then on only that one. So nobody can slip sound or digits into a call, or draw its
 * sound away, by guessing a port.
 */

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** Packets in a row from the host of the description or of the signalling, and from any other. */
const ROW_OF_KNOWN_HOST = 2;
const ROW_OF_STRANGER = 4;
/** From where we listened to before the description changed: its last packets come late, and nobody listens there. */
const ROW_OF_BEFORE = 50;

export class SourceLatch {
  #expected: Endpoint | undefined;
  #signallingAddress = "";
  #latched: Endpoint | undefined;
  #before: Endpoint | undefined;
  #candidate: Endpoint | undefined;
  #candidateSsrc = 0;
  #nextSequence = 0;
  #row = 0;

  /** The source that is listened to and sent to. */
  get latched(): Endpoint | undefined {
    return this.#latched;
  }

  /**
   * What the peer's description says. A changed one opens the latch again.
   *
   * @param expected - Undefined = listen to nobody.
   * @param signallingAddress - Where the peer's signalling comes from.
   */
  expect(expected: Endpoint | undefined, signallingAddress: string): void {
    const before = this.#expected;
    this.#expected = expected;
    this.#signallingAddress = signallingAddress;
    if (before?.address === expected?.address && before?.port === expected?.port) return;
    // A call that is passed on as soon as it is answered has not heard anything of the place of before.
    this.#before = this.#latched ?? before ?? this.#before;
    this.#latched = undefined;
    this.#candidate = undefined;
  }

  /** Is this valid packet one to take? */
  accepts(address: string, port: number, ssrc: number, sequenceNumber: number): boolean {
    const latched = this.#latched;
    if (latched) return port === latched.port && address === latched.address;
    const expected = this.#expected;
    if (expected === undefined) return false;
    if (port === expected.port && address === expected.address) {
      this.#latched = expected;
      return true;
    }
    const candidate = this.#candidate;
    if (
      candidate?.port === port &&
      candidate.address === address &&
      ssrc === this.#candidateSsrc &&
      sequenceNumber === this.#nextSequence
    ) {
      this.#row += 1;
    } else {
      this.#candidate = { address, port };
      this.#candidateSsrc = ssrc;
      this.#row = 1;
    }
    this.#nextSequence = (sequenceNumber + 1) & 0xffff;
    if (this.#row < this.#wanted(expected, address, port)) return false;
    this.#latched = this.#candidate;
    return true;
  }

  #wanted(expected: Endpoint, address: string, port: number): number {
    if (this.#before?.port === port && this.#before.address === address) return ROW_OF_BEFORE;
    const isKnown = address === expected.address || address === this.#signallingAddress;
    return isKnown ? ROW_OF_KNOWN_HOST : ROW_OF_STRANGER;
  }
}
