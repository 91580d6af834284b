/**
 * User names and passwords that the application gave for one realm of one server (contract §4.6 "Credentials from the
 * flow"). In memory only, bounded: the least recently used go first.
 */
import type { DigestCredentials } from "../auth/index.js";
import { targetKey } from "./target-health.js";
import type { AuthContext } from "./client-environment.js";

/** Places kept; an application asks people, not machines. */
const MOST_PLACES = 256;

export class GivenCredentials {
  // Private, so that nothing that prints this shows a password.
  readonly #places = new Map<string, DigestCredentials>();

  get size(): number {
    return this.#places.size;
  }

  find(context: AuthContext, realm: string): DigestCredentials | undefined {
    const key = placeOf(context, realm);
    const credentials = this.#places.get(key);
    if (credentials !== undefined) {
      this.#places.delete(key);
      this.#places.set(key, credentials);
    }
    return credentials;
  }

  /** What was given for realms of this server. */
  all(context: AuthContext): DigestCredentials[] {
    if (this.#places.size === 0) return [];
    const prefix = placeOf(context, "");
    return [...this.#places]
      .filter(([key]) => key.startsWith(prefix))
      .map(([, credentials]) => credentials);
  }

  store(context: AuthContext, realm: string, user: string, password: string): void {
    const key = placeOf(context, realm);
    this.#places.delete(key);
    this.#places.set(key, { user, password, realm });
    if (this.#places.size <= MOST_PLACES) return;
    for (const oldest of this.#places.keys()) {
      this.#places.delete(oldest);
      return;
    }
  }

  /** They were wrong: the application is asked anew. */
  forget(context: AuthContext, realm: string): void {
    this.#places.delete(placeOf(context, realm));
  }
}

/** Nothing that was given for one account is used for another. */
function placeOf({ account, target }: AuthContext, realm: string): string {
  return `${account?.id ?? ""}\n${targetKey(target)}\n${realm}`;
}
