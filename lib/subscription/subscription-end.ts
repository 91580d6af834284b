/** Why a subscription ended, in the words of its last event. */
import type { SipError } from "../foundation/index.js";
import type { SipRequest, SipResponse } from "../message/index.js";
import type { Cause } from "../session/index.js";
import type { SubscriptionEnd } from "./subscription-types.js";

/** The notifier said so. */
export function endOfNotify(message: SipRequest, reason: string | undefined): SubscriptionEnd {
  return { reason: reason ?? "terminated", statusCode: 0, message };
}

/** A SUBSCRIBE was refused. */
export function endOfResponse(message: SipResponse): SubscriptionEnd {
  const { statusCode, reason } = message;
  return { reason, cause: causeOf(statusCode), statusCode, message };
}

/** Nobody answered, or nothing could be sent. */
export function endOfError(error: SipError): SubscriptionEnd {
  const cause = causeOfError(error);
  const reason = cause === "rejected" ? error.message : cause;
  return { reason, cause, statusCode: 0 };
}

function causeOfError({ code }: SipError): Cause {
  if (code === "E_TIMEOUT") return "timeout";
  if (code === "E_DNS") return "dns-error";
  return code === "E_TRANSPORT" ? "transport-error" : "rejected";
}

/** Contract §3.4, as far as it concerns a SUBSCRIBE. */
function causeOf(statusCode: number): Cause {
  if (statusCode >= 300 && statusCode < 400) return "redirected";
  switch (statusCode) {
    case 401:
    case 407:
      return "unauthorized";
    case 404:
    case 410:
    case 604:
      return "not-found";
    case 408:
      return "timeout";
    case 480:
    case 503:
      return "unavailable";
    case 481:
      return "dialog-error";
    case 486:
    case 600:
      return "busy";
    default:
      return "rejected";
  }
}
