/**
 * The reliable provisional responses of one early dialog of ours: taken in the order of their RSeq, each acknowledged by
 * a PRACK inside that dialog (RFC 3262 §4). Every fork of an INVITE counts for itself.
 */
import type { Dialog } from "../dialog/index.js";
import type { SipResponse } from "../message/index.js";
import type { Flow } from "../transport/transport.js";
import type { BodyFields } from "./body.js";
import { mergeHeaders } from "./header-lines.js";
import { outcomeOfFailure, outcomeOfResponse } from "./outcomes.js";
import type { SessionCore } from "./session-core.js";
import type { AccountHandle } from "./session-services.js";
import type { ActionOutcome } from "./session-types.js";

export class PrackSender {
  /** RSeq of the last one that was taken. */
  #last: number | undefined;

  constructor(readonly dialog: Dialog) {}

  /** The next in order, or the first: false for a repeated one and for one after a gap, which are dropped (§4). */
  take(number: number): boolean {
    if (this.#last !== undefined && number !== this.#last + 1) return false;
    this.#last = number;
    return true;
  }

  /**
   * Sends the PRACK for a response that `take` took. Its failure concerns nobody but the peer, which repeats the response
   * in vain and then ends the INVITE itself (§3).
   *
   * @param body - Our answer, when the response carried an offer (§5).
   * @param onOutcome - Hears the final response or its absence.
   */
  acknowledge(
    core: SessionCore,
    response: SipResponse,
    path: { readonly flow: Flow; readonly account: AccountHandle | undefined },
    body: BodyFields = {},
    onOutcome: (outcome: ActionOutcome) => void = () => undefined,
  ): void {
    const { services } = core;
    const { dialog } = this;
    const { sequence, method } = response.cseq;
    const number = response.headers.get("rseq") ?? "";
    const headers = mergeHeaders(services.commonHeaders("request", "PRACK"), [
      ["RAck", `${number} ${sequence} ${method}`],
    ]);
    services.send({
      nextHop: dialog.nextHop,
      account: path.account,
      preferredFlow: path.flow,
      inDialog: true,
      build: () => dialog.createRequest({ method: "PRACK", headers, ...body }),
      nextSequence: () => dialog.nextSequence(),
      onResponse: (answer) =>
        core.enter(() => {
          core.observe(answer);
          if (answer.statusCode < 200) return;
          if (answer.statusCode >= 300) {
            core.logger.info(`session ${core.id}: PRACK refused with ${answer.statusCode}`);
          }
          onOutcome(outcomeOfResponse(answer));
        }),
      onFailure: (error) =>
        core.enter(() => {
          core.logger.info(`session ${core.id}: PRACK failed: ${error.message}`);
          onOutcome(outcomeOfFailure(error));
        }),
    });
  }
}
