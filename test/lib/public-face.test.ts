/** What a module of a third party finds in the package (contract §7): names, types, and what they do together. */
import assert from "node:assert/strict";
import * as library from "../../lib/index.js";
import type {
  Account,
  DescriptionContext,
  DescriptionModifier,
  MediaHandler,
  SdpStream,
  SdpStreamContext,
  SdpStreamDescription,
  SdpStreamEnd,
  SdpStreamHandler,
  SdpStreamVerdict,
  SessionDescription,
  SessionEvent,
  SessionEvents,
  StackEvent,
  Subscription,
  Supplement,
  UserAgentEvents,
} from "../../lib/index.js";

/** A handler as somebody else would write it: nothing but public types. */
class Fax implements SdpStreamHandler {
  readonly open = new Map<string, SdpStream | undefined>();

  negotiateIncoming(stream: SdpStream, { streamId }: SdpStreamContext): SdpStreamVerdict {
    if (stream.protocol !== "udptl") return undefined;
    this.open.set(streamId, undefined);
    const description: SdpStreamDescription = { port: 4321 };
    return description;
  }

  apply(_local: SdpStream, remote: SdpStream, { streamId }: SdpStreamContext): void {
    this.open.set(streamId, remote);
  }

  destroy({ streamId }: SdpStreamContext, _end: SdpStreamEnd): void {
    this.open.delete(streamId);
  }
}

describe("public face of the library", () => {
  it("has the names of the contract", () => {
    for (const name of ["UserAgent", "Session", "SipError", "InvalidArgumentError", "MediaError"]) {
      assert.equal(typeof (library as Record<string, unknown>)[name], "function", name);
    }
    // Types: that this file compiles is the test.
    const types: Partial<{
      account: Account;
      subscription: Subscription;
      media: MediaHandler;
      supplement: Supplement;
      events: UserAgentEvents & SessionEvents;
      event: SessionEvent | StackEvent;
      modifier: DescriptionModifier;
      description: SessionDescription;
      context: DescriptionContext;
    }> = {};
    assert.deepEqual(types, {});
  });

  it("takes a supplement and a handler, and gives back what removes them", () => {
    const agent = new library.UserAgent({
      descriptionModifiers: [(description) => Promise.resolve(description)],
    });
    const removals = [
      agent.addSupplement({ methods: ["INVITE"], outgoingRequest: (m) => m.set("X-A", "1") }),
      agent.addSdpHandler("image", new Fax()),
      agent.addSdpHandler("image", new Fax()),
    ];
    for (const remove of [...removals, ...removals]) remove();
  });
});
