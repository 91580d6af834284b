/**
 * Looks at the certificates of a running stack from time to time: renewed files are used from the next handshake on, and
 * one that has expired is told, as clients refuse it without a word to us.
 */
import { errorText, type Clock, type Logger, type Timer } from "../../lib/index.js";
import type { StackSettings } from "./stack-settings.js";
import { certificateFault } from "./tls-files.js";
import type { UserAgentPort } from "./environment.js";

const LOOK_EVERY_MS = 60_000;

export interface CertificateWatchOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly settings: StackSettings;
  readonly userAgent: Pick<UserAgentPort, "renewTls">;
  /** Something is wrong with them, or no more (undefined). */
  readonly onProblem: (text: string | undefined) => void;
}

export class CertificateWatch {
  readonly #options: CertificateWatchOptions;
  #stamp: string;
  #problem: string | undefined;
  #timer: Timer | undefined;

  /** Begins to look. */
  constructor(options: CertificateWatchOptions) {
    this.#options = options;
    this.#stamp = options.settings.tlsStamp();
    this.#check(false);
    this.#lookLater();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Now, as after a deploy. */
  look(): void {
    const stamp = this.#options.settings.tlsStamp();
    if (this.#check(stamp !== this.#stamp)) this.#stamp = stamp;
  }

  #lookLater(): void {
    this.#timer = this.#options.clock.setTimer(LOOK_EVERY_MS, () => {
      this.#lookLater();
      this.look();
    });
  }

  /** @returns false when what is in the files cannot be used: looked at again, a file may be half written. */
  #check(renewed: boolean): boolean {
    const { clock, logger, settings, userAgent } = this.#options;
    try {
      const transports = settings.transports();
      if (renewed) {
        userAgent.renewTls(transports);
        logger.info("The TLS certificates have changed; new connections use them.");
      }
      this.#tell(certificateFault(transports, clock.wallTime()));
      return true;
    } catch (error) {
      this.#tell(errorText(error));
      return false;
    }
  }

  #tell(problem: string | undefined): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#options.onProblem(problem);
  }
}
