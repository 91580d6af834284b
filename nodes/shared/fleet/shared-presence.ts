/**
 * The last state that a flow has told of each resource, by event package: a subscriber at another instance gets it when the
 * flow there has told nothing, and those that are there hear of the change. Only texts; whoever tells last is right.
 */
import { errorText, type Logger, type NotifyOptions } from "../../../lib/index.js";
import { parseRecord } from "../sip-fields.js";
import type { Group } from "./group.js";

const KIND = "presence";
/** Seconds that a state is kept unless it is told again: as long as a subscription may last. */
const KEPT_S = 3_600;

export interface Resource {
  readonly eventPackage: string;
  /** `user@host`. */
  readonly resource?: string | undefined;
}

export class SharedPresence {
  readonly #unlisten: () => void;

  /** @param tell - Tells the subscribers that are here. */
  constructor(
    private readonly group: Group,
    private readonly logger: Logger,
    tell: (eventPackage: string, resource: string, state: NotifyOptions) => void,
  ) {
    this.#unlisten = group.subscribe(KIND, (text) => {
      const { eventPackage, resource, state } = parse(text) ?? {};
      if (eventPackage !== undefined && resource !== undefined && state !== undefined) {
        tell(eventPackage, resource, state);
      }
    });
  }

  /** A flow has told this to a subscriber here. */
  told({ eventPackage, resource }: Resource, { state, contentType, body }: NotifyOptions): void {
    if (resource === undefined || typeof body !== "string" || contentType === undefined) return;
    if (state !== undefined && state.state !== "active") return;
    const text = JSON.stringify({ eventPackage, resource, contentType, body });
    this.group.put(KIND, `${eventPackage} ${resource}`, text, KEPT_S, "shared");
    this.group.publish(KIND, text);
  }

  /** What was told last. */
  async last(eventPackage: string, resource: string): Promise<NotifyOptions | undefined> {
    try {
      const record = await this.group.get(KIND, `${eventPackage} ${resource}`);
      return record === undefined ? undefined : parse(record.value)?.state;
    } catch (error) {
      this.logger.debug(errorText(error));
      return undefined;
    }
  }

  close(): void {
    this.#unlisten();
  }
}

function parse(
  text: string,
): { eventPackage: string; resource: string; state: NotifyOptions } | undefined {
  const value = parseRecord(text);
  if (value === undefined) return undefined;
  const { eventPackage, resource, contentType, body } = value;
  if (typeof eventPackage !== "string" || typeof resource !== "string") return undefined;
  if (typeof contentType !== "string" || typeof body !== "string") return undefined;
  // It becomes a header line.
  if (!/^[\w.+-]+\/[\w.+-]+(;[\w.+\-=" ]*)*$/.test(contentType)) return undefined;
  return { eventPackage, resource, state: { contentType, body } };
}
